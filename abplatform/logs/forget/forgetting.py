"""Forget units everywhere: landing, quarantine, warehouse and what was written from them.

The order makes a kill at any moment harmless: first the units are refused, then rows go segment by
segment, then the warehouse (a cache) goes whole and is rebuilt from what is left. Calling it again
finishes what was cut short, and a call that has nothing to do changes nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from abplatform.checkpoints import list_checkpoints
from abplatform.durable import reach
from abplatform.errors import WorkspaceError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.forget.erase import count_rows, erase_rows
from abplatform.logs.forget.links import Links, drop_links, keep_links, read_links
from abplatform.logs.forget.proof import Proof, search
from abplatform.logs.forget.scrub import scrub
from abplatform.logs.forget.trace import Trace, trace_units
from abplatform.logs.landing import Landing, Segment, sealed_segments
from abplatform.logs.landing.replacing import remove_replaced
from abplatform.logs.load import Receipt, ingest
from abplatform.logs.load.admission import door_of
from abplatform.logs.load.declared import declared_facts
from abplatform.logs.privacy import bury, pseudonyms_of
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import Door
from abplatform.workspace import Workspace

__all__ = ["Forgotten", "Reckoning", "forget_units", "rebuild", "reckon", "remove_copies"]

Advance = Callable[[int, int], None]

_HALF_DONE: Final = ("rewriting", "pulling")

PATIENCE_SECONDS: Final = 90.0
"""How long a collector that writes meanwhile is waited for: it seals after 60 s."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What forgetting units will remove.

    Args:
        segments: Sealed segments that hold something of theirs.
        events: How many events.
        experiments: In which they were.
        weeks: Weeks whose preference pairs count what they did.
        checkpoints: Models trained on those weeks, by sha256.
    """

    segments: int
    events: int
    experiments: tuple[str, ...]
    weeks: tuple[str, ...]
    checkpoints: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "segments": self.segments,
            "events": self.events,
            "experiments": list(self.experiments),
            "pairs": list(self.weeks),
            "checkpoints": list(self.checkpoints),
        }


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed.

    Args:
        reckoning: What was found.
        changed: Files besides segments from which ids were taken.
        receipt: Of the rebuilt store.
        proof: Of the search for what is left.
    """

    reckoning: Reckoning
    changed: Sequence[str] = ()
    receipt: Receipt | None = None
    proof: Proof = field(default_factory=Proof)


def reckon(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    unit_ids: Sequence[str],
    *,
    advance: Advance | None = None,
) -> Reckoning:
    """Say what forgetting units will remove, and change nothing.

    Args:
        workspace: Which forgets.
        experiments: What the registry knows, by key.
        unit_ids: As people name them; pseudonyms are made of them where that is so.
        advance: Called with bytes searched and bytes in all.
    """
    with workspace.lock("forget"):
        Landing(workspace).seal()
        named, segments = _spelt(workspace, unit_ids), sealed_segments(workspace)
        trace, held = trace_units(workspace, segments, named, advance=advance)
        doors = _doors(workspace, experiments)
        theirs = [segment for segment in segments if segment.number in held]
        counts = [count_rows(workspace, trace, one, doors(one)).total() for one in theirs]
    return _reckoning(workspace, trace, counts)


def forget_units(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    unit_ids: Sequence[str],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    advance: Advance | None = None,
) -> Forgotten:
    """Forget units everywhere, refuse them from now on, and search for what is left.

    Args:
        workspace: Which forgets.
        experiments: What the registry knows, by key.
        unit_ids: As people name them.
        patience_seconds: How long a collector that holds a segment open is waited for.
        advance: Called with bytes done and bytes in all.

    Raises:
        WorkspaceError: A collector keeps a segment open.
        WorkspaceLocked: Another job does not end.
    """
    named = _spelt(workspace, unit_ids)
    bury(workspace, named)
    reach("forget.bury")
    _wait_for_writers(workspace, patience_seconds)
    with workspace.lock("forget"):
        remove_replaced(workspace)
        segments = sealed_segments(workspace)
        unfinished = read_links(workspace)
        trace, held = trace_units(
            workspace, segments, named, links=unfinished or Links(), advance=advance
        )
        doors = _doors(workspace, experiments)
        if held:
            keep_links(workspace, trace.links)
        theirs = [segment for segment in segments if segment.number in held]
        counts = [erase_rows(workspace, trace, one, doors(one)).total() for one in theirs]
        reach("forget.erased")
        changed = scrub(workspace, named)
        remove_copies(workspace)
    if held or unfinished is not None:
        receipt = rebuild(workspace, experiments, advance=advance)
        reach("forget.built")
        drop_links(workspace)
    else:
        receipt = ingest(workspace, experiments, read_sources=False, advance=advance)
    proof = search(workspace, named, advance=advance)
    return Forgotten(_reckoning(workspace, trace, counts), changed, receipt, proof)


