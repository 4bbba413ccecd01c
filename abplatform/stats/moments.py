"""Sums and cross-products of per-unit totals: all that clustered statistics ask of the units.

Every unit i of a variant carries totals f_i(a, p): of a *kind* a, such as clicks ``k`` or
impressions ``n``, at a *place* p, such as a day or a category. Two arrays of exact integers hold
what is needed of thousands of units:

    sums[a, p]             = Σ_i f_i(a, p)
    products[a, p, b, q]   = Σ_i f_i(a, p)·f_i(b, q)

Whatever is linear in the totals then needs no unit any more. A unit's *score* in a ratio of sums
r = K/N, its first-order share in the estimate's error, is

    ψ_i = (k_i - r·n_i) / N  =  (N·k_i - K·n_i) / N²

and Σ_i ψ_i(x)·ψ_i(y) between two looks, two categories, or before and after an adjustment by
covariates is a quadratic form in ``products``.

Kinds by convention: ``k`` numerator, ``n`` denominator, ``u`` one at the first place at which a
unit appears and zero elsewhere, ``x…`` covariates at that first place.

References:
    Deng, A., Knoblich, U., Lu, J. (2018). Applying the delta method in metric analytics.
    KDD 2018, arXiv:1803.06336.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import RatioSums

__all__ = ["Counts", "Score", "UnitMoments", "ratio_score", "score_products"]

Integers = npt.NDArray[Any]
"""An array of Python integers (dtype object), exact at any size."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many units a place has.

    Args:
        units: Units with a row there.
        n_units: Units whose denominator is not zero.
        k_units: Units whose numerator is not zero.
    """

    units: int
    n_units: int
    k_units: int


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A linear function of a unit's totals: ψ_i = Σ_ap weights[a, p]·f_i(a, p) / divisor.

    Args:
        weights: Shape (A, P); integers where exactness matters, else floats.
        divisor: What the sum is divided by.
    """

    weights: npt.NDArray[Any]
    divisor: float


@dataclass(frozen=True, eq=False)
class UnitMoments:
    """The moments of one variant's units over A kinds and P places.

    Args:
        kinds: Such as ``("k", "n", "u")``.
        places: Such as ISO days in order, or categories.
        sums: Shape (A, P).
        products: Shape (A, P, A, P), symmetric under exchange of the two pairs.
        counts: One entry a place.
    """

    kinds: tuple[str, ...]
    places: tuple[str, ...]
    sums: Integers
    products: Integers
    counts: tuple[Counts, ...]

    @classmethod
    def of_units(
        cls, totals: Mapping[str, Sequence[Sequence[int]]], *, places: Sequence[str]
    ) -> UnitMoments:
        """Return the moments of units given one by one.

        Args:
            totals: Kind to totals, shape (U, P) each; ``u`` is added where it is missing, and a
                unit without a total at a place has no row there.
            places: Names of the P places.
        """
        rows = {kind: np.array(values, dtype=object) for kind, values in totals.items()}
        present = np.any([values != 0 for values in rows.values()], axis=0)
        if "u" not in rows:
            first = present & (np.cumsum(present, axis=1) == 1)
            rows["u"] = np.where(first, 1, 0).astype(object)
        stacked = np.stack([rows[kind] for kind in rows], axis=1)  # (U, A, P)
        units, size = len(stacked), stacked.shape[1] * stacked.shape[2]
        flat = stacked.reshape(units, size)
        shape = stacked.shape[1:]
        counts = tuple(
            Counts(
                units=int(present[:, place].sum()),
                n_units=int((rows["n"][:, place] != 0).sum()),
                k_units=int((rows["k"][:, place] != 0).sum()),
            )
            for place in range(len(places))
        )
        return cls(
            kinds=tuple(rows),
            places=tuple(places),
            sums=flat.sum(axis=0).reshape(shape),
            products=(flat.T @ flat).reshape(*shape, *shape),
            counts=counts,
        )

    @cached_property
    def _kind(self) -> dict[str, int]:
        return {kind: at for at, kind in enumerate(self.kinds)}

    def at(self, kind: str) -> int:
        """Return the index of a kind.

        Raises:
            KeyError: There is no such kind.
        """
        return self._kind[kind]

    def cumulated(self, counts: Sequence[Counts]) -> UnitMoments:
        """Return the moments of running totals: at place p everything up to and including p.

        Args:
            counts: Units seen up to each place; they do not follow from the moments.
        """
        sums = np.cumsum(self.sums, axis=1)
        products = np.cumsum(np.cumsum(self.products, axis=1), axis=3)
        return UnitMoments(self.kinds, self.places, sums, products, tuple(counts))

    def ratio_sums(self, place: int) -> RatioSums:
        """Return what the ratio k/n at one place needs to know."""
        k, n = self.at("k"), self.at("n")
        counts = self.counts[place]
        return RatioSums(
            units=counts.units,
            n=int(self.sums[n, place]),
            k=int(self.sums[k, place]),
            nn=int(self.products[n, place, n, place]),
            kk=int(self.products[k, place, k, place]),
            kn=int(self.products[k, place, n, place]),
            n_units=counts.n_units,
            k_units=counts.k_units,
        )


def ratio_score(moments: UnitMoments, place: int, *, log: bool = False) -> Score:
    """Return the score of r = K/N at one place, or of its logarithm.

    Args:
        moments: Of one variant.
        place: Index of the place.
        log: Whether the score is that of log r, ψ/r, which needs K > 0.

    Raises:
        ZeroDivisionError: N is zero, or K is where the logarithm is asked for.
    """
    k, n = moments.at("k"), moments.at("n")
    top, bottom = int(moments.sums[k, place]), int(moments.sums[n, place])
    divisor = top * bottom if log else bottom * bottom
    if divisor == 0:
        message = f"a ratio of {top} over {bottom} has no score"
        raise ZeroDivisionError(message)
    weights = np.zeros((len(moments.kinds), len(moments.places)), dtype=object)
    weights[k, place], weights[n, place] = bottom, -top
    return Score(weights, divisor)


def score_products(moments: UnitMoments, scores: Sequence[Score]) -> npt.NDArray[np.float64]:
    """Return Σ_i ψ_i(x)·ψ_i(y) for every two of S scores, shape (S, S).

    Integer weights are carried through exactly, so that nothing cancels before the last division.

    Args:
        moments: Of one variant.
        scores: Linear functions of its units' totals.
    """
    size = moments.sums.size
    gram = moments.products.reshape(size, size)
    found = np.zeros((len(scores), len(scores)))
    for x, one in enumerate(scores):
        used = np.flatnonzero(one.weights.reshape(size))
        half = one.weights.reshape(size)[used] @ gram[used]
        for y, other in enumerate(scores[: x + 1]):
            places = np.flatnonzero(other.weights.reshape(size))
            whole = half[places] @ other.weights.reshape(size)[places]
            found[x, y] = found[y, x] = _quotient(whole, one.divisor, other.divisor)
    return found


def _quotient(whole: Any, first: Any, second: Any) -> float:
    # Integers of any size divide exactly rounded; a float among them makes it a float division.
    return float(whole / (first * second))
