"""A job over an open warehouse: load what is sealed, remember it, bring what follows up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from abplatform.domain.catalog import Taxonomy
from abplatform.logs.attribution import refresh_exposures, settle_late, tell_experiments
from abplatform.logs.facts import ExperimentFacts, Rates, to_micros
from abplatform.logs.landing import (
    Hours,
    MappingText,
    Segment,
    append_ingest,
    file_sha256,
    read_ingests,
    sealed_segments,
)
from abplatform.logs.load.admission import door_of
from abplatform.logs.load.corrections import Judge, find_corrections
from abplatform.logs.load.currencies import keep_currencies, known_currencies
from abplatform.logs.load.declared import declare_kept, declared_facts, keep_declared
from abplatform.logs.load.ledger import rank_reports
from abplatform.logs.load.loader import Loader, Store
from abplatform.logs.load.reading import Reader
from abplatform.logs.load.receipt import Receipt, write_receipt
from abplatform.logs.load.remembered import remembered_until, row_of
from abplatform.logs.load.replacing import check_replacement
from abplatform.logs.load.trusted import open_trusted
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.taxonomy import keep_taxonomy, read_taxonomy, refresh_categories
from abplatform.logs.totals import refresh_totals
from abplatform.logs.validate import Door
from abplatform.workspace import Workspace

__all__ = ["Job", "open_job"]


@contextmanager
def open_job(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    judge: Judge | None = None,
    accept_loss: bool = False,
) -> Iterator[Job]:
    """Open the warehouse for a job that loads; the caller holds the workspace lock.

    Args:
        workspace: Whose warehouse.
        experiments: What the registry knows, by key.
        judge: Says verdicts.
        accept_loss: Go on for good without segments that are missing.

    Raises:
        SpecError: The list of categories cannot be used.
        StoreError: A segment that was loaded is missing.
    """
    taxonomy = read_taxonomy(workspace)
    with open_trusted(workspace, experiments, accept_loss=accept_loss) as (warehouse, aside):
        yield Job(workspace, warehouse, experiments, taxonomy, aside, judge)


@dataclass(frozen=True, slots=True)
class Job:
    """One ingest over an open warehouse."""

    workspace: Workspace
    warehouse: Warehouse
    experiments: Mapping[str, ExperimentFacts]
    taxonomy: Taxonomy
    moved_aside: Path | None
    judge: Judge | None

    def check_replacement(self, file: Path, hours: Hours, mapping: MappingText | None) -> None:
        """Refuse a file that cannot stand in the place of some hours, before it lands."""
        now = self.workspace.clock()
        there = Segment(0, file, hours.source, file_sha256(file), now, file.name, mapping)
        zone = self.workspace.settings.time_zone
        reader = Reader(there, zone)
        check_replacement(reader, self._door_of(there), hours)

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
            named: Sources that were read; None for every one that the store knows and nobody pulls.
            moment: The watermark they get.
            advance: Called with bytes done and bytes in all.
        """
        segments = sealed_segments(self.workspace)
        before = self.warehouse.query("load/ledger")
        told = self._told()
        loaded = set(self.warehouse.query("load/segments")["segment_number"].to_list())
        pending = [segment for segment in segments if segment.number not in loaded]
        self._load(pending, segments, advance)
        # What a killed job loaded belongs to this receipt, and no file of it is delivered twice.
        fresh = {one.number: one for one in segments if one.number > told} | {
            one.number: one for one in pending
        }
        repeated = [one.number for one, is_new in landed if not is_new and one.number <= told]
        # A store that is made anew reads what was read before: that raises no watermark.
        news = [number for number in fresh if number > told]
        self._note_ingest([*news, *repeated], repeated, named=named, moment=moment)
        self._refresh(segments)
        receipt = write_receipt(
            self.warehouse,
            new=fresh,
            repeated=[*repeated, *self._sealed_again(fresh)],
            before=before,
            moved_aside=self.moved_aside,
            corrections=find_corrections(
                self.warehouse, list(fresh.values()), told=told, judge=self.judge
            ),
        )
        last = max((one.number for one in segments), default=0)
        self.warehouse.execute("load/set_meta", name="told", value=str(last))
        return receipt

    def catch_up(self) -> None:
        """Load what is pending and refresh, without raising a watermark or telling anybody."""
        segments = sealed_segments(self.workspace)
        loaded = set(self.warehouse.query("load/segments")["segment_number"].to_list())
        self._load([one for one in segments if one.number not in loaded], segments, None)
        self._note_ingest([], [], named=[], moment=self.workspace.clock())
        self._refresh(segments)

    def _refresh(self, segments: Sequence[Segment]) -> None:
        """Bring what follows from events and experiments up to date."""
        facts = {**declared_facts(self.warehouse), **self.experiments}
        keep_taxonomy(self.workspace, self.taxonomy)
        refresh_categories(self.warehouse, self.taxonomy)
        rank_reports(self.warehouse)
        settings = self.workspace.settings
        now = Rates.of(settings.currency, settings.rates)
        tell_experiments(self.warehouse, [one.priced(now) for one in facts.values()])
        settle_late(
            self.warehouse,
            read_ingests(self.workspace),
            # Whoever replaces hours wants the new log to count.
            on_purpose=[one.number for one in segments if one.supersedes is not None],
        )
        refresh_exposures(self.warehouse)
        refresh_totals(self.warehouse)
        self.warehouse.checkpoint()

    def _told(self) -> int:
        """The last segment that a receipt has told of; a killed job told nothing.

        A new store takes it from the ingests that are remembered, at once: what this job adds to
        them is not told before it ends.
        """
        known = dict(self.warehouse.query("load/meta").iter_rows())
        if "told" in known:
            return int(known["told"])
        last = remembered_until(self.workspace)
        self.warehouse.execute("load/set_meta", name="told", value=str(last))
        return last

    def _sealed_again(self, fresh: Iterable[int]) -> list[int]:
        """Return the numbers of segments that fresh ones deliver once more, byte for byte."""
        loaded = self.warehouse.query("load/segments").select("segment_number", "identity")
        first: dict[str, int] = {}
        for number, identity in loaded.iter_rows():
            first.setdefault(identity, number)
        chosen = loaded.filter(pl.col("segment_number").is_in(list(fresh)))
        return [first[one] for number, one in chosen.iter_rows() if first[one] != number]

    def _load(
        self,
        pending: Sequence[Segment],
        segments: Sequence[Segment],
        advance: Callable[[int, int], None] | None,
    ) -> None:
        store = Store(
            self.warehouse,
            {segment.number: segment for segment in segments},
            self.workspace.settings.time_zone,
        )
        total = sum(segment.path.stat().st_size for segment in pending)
        if pending:
            self.workspace.check_space(total)
            known = known_currencies(self.workspace, self.experiments.values())
            keep_currencies(self.workspace, known)
            declare_kept(self.workspace, self.warehouse)
        done = 0
        for step in Loader(store, self._door_of).load(pending):
            done = min(done + step, total)
            if advance is not None:
                advance(done, total)
        keep_declared(self.workspace, self.warehouse)

    def _door_of(self, segment: Segment) -> Door:
        declared = declared_facts(self.warehouse)
        return door_of(self.workspace, self.experiments, segment, declared=declared)

    def _note_ingest(
        self,
        touched: Sequence[int],
        repeated: Sequence[int],
        *,
        named: Sequence[str] | None,
        moment: datetime,
    ) -> None:
        """Remember what no segment can tell, on the disk first, then in the store."""
        ledger = self.warehouse.query("load/ledger")
        read = ledger.filter(pl.col("segment_number").is_in(touched))["source"].to_list()
        if named is None:
            pulled = {source.name for source in self.workspace.settings.sources}
            known = self.warehouse.query("load/watermarks")["source"].to_list()
            read += [source for source in known if source not in pulled]
        row = row_of(
            self.workspace,
            self.warehouse,
            moment=moment,
            sources=[*read, *(named or ())],
            repeated=repeated,
        )
        # Whatever loads is remembered, read or not: what is late depends on what was there.
        if row["sources"] or row["last"] > remembered_until(self.workspace):
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
