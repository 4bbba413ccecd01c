"""Looks on their way into the journal and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abplatform.analysis.scorecard.record import Scorecard
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.traffic.registry.lookbook import RecordedLook, keep_looks

__all__ = ["keep_scorecard_looks", "records_of"]


def keep_scorecard_looks(
    registry: Registry, registered: RegisteredExperiment, scorecard: Scorecard, *, who: str
) -> None:
    """Write the looks that a plain analysis took into the journal, once.

    An experiment that was assigned elsewhere has no journal; its looks follow from the log again.

    Args:
        registry: Of the workspace, which the caller has locked.
        registered: The experiment.
        scorecard: Of everything known now.
        who: Who looked.
    """
    if registered.started_at is None or not scorecard.looks:
        return
    keep_looks(
        registry.journal,
        registered.key,
        records_of(scorecard.looks, scorecard.data_version),
        written_at=registry.workspace.clock(),
        who=who,
    )


def records_of(looks: Sequence[TakenLook], version: str) -> list[RecordedLook]:
    """Return looks as the journal keeps them, one row for all treatments.

    Args:
        looks: Of any treatments.
        version: The data version that they were taken on.
    """
    found: dict[int, RecordedLook] = {}
    for look in looks:
        before = found.get(look.row.look)
        treatments: Mapping[str, Any] = before.treatments if before else {}
        found[look.row.look] = RecordedLook(
            look=look.row.look,
            day=look.day,
            at=look.at,
            data_version=version,
            treatments={**treatments, look.treatment: look.to_journal()},
        )
    return [found[number] for number in sorted(found)]
