"""``ingest``: files and sealed segments in, events in the store, a receipt out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from abplatform.errors import IngestError
from abplatform.logs.ad_ids import bind_ads
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Hours, Landing, MappingText, check_source
from abplatform.logs.load.corrections import Judge
from abplatform.logs.load.job import open_job
from abplatform.logs.load.receipt import Receipt
from abplatform.logs.mapping import check_columns, parse_mapping
from abplatform.logs.rewriting import land
from abplatform.workspace import Workspace

__all__ = ["DEFAULT_SOURCE", "ingest"]

DEFAULT_SOURCE = "files"
"""Where files land that name no source."""


def ingest(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    files: Sequence[Path] = (),
    mapping: MappingText | None = None,
    source: str | None = None,
    as_of: datetime | None = None,
    read_sources: bool = True,
    replace: Hours | None = None,
    judge: Judge | None = None,
    accept_loss: bool = False,
    advance: Callable[[int, int], None] | None = None,
) -> Receipt:
    """Land files, load every sealed segment that is not loaded yet, refresh the exposures.

    Doing it again changes nothing but the watermark. A warehouse that is missing or damaged is
    made anew on the way. Takes the workspace lock.

    Args:
        workspace: Where to.
        experiments: What the registry knows, by key.
        files: Logs to land first; none: load what is sealed.
        mapping: What reads the files; None for wire events.
        source: Where the files come from; default the channel whose ad ids the mapping reads,
            else :data:`DEFAULT_SOURCE`.
        as_of: Lowers the watermark that the sources get; default the workspace clock.
        read_sources: Whether a call without files counts as reading every source up to now, so
            that its watermark rises. Those that abp.yaml names rise only when they are pulled.
        replace: The hours of a source that the one file replaces.
        judge: Says verdicts, so that the receipt can tell those that a correction changes.
        accept_loss: Go on for good without sealed segments that are missing.
        advance: Called with bytes done and bytes in all.

    Raises:
        IngestError: A file cannot be read at all, or cannot stand in the place of those hours.
        SpecError: The list of categories cannot be used.
        WorkspaceLocked: Another job does not end.
        DiskFull: Too little space is left on the disk.
        StoreError: A segment that was loaded is missing or damaged.
    """
    origin = check_source(replace.source if replace else source or _channel(mapping))
    if replace is not None and len(files) != 1:
        raise IngestError("hours are replaced by one file", remedy="bring exactly one")
    mapping = bind_ads(workspace, mapping)
    read = parse_mapping(mapping, path=mapping.path) if mapping else None
    for file in files:
        check_columns(file, read)
    with workspace.lock("ingest"):
        # What stands open came before the files, and may be among what one of them replaces.
        Landing(workspace).seal()
        with open_job(workspace, experiments, judge=judge, accept_loss=accept_loss) as job:
            if replace is not None:
                job.check_replacement(files[0], replace, mapping)
            landed = [
                land(workspace, file, source=origin, mapping=mapping, supersedes=replace)
                for file in files
            ]
            return job.run(
                landed,
                named=[origin] if files or source else None if read_sources else [],
                moment=min(workspace.clock(), as_of) if as_of else workspace.clock(),
                advance=advance,
            )


def _channel(mapping: MappingText | None) -> str:
    """The source of a file that names none: reports of one channel replace those of no other."""
    read = parse_mapping(mapping, path=mapping.path) if mapping else None
    return read.ad_source.channel if read and read.ad_source else DEFAULT_SOURCE
