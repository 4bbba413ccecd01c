"""``ingest``: files and sealed segments in, events in the store, a receipt out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from abplatform.logs.attribution import refresh_exposures
from abplatform.logs.facts import ExperimentFacts, Rates, to_micros
from abplatform.logs.landing import (
    Landing,
    MappingText,
    Segment,
    append_ingest,
    check_source,
    land_file,
    read_ingests,
    sealed_segments,
)
from abplatform.logs.load.declared import declared_facts
from abplatform.logs.load.receipt import Receipt, write_receipt
from abplatform.logs.load.segments import Store, load_segment, note_again
from abplatform.logs.mapping import check_columns, parse_mapping
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import Door, name_experiment, name_variant
from abplatform.workspace import Workspace

__all__ = ["DEFAULT_SOURCE", "door_of", "ingest", "rates_of"]

DEFAULT_SOURCE = "files"
"""Where files land that name no source."""


def ingest(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    files: Sequence[Path] = (),
    mapping: MappingText | None = None,
    source: str | None = None,
    as_of: datetime | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Receipt:
    """Land files, load every sealed segment that is not loaded yet, refresh the exposures.

    Doing it again changes nothing but the watermark. A warehouse that is missing or damaged is
    made anew on the way. Takes the workspace lock.

    Args:
        workspace: Where to.
        experiments: What the registry knows, by key.
        files: Logs to land first; none: load what is sealed.
        mapping: What reads the files; None for wire events.
        source: Where the files come from; default :data:`DEFAULT_SOURCE`.
        as_of: Lowers the watermark that the sources get; default the workspace clock.
        advance: Called with bytes done and bytes in all.

    Raises:
        IngestError: A file cannot be read at all.
        WorkspaceLocked: Another job does not end.
    """
    origin = check_source(source or DEFAULT_SOURCE)
    read = parse_mapping(mapping, path=mapping.path) if mapping else None
    for file in files:
        check_columns(file, read)
    with workspace.lock("ingest"):
        landed = [land_file(workspace, file, source=origin, mapping=mapping) for file in files]
        Landing(workspace).seal()
        with _open_in_order(workspace, experiments) as (warehouse, aside):
            return _Job(workspace, warehouse, experiments, aside).run(
                landed,
                named=[origin] if files or source else None,
                moment=min(workspace.clock(), as_of) if as_of else workspace.clock(),
                advance=advance,
            )


@contextmanager
def _open_in_order(
    workspace: Workspace, experiments: Mapping[str, ExperimentFacts]
) -> Iterator[tuple[Warehouse, Path | None]]:
    """Open a warehouse that says what the landing says; tell where another one went."""
    with ExitStack() as stack:
        warehouse = stack.enter_context(Warehouse.open(workspace))
        aside = warehouse.moved_aside
        if not _fits(warehouse, sealed_segments(workspace)) or _knows_now(warehouse, experiments):
            stack.close()
            aside = Warehouse.move_aside(workspace)
            warehouse = stack.enter_context(Warehouse.open(workspace))
        yield warehouse, aside


@dataclass(frozen=True, slots=True)
class _Job:
    """One ingest over an open warehouse."""

    workspace: Workspace
    warehouse: Warehouse
    experiments: Mapping[str, ExperimentFacts]
    moved_aside: Path | None

    def run(
        self,
        landed: Sequence[tuple[Segment, bool]],
        *,
        named: Sequence[str] | None,
        moment: datetime,
        advance: Callable[[int, int], None] | None,
    ) -> Receipt:
        """Load what is pending, note what came again, refresh, and say what was done.

        Args:
            landed: Segments of the files, and whether each is new.
            named: Sources that were read; None for every one that the store knows.
            moment: The watermark they get.
            advance: Called with bytes done and bytes in all.
        """
        segments = sealed_segments(self.workspace)
        before = self.warehouse.query("load/ledger")
        loaded = set(self.warehouse.query("load/segments")["segment_number"].to_list())
        pending = [segment for segment in segments if segment.number not in loaded]
        sealed_again = self._load(pending, segments, advance)
        # A file that landed but was never loaded (the job was killed) is not delivered twice.
        there = loaded | {segment.number for segment, is_new in landed if is_new}
        again = [segment.number for segment, is_new in landed if not is_new]
        repeated = [number for number in again if number in there]
        self._note_ingest(pending, repeated, named=named, moment=moment)
        facts = {**declared_facts(self.warehouse), **self.experiments}
        settings = self.workspace.settings
        now = Rates.of(settings.currency, settings.rates)
        refresh_exposures(self.warehouse, [one.priced(now) for one in facts.values()])
        self.warehouse.checkpoint()
        return write_receipt(
            self.warehouse,
            new={segment.number: segment for segment in pending},
            repeated=[*repeated, *sealed_again],
            before=before,
            moved_aside=self.moved_aside,
        )

    def _load(
        self,
        pending: Sequence[Segment],
        segments: Sequence[Segment],
        advance: Callable[[int, int], None] | None,
    ) -> list[int]:
        """Load segments; return the numbers of those that later ones deliver byte for byte."""
        store = Store(
            self.warehouse,
            {segment.number: segment for segment in segments},
            self.workspace.settings.time_zone,
            rates_of(self.workspace),
        )
        total = sum(segment.path.stat().st_size for segment in pending)
        done, again = 0, []
        loaded = self.warehouse.query("load/segments")
        first = dict(zip(loaded["identity"], loaded["segment_number"], strict=True))
        for segment in pending:
            size, read = segment.path.stat().st_size, 0
            if segment.identity in first:
                note_again(self.warehouse, segment, first[segment.identity])
                again.append(first[segment.identity])
                continue
            first[segment.identity] = segment.number
            declared = declared_facts(self.warehouse)
            door = door_of(self.workspace, self.experiments, segment, declared=declared)
            for step in load_segment(store, segment, door):
                read = min(read + step, size)
                if advance is not None:
                    advance(done + read, total)
            done += size
        return again

    def _note_ingest(
        self,
        pending: Sequence[Segment],
        repeated: Sequence[int],
        *,
        named: Sequence[str] | None,
        moment: datetime,
    ) -> None:
        """Remember what no segment can tell, on the disk first, then in the store."""
        ledger = self.warehouse.query("load/ledger")
        touched = [*(segment.number for segment in pending), *repeated]
        read = ledger.filter(pl.col("segment_number").is_in(touched))["source"].to_list()
        if named is None:
            read += self.warehouse.query("load/watermarks")["source"].to_list()
        row = {
            "at": self.workspace.clock().astimezone(UTC).isoformat(),
            "watermark": moment.astimezone(UTC).isoformat(),
            "sources": sorted({*read, *(named or ())}),
            "repeated": list(repeated),
        }
        if row["sources"]:
            append_ingest(self.workspace, row)
        self._catch_up()

    def _catch_up(self) -> None:
        """Apply what ingests remembered and the store does not know yet."""
        rows = read_ingests(self.workspace)
        known = dict(self.warehouse.query("load/meta").iter_rows())
        with self.warehouse.transaction():
            for row in rows[int(known.get("ingests", 0)) :]:
                mark = to_micros(datetime.fromisoformat(row["watermark"]))
                for source in row["sources"]:
                    self.warehouse.execute(
                        "load/raise_watermark", source=source, watermark_micros=mark
                    )
                for number in row["repeated"]:
                    self.warehouse.execute("load/add_redelivery", segment_number=number)
            self.warehouse.execute("load/set_meta", name="ingests", value=str(len(rows)))


def door_of(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    segment: Segment,
    *,
    declared: Mapping[str, ExperimentFacts] | None = None,
) -> Door:
    """Return what a segment's events must fit.

    Args:
        workspace: Its settings say which currencies have a rate.
        experiments: What YAML describes, by key.
        segment: When it landed bounds the future.
        declared: What mapping files declare, by key; YAML goes before.
    """
    known = {**(declared or {}), **experiments}
    return Door(
        variants={key: frozenset(facts.variants) for key, facts in known.items()},
        declared=frozenset(known.keys() - experiments.keys()),
        landed_at=segment.landed_at,
        currencies=frozenset(rates_of(workspace)),
    )


def rates_of(workspace: Workspace) -> dict[str, Decimal]:
    """Return each currency's worth in the workspace's own, that one included."""
    settings = workspace.settings
    told = {name: Decimal(str(rate)) for name, rate in settings.rates.items()}
    return {**told, settings.currency: Decimal(1)}


def _fits(warehouse: Warehouse, segments: Sequence[Segment]) -> bool:
    """Whether everything that is loaded still stands in the landing."""
    there = {(segment.number, segment.identity) for segment in segments}
    loaded = warehouse.query("load/segments").select("segment_number", "identity")
    return set(loaded.iter_rows()) <= there


def _knows_now(warehouse: Warehouse, experiments: Mapping[str, ExperimentFacts]) -> bool:
    """Whether lines are quarantined for an experiment or variant that has been described since."""
    named = set(warehouse.query("load/unknown_names")["detail"].to_list())
    return bool(named) and any(
        name_experiment(key) in named
        or any(name_variant(key, variant) in named for variant in facts.variants)
        for key, facts in experiments.items()
    )
