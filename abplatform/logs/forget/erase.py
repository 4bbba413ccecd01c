"""Erasing rows of sealed segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from abplatform.domain.events import EventRejected
from abplatform.logs.forget.trace import Rows, Trace
from abplatform.logs.landing import Segment
from abplatform.logs.landing.replacing import replace_segment
from abplatform.logs.mapping.records import read_header
from abplatform.logs.rewriting import Row, read_log, rewrite, rewriting_folder
from abplatform.logs.rewriting.compression import open_for_writing
from abplatform.logs.tape import Tape
from abplatform.logs.validate import Door, validate_fields
from abplatform.workspace import Workspace

__all__ = ["count_rows", "empty_segment", "erase_rows"]


def count_rows(workspace: Workspace, trace: Trace, segment: Segment, door: Door) -> Counter[str]:
    """Count what :func:`erase_rows` would erase, by source."""
    edit = _Erasing.of(workspace, trace, segment, door)
    for number, (_, raw, row) in enumerate(read_log(segment.path), start=1):
        if isinstance(row, EventRejected):
            edit.unreadable(raw)
        else:
            edit.row(row, number)
    return edit.forgotten


def erase_rows(workspace: Workspace, trace: Trace, segment: Segment, door: Door) -> Counter[str]:
    """Erase what is somebody's from a sealed segment.

    Args:
        workspace: Whose landing.
        trace: Whose events go.
        segment: Where they are.
        door: What an event must fit, to count them as they were counted.

    Returns:
        How many events were erased, by source.
    """
    edit = _Erasing.of(workspace, trace, segment, door)
    with rewriting_folder(workspace) as folder:
        copy = folder / segment.path.name
        rewrite(segment.path, copy, edit)
        if edit.forgotten:
            replace_segment(segment, copy, edit.forgotten)
    return edit.forgotten


def empty_segment(workspace: Workspace, segment: Segment, contained: Mapping[str, int]) -> Segment:
    """Erase all of a sealed segment.

    Args:
        workspace: Whose landing.
        segment: Which one.
        contained: How many events of each source it held until now.
    """
    with rewriting_folder(workspace) as folder:
        copy = folder / segment.path.name
        if segment.form == "parquet":
            pl.DataFrame(schema=pl.read_parquet_schema(segment.path)).write_parquet(copy)
        else:
            with open_for_writing(copy) as file, Tape(segment.path) as tape:
                if segment.form.startswith("csv"):
                    read_header(tape)
                    file.write(_first_lines(segment.path, tape.line - 1))
        return replace_segment(segment, copy, contained)


def _first_lines(path: Path, count: int) -> bytes:
    with Tape(path) as tape:
        return b"".join(tape.next_line()[0] for _ in range(count))


@dataclass(slots=True)
class _Erasing:
    """An edit that erases rows and counts their events as loading counted them.

    Args:
        rows: Tells which rows go.
        door: What an event must fit.
        forgotten: Events erased, by source.
    """

    rows: Rows
    door: Door
    forgotten: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, workspace: Workspace, trace: Trace, segment: Segment, door: Door) -> _Erasing:
        """Return the edit of one segment."""
        rows = Rows.of(trace, segment, workspace)
        return cls(rows, replace(door, is_open=rows.declares))

    def columns(self, names: Sequence[str]) -> list[str]:
        return list(names)

    def row(self, row: Row, number: int) -> Row | None:
        if not self.rows.events(row, number):
            return row
        self._count(row, number)
        return None

    def unreadable(self, raw: bytes) -> bytes | None:
        if not self.rows.is_theirs(raw):
            return raw
        self.forgotten[self.rows.segment.source] += 1
        return None

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        kept = [
            self.row(row, number) is not None
            for number, row in enumerate(rows.iter_rows(named=True), start=1)
        ]
        return rows.filter(pl.Series(kept, dtype=pl.Boolean))

    def _count(self, row: Row, number: int) -> None:
        source = self.rows.segment.source
        try:
            for fields in self.rows.mapper.events(row, number):
                event = validate_fields(fields, self.door)
                self.forgotten[event.source or source] += 1
        except EventRejected:
            # Loading counts a refused row, and nothing that follows from it, as one line.
            self.forgotten[source] += 1
