"""What a segment's events must fit, as experiments and rates stand."""

from __future__ import annotations

from collections.abc import Mapping

from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Segment
from abplatform.logs.load.currencies import known_currencies
from abplatform.logs.validate import Door
from abplatform.workspace import Workspace

__all__ = ["door_of"]


def door_of(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    segment: Segment,
    *,
    declared: Mapping[str, ExperimentFacts] | None = None,
) -> Door:
    """Return what a segment's events must fit.

    Args:
        workspace: Says which currencies have a rate, or had one.
        experiments: What YAML describes, by key.
        segment: When it landed bounds the future.
        declared: What mapping files declare, by key; YAML goes before.
    """
    known = {**(declared or {}), **experiments}
    return Door(
        variants={key: frozenset(facts.variants) for key, facts in known.items()},
        declared=frozenset(known.keys() - experiments.keys()),
        landed_at=segment.landed_at,
        currencies=known_currencies(workspace, experiments.values()),
    )
