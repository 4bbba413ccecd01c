"""Creatives of one product compared become preference pairs: the reward model's training data.

Every pair carries ``p_win``, the posterior probability that the chosen creative's CTR is the higher
one, and a ``weight`` for training; see :mod:`abplatform.stats.pairs` for the recipe. An experiment
whose split is broken yields no pairs.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard import (
    ProductComparison,
    Question,
    Run,
    Scorecard,
    compare_creatives,
    compare_reported_creatives,
    final_days,
    has_unit_rows,
    read_reports,
    scope_of,
)
from abplatform.domain.catalog import Lineage, Product
from abplatform.domain.experiment import Experiment, Verdict
from abplatform.durable import replace_durably
from abplatform.logs.store.answering import Store
from abplatform.stats.pairs import pair_weight

__all__ = [
    "PAIR_SCHEMA",
    "Shelf",
    "drop_withdrawn",
    "keep_pairs",
    "preference_pairs",
    "preference_pairs_many",
    "week_of",
]

_TEXTS = (
    "pair_id experiment week product_id category title attributes chosen_creative "
    "rejected_creative chosen_image rejected_image chosen_text rejected_text"
)
_COUNTS = "impressions_chosen clicks_chosen impressions_rejected clicks_rejected"

PAIR_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(_TEXTS.split(), pl.String()),
        "p_win": pl.Float64(),
        "weight": pl.Float64(),
        **dict.fromkeys(_COUNTS.split(), pl.Int64()),
        "warning": pl.String(),
    }
)
"""The columns of ``data/pairs/<week>.parquet``; ``attributes`` is a JSON object as text.

``warning`` says ``variance_assumes_independent_impressions`` where ``p_win`` rests on reports of
which nothing tells how their units vary; else it is null.
"""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is known of products and creatives beside the log.

    Args:
        products: Product id to product; gives title and attributes.
        lineage: Creative id to how it was made; gives image and text.
        withdrawn: Creatives that nothing may learn to like: they are never the chosen one.
    """

    products: Mapping[str, Product] = field(default_factory=dict)
    lineage: Mapping[str, Lineage] = field(default_factory=dict)
    withdrawn: Collection[str] = frozenset()


def preference_pairs(
    warehouse: Store,
    experiment: Experiment,
    *,
    week: str,
    shelf: Shelf | None = None,
    scorecard: Scorecard | None = None,
    question: Question | None = None,
    run: Run | None = None,
    zone: ZoneInfo = _UTC,
) -> pl.DataFrame:
    """Return the pairs of one experiment from rows that are final.

    Args:
        warehouse: The open store.
        experiment: Its ``learning.pairs.min_p_win`` leaves out what is too close to call.
        week: ISO week such as ``2026-W48`` that the pairs belong to.
        shelf: Titles, images and texts; what is unknown is null.
        scorecard: The judged scorecard; where it is ``invalid`` there are no pairs. Without a
            question the pairs are those of the creatives that it compared.
        question: ``as_of`` leaves out later rows.
        run: How it ran; reports of other days are left out.
        zone: Where a workspace day ends.
    """
    shelf = shelf or Shelf()
    decision = scorecard.decision if scorecard else None
    if decision is not None and decision.verdict is Verdict.INVALID:
        return PAIR_SCHEMA.to_frame()
    compared = scorecard.compared if scorecard and question is None else None
    question = question or Question()
    if compared is None and has_unit_rows(warehouse, experiment.key):
        scope = replace(
            scope_of(
                experiment,
                question,
                shelf.lineage,
                excluded_sources=scorecard.excluded_sources if scorecard else (),
            ),
            final=True,
        )
        compared = compare_creatives(warehouse, scope)
    if compared is not None:
        return _frame(_rows(experiment, compared.products, week, shelf, _texts(warehouse)))
    return preference_pairs_many(
        warehouse,
        {experiment.key: experiment},
        week_of=lambda _: week,
        shelf=shelf,
        question=question,
        runs={experiment.key: run} if run else {},
        zone=zone,
    )


def preference_pairs_many(
    warehouse: Store,
    experiments: Mapping[str, Experiment],
    *,
    week_of: Callable[[str], str],
    shelf: Shelf | None = None,
    skip: Sequence[str] = (),
    question: Question | None = None,
    runs: Mapping[str, Run] | None = None,
    zone: ZoneInfo = _UTC,
) -> pl.DataFrame:
    """Return the pairs of thousands of experiments that come as pre-aggregated reports.

    Args:
        warehouse: The open store.
        experiments: Key to experiment.
        week_of: Key to the ISO week that its pairs belong to.
        shelf: Titles, images and texts; what is unknown is null.
        skip: Experiments whose verdict is ``invalid``.
        question: ``as_of`` leaves out later days.
        runs: Key to how it ran, where that is known; reports of other days, and of days that may
            still change, are left out.
        zone: Where a workspace day ends.
    """
    question = question or Question()
    chosen = {key: one for key, one in experiments.items() if key not in set(skip)}
    runs = runs or {}
    days = final_days(warehouse, chosen.values(), runs=runs, question=question, zone=zone)
    reports = read_reports(warehouse, list(chosen), question, zone, runs=runs, days=days)
    texts = _texts(warehouse)

    def rows() -> Iterator[dict[str, Any]]:
        for key, experiment in chosen.items():
            products = compare_reported_creatives(reports, key)
            if not products:
                continue
            assumed = reports.dispersions[key]["ctr"].origin == "assumed"
            warning = _INDEPENDENT if assumed else None
            for row in _rows(experiment, products, week_of(key), shelf or Shelf(), texts):
                yield {**row, "warning": warning}

    return _frame(rows())


