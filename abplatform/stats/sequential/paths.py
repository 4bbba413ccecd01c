"""Boundaries of looks whose increments are not independent, by seeded Gaussian paths.

Users who come back make the statistics of two looks less alike than √(I_j/I_k). Then the joint
law of Z_1 … Z_k is still Gaussian, with a correlation that can be estimated, and 200,000 paths of
it show how many have crossed no boundary yet.

The draws behind the paths are the same in every run and at every look: a look that is added adds
a row to the Cholesky factor and leaves every earlier path where it was.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["PATHS", "GaussianPaths", "rare_boundary"]

Floats = npt.NDArray[np.float64]

PATHS = 200_000
"""Paths: the type I error of a boundary has a Monte-Carlo standard error of 0.0005 at 0.05."""

_FEWEST_CROSSINGS = 100
"""Where fewer crossings are expected the paths tell too little of the boundary."""

_MOST_LOOKS = 112
"""Looks that fit into 100 MB of draws; later ones get the boundary that needs no paths."""

_SEED = 20_831

_NEGLIGIBLE = 1e-10
"""A look whose own variance is below this share adds nothing to the looks before it."""


def rare_boundary(spend: float) -> float:
    """Return Φ⁻¹(1 - spend/2), which spends at most ``spend`` whatever the correlation.

    Args:
        spend: Type I error of this look, between 0 and 1.
    """
    from scipy.special import ndtri

    return -float(ndtri(spend / 2))


class GaussianPaths:
    """Paths of Z_1 … Z_K with a given correlation, and which of them are still open.

    Args:
        correlation: Shape (K, K), as estimated; made positive semidefinite where it is not.
    """

    def __init__(self, correlation: Floats) -> None:
        self._factor = _cholesky(np.asarray(correlation, dtype=float))
        self._open = np.ones(PATHS, dtype=bool)
        self._waiting: list[tuple[int, float]] = []

    def solve(self, look: int, spend: float) -> float:
        """Return b with P(no crossing before, |Z| ≥ b) = spend.

        Args:
            look: Index of the look, counted from 0.
            spend: Type I error of this look.
        """
        if spend * PATHS < _FEWEST_CROSSINGS or look >= _MOST_LOOKS:
            return rare_boundary(spend)
        self._catch_up()
        sizes = np.abs(self.column(look)[self._open])
        wanted = round(spend * PATHS)
        if wanted >= len(sizes):
            return 0.0
        at = len(sizes) - wanted
        return float(np.partition(sizes, at)[at])

    def record(self, look: int, boundary: float) -> None:
        """Close the paths that cross at a look.

        Args:
            look: Index of the look.
            boundary: Its boundary.
        """
        # Paths are only drawn once a boundary depends on them.
        self._waiting.append((look, boundary))

    def column(self, look: int) -> npt.NDArray[np.float32]:
        """Return Z at one look over all paths.

        Args:
            look: Index of the look.
        """
        weights = self._factor[look, : look + 1].astype(np.float32)
        found: npt.NDArray[np.float32] = weights @ _draws(len(self._factor))[: look + 1]
        return found

    def _catch_up(self) -> None:
        for look, boundary in self._waiting:
            # No path of 200,000 is expected to lie beyond 6.5.
            if boundary < 6.5 and look < _MOST_LOOKS:
                self._open &= np.abs(self.column(look)) < boundary
        self._waiting.clear()


@lru_cache(maxsize=1)
def _all_draws(looks: int) -> npt.NDArray[np.float32]:
    draws = np.empty((looks, PATHS), dtype=np.float32)
    for look in range(looks):
        # A stream for each look, so that the draws of a look depend on no other look.
        generator = np.random.default_rng([_SEED, look])
        generator.standard_normal(dtype=np.float32, out=draws[look])
    return draws


def _draws(looks: int) -> npt.NDArray[np.float32]:
    return _all_draws(min(-(-looks // 28) * 28, _MOST_LOOKS))


def _cholesky(correlation: Floats) -> Floats:
    """Return L with L·Lᵀ = correlation, its rows of length 1 also where that cannot be met."""
    size = len(correlation)
    factor = np.zeros((size, size))
    for row in range(size):
        for column in range(row):
            pivot = factor[column, column]
            rest = correlation[row, column] - factor[row, :column] @ factor[column, :column]
            factor[row, column] = rest / pivot if pivot**2 > _NEGLIGIBLE else 0.0
        known = float(factor[row, :row] @ factor[row, :row])
        factor[row, row] = math.sqrt(max(0.0, 1 - known))
        if known > 1:
            factor[row, :row] /= math.sqrt(known)
    return factor
