"""The landing's checks: every byte that happened is there as it was sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from abplatform.durable import size_text
from abplatform.errors import StoreError
from abplatform.logs.checkup.finding import Finding, fail, ok, warn
from abplatform.logs.landing import FORMS, Segment, check_bytes, open_files, torn_ingests
from abplatform.logs.landing.segments import revision_of, sealed_paths
from abplatform.logs.load.remembered import missing_segments
from abplatform.workspace import Workspace

__all__ = ["check_landing"]

_SHOWN = 10


def check_landing(
    workspace: Workspace, advance: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Compare every sealed byte with its hash, and look for what a kill may have left.

    Args:
        workspace: Whose landing.
        advance: Called with bytes done and bytes in all.
    """
    yield from _segments(workspace, advance)
    yield from _missing(workspace)
    yield from _leftovers(workspace)
    yield _open_segments(workspace)
    torn = torn_ingests(workspace)
    if torn:
        told = f"{torn} lines of ingests.jsonl were torn by a kill and count for nothing"
        yield warn("ingests", told, "nothing; the ingest that wrote them was never acknowledged")


def _segments(
    workspace: Workspace, advance: Callable[[int, int], None] | None
) -> Iterator[Finding]:
    paths = sealed_paths(workspace)
    sizes = [path.stat().st_size for path in paths]
    done, damaged = 0, 0
    for path, size in zip(paths, sizes, strict=True):
        try:
            check_bytes(Segment.read(workspace, path))
            if not path.with_name(path.name + ".sha256").exists():
                remedy = f"write it again: cd {path.parent} && sha256sum {path.name} > …"
                yield warn("segments", f"{path.name}.sha256 is missing", remedy)
        except StoreError as error:
            damaged += 1
            yield fail("segments", error)
        done += size
        if advance is not None:
            advance(done, sum(sizes))
    if not damaged:
        yield ok("segments", f"{len(paths)} sealed, {size_text(sum(sizes))}: every hash is right")


def _missing(workspace: Workspace) -> Iterator[Finding]:
    """What ingests remember to have loaded must be there, whatever became of the warehouse."""
    numbers = [int(path.name[:9]) for path in sealed_paths(workspace)]
    lost = missing_segments(workspace, None, numbers)
    if lost:
        told = f"{len(lost)} that were loaded are gone: {', '.join(lost[:_SHOWN])}"
        remedy = "bring them back from a backup; `abp ingest --accept-loss` goes on without them"
        yield fail("missing", told, remedy)


def _leftovers(workspace: Workspace) -> Iterator[Finding]:
    """Side files without data are what a kill in mid-sealing leaves; numbers are given once."""
    names = list(workspace.landing.glob("sealed/*/*/*"))
    data = {path for path in names if path.name.endswith(FORMS) and path.name[:9].isdigit()}
    counts = Counter((path.name[:9], revision_of(path)) for path in data)
    for (number, _), count in sorted(counts.items()):
        if count > 1:
            told = f"{count} segments have the number {int(number)}: one of them is not read"
            yield fail("numbers", told, "keep the one that the backup has; move the other one out")
    orphans = sorted(
        path.name
        for path in names
        if path.suffix in {".json", ".sha256"} and path.with_suffix("") not in data
    )
    if orphans:
        told = f"{len(orphans)} side files have no segment: {', '.join(orphans[:_SHOWN])}"
        yield warn("side_files", told, "delete them if no data file was lost; a kill leaves such")


def _open_segments(workspace: Workspace) -> Finding:
    files = open_files(workspace)
    dead = [path for path, is_dead in files if is_dead]
    if not dead:
        return ok(
            "open", f"{len(files)} open, each with a living writer" if files else "none is open"
        )
    size = size_text(sum(map(_size_of, dead)))
    told = f"{len(dead)} open ({size}) whose writer died"
    return warn("open", told, "run `abp ingest`: it seals and loads them")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
