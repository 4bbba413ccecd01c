"""What a delivery corrects: counts before and after, and verdicts that are now others.

A re-emitted log replaces hours of its source; a network's report restates days that were reported
before. Both change answers that people may have acted upon, so the receipt says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import polars as pl

from abplatform.logs.facts import to_micros
from abplatform.logs.landing import Segment
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["Change", "Correction", "Judge", "changed_verdicts", "find_corrections"]

Judge = Callable[[Warehouse, Collection[str], str | None], Mapping[str, str]]
"""Says each experiment's verdict at a data version, or now for None."""

_REPORTED: Final = ("impressions", "clicks", "conversions", "value_micros", "cost_micros")


@dataclass(frozen=True, slots=True)
class Change:
    """Something before and after.

    Args:
        before: Until this delivery.
        after: Now.
    """

    before: int | str
    after: int | str


@dataclass(frozen=True, slots=True)
class Correction:
    """What a delivery put in the place of what counted before.

    Args:
        kind: ``replaced``: hours of a source by a re-emitted log; ``restated``: rows of reports.
        source: Whose.
        rows: Events, or rows of reports, that count no longer.
        counts: Events by table within those hours, or sums over the restated rows.
        verdicts: Experiments whose verdict is another one now.
    """

    kind: Literal["replaced", "restated"]
    source: str
    rows: int
    counts: Mapping[str, Change] = field(default_factory=dict)
    verdicts: Mapping[str, Change] = field(default_factory=dict)


def find_corrections(
    warehouse: Warehouse, fresh: Sequence[Segment], *, told: int, judge: Judge | None = None
) -> Iterator[Correction]:
    """Yield what newly loaded segments corrected; costs nothing when that is nothing.

    Args:
        warehouse: The open warehouse, refreshed.
        fresh: The segments, in order.
        told: The last segment that an earlier receipt told of.
        judge: Says verdicts; None leaves them out.
    """
    for segment in fresh:
        if segment.supersedes is not None and segment.number > told:
            yield _replaced(warehouse, segment, judge)
    restated = warehouse.query("load/restated", told=told)
    for (source,), part in restated.group_by("source", maintain_order=True):
        counts = {
            name: Change(int(part[f"{name}_before"].sum()), int(part[f"{name}_after"].sum()))
            for name in _REPORTED
        }
        yield Correction(
            kind="restated",
            source=str(source),
            rows=int(part["reports"].sum()),
            counts=counts,
            verdicts=changed_verdicts(
                warehouse,
                judge,
                part["experiment"].unique().to_list(),
                before=_version_before(warehouse, told + 1),
            ),
        )


def changed_verdicts(
    warehouse: Warehouse, judge: Judge | None, experiments: Collection[str], *, before: str | None
) -> dict[str, Change]:
    """Return the experiments whose verdict is another one than at an earlier data version.

    Args:
        warehouse: The open warehouse, refreshed.
        judge: Says verdicts; None: nobody asked.
        experiments: Those that it may concern.
        before: The data version; None where there was nothing yet.
    """
    if judge is None or not experiments or before in {None, data_version(warehouse)}:
        return {}
    then, after = judge(warehouse, experiments, before), judge(warehouse, experiments, None)
    return {
        key: Change(then.get(key, "none"), verdict)
        for key, verdict in sorted(after.items())
        if then.get(key, "none") != verdict
    }


def _version_before(warehouse: Warehouse, number: int) -> str | None:
    """Return the data version that the store had before a segment."""
    earlier = warehouse.query("load/segments").filter(pl.col("segment_number") < number)
    return None if earlier.is_empty() else str(earlier["data_version"].to_list()[-1])


def _replaced(warehouse: Warehouse, segment: Segment, judge: Judge | None) -> Correction:
    hours, number = segment.supersedes, segment.number
    if hours is None:
        raise ValueError("the segment replaces nothing")
    rows = warehouse.query(
        "load/replaced_counts",
        segment_number=number,
        source=hours.source,
        from_micros=to_micros(hours.since),
        to_micros=to_micros(hours.until),
    )
    counts = {
        row["event_table"]: Change(row["before"], row["after"])
        for row in rows.iter_rows(named=True)
    }
    keys = warehouse.query("load/corrected_experiments", segment_number=number)
    return Correction(
        kind="replaced",
        source=hours.source,
        rows=int(rows["before"].sum()),
        counts=counts,
        verdicts=changed_verdicts(
            warehouse,
            judge,
            keys["experiment"].to_list(),
            before=_version_before(warehouse, number),
        ),
    )
