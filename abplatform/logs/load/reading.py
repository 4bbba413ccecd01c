"""A segment of any form → batches of events and rejects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from abplatform.domain.events import EventRejected
from abplatform.logs.landing import Segment
from abplatform.logs.mapping import Mapped, Mapping, RowMapper, Wire, parse_mapping, read_rows
from abplatform.logs.mapping.spec import Declares
from abplatform.logs.validate import (
    BATCH_LINES,
    Batch,
    Door,
    read_lines,
    validate_fields,
    validate_lines,
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
    def mapping(self) -> Mapping | None:
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
        """Yield events and rejects, at most :data:`BATCH_LINES` at a time.

        Args:
            door: What an event must fit.
        """
        mapper = self._mapper()
        if mapper is None:
            yield from validate_lines(self.segment.path, door)
            return
        door = replace(door, is_open=self.declares is not None)
        batch = Batch()
        for row in read_rows(self.segment.path, mapper):
            if row.problem is not None:
                batch.reject(row.line, row.raw, row.problem)
            for fields in row.events:
                try:
                    event = validate_fields(fields, door)
                except EventRejected as error:
                    batch.reject(row.line, row.raw, error)
                    # What follows from a row that is no event is none either: no click without
                    # its impression.
                    break
                batch.events.append(event)
                batch.lines.append(row.line)
                batch.raws.append(row.raw)
            if len(batch) >= BATCH_LINES:
                yield batch
                batch = Batch()
        if len(batch):
            yield batch

    def raw_lines(self, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes of some of the segment's lines."""
        mapper = self._mapper()
        if mapper is None:
            for line, raw, _ in read_lines(self.segment.path):
                if line in wanted:
                    yield line, raw
            return
        for row in read_rows(self.segment.path, mapper):
            if row.line in wanted:
                yield row.line, row.raw

    def _mapper(self) -> RowMapper | None:
        mapping = self.mapping
        if mapping is not None:
            return Mapped(mapping, self.segment.sha256, self.time_zone)
        return None if self.segment.form.startswith("jsonl") else Wire()
