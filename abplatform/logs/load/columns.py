"""Events → columns: one polars frame for each table of the warehouse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, cast

import msgspec
import polars as pl
import polars_hash  # noqa: F401 -- importing it registers Expr.nchash
import xxhash

from abplatform.domain.assignment import unit_slices
from abplatform.domain.events import (
    Aggregate,
    Assigned,
    Behaviour,
    Click,
    Conversion,
    Cost,
    Decision,
    Event,
    Feedback,
    Impression,
    content_of,
)
from abplatform.logs.facts import to_micros

__all__ = ["KNOWN_BOTS", "Place", "tables_of"]

KNOWN_BOTS: Final = (
    r"(?i)(^|[^u])bot|crawl|spider|slurp|headless|phantomjs|lighthouse|preview|monitor"
    r"|^curl/|^wget/|^python|^go-http|^java/|^libwww|^axios/|^node-fetch|^okhttp/"
)
"""User agents that say themselves that nobody looks. ``[^u]bot`` spares the phones called Cubot."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNIT: Final = "\x1f"
_ONE_SHORT: Final = [Assigned("", "")]
"""Stands for the short form, whose experiment and variant are the event's own fields."""
_EXPOSURE_TEXTS: Final = (
    "unit_id",
    "creative_id",
    "product_id",
    "category",
    "decision_id",
    "channel",
    "placement",
    "country",
    "segment",
    "reason",
    "user_agent",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where events stand and how their days and money are read.

    Args:
        source: The segment's source; an event may name another.
        landed_at: When the segment was sealed: the revision of reports that name none.
        time_zone: Where a workspace day begins.
        rates: Currency to its worth in the workspace's currency, that one included.
    """

    source: str
    landed_at: datetime
    time_zone: str
    rates: Mapping[str, Decimal]


def tables_of(
    events: Sequence[Event], lines: Sequence[int], place: Place
) -> dict[str, pl.DataFrame]:
    """Return the rows to insert, by table.

    Args:
        events: Valid ones.
        lines: The line of each.
        place: Where they stand.
    """
    rows: dict[type, list[int]] = defaultdict(list)
    for index, event in enumerate(events):
        rows[type(event)].append(index)
    parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for kind, indices in rows.items():
        chosen = [events[index] for index in indices]
        common = _common(chosen, [lines[index] for index in indices], place)
        for table, frame in _BUILDERS[kind](chosen, common, place).items():
            if len(frame):
                parts[table].append(frame)
    return {table: pl.concat(frames) for table, frames in parts.items()}


def _common(events: Sequence[Event], lines: Sequence[int], place: Place) -> pl.DataFrame:
    """Return what every table holds, and the key by which an event is known."""
    contents = [
        xxhash.xxh3_64_intdigest(
            _aggregate_content(event) if type(event) is Aggregate else content_of(event)
        )
        for event in events
    ]
    here, landed = place.source, to_micros(place.landed_at)
    frame = pl.DataFrame(
        {
            "line": pl.Series(lines, dtype=pl.Int64),
            "source": pl.Series([event.source or here for event in events], dtype=pl.String),
            "event_id": _column(events, "event_id", pl.String),
            "content_hash": pl.Series(contents, dtype=pl.UInt64),
        }
    )
    key = "event_id"
    if type(events[0]) is Aggregate:
        key = "event_key"
        keys = [
            _aggregate_key(event, event.source or here, landed)
            for event in cast("Sequence[Aggregate]", events)
        ]
        frame = frame.with_columns(pl.Series("event_key", keys, dtype=pl.String))
    # The namespace is registered at run time, so its type is unknown.
    hashed = pl.col(key).nchash.xxh3_64()  # type: ignore[attr-defined]
    return frame.with_columns(key_hash=hashed)


def _column(events: Sequence[Any], name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series(name, list(map(attrgetter(name), events)), dtype=dtype)


def _texts(events: Sequence[Any], *names: str) -> list[pl.Series]:
    return [_column(events, name, pl.String) for name in names]


def _moments(events: Sequence[Any]) -> pl.Series:
    micros = [(event.ts - _EPOCH) // _MICROSECOND for event in events]
    return pl.Series("ts_micros", micros, dtype=pl.Int64)


def _days(ts_micros: pl.Series, time_zone: str) -> pl.Series:
    moments = ts_micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return moments.dt.convert_time_zone(time_zone).dt.date().alias("day")


def _exposures(
    events: Sequence[Impression | Decision], common: pl.DataFrame, place: Place
) -> dict[str, pl.DataFrame]:
    ts_micros = _moments(events)
    frame = common.with_columns(
        ts_micros,
        _days(ts_micros, place.time_zone),
        *_texts(events, *_EXPOSURE_TEXTS),
        _column(events, "position", pl.Int32),
        _column(events, "propensity", pl.Float64),
        _column(events, "explored", pl.Boolean),
        pl.Series("attributes", [_as_json(event.attributes) for event in events], dtype=pl.String),
    )
    frame = frame.with_columns(
        pl.Series("unit_slice", unit_slices(frame["unit_id"])).cast(pl.Int32),
        known_bot=pl.col("user_agent").str.contains(KNOWN_BOTS).fill_null(value=False),
    )
    tables = {"covariates": _covariates(events, common)}
    if type(events[0]) is Decision:
        frame = frame.with_columns(_column(events, "action", pl.String))
        return tables | {"decisions": _by_assignment(events, frame)}
    shown = cast("Sequence[Impression]", events)
    rows = {"impressions": _by_assignment(events, frame), "creative_texts": _creative_texts(shown)}
    return tables | rows


def _by_assignment(events: Sequence[Impression | Decision], frame: pl.DataFrame) -> pl.DataFrame:
    """Repeat a row for each of its experiments; one without any stays once."""
    given = [_ONE_SHORT if e.assignments is None else e.assignments for e in events]
    if set(map(len, given)) == {1}:
        # Nearly every log: one experiment an event, so that nothing moves.
        index = None
        ordinals = [0] * len(events)
        experiments = [
            one[0].experiment or e.experiment for one, e in zip(given, events, strict=True)
        ]
        variants = [one[0].variant or e.variant for one, e in zip(given, events, strict=True)]
    else:
        cells = [
            (row, ordinal, one.experiment or e.experiment, one.variant or e.variant)
            for row, (several, e) in enumerate(zip(given, events, strict=True))
            for ordinal, one in enumerate(several or _ONE_SHORT)
        ]
        index = [cell[0] for cell in cells]
        ordinals = [cell[1] for cell in cells]
        experiments = [cell[2] for cell in cells]
        variants = [cell[3] for cell in cells]
    return (frame if index is None else frame[index]).with_columns(
        pl.Series("ordinal", ordinals, dtype=pl.Int16),
        pl.Series("experiment", experiments, dtype=pl.String),
        pl.Series("variant", variants, dtype=pl.String),
    )


def _covariates(events: Sequence[Impression | Decision], common: pl.DataFrame) -> pl.DataFrame:
    told = [(row, event.attributes) for row, event in enumerate(events) if event.attributes]
    lines = common["line"].to_list() if told else []
    rows = [
        (lines[row], name, round(value * 1_000_000))
        for row, attributes in told
        for name, value in attributes.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 10**12
    ]
    schema = {"line": pl.Int64, "name": pl.String, "value_micros": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _creative_texts(events: Sequence[Impression | Aggregate]) -> pl.DataFrame:
    texts = {event.creative_id: event.creative_text for event in events if event.creative_text}
    schema = {"creative_id": pl.String, "text": pl.String}
    return pl.DataFrame(list(texts.items()), schema=schema, orient="row")


def _clicks(events: Sequence[Click], common: pl.DataFrame, place: Place) -> dict[str, pl.DataFrame]:
    del place
    columns = [_moments(events), *_texts(events, "impression_id", "decision_id")]
    columns.append(_column(events, "position", pl.Int32))
    return {"clicks": common.with_columns(columns)}


def _conversions(
    events: Sequence[Conversion], common: pl.DataFrame, place: Place
) -> dict[str, pl.DataFrame]:
    names = ("impression_id", "unit_id", "kind", "currency", "order_id", "reverses")
    paid = _column(events, "value_micros", pl.Int64).alias("paid_micros")
    value = _in_own_currency(events, "value_micros", place)
    columns = [_moments(events), *_texts(events, *names), paid, value]
    return {"conversions": common.with_columns(columns)}


def _costs(events: Sequence[Cost], common: pl.DataFrame, place: Place) -> dict[str, pl.DataFrame]:
    names = ("impression_id", "experiment", "variant", "currency")
    paid = _column(events, "cost_micros", pl.Int64).alias("paid_micros")
    value = _in_own_currency(events, "cost_micros", place)
    columns = [_moments(events), *_texts(events, *names), _column(events, "day", pl.Date)]
    return {"costs": common.with_columns(*columns, paid, value)}


def _feedback(
    events: Sequence[Feedback], common: pl.DataFrame, place: Place
) -> dict[str, pl.DataFrame]:
    del place
    scores = [round(event.score * 1_000_000) for event in events]
    columns = [_moments(events), *_texts(events, "impression_id")]
    columns.append(pl.Series("score_micros", scores, dtype=pl.Int64))
    return {"feedback": common.with_columns(columns)}


def _behaviour(
    events: Sequence[Behaviour], common: pl.DataFrame, place: Place
) -> dict[str, pl.DataFrame]:
    del place
    ratings = [None if e.rating is None else round(e.rating * 1_000_000) for e in events]
    columns = [_moments(events), *_texts(events, "unit_id", "action", "item_id", "query", "text")]
    columns.append(pl.Series("rating_micros", ratings, dtype=pl.Int64))
    columns.append(_column(events, "value_micros", pl.Int64))
    return {"behaviour": common.with_columns(columns)}


def _aggregates(
    events: Sequence[Aggregate], common: pl.DataFrame, place: Place
) -> dict[str, pl.DataFrame]:
    landed = to_micros(place.landed_at)
    revisions = [landed if event.revision is None else event.revision for event in events]
    counts = ("impressions", "clicks", "conversions", "value_micros", "cost_micros")
    columns = [
        _moments(events),
        *_texts(events, "experiment", "variant", "category", "product_id", "creative_id"),
        _column(events, "day", pl.Date),
        pl.Series("revision", revisions, dtype=pl.Int64),
        *(_column(events, name, pl.Int64) for name in counts),
    ]
    rows = common.with_columns(columns)
    return {"aggregates": rows, "creative_texts": _creative_texts(events)}


def _aggregate_key(event: Aggregate, source: str, landed_micros: int) -> str:
    revision = landed_micros if event.revision is None else event.revision
    parts = (event.experiment, event.variant, event.category, event.product_id, event.creative_id)
    return _UNIT.join(("aggregate", source, *parts, event.day.isoformat(), str(revision)))


def _aggregate_content(event: Aggregate) -> bytes:
    counts = (event.impressions, event.clicks, event.conversions)
    return msgspec.json.encode((*counts, event.value_micros, event.cost_micros))


def _in_own_currency(events: Sequence[Conversion | Cost], name: str, place: Place) -> pl.Series:
    values = [
        int((getattr(event, name) * place.rates[event.currency]).to_integral_value())
        for event in events
    ]
    return pl.Series(name, values, dtype=pl.Int64)


def _as_json(attributes: Mapping[str, Any] | None) -> str | None:
    return msgspec.json.encode(attributes).decode() if attributes else None


_BUILDERS: Final[Mapping[type, Any]] = {
    Impression: _exposures,
    Decision: _exposures,
    Click: _clicks,
    Conversion: _conversions,
    Cost: _costs,
    Feedback: _feedback,
    Behaviour: _behaviour,
    Aggregate: _aggregates,
}
