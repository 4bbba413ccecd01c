"""The strata within which creatives are compared: variant, what its policy could draw, and day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from abplatform.analysis.scorecard.scope import Scope
from abplatform.logs.store.answering import Store
from abplatform.stats.pairs import Matrix, ProductCounts, win_probabilities
from abplatform.stats.stratified import Strata

__all__ = ["StratumCells", "explored_wins", "products_with_strata", "read_strata", "strata_of"]

StratumCells = pl.DataFrame
"""Of one product: creative_id, variant, stratum, day, explored, n, k, and apart, whether the
variant's policy chose among products that day, so that no other variant's audience is its own."""


def products_with_strata(totals: pl.DataFrame) -> frozenset[str]:
    """Return the products that some variant showed in more than one stratum.

    With one stratum, or none told, propensities never changed: nothing has to be kept apart.

    Args:
        totals: Rows of ``portable/creative_totals``.
    """
    ends = totals.group_by("product_id", "variant").agg(
        pl.col("least_stratum").min(), pl.col("greatest_stratum").max()
    )
    several = ends.filter(pl.col("least_stratum") != pl.col("greatest_stratum"))
    return frozenset(several["product_id"])


def read_strata(
    warehouse: Store, scope: Scope, products: frozenset[str]
) -> Mapping[str, StratumCells]:
    """Read the cells of products: creatives by stratum and day.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        products: Those to read.
    """
    cells = warehouse.query("portable/creative_strata", **scope.values())
    chosen = [one.name for one in scope.experiment.variants if one.policy.choose != "uniform"]
    wanted = _told_apart(cells, chosen).filter(pl.col("product_id").is_in(sorted(products)))
    return {str(key[0]): rows for key, rows in wanted.group_by("product_id", maintain_order=True)}


def _told_apart(cells: pl.DataFrame, chosen: Collection[str]) -> pl.DataFrame:
    """Say where a variant's policy, and not chance alone, made the audience of a product.

    In a stratum that shows several products each has its own share of the requests. With another
    share in another stratum of the day, its audience is a mixture that no other variant has.

    Args:
        cells: Of all products.
        chosen: Variants whose policy is not uniform.
    """
    place = ["product_id", "variant", "day"]
    told = cells.with_columns(
        several=pl.col("product_id").n_unique().over("variant", "stratum") > 1,
        strata=pl.col("stratum").n_unique().over(place),
    )
    apart = pl.col("several").any().over(place) & (pl.col("strata") > 1)
    return told.select(*cells.columns, apart=apart & pl.col("variant").is_in(list(chosen)))


def strata_of(cells: StratumCells, creatives: Sequence[str]) -> Strata:
    """Return the cells of one product as numbers.

    Args:
        cells: Its cells.
        creatives: Its creatives, in the order of their numbers.
    """
    keys = ["variant", "stratum", "day", "apart"]
    summed = cells.group_by(["creative_id", *keys]).agg(pl.col("n", "k").sum())
    summed = summed.sort(["creative_id", *keys])
    strata = summed.select(keys).unique().sort(keys).with_row_index("number")
    placed = summed.join(strata, on=keys, how="left").sort(["creative_id", *keys])
    alone = pl.when("apart").then("variant").otherwise(pl.lit(""))
    days = strata.select(
        pl.concat_str(pl.col("day").cast(pl.String), pl.lit(" "), alone)
    ).to_series()
    order = {creative: place for place, creative in enumerate(creatives)}
    return Strata(
        creative=np.array([order[one] for one in placed["creative_id"]], dtype=np.int64),
        stratum=placed["number"].cast(pl.Int64).to_numpy(),
        variant_of=strata["variant"].rank("dense").cast(pl.Int64).to_numpy() - 1,
        day_of=days.rank("dense").cast(pl.Int64).to_numpy() - 1,
        impressions=placed["n"].cast(pl.Float64).to_numpy(),
        clicks=placed["k"].cast(pl.Float64).to_numpy(),
    )


def explored_wins(
    creatives: Sequence[str], cells: StratumCells | None, design_effect: float
) -> Matrix | None:
    """Return P(CTR of row > CTR of column) by what the floor drew: a check, with less data.

    Args:
        creatives: The product's creatives.
        cells: Its cells, or None.
        design_effect: What impressions and clicks are divided by.

    Returns:
        Shape (K, K), null (nan) where a creative was never drawn from the floor; None where at
        most one was.
    """
    if cells is None:
        return None
    # The floor draws uniformly, also among products: it makes no audience.
    drawn = cells.filter(pl.col("explored")).with_columns(apart=pl.lit(value=False))
    seen = [one for one in creatives if one in set(drawn["creative_id"])]
    if len(seen) < 2:
        return None
    sums = {
        row[0]: row[1:] for row in drawn.group_by("creative_id").agg(pl.col("n", "k").sum()).rows()
    }
    counts = ProductCounts(
        np.array([sums[one][0] for one in seen], dtype=float),
        np.array([sums[one][1] for one in seen], dtype=float),
        strata=strata_of(drawn, seen),
    )
    (some,) = win_probabilities([counts], design_effect=design_effect)
    places = [creatives.index(one) for one in seen]
    win = np.full((len(creatives), len(creatives)), np.nan)
    win[np.ix_(places, places)] = some
    return win
