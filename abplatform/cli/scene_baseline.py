"""A judge of creatives that sees only their scene descriptions, as a baseline for the reward."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.domain.catalog import Lineage

__all__ = ["scene_accuracy"]

_RIDGE = 4.0
_STEPS = 60

Floats = NDArray[np.float64]


def scene_accuracy(
    train: pl.DataFrame, test: pl.DataFrame, lineage: Mapping[str, Lineage]
) -> float | None:
    """Train a logistic model on differences of scene words, test it on another week's pairs.

    Args:
        train: Pairs to learn from.
        test: Pairs to judge.
        lineage: Creative id to its lineage.

    Returns:
        Share of test pairs whose chosen creative scores higher, ties ½; None without pairs.
    """
    if train.is_empty() or test.is_empty():
        return None
    words = sorted({word for row in lineage.values() for word in row.scene.items()})
    place = {word: index for index, word in enumerate([*words, ("source", "generated")])}
    vectors = {name: _vector(row, place) for name, row in lineage.items()}
    weights = _fit(
        _differences(train, vectors), train["p_win"].to_numpy(), train["weight"].to_numpy()
    )
    margins = _differences(test, vectors) @ weights
    return float(np.mean((margins > 0) + 0.5 * (margins == 0)))


def _vector(row: Lineage, place: Mapping[tuple[str, str], int]) -> Floats:
    vector = np.zeros(len(place))
    for word in row.scene.items():
        vector[place[word]] = 1.0
    vector[place["source", "generated"]] = row.source == "generated"
    return vector


def _differences(pairs: pl.DataFrame, vectors: Mapping[str, Floats]) -> Floats:
    return np.array(
        [
            vectors[chosen] - vectors[rejected]
            for chosen, rejected in zip(
                pairs["chosen_creative"], pairs["rejected_creative"], strict=True
            )
        ]
    )


def _fit(differences: Floats, p_win: Floats, weight: Floats) -> Floats:
    """Ridge logistic regression without intercept by Newton steps."""
    coefficients = np.zeros(differences.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-differences @ coefficients))
        slope = differences.T @ (weight * (chance - p_win)) + _RIDGE * coefficients / 100.0
        bend = weight * chance * (1.0 - chance)
        curve = differences.T @ (differences * bend[:, None])
        curve += np.eye(len(coefficients)) * _RIDGE / 100.0
        step = np.linalg.solve(curve, slope)
        coefficients -= step
        if np.abs(step).max() < 1e-9:
            break
    return coefficients
