"""Creatives with their CTR and lineage, and preference pairs, as published tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import polars as pl

from abplatform.analysis.pairs import PAIR_SCHEMA, preference_pairs, week_of
from abplatform.analysis.publish.scores import Judged
from abplatform.analysis.publish.shop import Shop
from abplatform.analysis.scorecard import (
    CreativeTotals,
    Question,
    Scorecard,
    has_unit_rows,
    read_creatives,
    read_reported_creatives,
    scope_of,
)
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.published import TABLES
from abplatform.stats.ratio import MIN_EVENT_UNITS, Interval, rate_interval

__all__ = ["creative_rows", "pair_rows"]

_ALPHA = 0.05


def creative_rows(shop: Shop, judged: Judged) -> pl.DataFrame:
    """Return one row per experiment, variant and creative that was seen."""
    reviews = {creative: review.decision for creative, review in shop.registry.reviews().items()}
    rows = [
        _creative_row(shop, experiment, totals, reviews.get(totals.creative_id))
        for experiment, scorecard in judged
        for totals in _seen(shop, experiment, scorecard)
    ]
    return pl.DataFrame(rows, schema=TABLES["creatives"])


def pair_rows(shop: Shop, judged: Judged) -> pl.DataFrame:
    """Return the pairs kept on disk, and those of experiments of which none are kept."""
    schema = TABLES["pairs"]
    keys = [experiment.key for experiment, _ in judged]
    kept = [
        pl.read_parquet(file).select(list(schema)).cast(schema)
        for file in sorted(shop.workspace.pairs.glob("*.parquet"))
    ]
    frames = [TABLES["pairs"].to_frame(), *kept]
    found = pl.concat(frames).filter(pl.col("experiment").is_in(keys))
    # Two files may hold the same pair: the later week's file knows more rows.
    found = found.unique("pair_id", keep="last", maintain_order=True)
    taught = set(found["experiment"])
    fresh = [
        _pairs(shop, experiment, scorecard)
        for experiment, scorecard in judged
        if experiment.key not in taught
    ]
    return pl.concat([found, *(frame.select(list(schema)).cast(schema) for frame in fresh)])


def _pairs(shop: Shop, experiment: Experiment, scorecard: Scorecard) -> pl.DataFrame:
    if scorecard.last_at is None:
        return PAIR_SCHEMA.to_frame()
    zone = shop.workspace.settings.time_zone
    return preference_pairs(
        shop.warehouse,
        experiment,
        week=week_of(scorecard, zone),
        shelf=shop.shelf,
        scorecard=scorecard,
        question=Question(as_of=scorecard.as_of),
        zone=zone,
    )


def _seen(shop: Shop, experiment: Experiment, scorecard: Scorecard) -> Iterator[CreativeTotals]:
    question = Question(as_of=scorecard.as_of)
    if has_unit_rows(shop.warehouse, experiment.key):
        yield from read_creatives(shop.warehouse, scope_of(experiment, question, {}))
        return
    zone = shop.workspace.settings.time_zone
    yield from read_reported_creatives(shop.warehouse, experiment.key, question, zone)


def _creative_row(
    shop: Shop, experiment: Experiment, totals: CreativeTotals, review: str | None
) -> dict[str, Any]:
    made = shop.shelf.lineage.get(totals.creative_id)
    product = shop.shelf.products.get(totals.product_id)
    choice = next(
        (v.creatives for v in experiment.variants if v.name == totals.variant and v.creatives), None
    )
    picture = shop.workspace.creatives / f"{totals.creative_id}.webp"
    interval = _interval(totals)
    return {
        "experiment": experiment.key,
        "variant": totals.variant,
        "creative_id": totals.creative_id,
        "product_id": totals.product_id,
        "title": product.title if product else None,
        "category": str(product.category) if product else totals.category,
        "source": made.source if made else (choice.source if choice else None),
        "impressions": totals.sums.n,
        "clicks": totals.sums.k,
        "units": totals.sums.units,
        "ctr": totals.sums.rate,
        "ctr_low": interval.low if interval else None,
        "ctr_high": interval.high if interval else None,
        "predicted": shop.predicted.get(totals.creative_id),
        "review": review,
        "picture": str(picture.relative_to(shop.workspace.root)) if picture.exists() else None,
        "lineage": json.dumps(asdict(made), ensure_ascii=False) if made else None,
    }


def _interval(totals: CreativeTotals) -> Interval | None:
    """Few clicks give no normal interval; a missing one is null."""
    if totals.sums.k_units < MIN_EVENT_UNITS:
        return None
    interval = rate_interval(totals.sums, alpha=_ALPHA)
    if not isinstance(interval, Interval):
        return None
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0))
