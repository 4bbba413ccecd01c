"""Load segments into the warehouse: whole ones in one transaction, chunk by chunk.

Small segments that follow one another share a transaction; a big one has its own. Rows go in by
chunks of about :data:`CHUNK_EVENTS`, because a table grows a third faster by many rows at once than
by few. When a transaction ends, the counts of every segment that it touched must add up, or nothing
of it is stored.
"""

from __future__ import annotations

import gc
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.durable import reach
from abplatform.errors import StoreError
from abplatform.logs.landing import Segment, check_bytes
from abplatform.logs.load.chunk import Chunk
from abplatform.logs.load.conflicts import keep_raw_bytes, quarantine_conflicts
from abplatform.logs.load.declared import declare_seen
from abplatform.logs.load.dedupe import PLACE, Sorted, sort_out
from abplatform.logs.load.ledger import Entry, Versions, close_ledger, note_segments
from abplatform.logs.load.reading import Reader
from abplatform.logs.load.replacing import supersede
from abplatform.logs.store.warehouse import PART_ROWS, Warehouse
from abplatform.logs.validate import Door

__all__ = ["CHUNK_EVENTS", "GROUP_BYTES", "LOADING_MIB", "Loader", "Store"]

CHUNK_EVENTS: Final = 500_000
"""Events that are compared with the store and inserted together."""

LOADING_MIB: Final = 256
"""What the warehouse holds while rows come in: the rows themselves lie in memory beside it."""

GROUP_BYTES: Final = 64 * 1024 * 1024
"""Segments that follow one another share a transaction up to this size."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where segments are loaded to.

    Args:
        warehouse: The open warehouse.
        segments: Every sealed segment by its number, to read raw bytes back.
        time_zone: Where a workspace day begins.
    """

    warehouse: Warehouse
    segments: Mapping[int, Segment]
    time_zone: ZoneInfo

    def reader(self, segment: Segment) -> Reader:
        """Return what reads a segment."""
        return Reader(segment, self.time_zone)


@dataclass(slots=True)
class _Open:
    """What the open transaction has done so far.

    Args:
        entries: What was counted, by segment number and source.
        touched: Earlier segments some of whose events no longer count.
        conflicts: Lines whose raw bytes the quarantine still lacks, by segment.
        again: Segments whose bytes a later one delivers once more.
        replacing: Whether its only segment is a re-emitted log.
    """

    entries: dict[tuple[int, str], Entry] = field(default_factory=lambda: defaultdict(Entry))
    touched: set[int] = field(default_factory=set)
    conflicts: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    again: list[int] = field(default_factory=list)
    replacing: bool = False


