"""``backfill``: let late events in, for good, and say what that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from abplatform.logs.attribution import Stretch, waiting
from abplatform.logs.facts import ExperimentFacts, to_micros
from abplatform.logs.landing import append_ingest
from abplatform.logs.load.corrections import Change, Judge, changed_verdicts
from abplatform.logs.load.job import open_job
from abplatform.logs.load.remembered import row_of
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["Backfill", "backfill"]


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill did.

    Args:
        entered: Late events that count from now on, by event table.
        waiting: Late events that wait still, by event table.
        counts: Experiment to what its exposures add up to, where that changed.
        verdicts: Experiments whose verdict is another one now.
        data_version: Of the store now.
    """

    entered: Mapping[str, int]
    waiting: Mapping[str, int]
    data_version: str
    counts: Mapping[str, Mapping[str, Change]] = field(default_factory=dict)
    verdicts: Mapping[str, Change] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``abp backfill --json`` prints."""
        return asdict(self)


def backfill(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    source: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    judge: Judge | None = None,
) -> Backfill:
    """Let late events count that wait, all of them or those of a source and a stretch of time.

    That is remembered beside the landing, so a warehouse that is made anew has them, too. Doing it
    again changes nothing. Takes the workspace lock.

    Args:
        workspace: Whose store.
        experiments: What the registry knows, by key.
        source: Of this source; None for all.
        since: From this moment on (event time).
        until: Before this moment.
        judge: Says verdicts, to tell those that change.

    Raises:
        WorkspaceLocked: Another job does not end.
    """
    whole = Stretch()
    stretch = Stretch(
        source or "",
        whole.from_micros if since is None else to_micros(since),
        whole.to_micros if until is None else to_micros(until),
    )
    with workspace.lock("backfill"), open_job(workspace, experiments, judge=judge) as job:
        job.catch_up()
        warehouse = job.warehouse
        found = _by_table(warehouse, stretch)
        if not found:
            return Backfill({}, _by_table(warehouse, whole), data_version(warehouse))
        before, sums = data_version(warehouse), _sums(warehouse)
        row = row_of(workspace, warehouse, moment=workspace.clock())
        append_ingest(workspace, row | {"backfill": asdict(stretch)})
        job.catch_up()
        counts = _changes(sums, _sums(warehouse))
        return Backfill(
            entered=found,
            waiting=_by_table(warehouse, whole),
            data_version=data_version(warehouse),
            counts=counts,
            verdicts=changed_verdicts(warehouse, judge, list(counts), before=before),
        )


def _by_table(warehouse: Warehouse, stretch: Stretch) -> dict[str, int]:
    found: dict[str, int] = {}
    for table, _, events in waiting(warehouse, stretch).iter_rows():
        found[table] = found.get(table, 0) + events
    return found


def _sums(warehouse: Warehouse) -> dict[str, dict[str, int]]:
    rows = warehouse.query("late/sums").to_dicts()
    return {row.pop("experiment"): row for row in rows}


def _changes(
    before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, Change]]:
    found = {}
    for key, sums in after.items():
        changes = {
            name: Change(before.get(key, {}).get(name, 0), value)
            for name, value in sums.items()
            if before.get(key, {}).get(name, 0) != value
        }
        if changes:
            found[key] = changes
    return found
