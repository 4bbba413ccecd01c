"""Files that survive a power cut: written whole or not at all, and on the disk when we say so.

A rename is atomic, but neither it nor the bytes are on the disk until the file and its folder
have been synced (POSIX rename(2), fsync(2)).

What a kill does at any moment is proved by killing: code calls :func:`reach` where it matters, and
a test names that point in ``ABPLATFORM_FAULT``.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

__all__ = [
    "FAULT",
    "append_durably",
    "append_rows",
    "free_bytes",
    "make_folder",
    "reach",
    "replace_durably",
    "size_text",
    "sync_file",
    "sync_folder",
    "write_durably",
]

FAULT: Final = "ABPLATFORM_FAULT"
"""The environment variable that names a point, ``<point>`` or ``<point>:<n>``."""

_reached: Final[Counter[str]] = Counter()


def reach(point: str) -> None:
    """Die here, as from a power cut, if a test asks for it; in all other cases do nothing.

    The process sends itself SIGKILL when it reaches the point that :data:`FAULT` names for the
    n-th time (the first, if no n is named): nothing is flushed, undone or cleaned up.

    Args:
        point: Where the program stands, such as ``landing.fsync``.
    """
    asked = os.environ.get(FAULT)
    if not asked:
        return
    name, _, count = asked.partition(":")
    if name != point:
        return
    _reached[point] += 1
    if _reached[point] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and sync it; the caller syncs its folder once all files are there."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """Put new content in a file's place: a reader sees the old bytes or the new ones, never a mix.

    Makes the folder when it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    write_durably(draft, content)
    draft.replace(path)
    sync_folder(path.parent)


def append_durably(path: Path, chunks: Iterable[bytes]) -> None:
    """Append to a file and sync it; makes the file and its folder when they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("ab") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def append_rows(path: Path, choose: Callable[[bytes], Iterable[bytes]]) -> int:
    """Append rows to a file of lines and sync it; several processes may do so at once.

    A row that a kill cut off is taken out first: nobody was told that it had been written.

    Args:
        path: The file; it and its folder are made when they are missing.
        choose: Returns the new rows, without line ends, given the bytes of those that are there.

    Returns:
        How many rows were new.
    """
    make_folder(path.parent)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)
        fresh = list(choose(data[:whole]))
        file.write(b"".join(row + b"\n" for row in fresh))
        file.flush()
        os.fsync(file.fileno())
    return len(fresh)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each known to the disk once this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def free_bytes(path: Path) -> tuple[int, int]:
    """Return the bytes that are free on a path's disk, and all that we could have of it.

    What is reserved for root counts neither way, as in the percentages of ``df``.
    """
    while not path.exists():
        path = path.parent
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    return free, (disk.f_blocks - disk.f_bfree) * disk.f_frsize + free


def size_text(size_bytes: float) -> str:
    """Write a size the way people read it: ``1.4 GB``, ``23.0 MB``."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk."""
    _sync(path)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: new names, renames and removals."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
