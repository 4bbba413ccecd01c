"""Folders that take another folder's place in one step."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from abplatform.durable import sync_folder

__all__ = ["replace_folder"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Hand out an empty folder beside; when all went well it takes the folder's place.

    Where the system can exchange two names (Linux), no moment shows a missing or a mixed folder.
    Elsewhere two renames follow each other, and a reader in between finds none.

    Args:
        folder: What is replaced; may be missing. The caller has made sure that it may go.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # What a killed job left behind is nobody's: only one job at a time writes a folder.
    for leftover in folder.parent.glob(f".{folder.name}.*.new"):
        shutil.rmtree(leftover, ignore_errors=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    beside.mkdir()
    try:
        yield beside
        sync_folder(beside)
        if not folder.exists():
            beside.rename(folder)
        elif not _exchange(beside, folder):
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old.new")
            folder.rename(old)
            beside.rename(folder)
            shutil.rmtree(old)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step (renameat2(2)); False where that cannot be done."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    code = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return int(code) == 0
