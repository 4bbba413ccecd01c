"""A store that can be trusted: one that says something else than the landing is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from abplatform.errors import StoreError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Segment, append_ingest, sealed_segments
from abplatform.logs.load.remembered import missing_segments, row_of
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import name_currency, name_experiment, name_variant
from abplatform.settings import Settings
from abplatform.workspace import Workspace

__all__ = ["open_trusted"]


@contextmanager
def open_trusted(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    accept_loss: bool = False,
) -> Iterator[tuple[Warehouse, Path | None]]:
    """Open a warehouse that says what the landing says; tell where another one went.

    Args:
        workspace: Whose warehouse.
        experiments: What the registry knows, by key.
        accept_loss: Go on for good without segments that are missing.

    Raises:
        StoreError: A segment is missing; a store made anew without it would lose events in silence.
    """
    with ExitStack() as stack:
        warehouse = stack.enter_context(Warehouse.open(workspace))
        aside = warehouse.moved_aside
        segments = sealed_segments(workspace)
        missing = missing_segments(workspace, warehouse, [one.number for one in segments])
        if missing and not accept_loss:
            raise _lost(missing)
        if missing:
            row = row_of(workspace, warehouse, moment=workspace.clock())
            append_ingest(workspace, row | {"lost": missing})
        fits = _fits(warehouse, segments)
        if not fits or _knows_now(warehouse, experiments, workspace.settings):
            stack.close()
            aside = Warehouse.move_aside(workspace)
            warehouse = stack.enter_context(Warehouse.open(workspace))
        yield warehouse, aside


def _fits(warehouse: Warehouse, segments: Sequence[Segment]) -> bool:
    """Whether everything that is loaded still stands in the landing as it was."""
    there = {segment.number: segment.identity for segment in segments}
    loaded = warehouse.query("load/segments").select("segment_number", "identity")
    return all(there.get(number) == identity for number, identity in loaded.iter_rows())


def _lost(missing: Sequence[str]) -> StoreError:
    several = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return StoreError(
        f"the sealed segment {missing[0]}{several} is missing, but its events were counted",
        remedy="bring it back from a backup; if it is gone for good, `abp ingest --accept-loss` "
        "makes the store anew without these events",
    )


def _knows_now(
    warehouse: Warehouse, experiments: Mapping[str, ExperimentFacts], settings: Settings
) -> bool:
    """Whether lines are quarantined for what has been described since, or for a rate."""
    named = set(warehouse.query("load/unknown_names")["detail"].to_list())
    if not named.isdisjoint(map(name_currency, [settings.currency, *settings.rates])):
        return True
    return bool(named) and any(
        name_experiment(key) in named
        or any(name_variant(key, variant) in named for variant in facts.variants)
        for key, facts in experiments.items()
    )
