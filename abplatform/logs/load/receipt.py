"""What an ingest says when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from abplatform.errors import StoreError
from abplatform.logs.attribution import left_over
from abplatform.logs.landing import Segment
from abplatform.logs.load.corrections import Correction
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.taxonomy import unknown_categories

__all__ = ["Counts", "Example", "Receipt", "write_receipt"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Events by what became of them; ``received`` is the sum of the others.

    Args:
        received: Delivered, good and bad, counted after mapping.
        accepted: Counted.
        quarantined: Kept aside with one reason each.
        duplicate: Delivered before.
        superseded: Rows of reports that a higher revision replaces.
        forgotten: Removed on request.
    """

    received: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    superseded: int = 0
    forgotten: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add up."""
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def holds(self) -> bool:
        """Whether the identity holds."""
        rest = self.accepted + self.quarantined + self.duplicate + self.superseded + self.forgotten
        return self.received == rest

    def check(self, what: str) -> Counts:
        """Return itself.

        Raises:
            StoreError: The identity does not hold: a defect, and nothing was stored.
        """
        if self.holds:
            return self
        raise StoreError(
            f"the counts of {what} do not add up: {asdict(self)}",
            remedy="nothing was stored; please report this with the segment",
        )


@dataclass(frozen=True, slots=True)
class Example:
    """One quarantined line, to show what a reason looks like.

    Args:
        source: Where it landed.
        place: File and line.
        detail: What exactly is wrong.
        raw: The line's beginning.
    """

    source: str
    place: str
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one ingest did.

    Args:
        counts: Of this ingest's deliveries.
        by_source: The same by source.
        reasons: Why lines of these deliveries are quarantined: reason to number.
        examples: One line for each reason.
        totals: Of everything in the store.
        data_version: Of the store now.
        segments: How many segments were loaded.
        withdrawn: Events accepted earlier that these deliveries contradict or supersede.
        left_over: What waits or is left out of every scorecard, as of now: kind to number.
        watermarks: Source to its watermark, RFC 3339.
        moved_aside: Where a damaged warehouse went before it was rebuilt, or None.
        conflicting_ids: Ids of these deliveries that came with different content.
        corrections: What these deliveries put in the place of what counted before.
        unknown_categories: Categories in the store that nobody knows: path to its events.
    """

    counts: Counts
    by_source: Mapping[str, Counts]
    reasons: Mapping[str, int]
    examples: Mapping[str, Example]
    totals: Counts
    data_version: str
    segments: int
    withdrawn: int = 0
    left_over: Mapping[str, int] = field(default_factory=dict)
    watermarks: Mapping[str, str] = field(default_factory=dict)
    moved_aside: str | None = None
    conflicting_ids: int = 0
    corrections: tuple[Correction, ...] = ()
    unknown_categories: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_useless(self) -> bool:
        """Whether something was delivered and no line of it is a valid event."""
        wrong = sum(self.reasons.values()) - self.reasons.get("conflicting_id", 0)
        return 0 < self.counts.received == wrong

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``abp ingest --json`` prints."""
        return {
            **asdict(self.counts),
            "reasons": dict(self.reasons),
            "by_source": {source: asdict(counts) for source, counts in self.by_source.items()},
            "data_version": self.data_version,
            "totals": asdict(self.totals),
            "segments": self.segments,
            "withdrawn": self.withdrawn,
            "left_over": dict(self.left_over),
            "unknown_categories": dict(self.unknown_categories),
            "watermarks": dict(self.watermarks),
            "examples": {reason: asdict(example) for reason, example in self.examples.items()},
            "moved_aside": self.moved_aside,
            "conflicting_ids": self.conflicting_ids,
            "corrections": [asdict(correction) for correction in self.corrections],
        }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_BYTES = 200


def write_receipt(
    warehouse: Warehouse,
    *,
    new: Mapping[int, Segment],
    repeated: Sequence[int],
    before: pl.DataFrame,
    moved_aside: Path | None = None,
    corrections: Iterable[Correction] = (),
) -> Receipt:
    """Say what an ingest did, out of the ledger.

    Args:
        warehouse: The open warehouse, after loading.
        new: The segments loaded, by number.
        repeated: Numbers of earlier segments that were delivered again.
        before: The ledger before.
        moved_aside: Where a damaged warehouse went, or None.
        corrections: What was put in the place of what counted before.

    Raises:
        StoreError: The counts do not add up.
    """
    ledger = warehouse.query("load/ledger")
    by_source = _delivered(ledger, new, repeated)
    reasons, examples = _reasons(warehouse, new)
    marks = warehouse.query("load/watermarks").iter_rows()
    return Receipt(
        counts=sum(by_source.values(), Counts()).check("this delivery"),
        by_source=by_source,
        reasons=reasons,
        examples=examples,
        totals=Counts(**warehouse.query("load/total").to_dicts()[0]).check("the store"),
        data_version=data_version(warehouse),
        segments=len(new),
        withdrawn=_withdrawn(before, ledger),
        left_over=left_over(warehouse),
        watermarks={
            source: (_EPOCH + timedelta(microseconds=mark)).isoformat() for source, mark in marks
        },
        moved_aside=str(moved_aside) if moved_aside else None,
        conflicting_ids=_conflicting_ids(warehouse, new),
        corrections=tuple(corrections),
        unknown_categories=unknown_categories(warehouse),
    )


def _delivered(
    ledger: pl.DataFrame, new: Mapping[int, Segment], repeated: Sequence[int]
) -> dict[str, Counts]:
    names = [field.name for field in fields(Counts)]
    by_source: dict[str, Counts] = {}
    for row in ledger.iter_rows(named=True):
        if row["segment_number"] in new:
            counts = Counts(**{name: row[name] for name in names})
        else:
            again = row["contained"] * list(repeated).count(row["segment_number"])
            counts = Counts(received=again, duplicate=again)
        if counts.received:
            by_source[row["source"]] = by_source.get(row["source"], Counts()) + counts
    return by_source


def _withdrawn(before: pl.DataFrame, after: pl.DataFrame) -> int:
    """How many events that counted before count no longer."""
    keys = ["segment_number", "source"]
    joined = before.join(after, on=keys, suffix="_after")
    return int((joined["accepted"] - joined["accepted_after"]).sum())


def _conflicting_ids(warehouse: Warehouse, new: Mapping[int, Segment]) -> int:
    with _staged_numbers(warehouse, new):
        return int(warehouse.query("load/conflicting_ids")["ids"].item())


def _staged_numbers(
    warehouse: Warehouse, new: Mapping[int, Segment]
) -> AbstractContextManager[None]:
    numbers = pl.Series(list(new), dtype=pl.Int64)
    return warehouse.stage("touched", pl.DataFrame({"segment_number": numbers}))


def _reasons(
    warehouse: Warehouse, new: Mapping[int, Segment]
) -> tuple[dict[str, int], dict[str, Example]]:
    reasons: dict[str, int] = {}
    examples: dict[str, Example] = {}
    with _staged_numbers(warehouse, new):
        rows = warehouse.query("load/reasons_of")
    for row in rows.iter_rows(named=True):
        segment = new[row["segment_number"]]
        reason = row["reason"]
        reasons[reason] = reasons.get(reason, 0) + row["events"]
        place = f"{segment.origin or segment.path.name}:{row['line']}"
        raw = row["raw"][:_SHOWN_BYTES].decode(errors="replace")
        examples.setdefault(reason, Example(row["source"], place, row["detail"], raw))
    return reasons, examples
