"""Which click, conversion, cost and opinion belongs to which exposure.

Everything here is a function of the accepted events and the experiments' windows, so it can be done
again at any time with the same result: :func:`refresh_exposures` rebuilds the table ``exposures``,
one row per impression or held decision in each of its experiments.

* A click counts for its impression from 5 s before it (clocks differ) to ``attribution_window``
  after it, at most once. A click whose impression has not come waits as an orphan.
* A conversion that names an impression counts there; one that names a unit counts on the unit's
  first exposure. Refunds take value back within ``refund_window``.
* A unit is flagged as a bot when its user agent says so, or when it has more than
  :data:`MOST_A_MINUTE` impressions in a minute, :data:`MOST_AN_HOUR` in an hour or
  :data:`MOST_A_DAY` in a day: nobody looks at that many. Flagged units are kept, with the moment
  of the event that showed it, so that a question about the past never sees a later flag.

The steps are the queries of ``store/queries/portable``, which run on Spark too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import polars as pl

from abplatform.errors import StoreError
from abplatform.logs.facts import FOREVER_MICROS, ExperimentFacts, micros, to_micros
from abplatform.logs.store.warehouse import Warehouse, data_version, read_query

__all__ = [
    "EARLY_MICROS",
    "MOST_AN_HOUR",
    "MOST_A_DAY",
    "MOST_A_MINUTE",
    "STEPS",
    "aggregates_known_at",
    "exposures_known_at",
    "left_over",
    "refresh_exposures",
    "segment_of",
    "tell_experiments",
]

EARLY_MICROS: Final = 5_000_000
"""How much earlier than its impression a click may be."""

MOST_A_MINUTE: Final = 60
MOST_AN_HOUR: Final = 500
MOST_A_DAY: Final = 2000

_EARLY: Final = {"early_micros": EARLY_MICROS}
_PACE: Final = {
    "most_a_minute": MOST_A_MINUTE,
    "most_an_hour": MOST_AN_HOUR,
    "most_a_day": MOST_A_DAY,
}

STEPS: Final[tuple[tuple[str, dict[str, int], bool], ...]] = (
    ("stood", {}, True),
    ("click_targets", _EARLY, True),
    ("first_clicks", _EARLY, False),
    ("busy_minutes", {"most_a_minute": MOST_A_MINUTE}, True),
    ("hasty_units", _PACE, False),
    ("bot_units", _PACE, True),
    ("mixed_units", {}, False),
    ("first_exposures", {}, False),
    ("placed_conversions", _EARLY, True),
    ("reversals", {}, True),
    ("outcomes", {}, False),
    ("day_shares", {}, True),
    ("impression_costs", {}, True),
    ("scores", {}, True),
)
"""Query, its constants, and whether it reads events; each may read those before.