def rebuild(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    advance: Advance | None = None,
) -> Receipt:
    """Remove the warehouse and every copy of it, and make it anew from the landing.

    A database keeps what was deleted in its free blocks; only a new file is free of it.

    Args:
        workspace: Whose warehouse.
        experiments: What the registry knows, by key.
        advance: Called with bytes done and bytes in all.
    """
    with workspace.lock("forget"):
        remove_copies(workspace)
        for path in (workspace.warehouse, _write_ahead(workspace)):
            path.unlink(missing_ok=True)
    reach("forget.rebuild")
    return ingest(workspace, experiments, read_sources=False, advance=advance)


def remove_copies(workspace: Workspace) -> None:
    """Remove warehouses that were moved aside, and what jobs left half done."""
    current = {workspace.warehouse, _write_ahead(workspace)}
    for path in set(workspace.data.glob(f"{workspace.warehouse.name}*")) - current:
        path.unlink()
    for folder in (workspace.data / ".spill", *map(workspace.landing.joinpath, _HALF_DONE)):
        shutil.rmtree(folder, ignore_errors=True)


def _write_ahead(workspace: Workspace) -> Path:
    return workspace.warehouse.with_name(workspace.warehouse.name + ".wal")


def _spelt(workspace: Workspace, unit_ids: Sequence[str]) -> list[str]:
    """Return ids as they were named and as they are stored."""
    pseudonyms = pseudonyms_of(workspace)
    stored = [pseudonyms.stored(unit_id) for unit_id in unit_ids] if pseudonyms else []
    return list(dict.fromkeys([*unit_ids, *stored]))


def _wait_for_writers(workspace: Workspace, patience_seconds: float) -> None:
    """Wait until what stood open is sealed; what is opened from now on refuses the units."""
    waited_for = set(workspace.landing.glob("open/*/*/*.jsonl"))
    deadline = time.monotonic() + patience_seconds
    while True:
        with workspace.lock("forget"):
            Landing(workspace).seal()
        left = sorted(path for path in waited_for if path.exists())
        if not left:
            return
        if time.monotonic() >= deadline:
            raise WorkspaceError(
                "a collector keeps a segment open that may hold the unit",
                path=left[0],
                remedy="stop it, or wait until it seals; then run the command again",
            )
        time.sleep(0.5)


def _doors(
    workspace: Workspace, experiments: Mapping[str, ExperimentFacts]
) -> Callable[[Segment], Door]:
    """Return what tells which of a segment's rows are events, as loading judges them."""
    with Warehouse.open(workspace) as warehouse:
        declared = declared_facts(warehouse)

    def door(segment: Segment) -> Door:
        return door_of(workspace, experiments, segment, declared=declared)

    return door


def _reckoning(workspace: Workspace, trace: Trace, counts: Sequence[int]) -> Reckoning:
    experiments = tuple(sorted(trace.links.experiments))
    weeks = tuple(
        path.stem
        for path in sorted(workspace.pairs.glob("*.parquet"))
        if set(pl.read_parquet(path, columns=["experiment"])["experiment"])
        & trace.links.experiments
    )
    trained = [
        one.sha256
        for one in list_checkpoints(workspace.checkpoints)
        if set(one.metadata.get("weeks", ())) & set(weeks)
    ]
    return Reckoning(len(counts), sum(counts), experiments, weeks, tuple(trained))
