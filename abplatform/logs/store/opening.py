"""Opening the warehouse's file: what it is made with, and what becomes of one that is in doubt.

DuckDB keeps a checksum of every block and of every entry of its log, and compares it on reading. A
damaged file therefore never answers wrongly, but it may open well and fail in the middle of a job,
or lose the last transactions of a log that was cut. The first is told by a mark beside the file:
the next job moves it aside. The second leaves an earlier state, which the ledger then catches up.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import duckdb

from abplatform.durable import free_bytes, replace_durably
from abplatform.errors import DiskFull, StoreError, WarehouseDamaged
from abplatform.workspace import Workspace

__all__ = [
    "CONFIG",
    "SCHEMA",
    "connect",
    "connect_to_read",
    "create",
    "files_aside",
    "log_files",
    "mark_damaged",
    "meaning_of",
    "move_aside",
    "read_text",
]

SCHEMA: Final = ("ledger", "events", "experiments", "taxonomy", "exposures", "totals")
VIEWS: Final = (
    ("exposed", "queries/portable/exposed"),
    ("unmarked", "queries/views/unmarked"),
    ("exposure_rows", "queries/portable/exposure_rows"),
    ("exposures", "queries/portable/exposures"),
    ("aggregates_current", "queries/portable/aggregates_current"),
)
"""Views that are made of queries, in the order in which one reads the other."""

CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "preserve_insertion_order": "false",
}

_HERE: Final = Path(__file__).parent
_LEAST_SPILL_BYTES: Final = 64 << 20
_REMEDY: Final = "run the command again: the file is moved aside and made anew from the landing"


@cache
def read_text(name: str) -> str:
    """Return the text of ``<name>.sql`` below the store.

    Raises:
        StoreError: There is no such file.
    """
    path = _HERE / f"{name}.sql"
    if not path.is_file():
        raise StoreError(f"there is no query {name.removeprefix('queries/')!r}", path=path)
    return path.read_text(encoding="utf-8")


def connect(workspace: Workspace) -> duckdb.DuckDBPyConnection | None:
    """Open the workspace's file, and make it if there is none.

    The caller holds the workspace lock.

    Returns:
        The connection; None when the file is damaged or was made by another schema.

    Raises:
        StoreError: Another process has it open, or the disk is full.
    """
    path, stamp = workspace.warehouse, _stamp(workspace)
    is_new = not path.exists()
    if mark_of(path).exists() or (is_new and log_files(path)):
        return None
    try:
        connection = duckdb.connect(path, config=_config(workspace))
        with _closed_if_it_fails(connection):
            if is_new:
                create(connection, stamp)
            if _stamp_in(connection) == stamp:
                return connection
        connection.close()
    except duckdb.Error as error:
        # Whatever is wrong inside, the truth is in the landing; but some errors are not the file's.
        told = meaning_of(error, path)
        if told is None:
            raise
        if not isinstance(told, WarehouseDamaged):
            raise told from error
    return None


def connect_to_read(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """Open the workspace's file as it stands, to look at it; nothing is made, moved or written.

    Raises:
        WarehouseDamaged: It cannot be opened.
        StoreError: It was made by another schema, or another process has it open.
    """
    path = workspace.warehouse
    try:
        connection = duckdb.connect(path, read_only=True, config=_config(workspace))
        with _closed_if_it_fails(connection):
            if _stamp_in(connection) == _stamp(workspace):
                return connection
        connection.close()
    except duckdb.Error as error:
        told = meaning_of(error, path)
        if told is None:
            raise
        raise told from error
    raise StoreError(
        "the warehouse was made by another version of the platform, or by other settings",
        path=path,
        remedy="run `abp ingest`: it is moved aside and made anew from the landing",
    )


@contextmanager
def _closed_if_it_fails(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let go of the file on failure: DuckDB shares an open file within a process."""
    try:
        yield
    except duckdb.Error:
        connection.close()
        raise


