"""A segment of any form → batches of columns and rejects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from zoneinfo import ZoneInfo

from abplatform.domain.events import Event
from abplatform.logs.landing import Segment
from abplatform.logs.load.batch import Batch
from abplatform.logs.load.columns import Place
from abplatform.logs.load.json_lines import read_json_lines
from abplatform.logs.load.one_by_one import judge_line, judge_row
from abplatform.logs.load.sifting import Harvest
from abplatform.logs.load.table_rows import read_csv, read_parquet
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
        harvest = Harvest(place)
        done = 0
        for read in self._stretches(replace(door, is_open=self.declares is not None), harvest):
            if harvest.is_full:
                yield harvest.take(read - done)
                done = read
        yield harvest.take(self.segment.path.stat().st_size - done)

    def _stretches(self, door: Door, harvest: Harvest) -> Iterator[int]:
        """Read the segment into the harvest; yield the bytes read so far now and then."""
        mapper = self._mapper()
        form = self.segment.form
        if mapper is None:
            return read_json_lines(self.segment.path, door, harvest)
        if form == "parquet":
            return read_parquet(self.segment.path, mapper, door, harvest)
        if form.startswith("csv"):
            return read_csv(self.segment.path, mapper, door, harvest)
        return self._one_by_one(mapper, door, harvest)

    def _one_by_one(self, mapper: RowMapper, door: Door, harvest: Harvest) -> Iterator[int]:
        found = Events()
        for row in read_rows(self.segment.path, mapper):
            judge_row(row, door, found)
            if len(found) >= BATCH_LINES:
                harvest.add_events(found)
                found = Events()
                yield 0
        harvest.add_events(found)

    def events(self, door: Door, *, at_a_time: int = BATCH_LINES) -> Iterator[Events]:
        """Yield the segment's events and rejects, decoded one by one: what :meth:`batches` equals.

        Args:
            door: What an event must fit.
            at_a_time: How many are yielded together.
        """
        mapper = self._mapper()
        if mapper is None:
            yield from self._lines(door, at_a_time)
            return
        door = replace(door, is_open=self.declares is not None)
        found = Events()
        for row in read_rows(self.segment.path, mapper):
            judge_row(row, door, found)
            if len(found) >= at_a_time:
                yield found
                found = Events()
        yield found

    def _lines(self, door: Door, at_a_time: int) -> Iterator[Events]:
        found = Events()
        with Tape(self.segment.path) as tape:
            for number, line, problem in tape.lines():
                judge_line(number, line, problem, door=door, found=found)
                if len(found) >= at_a_time:
                    yield found
                    found = Events()
        yield found

    def first_events(self, door: Door, count: int) -> list[Event]:
        """Return the segment's first valid events, to be shown."""
        events = (event for found in self.events(door, at_a_time=count) for event in found.events)
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
