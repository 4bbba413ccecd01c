"""Creatives with their CTR and lineage, and preference pairs, as published tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from abplatform.analysis.pairs import preference_pairs, preference_pairs_many, week_of
from abplatform.analysis.publish.scores import Judged, scope_as_judged
from abplatform.analysis.publish.shop import Shop
from abplatform.analysis.scorecard import (
    CreativeTotals,
    Question,
    Run,
    Scorecard,
    aggregate_creative_totals,
    have_unit_rows,
    read_creatives,
    read_reports,
    running_days,
)
from abplatform.domain.experiment import Experiment, Verdict
from abplatform.logs.store.published import TABLES
from abplatform.stats.ratio import MIN_EVENT_UNITS, Interval, rate_interval

__all__ = ["creative_rows", "pair_rows"]

_ALPHA = 0.05


def creative_rows(shop: Shop, judged: Judged) -> pl.DataFrame:
    """Return one row per experiment, variant and creative that was seen."""
    reviews: dict[str, str] = {
        **{creative: review.decision for creative, review in shop.registry.reviews().items()},
        **dict.fromkeys(shop.shelf.withdrawn, "withdrawn"),
    }
    rows = [
        _creative_row(shop, experiment, totals, reviews.get(totals.creative_id))
        for experiment, totals in _seen(shop, judged)
    ]
    return pl.DataFrame(rows, schema=TABLES["creatives"])


def pair_rows(shop: Shop, judged: Judged) -> pl.DataFrame:
    """Return the pairs kept on disk, and those of experiments of which none are kept."""
    schema = TABLES["pairs"]
    keys = [experiment.key for experiment, _ in judged]
    # A file of an earlier version lacks columns that came later.
    kept = [
        pl.concat([schema.to_frame(), pl.read_parquet(file)], how="diagonal")
        .select(list(schema))
        .cast(schema)
        for file in sorted(shop.workspace.pairs.glob("*.parquet"))
    ]
    frames = [schema.to_frame(), *kept]
    found = pl.concat(frames).filter(
        pl.col("experiment").is_in(keys),
        ~pl.col("chosen_creative").is_in(list(shop.shelf.withdrawn)),
    )
    # Two files may hold the same pair: the later week's file knows more rows.
    found = found.unique("pair_id", keep="last", maintain_order=True)
    taught = set(found["experiment"])
    fresh = _pairs(shop, [one for one in judged if one[0].key not in taught])
    return pl.concat([found, *(frame.select(list(schema)).cast(schema) for frame in fresh)])


def _pairs(shop: Shop, judged: Judged) -> Iterator[pl.DataFrame]:
    """Compute pairs: of all that come as reports in one pass, of the others one by one."""
    zone = shop.workspace.settings.time_zone
    by_unit = have_unit_rows(shop.warehouse, (experiment.key for experiment, _ in judged))
    scorecards = {experiment.key: scorecard for experiment, scorecard in judged}
    yield preference_pairs_many(
        shop.warehouse,
        {experiment.key: experiment for experiment, _ in judged if experiment.key not in by_unit},
        week_of=lambda key: week_of(scorecards[key], zone),
        shelf=shop.shelf,
        skip=[key for key, scorecard in scorecards.items() if _is_invalid(scorecard)],
        runs=_runs(shop),
        zone=zone,
    )
    for experiment, scorecard in judged:
        if experiment.key in by_unit:
            yield preference_pairs(
                shop.warehouse,
                experiment,
                week=week_of(scorecard, zone),
                shelf=shop.shelf,
                scorecard=scorecard,
                zone=zone,
            )


def _runs(shop: Shop) -> dict[str, Run]:
    """Return how the registered experiments ran."""
    now = shop.workspace.clock()
    return {key: Run.of(registered, now=now) for key, registered in shop.registered.items()}


def _is_invalid(scorecard: Scorecard) -> bool:
    return scorecard.decision is not None and scorecard.decision.verdict is Verdict.INVALID


def _seen(shop: Shop, judged: Judged) -> Iterator[tuple[Experiment, CreativeTotals]]:
    by_unit = have_unit_rows(shop.warehouse, (experiment.key for experiment, _ in judged))
    reported = [experiment.key for experiment, _ in judged if experiment.key not in by_unit]
    zone = shop.workspace.settings.time_zone
    runs = _runs(shop)
    days = {
        experiment.key: running_days(experiment, runs.get(experiment.key), zone)
        for experiment, _ in judged
    }
    reports = read_reports(shop.warehouse, reported, Question(), zone, runs=runs, days=days)
    for experiment, scorecard in judged:
        if experiment.key in by_unit:
            seen = _seen_by_unit(shop, experiment, scorecard)
        else:
            key = experiment.key
            seen = aggregate_creative_totals(
                reports.creatives.get(key, ()), inflation=reports.inflations(key).get("ctr", 1.0)
            )
        yield from ((experiment, totals) for totals in seen)


def _seen_by_unit(
    shop: Shop, experiment: Experiment, scorecard: Scorecard
) -> Sequence[CreativeTotals]:
    """Return what the scorecard counted, where that is all: it compares final rows alone."""
    if scorecard.compared is not None and scorecard.status == "final":
        return scorecard.compared.totals
    return read_creatives(shop.warehouse, scope_as_judged(experiment, scorecard))


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
    interval = rate_interval(totals.sums, alpha=_ALPHA, inflation=totals.inflation)
    if not isinstance(interval, Interval):
        return None
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0))
