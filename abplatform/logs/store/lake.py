"""The lake: the event tables as Parquet files that Spark reads, written by the day.

A lake is a folder::

    LAKE.json                                     which files count; switched last, by a rename
    impressions/utc_day=2026-11-02/<mark>.parquet one UTC day of an event table
    covariates/thousand=0/<mark>.parquet          what has no time, by a thousand segments
    facts/experiments-<mark>.parquet              small tables, whole

A file never changes: its name holds a mark of its rows, so a day in which anything was added,
withdrawn or forgotten gets a new file, every other day keeps its own, and writing again with
nothing new writes nothing. Who reads takes the files that LAKE.json names; those of the manifest
before stay one export longer, so that a slow reader can finish.

Integers are signed numbers of 64 bits at most; hashes of keys keep their order. Rows that were
withdrawn are there with ``withdrawn_by``, because what was known earlier can be asked, too.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from abplatform.durable import reach, replace_durably, sync_file, sync_folder, write_durably
from abplatform.errors import StoreError
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = [
    "FACTS",
    "LEFT_OUT",
    "MANIFEST",
    "Lake",
    "LakeReceipt",
    "export_lake",
    "read_facts",
    "read_lake",
]

MANIFEST: Final = "LAKE.json"

FACTS: Final = (
    "experiments",
    "variants",
    "running",
    "rates",
    "category_names",
    "sources",
    "segments",
    "ledger",
    "corrections",
    "late_events",
    "creative_texts",
    "declared_experiments",
    "declared_variants",
)
"""Small tables, written whole."""

LEFT_OUT: Final = ("meta", "unit_category_totals", "bucket_sums")
"""Tables that follow from the rest: the manifest tells their columns, a reader computes them."""

_KIND: Final = "abplatform lake"
_REMEDY: Final = "write it with `abp export lake DIR`"


@dataclass(frozen=True, slots=True)
class Lake:
    """What a manifest names.

    Args:
        folder: The lake.
        data_version: Of the store that it was written from.
        tables: Event tables, ``covariates`` and facts: name to files; none where there are no rows.
        columns: Table to its columns and their types; of :data:`LEFT_OUT`, too.
        previous: Files that only the manifest before named.
    """

    folder: Path
    data_version: str
    tables: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, Mapping[str, str]]
    previous: tuple[str, ...] = ()

    def files(self, table: str) -> list[Path]:
        """Return a table's files; none where it has no rows."""
        return [self.folder / name for name in self.tables.get(table, {}).values()]


def read_facts(lake: Lake, table: str) -> pl.DataFrame:
    """Return the rows of one of :data:`FACTS`."""
    return pl.concat(pl.read_parquet(path) for path in lake.files(table))


@dataclass(frozen=True, slots=True)
class LakeReceipt:
    """What an export of the lake did.

    Args:
        folder: The lake.
        data_version: What it holds now.
        written: Files written.
        kept: Files that were there already.
        removed: Files removed.
        rows_written: Rows of the event tables that were written.
        bytes_written: Bytes of the files written.
    """

    folder: Path
    data_version: str
    written: int
    kept: int
    removed: int
    rows_written: int
    bytes_written: int

    def to_json(self) -> dict[str, Any]:
        """Return the public object."""
        return {
            "folder": str(self.folder),
            "data_version": self.data_version,
            "written": self.written,
            "kept": self.kept,
            "removed": self.removed,
            "rows_written": self.rows_written,
            "bytes_written": self.bytes_written,
        }


def read_lake(folder: Path) -> Lake:
    """Read which files a lake consists of.

    Raises:
        StoreError: There is no lake, or its manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError("there is no lake", path=path, remedy=_REMEDY) from None
    except ValueError as error:
        raise StoreError(f"not readable as JSON: {error}", path=path, remedy=_REMEDY) from error
    if not isinstance(told, dict) or told.get("kind") != _KIND:
        raise StoreError("it is no lake's manifest", path=path, remedy=_REMEDY)
    return Lake(
        folder,
        told["data_version"],
        tables=told["tables"],
        columns=told["columns"],
        previous=tuple(told["previous"]),
    )


def export_lake(
    workspace: Workspace,
    warehouse: Warehouse,
    folder: Path,
    *,
    advance: Callable[[int, int], None] | None = None,
) -> LakeReceipt:
    """Bring a lake to what the store holds; the caller holds the workspace lock.

    Args:
        workspace: Its clock tells when this was.
        warehouse: The open store.
        folder: The lake; made when missing.
        advance: Called with files done and files in all.

    Raises:
        StoreError: The folder holds something that no export wrote.
    """
    before = _lake_before(folder)
    writer = _Writer(warehouse, folder, known=_known_files(before))
    parts = list(_parts(warehouse))
    for done, part in enumerate(parts, start=1):
        writer.write_part(part)
        if advance is not None:
            advance(done, len(parts))
    for name in FACTS:
        writer.write_fact(name)
    columns = {name: _columns(warehouse, name) for name in (*writer.tables, *LEFT_OUT)}
    lake = Lake(folder, data_version(warehouse), writer.tables, columns)
    removed = _switch(workspace, lake, before) if writer.written or _differs(lake, before) else 0
    return LakeReceipt(
        folder,
        lake.data_version,
        written=writer.written,
        kept=len(_known_files(lake)) - writer.written,
        removed=removed,
        rows_written=writer.rows,
        bytes_written=writer.bytes_written,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a table that is one file: what it is called, where it lies, what is in it."""

    table: str
    label: str
    place: int
    rows: int
    mark: str

    @property
    def file(self) -> str:
        return f"{self.table}/{self.label}/{self.mark}.parquet"