Those that read events take ``known_until``, the last segment that counts, and ``until_micros``, the
last moment: an event after it has not happened yet.
"""


def tell_experiments(warehouse: Warehouse, experiments: Iterable[ExperimentFacts]) -> None:
    """Write what the experiments are into the warehouse, in place of what it said before."""
    facts = sorted(experiments, key=lambda one: one.key)
    for table in ("experiments", "variants", "running", "rates"):
        warehouse.execute("load/clear", table=table)
    warehouse.fill("experiments", _experiment_rows(facts))
    variants = [
        (one.key, variant, ordinal, float(weight))
        for one in facts
        for ordinal, (variant, weight) in enumerate(one.weights.items())
    ]
    names = ["experiment", "variant", "ordinal", "weight"]
    warehouse.fill("variants", pl.DataFrame(variants, schema=names, orient="row"))
    running = [(one.key, low, high) for one in facts for low, high in one.running_micros]
    names = ["experiment", "starts_micros", "ends_micros"]
    warehouse.fill("running", pl.DataFrame(running, schema=names, orient="row"))
    rates = [
        (one.key, currency, float(worth))
        for one in facts
        if one.rates is not None
        for currency, worth in sorted(one.rates.worth.items())
    ]
    names = ["experiment", "currency", "rate"]
    warehouse.fill("rates", pl.DataFrame(rates, schema=names, orient="row"))


def refresh_exposures(
    warehouse: Warehouse, experiments: Iterable[ExperimentFacts] | None = None
) -> bool:
    """Rebuild the table ``exposures``, unless neither events nor experiments have changed.

    Args:
        warehouse: The open warehouse.
        experiments: The experiments as they are now; None leaves them as the warehouse knows them.

    Returns:
        Whether anything was done.
    """
    with warehouse.transaction():
        if experiments is not None:
            tell_experiments(warehouse, experiments)
        state = _state(warehouse)
        known = dict(warehouse.query("load/meta").iter_rows())
        if known.get("exposures") == state:
            return False
        last = _last_segment(warehouse)
        _run_steps(warehouse, last, until_micros=FOREVER_MICROS)
        for table in ("exposure_rows", "left_over"):
            warehouse.execute("load/clear", table=table)
        warehouse.fill_from("exposure_rows", "portable/exposure_rows")
        warehouse.fill_from("left_over", "portable/left_over", known_until=last)
        warehouse.drop_steps()
        warehouse.execute("load/set_meta", name="exposures", value=state)
    return True


def exposures_known_at(
    warehouse: Warehouse, version: str, *, until: datetime | None = None
) -> pl.DataFrame:
    """Return the exposures as they were at an earlier data version, moment, or both.

    Args:
        warehouse: The open warehouse.
        version: The 12 hex digits that an ingest or a scorecard printed.
        until: Only events up to this moment (event time) have happened; None for all. Flags, too,
            are as those events tell them.

    Returns:
        The columns of ``exposures``; the watermarks are those of that version's last segments, or
        the present ones when it is the present version.

    Raises:
        StoreError: The store never had that version.
    """
    last = segment_of(warehouse, version)
    _run_steps(warehouse, last, until_micros=FOREVER_MICROS if until is None else to_micros(until))
    rows = warehouse.query("portable/exposure_rows").join(
        warehouse.query("load/category_names"), left_on="category", right_on="raw", how="left"
    )
    rows = rows.with_columns(pl.coalesce("category_right", "category").alias("category"))
    warehouse.drop_steps()
    if version == data_version(warehouse):
        marks = warehouse.query("load/watermarks")
    else:
        marks = warehouse.query("load/watermarks_then", known_until=last)
    return _as_exposures(rows, marks)


def aggregates_known_at(warehouse: Warehouse, version: str) -> pl.DataFrame:
    """Return ``aggregates_current`` as it was at an earlier data version.

    Raises:
        StoreError: The store never had that version.
    """
    return warehouse.query("load/aggregates_then", known_until=segment_of(warehouse, version))


def left_over(warehouse: Warehouse) -> dict[str, int]:
    """Return what waits or is left out of every scorecard, as last refreshed: kind to count."""
    return dict(warehouse.query("load/left_over").iter_rows())


def segment_of(warehouse: Warehouse, version: str) -> int:
    """Return the number of the last segment of a data version.

    Raises:
        StoreError: The store never had that version.
    """
    if version == data_version(warehouse):
        return _last_segment(warehouse)
    loaded = warehouse.query("load/segments").filter(pl.col("data_version") == version)
    if loaded.is_empty():
        raise StoreError(
            f"the store never had the data version {version!r}",
            remedy="take one that `abp ingest --json` or `abp analyze --json` printed",
        )
    return int(loaded["segment_number"].to_list()[-1])


def _last_segment(warehouse: Warehouse) -> int:
    return max(warehouse.query("load/segments")["segment_number"].to_list(), default=0)


def _run_steps(warehouse: Warehouse, known_until: int, *, until_micros: int) -> None:
    bounds = {"known_until": known_until, "until_micros": until_micros}
    for name, constants, bounded in STEPS:
        values = constants | bounds if bounded else constants
        warehouse.materialise(name, f"portable/{name}", **values)


def _state(warehouse: Warehouse) -> str:
    """A digest of everything that the exposures depend on."""
    texts = [read_query(f"portable/{name}") for name, _, _ in STEPS]
    facts = [
        warehouse.query(f"load/{name}").write_csv()
        for name in ("segments", "experiments", "running", "rates")
    ]
    return hashlib.sha256("\0".join([*texts, *facts]).encode()).hexdigest()


def _experiment_rows(facts: Iterable[ExperimentFacts]) -> pl.DataFrame:
    rows = [
        (
            one.key,
            one.unit,
            one.assignment,
            one.control,
            micros(one.windows.attribution_window),
            micros(one.windows.conversion_window),
            micros(one.windows.refund_window),
            micros(one.windows.late_data),
        )
        for one in facts
    ]
    names = ["experiment", "unit", "assignment", "control"]
    windows = ["attribution_micros", "conversion_micros", "refund_micros", "late_micros"]
    return pl.DataFrame(rows, schema=[*names, *windows], orient="row")


def _as_exposures(rows: pl.DataFrame, watermarks: pl.DataFrame) -> pl.DataFrame:
    instant = pl.Datetime("us")
    return rows.join(watermarks, on="source", how="left").select(
        "experiment",
        "variant",
        "unit_id",
        "unit_slice",
        "event_id",
        pl.col("ts_micros").cast(instant).alias("ts"),
        pl.col("^(day|source|creative_id|product_id|category|channel|country|segment|reason)$"),
        pl.col("bot_micros").is_not_null().alias("bot"),
        "outside_phase",
        pl.col("mixed_micros").is_not_null().alias("mixed"),
        pl.col("bot_micros").cast(instant).alias("bot_at"),
        pl.col("mixed_micros").cast(instant).alias("mixed_at"),
        pl.col("^(impressions|clicked|conversions|net_value_micros)$"),
        pl.col("^(cost_micros|shown|decisions|score_micros|feedbacks)$"),
        pl.col("final_micros").cast(instant).alias("final_at"),
        pl.col("watermark_micros").cast(instant).alias("source_watermark"),
    )
