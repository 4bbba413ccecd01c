"""Logistic regression on labels with a normal prior on every coefficient (a ridge).

    log odds of a click = intercept + Σ over groups of (coefficient of the row's label in the group)

A group is a kind of label of which a row bears one or none: its creative, its channel, its creative
in its channel. The penalised likelihood

    Σ rows [k log p + (n - k) log(1 - p)] - Σ coefficients w² / (2 sigma²)

is strictly concave. Newton's method climbs it; each step is found by conjugate gradients with the
Hessian's diagonal as preconditioner, so that no matrix is ever made: a hundred thousand rows with
ten thousand coefficients take seconds. All sums are taken in the order of the rows and by one
thread, so that the same rows give the same bits.

References:
    Le Cessie, S., Van Houwelingen, J. C. (1992). Ridge estimators in logistic regression. Applied
    Statistics 41, 191-201.
    Nocedal, J., Wright, S. J. (2006). Numerical optimization. Springer, chapters 5 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["LabelGroup", "LogisticFit", "fit_logistic"]

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_ENOUGH = 1e-7
_MOST_STEPS = 100
_LONGEST_STEP = 2.0
_INTERCEPT_SIGMA = 10.0
_RESIDUAL = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class LabelGroup:
    """Labels of one kind.

    Args:
        labels: One a row, 0 … size - 1; -1 for a row without.
        size: How many labels there are.
        sigma: Standard deviation of the coefficients' prior, in log odds.
    """

    labels: Labels
    size: int
    sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """What was found.

    Args:
        intercept: Log odds of a row whose labels are all unknown.
        coefficients: Per group, one a label, in log odds.
        converged: Whether the steps became small enough.
    """

    intercept: float
    coefficients: tuple[Vector, ...]
    converged: bool


def fit_logistic(n: Vector, k: Vector, groups: Sequence[LabelGroup]) -> LogisticFit:
    """Find the most likely coefficients of clicks over impressions.

    The intercept has a prior, too, so wide (10 in log odds) that it matters only where nobody, or
    everybody, clicked.

    Args:
        n: Impressions of each row.
        k: Clicks of each row, at most n.
        groups: The labels of the rows.
    """
    design = _Design(n.size, groups)
    found = np.zeros(design.width)
    found[0] = np.log((k.sum() + 0.5) / (n.sum() - k.sum() + 0.5))
    length = np.inf
    for _ in range(_MOST_STEPS):
        rate = 1 / (1 + np.exp(-design.odds(found)))
        slope = design.summed(k - n * rate) - design.precision * found
        step = _solve(design, n * rate * (1 - rate), slope)
        length = float(np.abs(step).max())
        found += step * min(1.0, _LONGEST_STEP / length) if length else step
        if length <= _ENOUGH:
            break
    return LogisticFit(float(found[0]), tuple(design.split(found)), length <= _ENOUGH)


class _Design:
    """Which coefficients every row knows: the intercept is the first, then group after group."""

    def __init__(self, rows: int, groups: Sequence[LabelGroup]) -> None:
        every = LabelGroup(np.zeros(rows, dtype=np.int64), 1, _INTERCEPT_SIGMA)
        self._groups = [every, *groups]
        sizes = [group.size for group in self._groups]
        self._bounds = np.cumsum([0, *sizes])
        self.width = int(self._bounds[-1])
        self.precision = np.concatenate([np.full(g.size, g.sigma**-2) for g in self._groups])

    def split(self, values: Vector) -> list[Vector]:
        """Return the groups' parts of a vector of coefficients, without the intercept."""
        return [values[low:high] for low, high in pairwise(self._bounds[1:])]

    def odds(self, values: Vector) -> Vector:
        """Return each row's sum of coefficients."""
        total = np.zeros(self._groups[0].labels.size)
        for group, low in zip(self._groups, self._bounds, strict=False):
            # The label -1 takes the last place, which is empty.
            total += np.append(values[low : low + group.size], 0.0)[group.labels]
        return total

    def summed(self, rows: Vector) -> Vector:
        """Return for each coefficient the sum over the rows that know it."""
        sums = np.zeros(self.width)
        for group, low in zip(self._groups, self._bounds, strict=False):
            counted = np.bincount(group.labels + 1, weights=rows, minlength=group.size + 1)
            sums[low : low + group.size] = counted[1:]
        return sums


def _solve(design: _Design, curvature: Vector, slope: Vector) -> Vector:
    """Return Newton's step by preconditioned conjugate gradients."""
    diagonal = design.summed(curvature) + design.precision
    step, residual = np.zeros(design.width), slope.copy()
    scaled = residual / diagonal
    direction, size = scaled, float((residual * scaled).sum())
    enough = size * _RESIDUAL**2
    for _ in range(design.width * 2):
        if size <= enough:
            break
        bent = design.summed(curvature * design.odds(direction)) + design.precision * direction
        along = size / float((direction * bent).sum())
        step += along * direction
        residual -= along * bent
        scaled = residual / diagonal
        before, size = size, float((residual * scaled).sum())
        direction = scaled + size / before * direction
    return step
