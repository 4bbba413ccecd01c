"""What a job remembers beside the landing, because no segment can tell it.

Rows of ``ingests.jsonl`` outlive the store: what was late then is late in a store that is made
anew, also when what a source had told of by then was forgotten since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from abplatform.logs.landing import read_ingests
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["missing_segments", "remembered_until", "row_of"]

_NUMBER = slice(9)
"""Where a segment's name tells its number."""


def remembered_until(workspace: Workspace) -> int:
    """Return the number of the last segment that any row knows of."""
    return max((int(row.get("last", 0)) for row in read_ingests(workspace)), default=0)


def row_of(
    workspace: Workspace,
    warehouse: Warehouse,
    *,
    moment: datetime,
    sources: Iterable[str] = (),
    repeated: Sequence[int] = (),
) -> dict[str, Any]:
    """Return what a job remembers once it has loaded what is sealed.

    Args:
        workspace: Whose landing.
        warehouse: The open warehouse.
        moment: The watermark of the sources.
        sources: Those that were read up to it.
        repeated: Numbers of earlier segments that were delivered again.

    Returns:
        ``at``, ``watermark``, ``sources``, ``repeated``, ``last`` (the last segment), and of the
        segments since the row before: ``segments`` (their names) and ``newest`` (source to the
        latest moment that they told of, in µs).
    """
    loaded = warehouse.query("load/segments")
    after = remembered_until(workspace)
    told = warehouse.query("late/told_of", after=after)
    return {
        "at": workspace.clock().astimezone(UTC).isoformat(),
        "watermark": moment.astimezone(UTC).isoformat(),
        "sources": sorted(set(sources)),
        "repeated": list(repeated),
        "last": max(loaded["segment_number"].to_list(), default=0),
        "segments": loaded.filter(pl.col("segment_number") > after)["path"].to_list(),
        "newest": dict(told.iter_rows()),
    }


def missing_segments(
    workspace: Workspace, warehouse: Warehouse | None, sealed: Collection[int]
) -> list[str]:
    """Return the names of segments that were loaded once and stand in the landing no more.

    Those whose loss was accepted are left out (rows with ``lost``).

    Args:
        workspace: Whose landing.
        warehouse: It knows some that rows of earlier versions of the platform do not tell; None
            where there is none.
        sealed: The numbers of those that are there.
    """
    rows = read_ingests(workspace)
    known = [name for row in rows for name in row.get("segments", ())]
    if warehouse is not None:
        known += warehouse.query("load/segments")["path"].to_list()
    there = {f"{number:09d}" for number in sealed}
    there |= {name[_NUMBER] for row in rows for name in row.get("lost", ())}
    # A segment that was rewritten has another name, and the same number.
    lost = {name[_NUMBER]: name for name in known if name[_NUMBER] not in there}
    return [lost[number] for number in sorted(lost)]
