"""Creatives of one product compared: who has the higher CTR, and how sure are we?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from abplatform.analysis.scorecard.policy_strata import (
    StratumCells,
    explored_wins,
    products_with_strata,
    read_strata,
    strata_of,
)
from abplatform.analysis.scorecard.record import CreativeComparison
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import ReportRow
from abplatform.analysis.scorecard.units import slice_ranges
from abplatform.logs.store.answering import Store
from abplatform.stats.pairs import (
    Matrix,
    ProductCounts,
    design_effect,
    log_rates,
    win_probabilities,
)
from abplatform.stats.ratio import RatioSums

__all__ = [
    "ComparedCreatives",
    "CreativeTotals",
    "ProductComparison",
    "aggregate_creative_totals",
    "compare_aggregate_creatives",
    "compare_creatives",
    "compare_with_control",
    "read_creatives",
]

_UNKNOWN = "unknown"
_KEYS = ("product_id", "creative_id", "variant", "first_creative", "second_creative")
_SUMS = ("units", "n", "k", "nn", "kk", "kn", "n_units", "k_units")


@dataclass(frozen=True, slots=True)
class CreativeTotals:
    """Clicks over impressions of one creative in one variant.

    Args:
        variant: Who showed it.
        product_id: What it advertises.
        creative_id: The creative.
        category: The product's category.
        sums: Sums over the units that saw it.
        inflation: What multiplies the variance that the sums show; 1 where they are over units.
    """

    variant: str
    product_id: str
    creative_id: str
    category: str | None
    sums: RatioSums
    inflation: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ProductComparison:
    """The creatives of one product.

    Args:
        product_id: The product.
        category: Its category.
        creatives: The K creatives, by id; a creative shown by two variants is one.
        sums: Their sums, in the same order.
        variants: Creative to the variants that showed it.
        win: P(CTR of row > CTR of column), shape (K, K).
        log_rates: Logarithms of the CTRs, shape (K,).
        covariance: Their sampling covariance, shape (K, K).
        strata: Within how many strata of policy, variant and day they were compared; 1: none.
        explored_win: Like ``win``, by what the policy's floor drew alone; None without strata.
    """

    product_id: str
    category: str | None
    creatives: tuple[str, ...]
    sums: tuple[RatioSums, ...]
    variants: Mapping[str, frozenset[str]]
    win: Matrix
    log_rates: Matrix
    covariance: Matrix
    strata: int = 1
    explored_win: Matrix | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ComparedCreatives:
    """What is known of the creatives that some rows show.

    Args:
        totals: Every creative's clicks over impressions, by variant.
        products: The creatives of every product that has several, compared.
    """

    totals: Sequence[CreativeTotals]
    products: Sequence[ProductComparison]


def read_creatives(warehouse: Store, scope: Scope) -> list[CreativeTotals]:
    """Read every creative's clicks over impressions by unit."""
    (totals,) = _read(warehouse, scope, "creative_totals")
    return _as_totals(totals)


def compare_creatives(warehouse: Store, scope: Scope) -> ComparedCreatives:
    """Count every creative and compare those of one product, by the rows in scope.

    Args:
        warehouse: The open store.
        scope: Which rows count.
    """
    if scope.by_event:
        # Each impression stands alone, so no unit saw two creatives.
        (frame,) = _read(warehouse, scope, "creative_totals")
        overlap: Iterable[ReportRow] = ()
    else:
        frame, shared = _read(warehouse, scope, "creative_totals", "creative_overlap")
        overlap = list(shared.iter_rows(named=True))
    totals = _as_totals(frame)
    varying = products_with_strata(frame)
    if not varying:
        return ComparedCreatives(totals, _compare(totals, overlap))
    cells = read_strata(warehouse, scope, varying)
    products = _compare(totals, overlap, cells=cells)
    return ComparedCreatives(totals, products)


