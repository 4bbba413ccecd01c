"""Crossing probabilities of looks with independent increments, by recursive integration.

With information I_k at look k, S_k = Z_k·√I_k is a Brownian motion seen at times I_k. The
sub-density of S_k among paths that have crossed no boundary so far follows from the one before:

    g_k(x) = ∫ g_{k-1}(u)·φ((x - u)/s)/s du  over |u| < b_{k-1}·√I_{k-1},   s² = I_k - I_{k-1}

and P(no crossing before k, |Z_k| ≥ b) = ∫ g_{k-1}(u)·[Φ((-c - u)/s) + Φ((u - c)/s)] du with
c = b·√I_k. The integrands are entire functions that are no narrower than s, so Gauss-Legendre
nodes, about two per width, leave an error far below 1e-5 of any probability.

A drift needs no second integration: g_k^θ(x) = g_k^0(x)·exp(θ·x - θ²·I_k/2).

References:
    Armitage, P., McPherson, C. K., Rowe, B. C. (1969). Repeated significance tests on
    accumulating data. JRSS A 132(2), 235-244.
    Jennison, C., Turnbull, B. W. (2000). Group Sequential Methods. Chapman & Hall, chapter 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Crossings", "Recursion", "crossing_probabilities"]

Floats = npt.NDArray[np.float64]

_WIDEST = 10.0
"""Regions end here, in standard deviations: 1.5e-23 of the paths lie beyond."""

_PANEL_NODES = 256

_MOST_NODES = 16_384
"""Only a last look that adds next to no information would ask for more."""

_BLOCK = 1_000_000
"""Kernel values held at once: 8 MB."""


@dataclass(frozen=True, slots=True)
class Crossings:
    """Probabilities of the first crossing, look by look.

    Args:
        upper: P(Z_k ≥ b_k, no crossing before), one a look.
        lower: P(Z_k ≤ -b_k, no crossing before), one a look.
    """

    upper: tuple[float, ...]
    lower: tuple[float, ...]

    @property
    def total(self) -> float:
        """P(any boundary is ever crossed)."""
        return math.fsum(self.upper) + math.fsum(self.lower)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """From the paths still open at one look to the boundary of the next."""

    before: float
    nodes: Floats
    mass: Floats
    information: float
    boundary: float

    @property
    def spread(self) -> float:
        return math.sqrt(self.information - self.before)

    def tail(self, boundary: float, *, drift: float = 0.0, upper: bool = True) -> float:
        """P(open before, Z ≥ boundary), or P(open before, Z ≤ boundary), at a drift per I."""
        from scipy.special import ndtr

        distance = self.nodes + drift * self.spread**2 - boundary * math.sqrt(self.information)
        reached = ndtr((distance if upper else -distance) / self.spread)
        if drift:
            weights = np.exp(drift * self.nodes - drift**2 * self.before / 2)
            return float((self.mass * weights) @ reached)
        return float(self.mass @ reached)

    def density(self, points: Floats) -> Floats:
        """Return the sub-density of Z·√I among the paths open before."""
        found = np.empty(len(points))
        block = max(1, _BLOCK // len(self.nodes))
        for start in range(0, len(points), block):
            some = points[start : start + block]
            gaps = (some[:, None] - self.nodes[None, :]) / self.spread
            found[start : start + block] = np.exp(-0.5 * gaps * gaps) @ self.mass
        return found / (self.spread * math.sqrt(2 * math.pi))


_Open = tuple[float, Floats, Floats]
"""Information of a look, nodes, and the mass of open paths on them."""


class Recursion:
    """Two-sided boundaries of looks with independent increments, one look after the other.

    ``exceedance`` asks about the next look, ``record`` fixes its boundary and moves on. A look
    that cannot stop anything is simply never recorded.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        # What the next look was found to start from, kept between asking and recording.
        self._ahead: tuple[float, _Open] | None = None

    def exceedance(self, information: float, boundary: float) -> float:
        """Return P(no crossing before, |Z| ≥ boundary) at the next look, without drift.

        Args:
            information: Of the next look, above that of the look recorded last.
            boundary: b, at least 0.
        """
        return 2 * self._next_step(information, boundary).tail(boundary)

    def solve(self, information: float, spend: float, bracket: tuple[float, float]) -> float:
        """Return b with P(no crossing before, |Z| ≥ b) = spend at the next look.

        Args:
            information: Of the next look.
            spend: Type I error to spend there, above 0.
            bracket: Where b lies.
        """
        from scipy.optimize import brentq

        step = self._next_step(information, bracket[0])
        low, high = bracket
        excess = {b: 2 * step.tail(b) - spend for b in bracket}
        if excess[low] <= 0:
            return low
        if excess[high] >= 0:
            return high
        return float(brentq(lambda b: 2 * step.tail(b) - spend, low, high, xtol=1e-10, rtol=1e-12))

    def record(self, information: float, boundary: float) -> None:
        """Fix the boundary of the next look.

        Args:
            information: Of that look, above that of the look recorded last.
            boundary: b, at least 0.
        """
        self._steps.append(self._next_step(information, boundary))
        self._ahead = None

    def tail(self, z: float, *, drift: float) -> float:
        """Return P(no crossing before the look recorded last, Z there ≥ z).

        Args:
            z: Where the tail begins.
            drift: θ, the mean of Z/√I.
        """
        return self._steps[-1].tail(z, drift=drift)

    def crossings(self, *, drift: float = 0.0) -> Crossings:
        """Return the probabilities of the first crossing at every recorded look.

        Args:
            drift: θ, the mean of Z/√I.
        """
        return Crossings(
            upper=tuple(step.tail(step.boundary, drift=drift) for step in self._steps),
            lower=tuple(
                step.tail(-step.boundary, drift=drift, upper=False) for step in self._steps
            ),
        )

    def _next_step(self, information: float, boundary: float) -> _Step:
        if self._ahead is None or self._ahead[0] != information:
            self._ahead = (information, self._spread_out(information))
        before, nodes, mass = self._ahead[1]
        return _Step(before, nodes, mass, information, boundary)

    def _spread_out(self, information: float) -> _Open:
        """Return the open paths at the look recorded last, on nodes fit for the next one."""
        if not self._steps:
            return 0.0, np.zeros(1), np.ones(1)
        last = self._steps[-1]
        if information <= last.information:
            message = f"information rises from look to look: {information} <= {last.information}"
            raise ValueError(message)
        half = min(last.boundary, _WIDEST) * math.sqrt(last.information)
        width = 1 / math.sqrt(1 / last.spread**2 + 1 / (information - last.information))
        count = math.ceil(math.pi * half / width) + 16
        nodes, weights = _legendre(half, count=min(count, _MOST_NODES))
        return last.information, nodes, weights * last.density(nodes)


def crossing_probabilities(
    information: Sequence[float], boundaries: Sequence[float], *, drift: float = 0.0
) -> Crossings:
    """Return the probabilities of the first crossing at each look, increments independent.

    Args:
        information: I_k, strictly rising; any scale.
        boundaries: b_k, one a look; infinite where nothing is spent.
        drift: θ, the mean of Z_k/√I_k.
    """
    recursion = Recursion()
    for one, boundary in zip(information, boundaries, strict=True):
        recursion.record(one, min(boundary, 40.0))
    return recursion.crossings(drift=drift)


def _legendre(half: float, *, count: int) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes and weights on (-half, half), in panels where many are asked."""
    panels = -(-count // _PANEL_NODES)
    base, weights = _unit_legendre(-(-count // (32 * panels)) * 32)
    width = half / panels
    middles = width * (2 * np.arange(panels) + 1 - panels)
    nodes = (middles[:, None] + width * base[None, :]).ravel()
    return nodes, np.tile(width * weights, panels)


@lru_cache(maxsize=8)
def _unit_legendre(count: int) -> tuple[Floats, Floats]:
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(count)
    return nodes, weights
