"""Which events are a unit's: those that name it, and those that follow from them.

A click, cost or opinion names an impression, a refund names a conversion; so the ids of a unit's
own events are gathered until no further event is found by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from abplatform.domain.events import EventRejected
from abplatform.logs.forget.links import Links
from abplatform.logs.forget.words import Words, holds_any, is_distinctive, spellings
from abplatform.logs.landing import Segment
from abplatform.logs.mapping import RowMapper, parse_mapping
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.privacy import WIRE_FIELDS
from abplatform.logs.rewriting import Row, as_text, mapper_of, read_log
from abplatform.workspace import Workspace

__all__ = ["Rows", "Trace", "trace_units"]

Fields = Mapping[str, Any]


@dataclass(slots=True)
class Trace:
    """The ids by which some units' events are known.

    Args:
        units: The units, as they are stored and as they were named.
        links: What further events name, gathered so far.
    """

    units: frozenset[str]
    links: Links = field(default_factory=Links)
    words: Words = field(init=False)
    ids: set[str] = field(init=False)
    """Every id by which an event may be found."""

    def __post_init__(self) -> None:
        """Make ready to look for the units in bytes."""
        self.words = Words(self.units)
        self.ids = {*self.units, *self.links.ids}

    def holds(self, event: Fields) -> bool:
        """Whether an event is one of theirs, by the fields it has."""
        return (
            as_text(event.get("unit_id")) in self.units
            or event.get("impression_id") in self.links.impressions
            or event.get("decision_id") in self.links.decisions
            or event.get("reverses") in self.links.conversions
        )

    def follow(self, event: Fields) -> None:
        """Note by which ids further events are found, given one of theirs."""
        kind, name = event.get("event_type"), event.get("event_id")
        if kind == "impression":
            self._note(self.links.impressions, name)
        if kind in {"impression", "decision"}:
            self._note(self.links.decisions, event.get("decision_id"))
            self.links.experiments.update(_experiments(event))
        if kind == "conversion":
            self._note(self.links.conversions, name)
            self._note(self.links.conversions, event.get("order_id"))

    def _note(self, names: set[str], value: Any) -> None:
        if isinstance(value, str) and value:
            names.add(value)
            self.ids.add(value)


@dataclass(frozen=True, slots=True)
class Rows:
    """Tells which rows of a segment are somebody's.

    Args:
        trace: Whose.
        segment: The segment.
        mapper: What makes events of its rows.
        declares: Whether its mapping declares experiments.
        constants: What its mapping says of every row.
    """

    trace: Trace
    segment: Segment
    mapper: RowMapper
    declares: bool
    constants: frozenset[str]

    @classmethod
    def of(cls, trace: Trace, segment: Segment, workspace: Workspace) -> Rows:
        """Return what reads a segment."""
        text = segment.mapping
        read = parse_mapping(text, path=text.path) if text else None
        mapper = mapper_of(read, segment.delivered_sha256, workspace)
        if read is None:
            return cls(trace, segment, mapper, declares=False, constants=frozenset())
        constants = frozenset(read.constants.values())
        return cls(trace, segment, mapper, read.declares is not None, constants)

    def events(self, row: Row, number: int) -> Sequence[Fields]:
        """Return the events of a row that is theirs; none where it is not.

        A row that cannot be mapped comes back as it is, if it names one of them.
        """
        if not self._touches(row):
            return ()
        try:
            events: Sequence[Fields] = self.mapper.events(row, number)
        except EventRejected:
            return (row,) if self._names(row) else ()
        if any(map(self.trace.holds, events)) or self._names(row):
            return events
        return ()

    def is_theirs(self, raw: bytes) -> bool:
        """Whether a line that cannot be read names one of them."""
        return self.trace.words.are_in(raw)

    def _touches(self, row: Row) -> bool:
        """Whether a row may be theirs: quickly, and never wrongly no."""
        return _holds(row.values(), self.trace.ids) or self._is_implied

    @property
    def _is_implied(self) -> bool:
        """Whether one of them stands in no row: the mapping names it, or counts rows for its id."""
        stem = self.segment.delivered_sha256[:12]
        counted = self.segment.mapping is not None and any(
            unit.startswith(stem) for unit in self.trace.units
        )
        return counted or not self.constants.isdisjoint(self.trace.ids)

    def _names(self, row: Row) -> bool:
        """Whether a row names one of them where no event has an id."""
        known = WIRE_FIELDS - {"attributes"} if self.segment.mapping is None else frozenset()
        return any(
            _equals(value, self.trace.units) for name, value in row.items() if name not in known
        )

    def may_hold(self, ids: Iterable[str]) -> bool:
        """Whether the segment may hold one of some ids; never wrongly no."""
        wanted = sorted(ids)
        if self._is_implied:
            return True
        if self.segment.form != "parquet":
            needles = {spelling for each in wanted for spelling in spellings(each)}
            return holds_any(self.segment.path, needles)
        return any(_frame_holds(part.rows, wanted) for part in parquet_parts(self.segment.path))

    def theirs(self) -> Iterator[Sequence[Fields]]:
        """Yield what is theirs: a row's events, or one empty event for a line nobody can read."""
        for number, (_, raw, row) in enumerate(read_log(self.segment.path), start=1):
            if isinstance(row, EventRejected):
                if self.is_theirs(raw):
                    yield ({},)
            elif events := self.events(row, number):
                yield events


