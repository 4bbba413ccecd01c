"""Files that survive a power cut: written whole or not at all, and on the disk when we say so.

A rename is atomic, but neither it nor the bytes are on the disk until the file and its folder
have been synced (POSIX rename(2), fsync(2)).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["append_durably", "replace_durably", "sync_file", "sync_folder", "write_durably"]


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
