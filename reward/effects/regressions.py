"""Linear regression and random forest on rates, what click models are measured against.

Both see a row's k clicks in n impressions as a rate with weight n, and both are free to predict
what no probability can be: a line runs below 0, a leaf without a click says exactly 0. Predictions
are therefore held within half a click of what the rows could tell, and counted where that was
needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from reward.effects.encoding import Rows
from reward.effects.fitting import EFFECT_SIGMA

__all__ = ["Predictions", "regress_forest", "regress_linear"]

Floats = NDArray[np.float64]

_TREES = 200
_LEAF_EVENTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model says of N rows.

    Args:
        chance: Probability of a click, N.
        clipped: How many had to be moved to be one.
    """

    chance: Floats
    clipped: int = 0


def regress_linear(fitted: Rows, sizes: tuple[int, ...], codes: NDArray[np.int64]) -> Predictions:
    """Predict rates by ridge regression on one-hot levels.

    Plain least squares has no answer here, as the levels of each feature add up to 1, and no good
    one where a level has few clicks. The penalty is the prior of the click models, carried over:
    near the base rate p an effect of s in log odds moves a rate by p(1-p)s, and one impression has
    variance p(1-p), so that the likeliest coefficients have the penalty 1/(p(1-p)s²).

    Args:
        fitted: Rows that teach.
        sizes: Codes of each feature, F.
        codes: Of N rows to predict, N x F.
    """
    rate = fitted.rate
    penalty = 1 / (rate * (1 - rate) * EFFECT_SIGMA**2)
    line = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-8)
    rates = fitted.clicks / fitted.impressions
    line.fit(_one_hot(fitted.codes, sizes), rates, sample_weight=fitted.impressions)
    return _clip(line.predict(_one_hot(codes, sizes)), fitted)


def regress_forest(fitted: Rows, codes: NDArray[np.int64], *, seed: int) -> Predictions:
    """Predict rates by a random forest on levels as they are numbered.

    A leaf has as many impressions as hold five clicks at the base rate, or five without one where
    these are rarer; below that a leaf's rate is noise. Each cut looks at a third of the features,
    as Breiman (2001) has it for regression.

    Args:
        fitted: Rows that teach.
        codes: Of N rows to predict, N x F.
        seed: Decides what each tree sees.
    """
    rarer = min(fitted.clicks.sum(), (fitted.impressions - fitted.clicks).sum())
    forest = RandomForestRegressor(
        n_estimators=_TREES,
        max_features=1 / 3,
        min_weight_fraction_leaf=min(0.5, _LEAF_EVENTS / rarer),
        random_state=seed,
    )
    rates = fitted.clicks / fitted.impressions
    forest.fit(fitted.codes, rates, sample_weight=fitted.impressions)
    return _clip(forest.predict(codes), fitted)


def _one_hot(codes: NDArray[np.int64], sizes: tuple[int, ...]) -> csr_array:
    level = codes + np.cumsum((0, *sizes[:-1]))
    row_ends = np.arange(len(codes) + 1) * len(sizes)
    shape = (len(codes), sum(sizes))
    return csr_array((np.ones(level.size), level.ravel(), row_ends), shape=shape)


def _clip(rates: Floats, fitted: Rows) -> Predictions:
    least = 0.5 / (fitted.impressions.sum() + 1)
    chance = np.clip(rates, least, 1 - least)
    return Predictions(chance, int((chance != rates).sum()))