def _stamp_in(connection: duckdb.DuckDBPyConnection) -> str | None:
    """What the file says that it was made by; None where it has no such table."""
    try:
        facts = dict(connection.execute(read_text("queries/load/meta")).fetchall())
    except duckdb.ProgrammingError:  # tables of another kind, or none
        return None
    return facts.get("stamp")


def create(connection: duckdb.DuckDBPyConnection, stamp: str) -> None:
    """Make the tables."""
    connection.begin()
    for name in SCHEMA:
        connection.execute(read_text(f"schema/{name}"))
    for view, name in VIEWS:
        connection.execute(f"CREATE VIEW {view} AS {read_text(name)}")
    connection.execute(read_text("queries/load/set_meta"), {"name": "stamp", "value": stamp})
    connection.commit()


def meaning_of(error: duckdb.Error, path: Path) -> StoreError | None:
    """Return what an error of DuckDB says about the file or the disk; None if it is our query's.

    Args:
        error: What DuckDB raised.
        path: The warehouse's file.
    """
    text = str(error)
    lower = text.lower()
    first = text.partition("\n")[0][:300]
    if "no space left" in lower or "max_temp_directory_size" in lower or "disk full" in lower:
        remedy = "make room on the disk, then run the command again"
        return DiskFull(f"the job was undone: {first}", path=path, remedy=remedy)
    if isinstance(error, duckdb.IOException) and "lock" in lower:
        return StoreError(
            "another process has the warehouse open",
            path=path,
            remedy="close it; the workspace's jobs open it one at a time",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        remedy = "raise `memory_mib` in abp.yaml"
        return StoreError(f"the job was undone: {first}", path=path, remedy=remedy)
    if type(error) is duckdb.Error or isinstance(error, _DAMAGE):
        return WarehouseDamaged(f"the warehouse is damaged: {first}", path=path, remedy=_REMEDY)
    return None


_DAMAGE: Final = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.SerializationException,
)


def mark_damaged(path: Path, error: WarehouseDamaged) -> None:
    """Have the next job move the file aside."""
    replace_durably(mark_of(path), str(error).encode())


def mark_of(path: Path) -> Path:
    """Return where it stands that a file was found to be damaged."""
    return path.with_name(path.name + ".damaged")


def move_aside(path: Path, moment: str) -> Path:
    """Move a closed file and its log aside, never over another one; where it went."""
    number = 1
    while (target := path.with_name(f"{path.name}.aside-{moment}-{number}")).exists():
        number += 1
    for log in log_files(path):
        log.rename(target.with_name(target.name + log.name.removeprefix(path.name)))
    if path.exists():
        path.rename(target)
    else:
        target.touch()
    mark_of(path).unlink(missing_ok=True)
    return target


def files_aside(path: Path) -> list[Path]:
    """Return what was moved aside, in order of time."""
    return sorted(path.parent.glob(path.name + ".aside-*"))


def log_files(path: Path) -> list[Path]:
    """Return the logs that DuckDB keeps beside a file, if any."""
    beside = path.parent.glob(path.name + ".*wal*")
    return sorted(one for one in beside if ".aside-" not in one.name)


def _config(workspace: Workspace) -> dict[str, str | bool | int | float | list[str]]:
    spill = workspace.data / ".spill"
    # We hold the lock, so whatever is there was left by a job that was killed.
    shutil.rmtree(spill, ignore_errors=True)
    free, total = free_bytes(workspace.data)
    room = max(_LEAST_SPILL_BYTES, int(free - workspace.settings.min_free * total))
    return CONFIG | {
        "memory_limit": f"{workspace.settings.memory_mib:.0f}MiB",
        "temp_directory": str(spill),
        "max_temp_directory_size": f"{room >> 20}MiB",
    }


def _stamp(workspace: Workspace) -> str:
    """What the tables depend on besides the segments: the schema's text and some settings."""
    texts = [read_text(f"schema/{name}") for name in SCHEMA]
    texts += [read_text(name) for _, name in VIEWS]
    # The quarantine keeps hashes that DuckDB makes; another version may make others.
    settings = (str(workspace.settings.time_zone), duckdb.__version__)
    return hashlib.sha256("\0".join([*texts, *settings]).encode()).hexdigest()
