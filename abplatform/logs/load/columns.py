"""Checked events as columns → the rows of the warehouse's event tables.

What comes in is a frame for one event type whose columns are wire fields, already of the right
types: ``line``, ``event_id``, ``ts_micros``, ``source`` (null: the segment's) and whatever else the
events have. A field that no event has need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash  # noqa: F401 -- importing it registers Expr.nchash

from abplatform.domain.assignment import unit_slices
from abplatform.logs.facts import to_micros

__all__ = ["COVARIATES", "KNOWN_BOTS", "Place", "table_of", "texts_of"]

KNOWN_BOTS: Final = (
    r"(?i)(^|[^u])bot|crawl|spider|slurp|headless|phantomjs|lighthouse|preview|monitor"
    r"|^curl/|^wget/|^python|^go-http|^java/|^libwww|^axios/|^node-fetch|^okhttp/"
)
"""User agents that say themselves that nobody looks. ``[^u]bot`` spares the phones called Cubot."""

_Layout = Mapping[str, type[pl.DataType]]

COVARIATES: Final[_Layout] = {"line": pl.Int64, "name": pl.String, "value_micros": pl.Int64}
"""Columns of the numbers among events' attributes."""

_UNIT: Final = "\x1f"
_MILLION: Final = 1_000_000
_MINUTE_MICROS: Final = 60 * _MILLION
"""Offsets from UTC change at whole minutes, so that all moments of one share a day."""


def _texts(*names: str) -> _Layout:
    return dict.fromkeys(names, pl.String)


