"""Click rates for the estimators that use a model, fitted without the rows that they judge.

The rate of creative a in place g, pulled towards the creative's rate over all places, which is
pulled towards the log's:

    q_a  = (k_a  + m q)   / (n_a  + m)
    q_ag = (k_ag + m q_a) / (n_ag + m)       m = 1/q: as much as one click weighs

Units are dealt into five folds, and a row is judged by the counts of the other four, so that no
click explains itself (cross-fitting; Chernozhukov et al. 2018, The Econometrics Journal 21(1)).

The model's leverage (:mod:`abplatform.stats.off_policy`) follows from these formulas with m fixed.
Let M_ag be the mass that an estimator leaves to the rate q_ag: the target's over all rows, less the
weights that rows of the cell carry themselves. A click more in row i of cell ag moves Σ M q by

    M_ag / (n_ag + m) + Σ_g M_ag s_ag / (n_a + m) + Σ_ag M_ag s_ag s_a / n,   s = m / (n + m)

through the cell's own rate, the creative's, and the log's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FOLDS", "ClickModel", "fit_clicks", "pulled_rates"]

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ClickModel:
    """Rates by fold and cell.

    Args:
        rates: q_ag fitted without the fold's rows, shape (FOLDS, cells).
        folds: Each row's fold, shape (N,).
        cells: Each row's cell, shape (N,).
        creatives: Each cell's creative, shape (C,).
        clicks: Of all rows.
    """

    rates: Vector
    folds: Labels
    cells: Labels
    creatives: Labels
    clicks: float

    def leverage(self, target: Vector, weights: Vector) -> Vector:
        """Return how much a click more in each row moves Σ M q, shape (N,).

        Args:
            target: The target's mass on each cell, summed over rows, shape (C,).
            weights: What each row carries itself, shape (N,).
        """
        size, rows = len(self.creatives), len(self.cells)
        if not self.clicks:
            return np.zeros(rows)
        m = rows / self.clicks
        left = target - np.bincount(self.cells, weights, minlength=size)
        n = np.bincount(self.cells, minlength=size)
        by_creative = np.bincount(self.creatives, n)
        passed = np.bincount(self.creatives, left * m / (n + m))
        overall = float((passed * m / (by_creative + m)).sum()) / rows
        own = left / (n + m) + (passed / (by_creative + m))[self.creatives] + overall
        moved: Vector = own[self.cells]
        return moved


def fit_clicks(
    rewards: Vector,
    cells: Labels,
    creatives: Labels,
    *,
    units: Labels | None,
    rng: np.random.Generator,
) -> ClickModel:
    """Fit the rates.

    Args:
        rewards: 1 for a click, shape (N,).
        cells: Each row's place and creative, 0 … C - 1.
        creatives: Each cell's creative on its shelf, shape (C,).
        units: Each row's unit; None when every row stands alone.
        rng: Deals the units.
    """
    numbers = np.arange(len(rewards)) if units is None else units
    folds = (rng.permutation(int(numbers.max()) + 1) % FOLDS)[numbers]
    size = len(creatives)
    index = folds * size + cells
    shape = (FOLDS, size)
    n = np.bincount(index, minlength=FOLDS * size).reshape(shape)
    k = np.bincount(index, rewards, minlength=FOLDS * size).reshape(shape)
    rates = np.zeros(shape)
    for fold in range(FOLDS):
        n_rest, k_rest = n.sum(axis=0) - n[fold], k.sum(axis=0) - k[fold]
        if k_rest.sum() > 0:
            rates[fold] = pulled_rates(n_rest, k_rest, creatives)
    return ClickModel(rates, folds, cells, creatives, float(rewards.sum()))


def pulled_rates(n: Vector, k: Vector, creatives: Labels, *, weight: float | None = None) -> Vector:
    """Return q_ag of every cell.

    Args:
        n: Impressions, shape (C,).
        k: Clicks, at least one in all.
        creatives: Each cell's creative.
        weight: m; by default 1/q.
    """
    overall = k.sum() / n.sum()
    m = 1 / overall if weight is None else weight
    by_creative = np.bincount(creatives, k) + m * overall
    by_creative /= np.bincount(creatives, n) + m
    rates: Vector = (k + m * by_creative[creatives]) / (n + m)
    return rates