def _parts(warehouse: Warehouse) -> Iterator[_Part]:
    for table in EVENT_TABLES:
        columns = _columns(warehouse, table)
        for row in warehouse.query("lake/event_parts", table=table).iter_rows(named=True):
            label = f"utc_day={date(1970, 1, 1) + timedelta(days=row['place'])}"
            yield _Part(table, label, row["place"], row["rows_there"], _mark(row["mark"], columns))
    columns = _columns(warehouse, "covariates")
    for row in warehouse.query("lake/covariate_parts", table="covariates").iter_rows(named=True):
        label, mark = f"thousand={row['place']}", _mark(row["mark"], columns)
        yield _Part("covariates", label, row["place"], row["rows_there"], mark)


def _mark(rows: str, columns: Mapping[str, str]) -> str:
    """Return what names a file: other rows or other columns make it another one."""
    return hashlib.sha256(f"{rows}/{columns}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Writer:
    """Writes what is not there yet, and counts."""

    warehouse: Warehouse
    folder: Path
    known: frozenset[str]
    tables: dict[str, dict[str, str]] = field(
        default_factory=lambda: {name: {} for name in (*EVENT_TABLES, "covariates", *FACTS)}
    )
    written: int = 0
    rows: int = 0
    bytes_written: int = 0

    def write_part(self, part: _Part) -> None:
        """Write a day of an event table, or a thousand segments of covariates."""
        self.tables[part.table][part.label] = part.file
        target = self.folder / part.file
        if part.file in self.known and target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # Readers of whole folders pass over names that begin with an underscore.
        draft = target.with_name(f"_{target.name}")
        query = "lake/write_covariates" if part.table == "covariates" else "lake/write_events"
        self.warehouse.execute(query, table=part.table, place=part.place, path=str(draft))
        sync_file(draft)
        reach("lake.write")
        draft.rename(target)
        sync_folder(target.parent)
        self._count(target, part.rows)

    def write_fact(self, name: str) -> None:
        """Write a small table whole."""
        buffer = io.BytesIO()
        self.warehouse.query("lake/fact", table=name).write_parquet(buffer)
        content = buffer.getvalue()
        file = f"facts/{name}-{hashlib.sha256(content).hexdigest()[:32]}.parquet"
        self.tables[name] = {"all": file}
        target = self.folder / file
        if file in self.known and target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"_{target.name}")
        write_durably(draft, content)
        draft.rename(target)
        sync_folder(target.parent)
        self._count(target, 0)

    def _count(self, target: Path, rows: int) -> None:
        self.written += 1
        self.rows += rows
        self.bytes_written += target.stat().st_size


def _columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    """Return a table's columns and types as the lake has them."""
    rows = warehouse.query("lake/columns", name=table)
    return {name: _signed(kind) for name, kind in rows.iter_rows()}


def _signed(kind: str) -> str:
    return "BIGINT" if kind == "UBIGINT" else kind


def _lake_before(folder: Path) -> Lake | None:
    """Return the lake that is there; refuse a folder that holds something else."""
    if (folder / MANIFEST).exists():
        return read_lake(folder)
    remedy = "name a new or an empty folder, or one that `abp export lake` wrote"
    if folder.exists() and not folder.is_dir():
        raise StoreError("it is a file, no folder", path=folder, remedy=remedy)
    ours = {*EVENT_TABLES, "covariates", "facts"}
    if folder.is_dir() and {path.name for path in folder.iterdir()} - ours:
        raise StoreError("the folder holds other files", path=folder, remedy=remedy)
    return None


def _known_files(lake: Lake | None) -> frozenset[str]:
    if lake is None:
        return frozenset()
    return frozenset(file for files in lake.tables.values() for file in files.values())


def _differs(lake: Lake, before: Lake | None) -> bool:
    if before is None:
        return True
    return (lake.tables, lake.columns, lake.data_version) != (
        before.tables,
        before.columns,
        before.data_version,
    )


def _switch(workspace: Workspace, lake: Lake, before: Lake | None) -> int:
    """Let the new manifest count; remove what neither it nor the one before names."""
    previous = sorted(_known_files(before) - _known_files(lake))
    manifest = {
        "kind": _KIND,
        "data_version": lake.data_version,
        "written_at": workspace.clock().astimezone(UTC).isoformat(),
        "time_zone": str(workspace.settings.time_zone),
        "currency": workspace.settings.currency,
        "columns": lake.columns,
        "tables": lake.tables,
        "previous": previous,
    }
    reach("lake.switch")
    replace_durably(lake.folder / MANIFEST, json.dumps(manifest, indent=2).encode())
    stay = {*_known_files(lake), *previous}
    removed = 0
    for path in [*lake.folder.glob("*/*/*.parquet"), *lake.folder.glob("facts/*.parquet")]:
        if str(path.relative_to(lake.folder)) not in stay:
            path.unlink()
            removed += 1
    return removed
