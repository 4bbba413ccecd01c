"""What a job remembers beside the landing, because no segment can tell it.

Rows of ``ingests.jsonl`` outlive the store: what was late then is late in a store that is made
anew, also when what a source had told of by then was forgotten since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from abplatform.logs.landing import read_ingests
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["remembered_until", "row_of"]


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
        ``at``, ``watermark``, ``sources``, ``repeated``, ``last`` (the last segment) and ``newest``
        (source to the latest moment that segments since the row before told of, in µs).
    """
    numbers = warehouse.query("load/segments")["segment_number"].to_list()
    told = warehouse.query("late/told_of", after=remembered_until(workspace))
    return {
        "at": workspace.clock().astimezone(UTC).isoformat(),
        "watermark": moment.astimezone(UTC).isoformat(),
        "sources": sorted(set(sources)),
        "repeated": list(repeated),
        "last": max(numbers, default=0),
        "newest": dict(told.iter_rows()),
    }
