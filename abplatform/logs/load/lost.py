"""A store that was lost: whoever asks it before the next ingest must not think it empty."""

from __future__ import annotations

from abplatform.logs.landing import sealed_segments
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["is_lost"]


def is_lost(workspace: Workspace, job: str) -> bool:
    """Return whether the store must be made anew from the landing before it can be asked.

    That is so when its file was deleted or damaged since the last ingest, or when an ingest that
    made it anew was killed. Segments that were sealed since the last ingest do not count: a job
    that began with an ingest goes on with what that ingest loaded.

    Args:
        workspace: Whose store.
        job: Who asks, for whoever waits for the lock.
    """
    with workspace.lock(job), Warehouse.open(workspace) as warehouse:
        finished = "told" in set(warehouse.query("load/meta")["name"].to_list())
    return not finished and bool(sealed_segments(workspace))