_EVENT: Final[_Layout] = {
    "event_id": pl.String,
    "key_hash": pl.UInt64,
    "line": pl.Int64,
    "source": pl.String,
    "ts_micros": pl.Int64,
}
_EXPOSURE: Final[_Layout] = {
    **_EVENT,
    "ordinal": pl.Int16,
    **_texts("experiment", "variant"),
    "day": pl.Date,
    "unit_id": pl.String,
    "unit_slice": pl.Int32,
    **_texts("creative_id", "product_id", "category"),
    **_texts("decision_id", "channel", "placement"),
    "position": pl.Int32,
    **_texts("country", "segment"),
    "propensity": pl.Float64,
    "explored": pl.Boolean,
    **_texts("stratum", "reason", "user_agent"),
    "known_bot": pl.Boolean,
    "attributes": pl.String,
}
_ABOUT_IMPRESSION: Final[_Layout] = {
    **_EVENT,
    "impression_id": pl.String,
    "impression_hash": pl.UInt64,
}
_LAYOUTS: Final[Mapping[str, tuple[str, _Layout]]] = {
    "impression": ("impressions", _EXPOSURE),
    "decision": ("decisions", {**_EXPOSURE, "action": pl.String}),
    "click": (
        "clicks",
        {**_ABOUT_IMPRESSION, "decision_id": pl.String, "position": pl.Int32},
    ),
    "conversion": (
        "conversions",
        {
            **_ABOUT_IMPRESSION,
            **_texts("unit_id", "kind"),
            "paid_micros": pl.Int64,
            **_texts("currency", "order_id", "reverses"),
        },
    ),
    "cost": (
        "costs",
        {
            **_ABOUT_IMPRESSION,
            **_texts("experiment", "variant"),
            "day": pl.Date,
            "paid_micros": pl.Int64,
            "currency": pl.String,
        },
    ),
    "feedback": ("feedback", {**_ABOUT_IMPRESSION, "score_micros": pl.Int64}),
    "behaviour": (
        "behaviour",
        {
            **_EVENT,
            **_texts("unit_id", "action", "item_id", "query"),
            "rating_micros": pl.Int64,
            "text": pl.String,
            "value_micros": pl.Int64,
        },
    ),
    "aggregate": (
        "aggregates",
        {
            **_EVENT,
            "event_key": pl.String,
            **_texts("experiment", "variant", "category", "product_id", "creative_id"),
            "day": pl.Date,
            "revision": pl.Int64,
            **dict.fromkeys(
                ("impressions", "clicks", "conversions", "value_micros", "cost_micros"), pl.Int64
            ),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where events stand and how their days are read.

    Args:
        source: The segment's source; an event may name another.
        landed_at: When the segment was sealed: the revision of reports that name none.
        time_zone: Where a workspace day begins.
    """

    source: str
    landed_at: datetime
    time_zone: str


def table_of(kind: str, events: pl.DataFrame, place: Place) -> tuple[str, pl.DataFrame]:
    """Return the table of an event type and the rows to insert into it.

    Args:
        kind: The event type.
        events: Checked ones; see above.
        place: Where they stand.
    """
    table, layout = _LAYOUTS[kind]
    source = pl.col("source") if "source" in events.columns else pl.lit(None, dtype=pl.String)
    rows = events.with_columns(source=source.fill_null(place.source))
    rows = _REFINERS.get(kind, _plainly)(rows, place)
    if "impression_hash" in layout:
        rows = rows.with_columns(impression_hash=_hash("impression_id", rows))
    rows = rows.with_columns(
        key_hash=_hash("event_key" if kind == "aggregate" else "event_id", rows)
    )
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in layout.items()
    ]
    return table, rows.select(columns)


def texts_of(events: pl.DataFrame) -> pl.DataFrame | None:
    """Return the texts of the creatives that events show, or None: ``creative_id``, ``text``."""
    if "creative_text" not in events.columns:
        return None
    told = events.filter(pl.col("creative_text").str.len_bytes() > 0).sort("line")
    told = told.unique("creative_id", keep="last", maintain_order=True)
    return told.select("creative_id", text="creative_text") if len(told) else None


def _plainly(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    del place
    return rows


def _exposures(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    slices = pl.Series("unit_slice", unit_slices(rows["unit_id"]))
    rows = rows.with_columns(slices, _days(rows["ts_micros"], place.time_zone))
    if "ordinal" not in rows.columns:
        rows = rows.with_columns(ordinal=pl.lit(0, dtype=pl.Int16))
    return rows.with_columns(known_bot=_known_bots(rows))


def _conversions(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    del place
    return rows.rename({"value_micros": "paid_micros"})


def _costs(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    del place
    return rows.rename({"cost_micros": "paid_micros"})


def _feedback(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    del place
    return rows.with_columns(score_micros=_in_millionths("score"))


def _behaviour(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    del place
    if "rating" not in rows.columns:
        return rows
    return rows.with_columns(rating_micros=_in_millionths("rating"))


def _aggregates(rows: pl.DataFrame, place: Place) -> pl.DataFrame:
    landed = pl.lit(to_micros(place.landed_at), dtype=pl.Int64)
    told = pl.col("revision") if "revision" in rows.columns else landed
    rows = rows.with_columns(
        revision=told.fill_null(landed),
        **{
            name: pl.col(name).fill_null(0) if name in rows.columns else pl.lit(0)
            for name in ("conversions", "value_micros", "cost_micros")
        },
    )
    parts = ("source", "experiment", "variant", "category", "product_id", "creative_id")
    day, revision = pl.col("day").dt.to_string("iso"), pl.col("revision").cast(pl.String)
    key = pl.concat_str(pl.lit("aggregate"), *parts, day, revision, separator=_UNIT)
    return rows.with_columns(event_key=key)


_REFINERS: Final = {
    "impression": _exposures,
    "decision": _exposures,
    "conversion": _conversions,
    "cost": _costs,
    "feedback": _feedback,
    "behaviour": _behaviour,
    "aggregate": _aggregates,
}


def _hash(name: str, rows: pl.DataFrame) -> pl.Expr:
    if name not in rows.columns:
        return pl.lit(None, dtype=pl.UInt64)
    # The namespace is registered at run time, so its type is unknown.
    hashed: pl.Expr = pl.col(name).nchash.xxh3_64()  # type: ignore[attr-defined]
    if not rows[name].null_count():
        return hashed
    return pl.when(pl.col(name).is_not_null()).then(hashed)


def _in_millionths(name: str) -> pl.Expr:
    return (pl.col(name) * _MILLION).round(mode="half_to_even").cast(pl.Int64)


def _known_bots(rows: pl.DataFrame) -> pl.Expr:
    """Tell which events' user agents say that they are bots; few agents are told apart."""
    if "user_agent" not in rows.columns:
        return pl.lit(value=False)
    agents = rows["user_agent"].unique()
    bots = agents.filter(agents.str.contains(KNOWN_BOTS).fill_null(value=False))
    if bots.is_empty():
        return pl.lit(value=False)
    return pl.col("user_agent").is_in(bots.implode()).fill_null(value=False)


def _days(ts_micros: pl.Series, time_zone: str) -> pl.Series:
    """Return the workspace's days; the zone is asked once a minute.

    Since 2000 every zone moves its clocks at whole minutes, some at one minute past the hour.
    """
    minutes: npt.NDArray[np.int64] = ts_micros.to_numpy() // _MINUTE_MICROS
    first = int(minutes.min())
    span = int(minutes.max()) - first + 1
    if span > max(len(minutes), 100_000):
        return _days_of(ts_micros, time_zone)
    begins = pl.Series(np.arange(first, first + span) * _MINUTE_MICROS)
    days = _days_of(begins, time_zone).to_physical().to_numpy()
    return pl.Series("day", days[minutes - first]).cast(pl.Date)


def _days_of(ts_micros: pl.Series, time_zone: str) -> pl.Series:
    moments = ts_micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return moments.dt.convert_time_zone(time_zone).dt.date().alias("day")
