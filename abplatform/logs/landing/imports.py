"""Importing: files land byte for byte, each once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path

from abplatform.errors import IngestError
from abplatform.logs.landing.appending import unwritable, write_whole
from abplatform.logs.landing.deliveries import find_segment, find_standing
from abplatform.logs.landing.sealing import Delivery, create_held, hour_of, seal_file
from abplatform.logs.landing.segments import (
    Hours,
    MappingText,
    Segment,
    check_source,
    file_sha256,
    form_of,
    sealed_paths,
)
from abplatform.logs.privacy import guard_of
from abplatform.workspace import Workspace

__all__ = ["land_file"]

_READ_BYTES = 1 << 20


def land_file(
    workspace: Workspace,
    file: Path,
    *,
    source: str,
    mapping: MappingText | None = None,
    supersedes: Hours | None = None,
    delivered_as: str | None = None,
    forgotten: Mapping[str, int] | None = None,
) -> tuple[Segment, bool]:
    """Land a file byte for byte, or find the segment that already holds it and still counts.

    Args:
        workspace: Where to land.
        file: The file; it stays where it is.
        source: Where it comes from.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.
        delivered_as: The sha256 with which it was delivered, where it was rewritten on the way.
        forgotten: Events that were left out on the way, by source.

    Returns:
        The segment, and whether it is new.

    Raises:
        IngestError: The file cannot be read, its form is unknown, it changes meanwhile, or it did
            not come through :func:`abplatform.logs.rewriting.land` where it must.
        DiskFull: Too little space would be left on the disk.
    """
    check_source(source)
    if delivered_as is None and guard_of(workspace) is not None:
        raise IngestError(
            "files land here through the door that makes pseudonyms and refuses the forgotten",
            path=file,
            remedy="use abplatform.logs.rewriting.land",
        )
    form = form_of(file)
    size = _size(file)
    if any(path.stat().st_size == size for path in sealed_paths(workspace)):
        # Perhaps it is here already: look before copying what may be gigabytes.
        known = find_standing(workspace, file_sha256(file), mapping, supersedes)
        if known is not None:
            return known, False
    workspace.check_space(size)
    folder = workspace.landing / "open" / source / hour_of(workspace.clock())
    with create_held(folder, f".{form}.partial") as target:
        copy = Path(str(target.name))
        try:
            sha256 = _copy(file, target, size)
        except OSError as error:
            copy.unlink()
            raise unwritable(error, copy) from error
        except IngestError:
            copy.unlink()
            raise
        known = find_standing(workspace, delivered_as or sha256, mapping, supersedes)
        if known is not None:
            copy.unlink()
            return known, False
        replaced = find_segment(workspace, delivered_as or sha256, mapping, supersedes)
        delivery = Delivery(
            source,
            sha256,
            form,
            file.name,
            mapping,
            supersedes,
            renews=replaced.number if replaced is not None else None,
            delivered_as=None if delivered_as == sha256 else delivered_as,
            forgotten=forgotten or {},
        )
        return seal_file(workspace, copy, delivery), True


def _size(file: Path) -> int:
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise IngestError(message, path=file, remedy="check its name and permissions") from None
    if size == 0:
        raise IngestError("the file is empty", path=file, remedy="bring a file with events")
    return size


def _copy(file: Path, target: FileIO, size: int) -> str:
    """Copy a file to the disk; the sha256 of its bytes.

    Raises:
        IngestError: It grew or shrank meanwhile.
    """
    hasher = hashlib.sha256()
    done = 0
    with file.open("rb") as opened:
        before = os.fstat(opened.fileno()).st_mtime_ns
        while block := opened.read(_READ_BYTES):
            hasher.update(block)
            write_whole(target, block)
            done += len(block)
        os.fsync(target.fileno())
        after = os.fstat(opened.fileno()).st_mtime_ns
    if (done, after) != (size, before):
        message = "the file changed while it was read"
        raise IngestError(message, path=file, remedy="try again when nothing writes to it")
    return hasher.hexdigest()
