"""A log written anew, row by row: each one kept, changed or erased, and all on their own lines.

An erased row leaves an empty line, so that the lines after it keep their numbers; in Parquet, where
rows have no lines, it is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec
import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no stubs

from abplatform.domain.events import EventRejected
from abplatform.logs.landing import form_of
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.mapping.records import Header, next_record, read_header
from abplatform.logs.privacy import FORGOTTEN_LINE, stand_in
from abplatform.logs.rewriting.compression import open_for_writing
from abplatform.logs.tape import LONGEST_LINE, Tape

__all__ = ["Edit", "Row", "read_log", "rewrite"]

_LINE_END: Final = "\r\n"
_HELD_LINES: Final = 1000

Row = Mapping[str, Any]
"""Column to value; None where there is none."""


class Edit(Protocol):
    """Decides what is written in place of each row."""

    def columns(self, names: Sequence[str]) -> list[str]:
        """Return which of a table's columns are kept, in their order."""

    def row(self, row: Row, number: int) -> Row | None:
        """Return a row as it is kept: itself where nothing changes, None where it is erased.

        Args:
            row: The row.
            number: Its number, from 1.
        """

    def unreadable(self, raw: bytes) -> bytes | None:
        """Return what is kept of bytes that are no row: themselves, words, or None for nothing."""

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a Parquet file as they are kept, in their order."""


def rewrite(path: Path, target: Path, edit: Edit) -> None:
    """Write a log anew.

    Args:
        path: The log as it is; its name says its form.
        target: Where it goes; its name says the compression.
        edit: Decides about each row.
    """
    form = form_of(path)
    if form == "parquet":
        _rewrite_parquet(path, target, edit)
        return
    with Tape(path) as tape, open_for_writing(target) as file:
        lines = _Lines(file)
        for line, content in _csv(tape, edit) if form.startswith("csv") else _json(tape, edit):
            lines.put(line, content)
        lines.flush()


def read_log(path: Path) -> Iterator[tuple[int, bytes, Row | EventRejected]]:
    """Yield a log's rows: line (in Parquet the row's number), bytes, and cells or what is wrong."""
    form = form_of(path)
    if form == "parquet":
        for part in parquet_parts(path):
            if part.problem is not None:
                yield part.offset + 1, b"", part.problem
            for number, row in enumerate(part.rows.iter_rows(named=True), start=part.offset + 1):
                yield number, b"", row
        return
    with Tape(path) as tape:
        if form.startswith("csv"):
            header = read_header(tape)
            while (record := next_record(tape, header)) is not None:
                yield record
            return
        for line, raw, problem in tape.lines():
            if raw.strip():
                yield line, raw, problem or _object(raw)


class _Lines:
    """Writes each content on its own line, and empty lines where others stood."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._next = 1
        self._held: list[bytes] = []

    def put(self, line: int, content: bytes) -> None:
        """Write a content, which may reach over several lines, without its last newline."""
        self._held.append(b"\n" * (line - self._next) + content + b"\n")
        self._next = line + content.count(b"\n") + 1
        if len(self._held) >= _HELD_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        self._file.write(b"".join(self._held))
        self._held.clear()


def _json(tape: Tape, edit: Edit) -> Iterator[tuple[int, bytes]]:
    number = 0
    for line, raw, problem in tape.lines():
        if not raw.strip():
            yield line, raw
            continue
        row = problem or _object(raw)
        number += 1
        if isinstance(row, EventRejected):
            told = edit.unreadable(raw)
            if told is not None and told is not raw:
                told = stand_in(told, row.reason)
            yield line, FORGOTTEN_LINE if told is None else told
            continue
        kept = edit.row(row, number)
        if kept is None:
            yield line, FORGOTTEN_LINE
        else:
            yield line, raw if kept is row else msgspec.json.encode(kept)


def _object(raw: bytes) -> Row | EventRejected:
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return EventRejected(_syntax(raw, error), str(error))
    return row if isinstance(row, dict) else EventRejected("not_json", "the line is no object")


def _syntax(raw: bytes, error: Exception) -> str:
    """Name the reason for which the line will be refused."""
    if isinstance(error, RecursionError):
        return "too_deep"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    return "truncated" if "truncated" in str(error) else "not_json"


def _csv(tape: Tape, edit: Edit) -> Iterator[tuple[int, bytes]]:
    header = read_header(tape)
    kept = edit.columns(header.columns)
    is_whole = len(kept) == len(header.columns)
    place = _Places(header, kept)
    if header.columns:
        yield 1, place.write(kept)
    number = 0
    while (record := next_record(tape, header)) is not None:
        line, raw, row = record
        raw = raw.rstrip(b"\r\n")
        number += 1
        if isinstance(row, EventRejected):
            told = edit.unreadable(raw)
            if told is not None and told is not raw:
                told = place.stand_in(told, row.reason)
            yield line, told or b""
            continue
        found = edit.row(row, number)
        if found is None:
            yield line, b""
        elif found is row and is_whole:
            yield line, raw
        else:
            yield line, place.write([found[name] for name in kept])


class _Places:
    """Writes cells as the file separates them."""

    def __init__(self, header: Header, kept: Sequence[str]) -> None:
        self._columns = len(kept)
        self._buffer = io.StringIO()
        # Cells are quoted where they hold a character of the line's end: both kinds are.
        self._writer = csv.writer(
            self._buffer, delimiter=header.separator, lineterminator=_LINE_END
        )

    def write(self, cells: Sequence[str | None]) -> bytes:
        """Return a line of cells, without its newline."""
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow(cells)
        text = self._buffer.getvalue().removesuffix(_LINE_END)
        return text.encode("utf-8", "surrogateescape")

    def stand_in(self, told: bytes, reason: str) -> bytes:
        """Return a line that says something and is refused as the one that it stands for."""
        text = told.decode()
        if reason == "wrong_value":
            return self.write([text, *[None] * self._columns])
        if reason == "not_csv":
            return b'"' + told + b'"x'
        if reason == "not_utf8":
            return told + b"\xff" + self.write([None] * self._columns).replace(b'""', b"")
        return told.ljust(LONGEST_LINE + 1) if reason == "too_long" else told


def _rewrite_parquet(path: Path, target: Path, edit: Edit) -> None:
    schema = pl.read_parquet_schema(path)
    kept = edit.columns(list(schema))
    empty = pl.DataFrame(schema=schema)
    writer = None
    try:
        for part in parquet_parts(path):
            if part.problem is not None:
                break
            rows = edit.frame(part.rows).select(kept).to_arrow()
            if writer is None:
                writer = pq.ParquetWriter(target, rows.schema, compression="zstd")
            writer.write_table(rows.cast(writer.schema))
        if writer is None:
            edit.frame(empty).select(kept).write_parquet(target)
    finally:
        if writer is not None:
            writer.close()