def _read(warehouse: Store, scope: Scope, *names: str) -> list[pl.DataFrame]:
    """Return what queries over ``creative_sums`` say of all units, read part by part."""
    found: list[list[pl.DataFrame]] = []
    for low, high in slice_ranges(scope.parts):
        bounds = {"by_event": scope.by_event, "from_slice": low, "until_slice": high}
        warehouse.materialise("creative_sums", "portable/creative_sums", **scope.values(), **bounds)
        found.append([warehouse.query(f"portable/{name}") for name in names])
    warehouse.drop("creative_sums")
    return [_added(frames) for frames in zip(*found, strict=True)]


def _added(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    keys = [name for name in _KEYS if name in frames[0].columns]
    sums = pl.exclude([*keys, "category", "least_stratum", "greatest_stratum"]).sum()
    named = [pl.col(name).min() for name in ("category", "least_stratum")]
    names = [*named, pl.col("greatest_stratum").max()] if "category" in frames[0].columns else []
    return pl.concat(frames).group_by(keys).agg(sums, *names).sort(keys)


def _as_totals(frame: pl.DataFrame) -> list[CreativeTotals]:
    return [
        CreativeTotals(
            variant=row["variant"],
            product_id=row["product_id"],
            creative_id=row["creative_id"],
            category=row["category"],
            sums=RatioSums(*(int(row[name]) for name in _SUMS)),
        )
        for row in frame.iter_rows(named=True)
    ]


def aggregate_creative_totals(
    rows: Iterable[ReportRow], *, inflation: float = 1.0
) -> list[CreativeTotals]:
    """Turn rows of ``portable/aggregate_creatives`` into sums over impressions.

    Args:
        rows: Of one experiment.
        inflation: What multiplies the variance of independent impressions.
    """
    return [
        CreativeTotals(
            variant=row["variant"],
            product_id=row["product_id"],
            creative_id=row["creative_id"],
            category=row["category"],
            sums=RatioSums.independent(int(row["n"]), int(row["k"])),
            inflation=inflation,
        )
        for row in rows
    ]


def compare_aggregate_creatives(
    rows: Iterable[ReportRow], *, inflation: float
) -> list[ProductComparison]:
    """Compare creatives by rows of ``portable/aggregate_creatives`` of one experiment.

    Each impression counts as a unit, and no unit is shared.

    Args:
        rows: Of one experiment.
        inflation: What multiplies the variance of independent impressions: the design effect.
    """
    return _compare(aggregate_creative_totals(rows), (), inflation=inflation)


def compare_with_control(
    products: Sequence[ProductComparison], control: str
) -> tuple[CreativeComparison, ...]:
    """Compare each treatment's creative with the control's most shown one of the same product."""
    found: list[CreativeComparison] = []
    for product in products:
        shown = {
            index: product.sums[index].n
            for index, creative in enumerate(product.creatives)
            if control in product.variants[creative]
        }
        if not shown:
            continue
        base = max(shown, key=lambda index: (shown[index], -index))
        for index, creative in enumerate(product.creatives):
            if control in product.variants[creative]:
                continue
            found.append(
                CreativeComparison(
                    product_id=product.product_id,
                    category=product.category,
                    creative_id=creative,
                    against=product.creatives[base],
                    variant=min(product.variants[creative]),
                    p_win=float(product.win[index, base]),
                    impressions=product.sums[index].n,
                    clicks=product.sums[index].k,
                    impressions_against=product.sums[base].n,
                    clicks_against=product.sums[base].k,
                    strata=product.strata,
                    p_win_explored=_explored(product, index, base),
                )
            )
    return tuple(found)


def _explored(product: ProductComparison, one: int, other: int) -> float | None:
    """P(CTR of one > CTR of the other) by what the floor drew; None where it drew not both."""
    if product.explored_win is None:
        return None
    win = float(product.explored_win[one, other])
    return None if math.isnan(win) else win


@dataclass(slots=True)
class _Product:
    product_id: str
    category: str | None
    sums: dict[str, RatioSums]
    variants: dict[str, frozenset[str]]


def _compare(
    totals: Sequence[CreativeTotals],
    overlap: Iterable[ReportRow],
    *,
    inflation: float = 1.0,
    cells: Mapping[str, StratumCells] | None = None,
) -> list[ProductComparison]:
    """Creatives under one top of the category path share one spread and one design effect."""
    shared = _index_overlap(overlap)
    by_category: dict[str, list[_Product]] = {}
    for product in _merge_variants(totals).values():
        top = (product.category or _UNKNOWN).split("/")[0]
        by_category.setdefault(top, []).append(product)
    found = []
    for _, products in sorted(by_category.items()):
        effect = design_effect([sums for product in products for sums in product.sums.values()])
        effect *= inflation
        several = [product for product in products if len(product.sums) > 1]
        counts = [
            _count(
                product, shared.get(product.product_id, {}), (cells or {}).get(product.product_id)
            )
            for product in several
        ]
        explored = [
            explored_wins(tuple(product.sums), (cells or {}).get(product.product_id), effect)
            for product in several
        ]
        wins = win_probabilities(counts, design_effect=effect)
        rates = log_rates(counts, design_effect=effect)
        found += [
            ProductComparison(
                product_id=product.product_id,
                category=product.category,
                creatives=tuple(product.sums),
                sums=tuple(product.sums.values()),
                variants=product.variants,
                win=win,
                log_rates=rate,
                covariance=covariance,
                strata=1 if count.strata is None else len(count.strata.day_of),
                explored_win=floor,
            )
            for product, count, win, (rate, covariance), floor in zip(
                several, counts, wins, rates, explored, strict=True
            )
        ]
    return sorted(found, key=lambda product: product.product_id)


def _merge_variants(totals: Sequence[CreativeTotals]) -> dict[str, _Product]:
    products: dict[str, _Product] = {}
    for one in sorted(totals, key=lambda one: (one.product_id, one.creative_id, one.variant)):
        product = products.setdefault(
            one.product_id, _Product(one.product_id, one.category, {}, {})
        )
        seen = product.sums.get(one.creative_id)
        product.sums[one.creative_id] = one.sums if seen is None else seen + one.sums
        before = product.variants.get(one.creative_id, frozenset())
        product.variants[one.creative_id] = before | {one.variant}
    return products


_Shared = dict[tuple[str, str], tuple[int, int, int, int]]


def _index_overlap(overlap: Iterable[ReportRow]) -> dict[str, _Shared]:
    """Product to (first, second creative) to (nn, kk, kn, nk)."""
    found: dict[str, _Shared] = {}
    for row in overlap:
        pair = (row["first_creative"], row["second_creative"])
        sums = (int(row["nn"]), int(row["kk"]), int(row["kn"]), int(row["nk"]))
        found.setdefault(row["product_id"], {})[pair] = sums
    return found


def _count(product: _Product, shared: _Shared, cells: StratumCells | None = None) -> ProductCounts:
    size = len(product.sums)
    order = {creative: index for index, creative in enumerate(product.sums)}
    impressions = np.array([sums.n for sums in product.sums.values()], dtype=float)
    clicks = np.array([sums.k for sums in product.sums.values()], dtype=float)
    strata = None if cells is None else strata_of(cells, tuple(order))
    if not shared:
        return ProductCounts(impressions, clicks, strata=strata)
    nn, kk, kn = (np.zeros((size, size)) for _ in range(3))
    for (first, second), (n_n, k_k, k_n, n_k) in shared.items():
        one, two = order[first], order[second]
        nn[one, two] = nn[two, one] = n_n
        kk[one, two] = kk[two, one] = k_k
        kn[one, two], kn[two, one] = k_n, n_k
    return ProductCounts(
        impressions, clicks, shared_nn=nn, shared_kk=kk, shared_kn=kn, strata=strata
    )
