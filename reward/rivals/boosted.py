"""Gradient-boosted trees on hand features: what a careful analyst would try first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from reward.dataset import PairTable
from reward.evaluate import Forecast
from reward.rivals.contest import Part
from reward.rivals.looks import picture_looks, text_looks

__all__ = ["boosted"]

Floats = NDArray[np.float64]


def boosted(learned: Part, held: Part) -> Forecast:
    """Learn from differences of hand features beside the category; asked in both orders, too.

    A soft label p becomes two rows, a win of weight p and a loss of weight 1 - p.
    """
    categories = sorted(set(learned.table.categories))
    there, back = (_rows(learned, categories, sign) for sign in (1, -1))
    table = learned.table
    weight = table.weight / max(table.weight.mean(), 1e-12)
    wins, losses = weight * table.p_win, weight * (1 - table.p_win)
    model = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=8, l2_regularization=5.0, random_state=0
    )
    model.fit(
        np.concatenate([there, there, back, back]),
        np.repeat([1, 0, 0, 1], len(table)),
        sample_weight=np.concatenate([wins, losses, wins, losses]),
    )
    said = [model.predict_proba(_rows(held, categories, sign))[:, 1] for sign in (1, -1)]
    mean = (said[0] + 1 - said[1]) / 2
    return Forecast(mean, mean)


def _rows(part: Part, categories: list[str], sign: int) -> Floats:
    """Return differences of features and the category's number, P x (F + 1)."""
    features = _looks(part)
    table: PairTable = part.table
    difference = sign * (features[table.chosen] - features[table.rejected])
    number = {name: float(index) for index, name in enumerate(categories)}
    category = np.array([number.get(name, np.nan) for name in table.categories])
    return np.column_stack([difference, category])


def _looks(part: Part) -> Floats:
    parts = [] if part.pictures is None else [picture_looks(part.pictures)]
    if part.table.has_texts:
        parts.append(text_looks(part.table.items))
    return np.concatenate(parts, axis=1)