class Loader:
    """Loads segments in their order.

    Args:
        store: Where to.
        door_of: What a segment's lines must fit, as things stand when it is read.
        chunk_events: Events that are compared with the store and inserted together.
    """

    def __init__(
        self,
        store: Store,
        door_of: Callable[[Segment], Door],
        *,
        chunk_events: int = CHUNK_EVENTS,
    ) -> None:
        self._store = store
        self._chunk_events = chunk_events
        self._warehouse = store.warehouse
        self._door_of = door_of
        loaded = self._warehouse.query("load/segments").unique("identity", keep="first")
        self._first = dict(zip(loaded["identity"], loaded["segment_number"], strict=True))
        identities = self._warehouse.query("load/identities")["identity"].to_list()
        self._versions = Versions(sorted(identities))

    def load(self, segments: Iterable[Segment]) -> Iterator[int]:
        """Load segments; each is in whole or not at all.

        Args:
            segments: In the order of their numbers, none of them loaded.

        Yields:
            The bytes read since the last time; all is in once this ends.

        Raises:
            StoreError: A segment's bytes are damaged (those before it are in), or the counts do
                not add up.
        """
        waiting = deque(segments)
        with self._warehouse.within(LOADING_MIB):
            while waiting:
                group = _take_group(waiting)
                with _collector_paused(), self._warehouse.transaction():
                    reach("load.begin")
                    yield from self._load_group(group)
                    reach("load.commit")

    def _load_group(self, group: list[Segment]) -> Iterator[int]:
        done = _Open()
        chunk = Chunk()
        for segment in group:
            first = self._first.setdefault(segment.identity, segment.number)
            if first != segment.number:
                done.again.append(first)
                yield segment.path.stat().st_size
                continue
            if segment.supersedes is not None:
                done.replacing = True
                done.touched |= supersede(self._warehouse, segment.number, segment.supersedes)
            for step in self._read(segment, chunk, done):
                yield step
                if len(chunk) >= self._chunk_events:
                    self._flush(chunk, done)
        self._flush(chunk, done)
        keep_raw_bytes(self._warehouse, done.conflicts, self._raw_lines)
        close_ledger(self._warehouse, done.entries, done.touched)
        for number in done.again:
            self._warehouse.execute("load/add_redelivery", segment_number=number)
        note_segments(self._warehouse, group, self._versions)

    def _read(self, segment: Segment, chunk: Chunk, done: _Open) -> Iterator[int]:
        reader = self._store.reader(segment)
        declares = reader.declares
        door = self._door_of(segment)
        done.entries[segment.number, segment.source].received += 0
        for source, count in segment.forgotten.items():
            done.entries[segment.number, source].received += count
            done.entries[segment.number, source].forgotten += count
        for batch in reader.batches(door):
            if declares is not None:
                described = door.variants.keys() - door.declared
                declare_seen(self._warehouse, batch.tables, declares, described=described)
            for source, count in chunk.add(batch, segment):
                done.entries[segment.number, source].received += count
            yield batch.bytes_read

    def _flush(self, chunk: Chunk, done: _Open) -> None:
        """Put what the chunk holds into the tables and empty it."""
        taken = chunk.take()
        found = sort_out(self._warehouse, taken.tables, replacing=done.replacing)
        if found is not None:
            self._note(found, done)
        for table in list(taken.tables):
            rows = taken.tables.pop(table)
            if found is None:
                self._warehouse.fill(table, rows)
            else:
                self._warehouse.fill_parts(table, *_without(table, rows, found))
        self._warehouse.fill("covariates", _borne(taken.covariates, found))
        if len(taken.texts):
            with self._warehouse.stage("texts", taken.texts):
                self._warehouse.execute("load/add_texts")
        self._warehouse.fill("quarantine", taken.rejects)
        reach("load.insert")

    def _note(self, found: Sorted, done: _Open) -> None:
        counts = found.duplicate.group_by("segment_number", "source").len()
        for number, source, count in counts.iter_rows():
            done.entries[number, source].duplicate += count
        if found.conflicting.is_empty():
            return
        for number, line in quarantine_conflicts(self._warehouse, found):
            done.conflicts[number].add(line)
            done.touched.add(number)

    def _raw_lines(self, number: int, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
        segment = self._store.segments.get(number)
        if segment is not None:
            yield from self._store.reader(segment).raw_lines(wanted)


def _take_group(waiting: deque[Segment]) -> list[Segment]:
    """Take the next segments that share a transaction; a damaged one waits until it is first."""
    check_bytes(waiting[0])
    group = [waiting.popleft()]
    size = group[0].path.stat().st_size
    while waiting and not (group[0].supersedes or waiting[0].supersedes):
        size += waiting[0].path.stat().st_size
        if size > GROUP_BYTES or not _is_sound(waiting[0]):
            break
        group.append(waiting.popleft())
    return group


def _is_sound(segment: Segment) -> bool:
    try:
        check_bytes(segment)
    except StoreError:
        return False
    return True


def _without(
    table: str, rows: pl.DataFrame, found: Sorted
) -> tuple[pl.DataFrame, Iterator[pl.DataFrame]]:
    """Leave out what is not inserted, and mark what was contradicted in the same chunk.

    Returns:
        The columns, and the rows part by part: made when they are asked for.
    """
    mine = found.left_out.filter(event_table=table).select(*PLACE, left_out=pl.lit(value=True))
    places = rows.select(PLACE).join(mine, on=PLACE, how="left", maintain_order="left")
    stays = places["left_out"].is_null()

    def mark(part: pl.DataFrame) -> pl.DataFrame:
        return part.join(found.outlived, on=PLACE, how="left") if len(found.outlived) else part

    def parts() -> Iterator[pl.DataFrame]:
        for offset in range(0, len(rows), PART_ROWS):
            part = rows.slice(offset, PART_ROWS)
            yield mark(part.filter(stays.slice(offset, PART_ROWS)))

    return mark(rows.clear()), parts()


def _borne(covariates: pl.DataFrame, found: Sorted | None) -> pl.DataFrame:
    """Leave out the numbers of events that are not inserted."""
    if found is None or covariates.is_empty():
        return covariates
    bearers = found.left_out.filter(pl.col("event_table").is_in(["impressions", "decisions"]))
    return covariates.join(bearers, on=["segment_number", "line"], how="anti")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from walking batches that hold no cycles, again and again.

    Memory stays bounded by the chunk.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
