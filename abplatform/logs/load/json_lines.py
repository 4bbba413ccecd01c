"""JSON lines → columns: blocks are decoded at once, the few lines around a bad one singly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from abplatform.domain.events import Event
from abplatform.logs.load.doorway import pass_door
from abplatform.logs.load.one_by_one import judge_line
from abplatform.logs.load.sifting import Harvest
from abplatform.logs.load.structs import Columns, Gathered
from abplatform.logs.tape import Tape
from abplatform.logs.validate import Door, Events

__all__ = ["read_json_lines"]

_BLOCK: Final = 1 << 18
"""Bytes that are decoded at once: the events of a block fit into the processor's cache."""

_SMALLEST: Final = 1 << 13
"""Bytes that are read line by line where a line among them is no event."""

_EVENTS: Final = 16_384
_DECODER: Final = msgspec.json.Decoder(Event)
_NEWLINE, _RETURN, _OPEN, _CLOSE = (sign[0] for sign in (b"\n", b"\r", b"{", b"}"))


@dataclass(slots=True)
class _Stretch:
    """Events of some blocks that were decoded at once."""

    gathered: Gathered = field(default_factory=Gathered)
    blocks: list[tuple[int, bytes]] = field(default_factory=list)

    def raw_of(self, wanted: list[int]) -> Iterator[tuple[int, bytes]]:
        """Yield lines by their numbers, which go up."""
        blocks = iter(self.blocks)
        first, lines = 0, list[bytes]()
        for number in wanted:
            while number >= first + len(lines):
                first, raw = next(blocks)
                lines = raw.split(b"\n")[:-1]
            yield number, lines[number - first]


def read_json_lines(path: Path, door: Door, harvest: Harvest) -> Iterator[int]:
    """Read a file into the harvest.

    Args:
        path: JSON lines, perhaps compressed.
        door: What events must fit.
        harvest: Gets events and rejects.

    Yields:
        How many bytes of the file have been read, now and then.
    """
    stretch, found = _Stretch(), Events()
    size = _BLOCK
    with Tape(path) as tape:
        while True:
            raw = tape.lines_ahead(size)
            events = _decoded(raw) if raw else None
            if events is not None:
                stretch.gathered.add(events, range(tape.line, tape.line + len(events)))
                stretch.blocks.append((tape.line, raw))
                tape.move(len(raw), lines=len(events))
                size = min(size * 2, _BLOCK)
            elif raw and size > _SMALLEST:
                # A line that is no event is looked for by halves, so that it slows its own few.
                size //= 2
            else:
                end = tape.moved + len(raw)
                for number, line, problem in tape.lines():
                    judge_line(number, line, problem, door=door, found=found)
                    if tape.moved >= end:
                        break
                else:
                    break
            if len(stretch.gathered) + len(found) >= _EVENTS:
                _reap(stretch, found, door, harvest)
                stretch, found = _Stretch(), Events()
                yield tape.bytes_read
    _reap(stretch, found, door, harvest)


def _decoded(raw: bytes) -> list[Event] | None:
    """Return a block's events, one a line, or None where any of its lines is none."""
    signs = np.frombuffer(raw, np.uint8)
    newlines = np.flatnonzero(signs == _NEWLINE)
    closes = signs[newlines - (2 if raw[newlines[0] - 1] == _RETURN else 1)]
    # Between two lines that end with } and begin with { no object goes on; so where there are as
    # many objects as lines, each line is one.
    if signs[0] != _OPEN or (closes != _CLOSE).any() or (signs[newlines[:-1] + 1] != _OPEN).any():
        return None
    try:
        events: list[Event] = _DECODER.decode_lines(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return events if len(events) == len(newlines) else None


def _reap(stretch: _Stretch, found: Events, door: Door, harvest: Harvest) -> None:
    """Pass decoded events through the door; those that it may refuse are judged one by one."""
    if len(stretch.gathered):
        columns = stretch.gathered.columns()
        refused: set[int] = set()
        for kind, events in columns.events:
            passes = pass_door(kind, events, door)
            if passes is not None:
                refused.update(events.filter(~passes)["line"].to_list())
        for number, line in stretch.raw_of(sorted(refused)):
            judge_line(number, line, None, door=door, found=found)
        harvest.add_columns(_without(columns, refused) if refused else columns)
    harvest.add_events(found)


def _without(columns: Columns, lines: set[int]) -> Columns:
    stays = ~pl.col("line").is_in(list(lines))
    events = [(kind, rows.filter(stays)) for kind, rows in columns.events]
    return Columns(
        [(kind, rows) for kind, rows in events if len(rows)], columns.covariates.filter(stays)
    )
