"""Sealing: a file that is being written gets its number, its hash and its place for good.

The data file is renamed into its place last, after what belongs beside it has reached the disk, so
a segment is there whole or not at all. A kill in between leaves at most side files without data,
and a number that nobody has.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from pathlib import Path

from abplatform.durable import make_folder, reach, sync_folder, write_durably
from abplatform.logs.landing.segments import Hours, MappingText, Segment, mapping_file
from abplatform.workspace import Workspace

__all__ = [
    "Delivery",
    "create_held",
    "hold",
    "hour_of",
    "keep_mapping",
    "open_files",
    "owned_by_the_dead",
    "seal_file",
    "write_beside",
]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a segment will say of itself.

    Args:
        source: Where it came from.
        sha256: Of its bytes.
        form: Its ending, one of :data:`abplatform.logs.landing.FORMS`.
        origin: The name of the file it was imported from, else an empty string.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.
        renews: The number of the same delivery that another log has replaced since, or None.
        delivered_as: The sha256 with which it was delivered, where it was rewritten, else None.
        forgotten: Events that were left out on the way in, by source.
    """

    source: str
    sha256: str
    form: str = "jsonl"
    origin: str = ""
    mapping: MappingText | None = None
    supersedes: Hours | None = None
    renews: int | None = None
    delivered_as: str | None = None
    forgotten: Mapping[str, int] = field(default_factory=dict)


def seal_file(workspace: Workspace, path: Path, delivery: Delivery) -> Segment:
    """Give a file its number and its place.

    Args:
        workspace: Whose landing.
        path: The file under ``open/``; its bytes are on the disk.
        delivery: What it says of itself.
    """
    reach("landing.seal")
    landed_at = workspace.clock().astimezone(UTC)
    folder = workspace.landing / "sealed" / delivery.source / hour_of(landed_at)
    make_folder(folder)
    if delivery.mapping is not None:
        keep_mapping(workspace, delivery.mapping)
    named = delivery.delivered_as or delivery.sha256
    with _turn(workspace) as number:
        target = folder / f"{number:09d}-{named[:12]}.{delivery.form}"
        segment = Segment(
            number=number,
            path=target,
            source=delivery.source,
            sha256=delivery.sha256,
            landed_at=landed_at,
            origin=delivery.origin,
            mapping=delivery.mapping,
            supersedes=delivery.supersedes,
            renews=delivery.renews,
            delivered_as=delivery.delivered_as,
            forgotten=delivery.forgotten,
        )
        write_beside(segment)
        reach("landing.rename")
        path.rename(target)
        sync_folder(folder)
    reach("landing.sealed")
    return segment


def write_beside(segment: Segment) -> None:
    """Write what belongs beside a data file: what it says of itself, and the hashes of both."""
    path = segment.path
    about = json.dumps(segment.to_json()).encode()
    told = path.with_name(path.name + ".json")
    write_durably(told, about)
    lines = f"{segment.sha256}  {path.name}\n{hashlib.sha256(about).hexdigest()}  {told.name}\n"
    write_durably(path.with_name(path.name + ".sha256"), lines.encode())


def keep_mapping(workspace: Workspace, mapping: MappingText) -> None:
    """Keep a mapping's bytes under their hash."""
    path = mapping_file(workspace, mapping.sha256)
    if not path.exists():
        make_folder(path.parent)
        draft = path.with_suffix(f".{os.getpid()}")
        write_durably(draft, mapping.content)
        draft.rename(path)
        sync_folder(path.parent)


def hour_of(moment: datetime) -> str:
    """Return the folder of a moment: its hour in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H")


def hold(file: BufferedReader | FileIO) -> bool:
    """Lock a file for as long as it is open, so that nobody takes its writer for dead."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create_held(folder: Path, ending: str) -> FileIO:
    """Make a file under ``open/`` that nobody takes for a dead writer's, and hold it.

    Args:
        folder: Where; made when it is missing.
        ending: Of its name, such as ``.new``.
    """
    make_folder(folder)
    while True:
        path = folder / f"{os.getpid()}-{secrets.token_hex(6)}{ending}"
        file = FileIO(path, "xb")
        # Between these two lines somebody may have taken it for a dead writer's.
        if hold(file) and path.exists():
            return file
        file.close()


@contextmanager
def owned_by_the_dead(path: Path) -> Iterator[bool]:
    """Tell whether a file under ``open/`` has lost its writer; if so, hold it meanwhile."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        if not hold(file):
            yield False
            return
        try:
            # Its writer may have sealed it between our opening and our locking.
            there = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            there = False
        yield there


def open_files(workspace: Workspace) -> list[tuple[Path, bool]]:
    """Return the files under ``open/``, each with whether it has lost its writer."""
    found = []
    for path in sorted(workspace.landing.glob("open/*/*/*")):
        with owned_by_the_dead(path) as is_dead:
            found.append((path, is_dead))
    return found


@contextmanager
def _turn(workspace: Workspace) -> Iterator[int]:
    """Wait for one's turn to seal; the next free number.

    The lock file remembers the last number given, so that counting does not read every name.
    """
    descriptor = os.open(workspace.landing / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        told = os.pread(descriptor, 32, 0)
        last = int(told) if told.strip().isdigit() else _highest(workspace)
        number = max(last, _newest(workspace)) + 1
        os.pwrite(descriptor, f"{number:09d}\n".encode(), 0)
        os.fsync(descriptor)
        yield number
    finally:
        os.close(descriptor)


def _highest(workspace: Workspace) -> int:
    return max(map(_number, workspace.landing.glob("sealed/*/*/*")), default=0)


def _newest(workspace: Workspace) -> int:
    """The highest number in every source's last hour: guards against a lock file out of date."""
    found = 0
    for source in workspace.landing.glob("sealed/*"):
        hours = sorted(source.glob("*"))
        if hours:
            found = max(found, max(map(_number, hours[-1].glob("*")), default=0))
    return found


def _number(path: Path) -> int:
    head = path.name[:9]
    return int(head) if head.isdigit() else 0
