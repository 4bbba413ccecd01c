"""A segment of any form → batches of columns and rejects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.domain.events import Event, EventRejected
from abplatform.logs.landing import Segment
from abplatform.logs.load.batch import Batch, frame_of_rejects
from abplatform.logs.load.columns import Place, table_of, texts_of
from abplatform.logs.load.structs import columns_of, covariates_of
from abplatform.logs.mapping import (
    Mapped,
    RowMapper,
    Wire,
    parse_mapping,
    read_rows,
)
from abplatform.logs.mapping import Mapping as RowMapping
from abplatform.logs.mapping.spec import Declares
from abplatform.logs.tape import Tape
from abplatform.logs.validate import (
    BATCH_LINES,
    Door,
    Events,
    validate_fields,
    validate_line,
)

__all__ = ["Reader"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a segment as its form and its mapping say.

    Args:
        segment: What to read.
        time_zone: Where a workspace day begins.
    """

    segment: Segment
    time_zone: ZoneInfo
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def mapping(self) -> RowMapping | None:
        """The segment's mapping, or None for wire events."""
        text = self.segment.mapping
        if text is None:
            return None
        # The kept copy is named in messages: it is what the segment was landed with.
        return parse_mapping(text, path=self.segment.path.with_name(f"{text.sha256}.yaml"))

    @property
    def declares(self) -> Declares | None:
        """How the segment's mapping declares experiments, or None."""
        return self.mapping.declares if self.mapping else None

    def batches(self, door: Door) -> Iterator[Batch]:
        """Yield the segment's events as columns, with its rejects, in the order of its lines.

        Args:
            door: What an event must fit.
        """
        place = Place(
            source=self.segment.source,
            landed_at=self.segment.landed_at,
            time_zone=str(self.time_zone),
        )
        for found in self.events(door):
            yield Batch(
                tables=_tables(found, place),
                rejects=frame_of_rejects(found.rejects),
                bytes_read=0,
            )

    def events(self, door: Door) -> Iterator[Events]:
        """Yield the segment's events and rejects, decoded one by one: what :meth:`batches` equals.

        Args:
            door: What an event must fit.
        """
        mapper = self._mapper()
        if mapper is None:
            yield from self._lines(door)
            return
        door = replace(door, is_open=self.declares is not None)
        found = Events()
        for row in read_rows(self.segment.path, mapper):
            if row.problem is not None:
                found.reject(row.line, row.raw, row.problem)
            for fields in row.events:
                try:
                    found.accept(row.line, validate_fields(fields, door))
                except EventRejected as error:
                    found.reject(row.line, row.raw, error)
                    # What follows from a row that is no event is none either: no click without
                    # its impression.
                    break
            if len(found) >= BATCH_LINES:
                yield found
                found = Events()
        yield found

    def _lines(self, door: Door) -> Iterator[Events]:
        found = Events()
        with Tape(self.segment.path) as tape:
            for number, line, problem in tape.lines():
                if problem is not None:
                    found.reject(number, line, problem)
                elif line.strip():
                    try:
                        found.accept(number, validate_line(line, door))
                    except EventRejected as error:
                        found.reject(number, line, error)
                if len(found) >= BATCH_LINES:
                    yield found
                    found = Events()
        yield found

    def first_events(self, door: Door, count: int) -> list[Event]:
        """Return the segment's first valid events, to be shown."""
        events = (event for found in self.events(door) for event in found.events)
        return list(islice(events, count))

    def raw_lines(self, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes of some of the segment's lines."""
        mapper = self._mapper()
        if mapper is None:
            with Tape(self.segment.path) as tape:
                for line, raw, _ in tape.lines():
                    if line in wanted:
                        yield line, raw
            return
        for row in read_rows(self.segment.path, mapper):
            if row.line in wanted:
                yield row.line, row.raw

    def _mapper(self) -> RowMapper | None:
        mapping = self.mapping
        if mapping is not None:
            return Mapped(mapping, self.segment.delivered_sha256, self.time_zone)
        return None if self.segment.form.startswith("jsonl") else Wire()


def _tables(found: Events, place: Place) -> dict[str, pl.DataFrame]:
    tables = {}
    texts = []
    for kind, events in columns_of(found.events, found.lines).items():
        table, rows = table_of(kind, events, place)
        tables[table] = rows
        told = texts_of(events)
        if told is not None:
            texts.append(told)
    covariates = covariates_of(found.events, found.lines)
    if len(covariates):
        tables["covariates"] = covariates
    if texts:
        tables["creative_texts"] = pl.concat(texts)
    return tables
