"""How files land: byte for byte, or as pseudonyms and forgotten units want it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.domain.events import EventRejected
from abplatform.errors import MappingError
from abplatform.logs.landing import (
    Hours,
    MappingText,
    Segment,
    file_sha256,
    find_standing,
    form_of,
    land_file,
)
from abplatform.logs.mapping import Mapped, RowMapper, Wire, parse_mapping
from abplatform.logs.mapping import Mapping as FieldMapping
from abplatform.logs.privacy import WIRE_FIELDS, Guard, guard_of
from abplatform.logs.rewriting.edits import Row, rewrite
from abplatform.workspace import Workspace

__all__ = [
    "as_text",
    "count_events",
    "land",
    "mapper_of",
    "passing_folder",
    "rewriting_folder",
]


def land(
    workspace: Workspace,
    file: Path,
    *,
    source: str,
    mapping: MappingText | None = None,
    supersedes: Hours | None = None,
) -> tuple[Segment, bool]:
    """Land a file, or find the segment that already holds it.

    It lands byte for byte. With pseudonyms it is rewritten on the way: units get their pseudonyms,
    columns and fields that nobody reads are left out, and what cannot be read is replaced by its
    length and HMAC. Rows of units that were forgotten are left out and counted.

    Args:
        workspace: Where to land.
        file: The file; it stays as it is.
        source: Where it comes from.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.

    Returns:
        The segment, and whether it is new. The same file delivered again is known by its own
        sha256, whatever became of it at the door.

    Raises:
        IngestError: The file cannot be read, or its form is unknown.
        WorkspaceError: The key of the pseudonyms cannot be used.
    """
    guard = guard_of(workspace)
    if guard is None:
        return land_file(workspace, file, source=source, mapping=mapping, supersedes=supersedes)
    form_of(file)
    read = parse_mapping(mapping, path=mapping.path) if mapping else None
    if guard.pseudonyms is not None and read is not None and "unit_id" in read.constants:
        raise MappingError(
            "a constant `unit_id` would stand in the mapping as it is",
            path=read.path,
            remedy="map a column to it, or number the rows",
        )
    sha256 = file_sha256(file) if file.is_file() else ""
    known = find_standing(workspace, sha256, mapping, supersedes) if sha256 else None
    if known is not None:
        return known, False
    edit = _DoorEdit(guard, read, mapper_of(read, sha256, workspace), source)
    with rewriting_folder(workspace) as folder:
        copy = folder / file.name
        rewrite(file, copy, edit)
        if guard.pseudonyms is None and not edit.forgotten:
            copy = file
        return land_file(
            workspace,
            copy,
            source=source,
            mapping=mapping,
            supersedes=supersedes,
            delivered_as=sha256,
            forgotten=edit.forgotten,
        )


@contextmanager
def rewriting_folder(workspace: Workspace) -> Iterator[Path]:
    """Give a folder in which files are written before they take their place; it goes afterwards."""
    folder = workspace.landing / "rewriting" / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def passing_folder(workspace: Workspace, place: Path) -> Iterator[Path]:
    """Give an empty folder for logs on their way to :func:`land`; it goes afterwards.

    Args:
        workspace: With pseudonyms the folder is outside of it, where no raw id may be.
        place: The folder otherwise.
    """
    if workspace.settings.privacy.key_file:
        with TemporaryDirectory(prefix="abp-pass-") as elsewhere:
            yield Path(elsewhere)
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def mapper_of(read: FieldMapping | None, stem_sha256: str, workspace: Workspace) -> RowMapper:
    """Return what makes events of a log's rows.

    Args:
        read: The log's mapping; None for wire events.
        stem_sha256: Of the file as it was delivered, for ids made of row numbers.
        workspace: Whose time zone cuts days.
    """
    if read is None:
        return Wire()
    return Mapped(read, stem_sha256, workspace.settings.time_zone or ZoneInfo("UTC"))


def count_events(mapper: RowMapper, row: Row, number: int) -> int:
    """Return how many events a row stands for; one that cannot be mapped is one."""
    try:
        return len(mapper.events(row, number))
    except EventRejected:
        return 1


def as_text(value: Any) -> str | None:
    """Return a cell as the text by which a unit is known; None where it is no single value."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, list | dict | bool):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


@dataclass(slots=True)
class _DoorEdit:
    """Rewrites a log on its way in.

    Args:
        guard: What units must pass.
        read: The log's mapping; None for wire events.
        mapper: What makes events of its rows, to count those that are left out.
        source: Where it lands.
        forgotten: Events left out, by source.
    """

    guard: Guard
    read: FieldMapping | None
    mapper: RowMapper
    source: str
    forgotten: Counter[str] = field(default_factory=Counter)

    def columns(self, names: Sequence[str]) -> list[str]:
        if self.guard.pseudonyms is None:
            return list(names)
        wanted = WIRE_FIELDS if self.read is None else {*self.read.all_columns}
        return [name for name in names if name in wanted]

    def row(self, row: Row, number: int) -> Row | None:
        kept = self._wire(row) if self.read is None else self._mapped(row)
        if kept is None:
            self._count(row, number)
        return kept

    def unreadable(self, raw: bytes) -> bytes | None:
        return self.guard.unreadable(raw)

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        column = "unit_id" if self.read is None else self.read.columns.get("unit_id")
        if column not in rows.columns:
            return rows
        texts = rows[column].map_elements(as_text, return_dtype=pl.String, skip_nulls=True)
        stored = {
            text: self.guard.unit(text) for text in texts.unique().to_list() if text is not None
        }
        gone = {text for text, unit in stored.items() if unit is None}
        if gone:
            for number, row in enumerate(rows.iter_rows(named=True), start=1):
                if as_text(row[column]) in gone:
                    self._count(row, number)
        if self.guard.pseudonyms is not None:
            units = pl.Series([None if text is None else stored[text] for text in texts])
            rows = rows.with_columns(units.cast(pl.String).alias(str(column)))
        return rows.filter(~texts.is_in(list(gone)).fill_null(value=False)) if gone else rows

    def _wire(self, row: Row) -> Row | None:
        return self.guard.fields(row if isinstance(row, dict) else dict(row))

    def _mapped(self, row: Row) -> Row | None:
        mapping = self.read
        column = mapping.columns.get("unit_id") if mapping else None
        raw = as_text(row.get(column)) if column else None
        unit = self.guard.unit(raw) if raw else None
        if raw and unit is None:
            return None
        if self.guard.pseudonyms is None or mapping is None:
            return row
        wanted = mapping.all_columns
        kept = {name: value for name, value in row.items() if name in wanted}
        if column and column in kept:
            # What is no single value cannot be an id, and is not kept either.
            kept[column] = unit
        return kept

    def _count(self, row: Row, number: int) -> None:
        column = "source" if self.read is None else self.read.columns.get("source")
        told = as_text(row.get(column)) if column else None
        self.forgotten[told or self.source] += count_events(self.mapper, row, number)
