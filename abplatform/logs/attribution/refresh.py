"""Keep what is known of exposures current, by computing only those that something touched.

A refresh remembers the last segment that it saw. What came, was withdrawn or let in by a backfill
since then touches exposures: those that it names, those of its units, of its days' costs. Only they
are computed anew and compared with what was kept; rows that differ are replaced. The result equals
a computation from the beginning, which :func:`refresh_exposures` falls back to when its own queries
or the order of segments changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

import polars as pl

from abplatform.durable import reach
from abplatform.logs.attribution.late import LATE_TABLES
from abplatform.logs.attribution.steps import EARLY_MICROS, FLAGGED, STEPS, attribute_since
from abplatform.logs.attribution.told import tell_experiments
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.store.tables import read_query
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["left_over", "refresh_exposures"]

_MOST_ALONE: Final = 3
"""More experiments than this of which facts changed are computed faster all together."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a refresh had before it.

    Args:
        queries: Digest of the steps' texts and constants.
        last: The last segment.
        segments: How many segments there were up to that one.
        corrections: How many backfills were applied.
        units: Digest of what the experiments' units are, which tells whose pace counts.
        facts: Experiment to a digest of its windows, running time and rates.
    """

    queries: str
    last: int
    segments: int
    corrections: int
    units: str
    facts: dict[str, str]

    def encode(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def refresh_exposures(
    warehouse: Warehouse, experiments: Iterable[ExperimentFacts] | None = None
) -> bool:
    """Bring ``exposure_outcomes`` up to date with events and experiments.

    Leaves the temporary table ``touched_units`` (experiment, unit_id, appended, after_segment,
    since_day): the units of which something changed, whether all of it is new rows, after which
    segment, and from which day on. Where everything was computed anew it has one row of nulls.

    Args:
        warehouse: The open warehouse.
        experiments: The experiments as they are now; None leaves them as the warehouse knows them.

    Returns:
        Whether anything was done.
    """
    with warehouse.transaction():
        if experiments is not None:
            tell_experiments(warehouse, experiments)
        known = dict(warehouse.query("load/meta").iter_rows())
        now, before = _see(warehouse), known.get("exposures")
        warehouse.materialise("touched_rows", "refresh/no_touched_units")
        warehouse.materialise("touched_units", "refresh/no_touched_units")
        if before == now.encode():
            return False
        _refresh(warehouse, now, _decode(before))
        warehouse.execute("load/clear", table="left_over")
        warehouse.fill_from(
            "left_over", "portable/left_over", known_until=now.last, early_micros=EARLY_MICROS
        )
        warehouse.drop_steps()
        warehouse.execute("load/set_meta", name="exposures_before", value=before or "")
        warehouse.execute("load/set_meta", name="exposures", value=now.encode())
        reach("refresh.commit")
    return True


def left_over(warehouse: Warehouse) -> dict[str, int]:
    """Return what waits or is left out of every scorecard, as last refreshed: kind to count."""
    return dict(warehouse.query("load/left_over").iter_rows())


def _refresh(warehouse: Warehouse, now: _Seen, before: _Seen | None) -> None:
    alone = _restated(warehouse, now, before)
    if before is None or alone is None:
        _pass(warehouse, now, since=-1)
        warehouse.materialise("touched_units", "refresh/all_touched_units")
        return
    if (now.last, now.corrections) != (before.last, before.corrections):
        with _entered_as_changed(warehouse, after=before.corrections, next=now.last + 1):
            _pass(warehouse, now, since=before.last)
    for key in alone:
        _pass(warehouse, now, since=-1, experiment=key, last=before.last)
    warehouse.materialise("touched_units", "refresh/touched_units")


@contextmanager
def _entered_as_changed(warehouse: Warehouse, **bounds: int) -> Iterator[None]:
    """Let the late events that entered since the last refresh look changed, as new ones do."""
    for table in LATE_TABLES:
        warehouse.execute("refresh/entered_as_changed", table=table, **bounds)
    yield
    for table in LATE_TABLES:
        warehouse.execute("refresh/entered_as_others", table=table, next=bounds["next"])


def _pass(
    warehouse: Warehouse, now: _Seen, *, since: int, experiment: str = "", last: int | None = None
) -> None:
    """Compute what changed after a segment, all of it or one experiment's, and keep it."""
    attribute_since(warehouse, known_until=now.last, since=since, experiment=experiment)
    warehouse.materialise("gone", "refresh/gone", experiment=experiment)
    warehouse.materialise("come", "refresh/come")
    warehouse.execute("refresh/drop_gone")
    warehouse.fill_from("exposure_outcomes", "refresh/come")
    for table in ("impressions", "decisions"):
        warehouse.execute("refresh/unmark", table=table)
        warehouse.execute("refresh/mark", table=table)
    for kept, told in FLAGGED:
        warehouse.execute("load/clear", table=kept)
        warehouse.fill_from(kept, "refresh/all_of", told)
    if since >= 0 or experiment:
        last = since if last is None else last
        warehouse.fill_from(
            "touched_rows", "refresh/touched_rows", since=since, last=last, experiment=experiment
        )


def _restated(warehouse: Warehouse, now: _Seen, before: _Seen | None) -> list[str] | None:
    """Return the experiments whose facts changed; None when everything is to be computed anew."""
    if before is None or now.queries != before.queries or now.corrections < before.corrections:
        return None
    if now.units != before.units or _segments_up_to(warehouse, before.last) != before.segments:
        return None
    keys = [key for key in now.facts | before.facts if now.facts.get(key) != before.facts.get(key)]
    if not keys:
        return []
    with_rows = set(warehouse.query("refresh/has_rows")["experiment"].to_list())
    keys = sorted(with_rows & set(keys))
    return keys if len(keys) <= _MOST_ALONE else None


def _see(warehouse: Warehouse) -> _Seen:
    texts = [read_query(f"portable/{name}") + repr(constants) for name, constants, _ in STEPS]
    numbers = warehouse.query("load/segments")["segment_number"].to_list()
    kinds = warehouse.query("load/experiments").select("experiment", "unit")
    facts: dict[str, list[str]] = {}
    for key, fact in warehouse.query("refresh/facts").iter_rows():
        facts.setdefault(key, []).append(fact)
    return _Seen(
        queries=_digest(texts),
        last=max(numbers, default=0),
        segments=len(numbers),
        corrections=len(warehouse.query("load/corrections")),
        units=_digest(key for key, unit in kinds.iter_rows() if unit != "user_id"),
        facts={key: _digest(told) for key, told in facts.items()},
    )


def _segments_up_to(warehouse: Warehouse, last: int) -> int:
    return len(warehouse.query("load/segments").filter(pl.col("segment_number") <= last))


def _decode(text: str | None) -> _Seen | None:
    try:
        return _Seen(**json.loads(text or ""))
    except (ValueError, TypeError):
        return None


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