def trace_units(
    workspace: Workspace,
    segments: Sequence[Segment],
    units: Iterable[str],
    *,
    links: Links | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> tuple[Trace, set[int]]:
    """Find everything that is some units'.

    Args:
        workspace: Whose landing.
        segments: All of it.
        units: As they are stored, and as they were named.
        links: What a killed run had gathered: some of the events that told it may be gone.
        advance: Called with bytes searched and bytes in all.

    Returns:
        The ids, and the numbers of the segments that hold something of theirs.
    """
    trace = Trace(frozenset(units), links or Links())
    held: set[int] = set()
    fresh = set(trace.ids)
    total = sum(segment.path.stat().st_size for segment in segments)
    while fresh:
        before, done = set(trace.ids), 0
        for segment in segments:
            rows = Rows.of(trace, segment, workspace)
            if rows.may_hold(fresh) and _search(rows):
                held.add(segment.number)
            done += segment.path.stat().st_size
            if advance is not None:
                advance(done, total)
        fresh = trace.ids - before
    return trace, held


def _search(rows: Rows) -> bool:
    found = False
    for events in rows.theirs():
        found = True
        for event in events:
            rows.trace.follow(event)
    return found


def _frame_holds(frame: pl.DataFrame, ids: Sequence[str]) -> bool:
    for column in frame.iter_columns():
        if column.dtype.is_nested():
            texts = pl.Series([str(value) for value in column], dtype=pl.String)
            if texts.str.contains_any(list(ids)).any():
                return True
        elif column.cast(pl.String, strict=False).is_in(list(ids)).any():
            return True
        elif column.dtype.is_float():
            # A unit may be a number that a table program wrote as 7.0.
            if column.cast(pl.Int64, strict=False).cast(pl.String).is_in(list(ids)).any():
                return True
        elif column.dtype == pl.String and column.str.contains_any(list(ids)).any():
            return True
    return False


def _holds(values: Iterable[Any], ids: set[str]) -> bool:
    for value in values:
        if isinstance(value, str):
            if value in ids:
                return True
        elif isinstance(value, dict):
            if _holds(value.values(), ids):
                return True
        elif isinstance(value, list):
            if _holds(value, ids):
                return True
        elif as_text(value) in ids:
            return True
    return False


def _equals(value: Any, units: frozenset[str]) -> bool:
    if isinstance(value, str):
        return value in units and is_distinctive(value)
    if isinstance(value, dict):
        return any(_equals(part, units) for part in value.values())
    return isinstance(value, list) and any(_equals(part, units) for part in value)


def _experiments(event: Fields) -> Iterator[str]:
    given = event.get("assignments")
    for one in given if isinstance(given, list) else [event]:
        if isinstance(one, dict) and isinstance(one.get("experiment"), str):
            yield one["experiment"]
