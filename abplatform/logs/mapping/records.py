"""A CSV file's header and records, one after the other, each with its line and its bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

from abplatform.domain.events import EventRejected
from abplatform.logs.tape import LONGEST_LINE, Tape

__all__ = ["Header", "Record", "next_record", "read_header", "record_of"]

_SEPARATORS: Final = ",;\t|"
_WINDOWS: Final = (1 << 14, LONGEST_LINE)
_EXHAUSTED: Final = "unexpected end of data"

Record = tuple[int, bytes, Mapping[str, str | None] | EventRejected]
"""Its first line's number, its bytes, and its cells by column or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line says.

    Args:
        columns: Their names.
        separator: What stands between cells: a comma, or what the header has instead.
    """

    columns: tuple[str, ...]
    separator: str


def read_header(tape: Tape) -> Header:
    """Move over a CSV file's header.

    One without columns comes back for an empty file, and where it cannot be read; ``tape.problem``
    then says why.
    """
    while True:
        raw, problem = tape.next_line()
        if not raw or problem is not None:
            # Passing over a line that is too long may have met something worse.
            tape.problem = tape.problem or problem
            return Header((), ",")
        if not raw.strip():
            continue
        text = raw.decode(errors="surrogateescape")
        found = max(_SEPARATORS[1:], key=text.count)
        separator = "," if "," in text or found not in text else found
        cells = next(csv.reader([text], delimiter=separator), [])
        return Header(tuple(cells), separator)


def record_of(raw: bytes, header: Header) -> Mapping[str, str | None] | EventRejected:
    """Return the cells of one whole record by column, or what is wrong with it."""
    texts = (line.decode(errors="surrogateescape") for line in io.BytesIO(raw))
    try:
        cells = next(csv.reader(texts, delimiter=header.separator, strict=True))
    except csv.Error as error:
        return EventRejected("not_csv", str(error))
    return _by_column(header.columns, cells)


def next_record(tape: Tape, header: Header) -> Record | None:
    """Move over one record and return it; None at the end. Blank lines are no records.

    A record that cannot be told apart into cells, such as one whose quote never closes, is one line
    long: what follows is read afresh.
    """
    while True:
        line = tape.line
        raw, problem = tape.next_line()
        if problem is not None:
            return line, raw, problem
        if not raw:
            return None
        try:
            cells, rest = _cells_of(raw, tape, header.separator)
        except csv.Error as error:
            return line, raw, EventRejected("not_csv", str(error))
        if cells:
            return line, raw + rest, _by_column(header.columns, cells)


def _cells_of(raw: bytes, tape: Tape, separator: str) -> tuple[list[str], bytes]:
    """Return a record's cells, and its bytes on further lines, which a quote may reach over."""
    first = raw.decode(errors="surrogateescape")
    try:
        return next(csv.reader([first], delimiter=separator, strict=True), []), b""
    except csv.Error:
        if '"' not in first:
            raise
    for size in _WINDOWS:
        window = io.BytesIO(tape.ahead(size))
        texts = (line.decode(errors="surrogateescape") for line in window)
        reader = csv.reader(chain([first], texts), delimiter=separator, strict=True)
        try:
            cells = next(reader)
        except csv.Error as error:
            if str(error) != _EXHAUSTED:
                raise
            continue
        used = window.tell()
        if used < size:
            # Otherwise the last line was cut by the window.
            rest = tape.ahead(used)
            tape.move(used)
            return cells, rest
    raise csv.Error("a quote is never closed")


def _by_column(
    columns: tuple[str, ...], cells: list[str]
) -> Mapping[str, str | None] | EventRejected:
    if len(cells) != len(columns):
        detail = f"the row has {len(cells)} cells, the header {len(columns)}"
        reason = "missing_field" if len(cells) < len(columns) else "wrong_value"
        return EventRejected(reason, detail)
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return EventRejected("not_utf8", "the row is not UTF-8")
    return {name: cell or None for name, cell in zip(columns, cells, strict=True)}
