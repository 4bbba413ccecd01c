"""From published tables to the star's rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from abplatform.logs.store.published import Published
from abplatform.logs.store.star.columns import ALL
from abplatform.logs.store.star.declared import STAR

__all__ = ["star_rows"]

_Build = Callable[[Published], pl.DataFrame]


def star_rows(published: Published) -> dict[str, pl.DataFrame]:
    """Return every table of the star, with exactly the declared columns, sorted by its key.

    Args:
        published: One version of the published tables, read whole.
    """
    rows = {name: build(published) for name, build in _BUILDERS.items()}
    return {
        name: rows[name].select(list(table.schema)).cast(table.schema).sort(table.key)
        for name, table in STAR.items()
    }


def _experiments(published: Published) -> pl.DataFrame:
    return published.table("experiments").rename({"key": "experiment"})


def _variants(published: Published) -> pl.DataFrame:
    rows = published.table("experiments").select("key", "control", "variants")
    return (
        rows.with_columns(position=pl.int_ranges(1, pl.col("variants").list.len() + 1))
        .explode("variants", "position")
        .drop_nulls("variants")
        .select(
            pl.col("key").alias("experiment"),
            pl.col("variants").alias("variant"),
            "position",
            (pl.col("variants") == pl.col("control")).alias("is_control"),
        )
    )


def _categories(published: Published) -> pl.DataFrame:
    """Every path that a fact names, and every path above it."""
    tables = ("daily", "lifts", "creatives", "pairs")
    named = pl.concat([published.table(name).select("category") for name in tables])
    paths = {
        "/".join(parts[:depth])
        for path in named["category"].drop_nulls().unique().to_list()
        for parts in [path.split("/")]
        for depth in range(1, len(parts) + 1)
    }
    rows = [
        {
            "category": path,
            "name": path.rpartition("/")[2],
            "parent": path.rpartition("/")[0] or None,
            "top": path.partition("/")[0],
            "depth": path.count("/") + 1,
        }
        for path in paths
    ]
    return pl.DataFrame(rows, schema=STAR["categories"].schema)


def _products(published: Published) -> pl.DataFrame:
    names = ["product_id", "title", "category"]
    seen = pl.concat([published.table(name).select(names) for name in ("creatives", "pairs")])
    return _first_known(seen, "product_id")


def _creatives(published: Published) -> pl.DataFrame:
    seen = published.table("creatives").rename({"source": "source_kind"})
    products = seen.group_by("creative_id").agg(
        pl.when(pl.col("product_id").n_unique() == 1).then(pl.col("product_id").min()).first()
    )
    return _first_known(seen.drop("product_id"), "creative_id").join(products, on="creative_id")


def _first_known(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return one row a key: of each column the lowest value that is there."""
    return rows.drop_nulls(key).group_by(key).agg(pl.all().drop_nulls().min())


def _days(published: Published) -> pl.DataFrame:
    told = [*published.table("daily")["day"], *_looks(published)["day"]]
    days = [day for day in told if day is not None]
    if not days:
        return STAR["days"].schema.to_frame()
    day = pl.date_range(min(days), max(days), eager=True).alias("day")
    number = pl.col("day").dt.weekday()
    return pl.DataFrame([day]).with_columns(
        pl.col("day").dt.strftime("%G-W%V").alias("week"),
        pl.col("day").dt.strftime("%Y-%m").alias("month"),
        pl.col("day").dt.strftime("%A").alias("weekday"),
        number.alias("weekday_number"),
        pl.col("day").dt.year().alias("year"),
        (number > 5).alias("is_weekend"),
    )


def _models(published: Published) -> pl.DataFrame:
    models = published.table("models").rename({"sha256": "model"})
    return models.with_columns(_lines("aliases"), _lines("reasons"))


def _lifts(published: Published) -> pl.DataFrame:
    return published.table("lifts").with_columns(
        pl.col("breakdown").fill_null(ALL), pl.col("level").fill_null(ALL)
    )


def _scorecards(published: Published) -> pl.DataFrame:
    return published.table("scorecards").with_columns(_lines("reasons"), _lines("warnings"))


def _looks(published: Published) -> pl.DataFrame:
    schema = STAR["looks"].schema
    rows = [
        {**{name: look.get(name) for name in schema}, "experiment": experiment}
        for experiment, text in published.table("scorecards")
        .select("experiment", "scorecard")
        .iter_rows()
        for look in json.loads(text).get("looks", ())
    ]
    texts = {**schema, "day": pl.String()}
    return pl.DataFrame(rows, schema=texts).with_columns(pl.col("day").str.to_date())


def _daily(published: Published) -> pl.DataFrame:
    return published.table("daily").filter(pl.col("category").is_null())


def _daily_categories(published: Published) -> pl.DataFrame:
    return published.table("daily").drop_nulls("category")


def _counted(name: str, key: str, column: str) -> _Build:
    """Return what gives the counts of a JSON column of health a row each."""

    def build(published: Published) -> pl.DataFrame:
        rows = [
            {"source": source, key: word, "events": events}
            for source, text in published.table("health").select("source", column).iter_rows()
            for word, events in _counts(text)
        ]
        return pl.DataFrame(rows, schema=STAR[name].schema)

    return build


def _counts(text: str | None) -> Iterator[tuple[str, Any]]:
    counts: Mapping[str, Any] = json.loads(text) if text else {}
    yield from counts.items()


def _as_published(name: str) -> _Build:
    """Return the published table of that name; what the star leaves out goes later."""
    return lambda published: published.table(name)


def _lines(column: str) -> pl.Expr:
    return pl.col(column).list.join("\n")


_BUILDERS: Final[Mapping[str, _Build]] = {
    "experiments": _experiments,
    "variants": _variants,
    "categories": _categories,
    "products": _products,
    "creatives": _creatives,
    "days": _days,
    "sources": _as_published("health"),
    "models": _models,
    "lifts": _lifts,
    "scorecards": _scorecards,
    "looks": _looks,
    "daily": _daily,
    "daily_categories": _daily_categories,
    "creative_totals": _as_published("creatives"),
    "pairs": _as_published("pairs"),
    "health": _as_published("health"),
    "rejects": _counted("rejects", "reason", "reasons"),
    "unknown_categories": _counted("unknown_categories", "raw_category", "unknown_categories"),
    "audit": _as_published("audit"),
}
