"""What a reward model must beat: logistic regressions on what is easy to see or known anyway.

Both read differences of features of a pair's two sides and are trained like the model, on soft
labels with weights, with a ridge penalty and no intercept, so that they too are order-free.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from reward.dataset import PairTable

__all__ = ["colour_histogram", "fit_logistic", "predict_logistic", "scene_features"]

Floats = NDArray[np.float64]
_LEVELS = 4
_RIDGE = 3.0


def colour_histogram(pictures: NDArray[np.uint8]) -> Floats:
    """Return the share of pixels in each of 4 x 4 x 4 colours, M x 64, times 8.

    Args:
        pictures: M x H x W x 3.
    """
    coarse = (pictures // (256 // _LEVELS)).astype(np.int64).reshape(len(pictures), -1, 3)
    colour = (coarse[..., 0] * _LEVELS + coarse[..., 1]) * _LEVELS + coarse[..., 2]
    shares = [np.bincount(row, minlength=_LEVELS**3) / row.size for row in colour]
    return 8.0 * np.array(shares, dtype=np.float64).reshape(len(pictures), _LEVELS**3)


def scene_features(
    creatives: list[str], scenes: Mapping[str, Mapping[str, str]], known: list[str]
) -> Floats:
    """Return which scene parameters each creative has, M x len(known), as 0 and 1.

    Args:
        creatives: M creative ids.
        scenes: creative id to its scene description; a baseline's is empty.
        known: The parameters as ``name=value``; others are ignored.
    """
    place = {word: index for index, word in enumerate(known)}
    features = np.zeros((len(creatives), len(known)))
    for row, creative in enumerate(creatives):
        for name, value in scenes.get(creative, {}).items():
            if (column := place.get(f"{name}={value}")) is not None:
                features[row, column] = 1.0
    return features


def fit_logistic(features: Floats, table: PairTable, *, ridge: float = _RIDGE) -> Floats:
    """Fit a ridge logistic regression on feature differences.

    Args:
        features: M x F.
        table: P pairs over the M items.
        ridge: Penalty on half the squared coefficients, where weights are 1 on average.

    Returns:
        F coefficients.
    """
    difference = features[table.chosen] - features[table.rejected]
    weight = table.weight / max(table.weight.mean(), 1e-12)

    def loss(beta: Floats) -> tuple[float, Floats]:
        logit = difference @ beta
        fit = weight * (np.logaddexp(0, logit) - table.p_win * logit)
        slope = difference.T @ (weight * (_sigmoid(logit) - table.p_win))
        return float(fit.sum() + 0.5 * ridge * beta @ beta), slope + ridge * beta

    start = np.zeros(features.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x, dtype=np.float64)


def predict_logistic(beta: Floats, features: Floats, table: PairTable) -> Floats:
    """Return the probability that each pair's chosen creative wins, P."""
    return _sigmoid((features[table.chosen] - features[table.rejected]) @ beta)


def _sigmoid(logit: Floats) -> Floats:
    probability: Floats = 0.5 + 0.5 * np.tanh(0.5 * logit)
    return probability
