"""Boundaries of looks whose increments are not independent, by seeded Gaussian paths.

Users who come back make the statistics of two looks less alike than √(I_j/I_k). Then the joint
law of Z_1 … Z_k is still Gaussian, with a correlation that can be estimated, and 200,000 paths of
it show how many have crossed no boundary yet.

The draws behind the paths are the same in every run and at every look: a look that is added adds
a row to the Cholesky factor and leaves every earlier path where it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["PATHS", "GaussianPaths", "rare_boundary"]

Floats = npt.NDArray[np.float64]
Column = npt.NDArray[np.float32]

PATHS = 200_000
"""Paths: the type I error of a boundary has a Monte-Carlo standard error of 0.0005 at 0.05."""

_FEWEST_CROSSINGS = 100
"""Where fewer crossings are expected the paths tell too little of the boundary."""

_MOST_LOOKS = 112
"""Looks that fit into 100 MB of draws; later ones get the boundary that needs no paths."""

_BLOCK_LOOKS = 28
"""Draws are made for so many looks at a time, 22 MB."""

_MOST_KEPT = 40
"""Up to so many looks the paths themselves are kept beside their draws, 77 MB in all."""

_UNREACHED = 6.5
"""No path of 200,000 is expected to lie beyond."""

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
        matrix = np.ascontiguousarray(correlation, dtype=float)
        self._columns = _columns_of(len(matrix), matrix.tobytes())
        self._open = np.ones(PATHS, dtype=bool)
        self._waiting: list[tuple[int, float]] = []

    def solve(self, look: int, spend: float, *, least: float = 0.0) -> float:
        """Return b with P(no crossing before, |Z| ≥ b) = spend, or ``least`` where b is below.

        Args:
            look: Index of the look, counted from 0.
            spend: Type I error of this look.
            least: What b is known to be at least; the higher, the fewer paths are sorted.
        """
        if spend * PATHS < _FEWEST_CROSSINGS or look >= _MOST_LOOKS:
            return rare_boundary(spend)
        # Paths are only drawn once a boundary depends on them.
        for earlier, boundary in self._waiting:
            if _matters(earlier, boundary):
                self._open &= np.abs(self._columns.at(earlier)) < boundary
        self._waiting.clear()
        sizes = np.abs(self._columns.at(look))
        sizes = sizes[self._open & (sizes >= least)]
        at = len(sizes) - round(spend * PATHS)
        if at <= 0:
            return least
        return float(np.partition(sizes, at)[at])

    def record(self, look: int, boundary: float) -> None:
        """Close the paths that cross at a look.

        Args:
            look: Index of the look.
            boundary: Its boundary.
        """
        self._waiting.append((look, boundary))

    def count_above(
        self, passed: Sequence[tuple[int, float]], *, look: int, z: float, means: Floats
    ) -> float:
        """Return P(upper crossing at a passed look, or none at all and Z_look ≥ z), under means.

        Args:
            passed: Looks before ``look`` with their boundaries.
            look: Index of the look.
            z: Where the tail begins there.
            means: Mean of Z at each of the K looks.
        """
        still_open = np.ones(PATHS, dtype=bool)
        above = 0
        for earlier, boundary in passed:
            if _matters(earlier, boundary - abs(means[earlier])):
                column = self._columns.at(earlier) + np.float32(means[earlier])
                above += int(np.count_nonzero(still_open & (column >= boundary)))
                still_open &= np.abs(column) < boundary
        tail = self._columns.at(look) >= np.float32(z - means[look])
        return (above + int(np.count_nonzero(still_open & tail))) / PATHS


class _Columns:
    """Z at one look over all paths, for each look."""

    def __init__(self, correlation: Floats) -> None:
        self._factor = _cholesky(correlation)
        self._kept: dict[int, Column] = {}

    def at(self, look: int) -> Column:
        if look in self._kept:
            return self._kept[look]
        weights = self._factor[look, : look + 1].astype(np.float32)
        # One product a look, so that the numbers do not depend on how many looks follow.
        found: Column = np.zeros(PATHS, dtype=np.float32)
        for block, part in enumerate(
            np.split(weights, range(_BLOCK_LOOKS, look + 1, _BLOCK_LOOKS))
        ):
            found += part @ _draws(block)[: len(part)]
        if len(self._factor) <= _MOST_KEPT:
            self._kept[look] = found
        return found


@lru_cache(maxsize=1)
def _columns_of(looks: int, correlation: bytes) -> _Columns:
    return _Columns(np.frombuffer(correlation).reshape(looks, looks))


def _matters(look: int, boundary: float) -> bool:
    return boundary < _UNREACHED and look < _MOST_LOOKS


@lru_cache(maxsize=_MOST_LOOKS // _BLOCK_LOOKS)
def _draws(block: int) -> Column:
    """Return the draws of a block of looks, shape (28, PATHS)."""
    draws = np.empty((_BLOCK_LOOKS, PATHS), dtype=np.float32)
    for row in range(_BLOCK_LOOKS):
        # A stream for each look, so that the draws of a look depend on no other look.
        generator = np.random.default_rng([_SEED, block * _BLOCK_LOOKS + row])
        generator.standard_normal(dtype=np.float32, out=draws[row])
    return draws


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
