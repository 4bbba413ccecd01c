"""Retention: segments whose newest event is older than the workspace keeps logs are emptied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from abplatform.errors import WorkspaceError
from abplatform.logs.facts import ExperimentFacts, to_micros
from abplatform.logs.forget.erase import empty_segment
from abplatform.logs.forget.forgetting import rebuild, remove_copies
from abplatform.logs.landing import Segment, sealed_segments
from abplatform.logs.landing.replacing import remove_replaced
from abplatform.logs.load import Receipt, ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import SETTINGS_FILE, Workspace

__all__ = ["Expired", "find_expired", "forget_expired"]


@dataclass(frozen=True, slots=True)
class Expired:
    """A segment that is older than logs are kept.

    Args:
        segment: The segment.
        contained: Its events by source that are not forgotten yet.
    """

    segment: Segment
    contained: Mapping[str, int]

    @property
    def events(self) -> int:
        """How many events it holds."""
        return sum(self.contained.values())


def find_expired(workspace: Workspace, experiments: Mapping[str, ExperimentFacts]) -> list[Expired]:
    """Return the segments that are older than ``privacy.retention``; loads what is sealed first.

    A segment's age is that of its newest event, and of its landing where it holds none.

    Args:
        workspace: Its abp.yaml says how long logs are kept.
        experiments: What the registry knows, by key.

    Raises:
        WorkspaceError: abp.yaml says nothing of it.
    """
    retention = workspace.settings.privacy.retention
    if retention is None:
        raise WorkspaceError(
            "abp.yaml does not say how long logs are kept",
            path=workspace.root / SETTINGS_FILE,
            remedy="write privacy: {retention: 400d}",
        )
    ingest(workspace, experiments, read_sources=False)
    with workspace.lock("forget"), Warehouse.open(workspace) as warehouse:
        newest = dict(warehouse.query("load/newest_events").iter_rows())
        ledger = warehouse.query("load/contained")
    cutoff = to_micros(workspace.clock() - retention)
    found = []
    for segment in sealed_segments(workspace):
        rows = ledger.filter(segment_number=segment.number).iter_rows(named=True)
        contained = {row["source"]: row["events"] for row in rows if row["events"]}
        if contained and newest.get(segment.number, to_micros(segment.landed_at)) < cutoff:
            found.append(Expired(segment, contained))
    return found


def forget_expired(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    advance: Callable[[int, int], None] | None = None,
) -> tuple[list[Expired], Receipt | None]:
    """Empty the segments that are older than logs are kept; verdicts and what is published stay.

    Args:
        workspace: Its abp.yaml says how long logs are kept.
        experiments: What the registry knows, by key.
        advance: Called with bytes done and bytes in all.

    Returns:
        What was emptied, and the receipt of the rebuilt store; None where nothing was.

    Raises:
        WorkspaceError: abp.yaml does not say how long logs are kept.
    """
    expired = find_expired(workspace, experiments)
    with workspace.lock("forget"):
        # A run that was killed may have left one that still holds what was emptied.
        remove_copies(workspace)
    if not expired:
        return [], None
    with workspace.lock("forget"):
        for one in expired:
            empty_segment(workspace, one.segment, one.contained)
        remove_replaced(workspace)
    return expired, rebuild(workspace, experiments, advance=advance)