_INDEPENDENT = "variance_assumes_independent_impressions"


def _texts(warehouse: Store) -> dict[str, str]:
    return dict(warehouse.query("portable/creative_texts").iter_rows())


def _frame(rows: Iterator[dict[str, Any]]) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=PAIR_SCHEMA)
    return frame.sort("experiment", "product_id", "pair_id")


def _rows(
    experiment: Experiment,
    products: Sequence[ProductComparison],
    week: str,
    shelf: Shelf,
    texts: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    least = experiment.learning.min_p_win
    for product in products:
        about = _about(product, shelf)
        for first, second in combinations(range(len(product.creatives)), 2):
            ahead = product.win[first, second] >= product.win[second, first]
            chosen, rejected = (first, second) if ahead else (second, first)
            p_win = float(product.win[chosen, rejected])
            if p_win < least or product.creatives[chosen] in shelf.withdrawn:
                continue
            yield {
                "pair_id": _pair_id(experiment.key, week, product, first, second),
                "experiment": experiment.key,
                "week": week,
                "product_id": product.product_id,
                "p_win": p_win,
                "weight": pair_weight(p_win, creatives=len(product.creatives)),
                **about,
                **_side("chosen", product, chosen, shelf, texts),
                **_side("rejected", product, rejected, shelf, texts),
            }


def _about(product: ProductComparison, shelf: Shelf) -> dict[str, Any]:
    known = shelf.products.get(product.product_id)
    return {
        "category": str(known.category) if known else product.category,
        "title": known.title if known else None,
        "attributes": json.dumps(known.facts, ensure_ascii=False, sort_keys=True)
        if known
        else None,
    }


def _side(
    side: str,
    product: ProductComparison,
    place: int,
    shelf: Shelf,
    texts: Mapping[str, str],
) -> dict[str, Any]:
    creative = product.creatives[place]
    made = shelf.lineage.get(creative)
    return {
        f"{side}_creative": creative,
        # A creative's id is the sha256 of its master; one that only a log knows has no picture.
        f"{side}_image": creative if made else None,
        f"{side}_text": made.text if made and made.text else texts.get(creative),
        f"impressions_{side}": product.sums[place].n,
        f"clicks_{side}": product.sums[place].k,
    }


def _pair_id(
    experiment: str, week: str, product: ProductComparison, first: int, second: int
) -> str:
    """The same two creatives have the same id whoever wins."""
    both = sorted((product.creatives[first], product.creatives[second]))
    parts = "\0".join((experiment, week, product.product_id, *both))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def keep_pairs(path: Path, fresh: pl.DataFrame, *, experiment: str) -> pl.DataFrame:
    """Write an experiment's pairs into a file; what others keep there stays.

    Args:
        path: A Parquet file with the columns of :data:`PAIR_SCHEMA`; made when it is missing.
        fresh: All pairs of the experiment; they take the place of earlier ones.
        experiment: Whose pairs they are.

    Returns:
        Everything that the file holds now.
    """
    kept = PAIR_SCHEMA.to_frame()
    if path.exists():
        # A file of an earlier version has no warnings.
        before = pl.concat([kept, pl.read_parquet(path)], how="diagonal")
        kept = before.select(list(PAIR_SCHEMA)).filter(pl.col("experiment") != experiment)
    pairs = pl.concat([kept, fresh]).sort("experiment", "product_id", "pair_id")
    content = io.BytesIO()
    pairs.write_parquet(content)
    replace_durably(path, content.getvalue())
    return pairs


def drop_withdrawn(paths: Iterable[Path], withdrawn: Collection[str]) -> int:
    """Take the pairs out of kept files whose chosen creative has been withdrawn since.

    Args:
        paths: Parquet files with the columns of :data:`PAIR_SCHEMA`.
        withdrawn: The creatives' ids.

    Returns:
        How many pairs went.
    """
    gone = 0
    for path in paths if withdrawn else ():
        pairs = pl.read_parquet(path)
        kept = pairs.filter(~pl.col("chosen_creative").is_in(list(withdrawn)))
        if len(kept) < len(pairs):
            content = io.BytesIO()
            kept.write_parquet(content)
            replace_durably(path, content.getvalue())
            gone += len(pairs) - len(kept)
    return gone


def week_of(scorecard: Scorecard, zone: ZoneInfo) -> str:
    """Return the ISO week of an experiment's last exposure that counts, such as ``2026-W48``."""
    moment = (scorecard.last_at or scorecard.as_of).astimezone(zone)
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02d}"
