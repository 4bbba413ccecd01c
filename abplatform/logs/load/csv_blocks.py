"""A CSV file's bytes → blocks of whole records, told apart by polars where that is safe.

A block is told apart at once if it holds nothing that readers of CSV understand differently: no
NUL, no bare carriage return, no blank line, quotes only around whole cells, and in every record as
many cells as in the header. Whatever else there is goes record by record through Python's own
reader, which stays the authority, until the next block begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.logs.mapping.columns import LINE, ROW
from abplatform.logs.mapping.records import Header, Record, next_record, record_of
from abplatform.logs.tape import Tape

__all__ = ["Block", "csv_blocks"]

_BLOCK: Final = 4 << 20
_QUOTE, _NEWLINE, _RETURN = b'"'[0], b"\n"[0], b"\r"[0]

_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Some records of a file: told apart into cells, or one by one.

    Args:
        cells: A column a column of the file, all text, null where a cell is empty, and LINE;
            None: the records were read one by one.
        records: These, where there are no cells.
        raw: The bytes of the block, for :meth:`record`.
        ends: Where in ``raw`` each record ends.
        header: Of the file.
    """

    cells: pl.DataFrame | None
    records: tuple[Record, ...] = ()
    raw: bytes = b""
    ends: _Places | None = None
    header: Header | None = None

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.records) if self.cells is None else len(self.cells)

    def record(self, row: int) -> Record:
        """Return one record as the careful reader reads it."""
        if self.cells is None or self.ends is None or self.header is None:
            return self.records[row]
        start = int(self.ends[row - 1]) if row else 0
        raw = self.raw[start : int(self.ends[row])]
        return self.cells[LINE][row], raw, record_of(raw, self.header)


def csv_blocks(tape: Tape, header: Header) -> Iterator[Block]:
    """Move over a file's records in blocks.

    Args:
        tape: It stands behind the header.
        header: What the header said.
    """
    names = {*header.columns, LINE, ROW}
    is_plain = len(names) == len(header.columns) + 2 > 3
    while True:
        raw = tape.lines_ahead(_BLOCK)
        block = _told_apart(raw, tape.line, header) if raw and is_plain else None
        if block is not None:
            yield block
            tape.move(len(block.raw))
            continue
        end = tape.moved + len(raw)
        records = []
        while (record := next_record(tape, header)) is not None:
            records.append(record)
            if tape.moved >= end:
                break
        if records:
            yield Block(None, tuple(records))
        if record is None:
            return


def _told_apart(raw: bytes, line: int, header: Header) -> Block | None:
    """Return the whole records at the beginning of a block, or None where it is not plain."""
    if b"\0" in raw:
        return None
    signs = np.frombuffer(raw, np.uint8)
    newlines = np.flatnonzero(signs == _NEWLINE)
    is_blank = newlines[0] == 0 or bool((np.diff(newlines) == 1).any())
    if is_blank or (b"\r" in raw and not _end_lines(signs, newlines)):
        return None
    if b'"' not in raw:
        ends = newlines + 1
        lines = np.arange(line, line + len(ends))
        found = raw.count(header.separator.encode())
    else:
        told = _quoted(signs, newlines, header.separator)
        if told is None:
            return None
        ends, found = told
        raw = raw[: int(ends[-1])]
        lines = line + np.searchsorted(newlines, np.concatenate([[0], ends[:-1]]))
    separators = len(header.columns) - 1
    cells = _read(raw, header) if found == separators * len(ends) else None
    if cells is None or len(cells) != len(ends):
        return None
    return Block(cells.with_columns(pl.Series(LINE, lines)), (), raw, ends, header)


def _quoted(
    signs: npt.NDArray[np.uint8], newlines: _Places, separator: str
) -> tuple[_Places, int] | None:
    """Return where the records of a block with quotes end, and how many separators they hold."""
    quotes = np.flatnonzero(signs == _QUOTE)
    if not _stand_around_cells(signs, quotes, separator):
        return None
    is_end = np.searchsorted(quotes, newlines) % 2 == 0
    has_returns = bool((signs == _RETURN).any())
    if not is_end.any() or (has_returns and not is_end.all()):
        return None
    ends = newlines[is_end] + 1
    places = np.flatnonzero(signs[: int(ends[-1])] == ord(separator))
    return ends, int((np.searchsorted(quotes, places) % 2 == 0).sum())


def _end_lines(signs: npt.NDArray[np.uint8], newlines: _Places) -> bool:
    """Whether every carriage return ends a line that is not blank."""
    returns = np.flatnonzero(signs == _RETURN)
    is_blank = np.isin(returns, np.append(newlines + 1, 0))
    return bool((signs[returns + 1] == _NEWLINE).all() and not is_blank.any())


def _stand_around_cells(signs: npt.NDArray[np.uint8], quotes: _Places, separator: str) -> bool:
    """Whether every quote opens or closes a whole cell, or stands doubled inside one."""
    opens, closes = quotes[0::2], quotes[1::2]
    opens = opens[opens > 0]
    before = signs[opens - 1]
    closes = closes[closes + 1 < len(signs)]
    after = signs[closes + 1]
    outside = [ord(separator), _NEWLINE, _QUOTE]
    return bool(np.isin(before, outside).all() and np.isin(after, [*outside, _RETURN]).all())


def _read(raw: bytes, header: Header) -> pl.DataFrame | None:
    options: dict[str, Any] = {"quote_char": '"' if b'"' in raw else None}
    try:
        return pl.read_csv(
            raw,
            has_header=False,
            schema=dict.fromkeys(header.columns, pl.String),
            separator=header.separator,
            **options,
        )
    except pl.exceptions.PolarsError:
        return None
