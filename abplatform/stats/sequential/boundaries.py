"""The boundary of the next look, by whichever method the data so far allow.

b_k solves P(|Z_j| < b_j for all j < k, |Z_k| ≥ b_k) = a_k. Increments count as independent while
every estimated correlation is within 0.05 of √(I_j/I_k) and information rose at every look; then
the recursion of Armitage, McPherson and Rowe is exact. From the first look on where that fails,
Gaussian paths with the estimated correlation take over. Boundaries of earlier looks stay as they
were set, by whichever method.

Whatever the correlation, Φ⁻¹(1 - A_k/2) ≤ b_k ≤ Φ⁻¹(1 - a_k/2), where A_k is what has been spent
up to and including look k: the right side because less than all paths are left, the left side
because whoever crosses now belongs to those who have ever crossed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from abplatform.stats.sequential.paths import GaussianPaths, rare_boundary
from abplatform.stats.sequential.recursion import Recursion

__all__ = ["BoundaryWalk", "boundary_bounds"]

Floats = npt.NDArray[np.float64]

_LARGEST_GAP = 0.05
"""Correlations this close to √(I_j/I_k) count as those of independent increments."""


def boundary_bounds(here: npt.ArrayLike, cumulative: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return bounds of b_k that need neither recursion nor paths; infinite where nothing is spent.

    Args:
        here: a_k, what look k spends; any shape.
        cumulative: A_k, what all looks up to k spend; same shape.
    """
    from scipy.special import ndtri

    spent = np.asarray(here, dtype=float)
    none = np.full(spent.shape, np.inf)
    low = np.where(spent > 0, -ndtri(np.asarray(cumulative, dtype=float) / 2), none)
    return low, np.where(spent > 0, -ndtri(spent / 2), none)


class BoundaryWalk:
    """Boundaries look by look, over the looks that had enough data.

    Args:
        information: I at each of the K looks.
        correlation: Estimated correlation of their statistics, shape (K, K).
    """

    def __init__(self, information: Sequence[float], correlation: Floats) -> None:
        self._information = information
        self._correlation = np.asarray(correlation, dtype=float)
        self._next = 0
        self._spent = 0.0
        self._set: list[tuple[int, float]] = []
        self._recursion: Recursion | None = Recursion()
        self._paths: GaussianPaths | None = None

    @property
    def independent(self) -> bool:
        """Whether the increments of all looks so far count as independent."""
        return self._recursion is not None

    def solve(self, spend: float) -> float:
        """Return the boundary of the next look; infinite where it spends nothing.

        Args:
            spend: a_k.
        """
        self._judge_increments()
        if spend <= 0:
            return math.inf
        low, high = (rare_boundary(min(1.0, self._spent + spend)), rare_boundary(spend))
        if self._recursion is not None:
            return self._recursion.solve(self._information[self._next], spend, (low, high))
        # Monte-Carlo error does not carry a boundary over its bounds.
        return min(self._gather_paths().solve(self._next, spend, least=low), high)

    def record(self, spend: float, boundary: float) -> None:
        """Fix the boundary of the next look and move on.

        Args:
            spend: a_k.
            boundary: b_k; infinite where the look cannot stop the experiment.
        """
        self._judge_increments()
        look = self._next
        self._next, self._spent = look + 1, self._spent + spend
        if math.isinf(boundary):
            return
        self._set.append((look, boundary))
        if self._recursion is not None:
            self._recursion.record(self._information[look], boundary)
        elif self._paths is not None:
            self._paths.record(look, boundary)

    def above(self, z: float, *, drift: float) -> float:
        """Return P(upper crossing before the look recorded last, or none and Z there ≥ z).

        Args:
            z: Where the tail begins.
            drift: θ, the mean of Z/√I.
        """
        if self._recursion is not None:
            before = self._recursion.crossings(drift=drift).upper[:-1]
            return math.fsum(before) + self._recursion.tail(z, drift=drift)
        *passed, (look, _) = self._set
        means = drift * np.sqrt(np.asarray(self._information, dtype=float))
        return self._gather_paths().count_above(passed, look=look, z=z, means=means)

    def _judge_increments(self) -> None:
        """Leave the recursion for good once a look does not fit independent increments."""
        k, information = self._next, self._information
        if self._recursion is None or k == 0:
            return
        expected = np.sqrt(np.asarray(information[:k]) / information[k])
        gap = np.abs(self._correlation[k, :k] - expected).max()
        if information[k] <= information[k - 1] or not gap <= _LARGEST_GAP:
            self._recursion = None

    def _gather_paths(self) -> GaussianPaths:
        if self._paths is None:
            self._paths = GaussianPaths(self._correlation)
            for look, boundary in self._set:
                self._paths.record(look, boundary)
        return self._paths
