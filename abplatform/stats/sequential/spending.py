"""How much of the type I error may have been spent by a given moment of an experiment.

A spending function A(t) rises from 0 at t = 0 to alpha at t = 1, where t is the part of the planned
information that is in; a look at t_k may spend A(t_k) - A(t_{k-1}), whenever it falls.

    obrien_fleming   A(t) = 4 - 4·Φ(z(1 - alpha/4) / √t): next to nothing early, most at the end
    pocock           A(t) = alpha·ln(1 + (e - 1)·t): about evenly

The classical boundaries of equally powerful looks that were planned in advance, b_k = C/√t_k
(O'Brien-Fleming) and b_k = C (Pocock), are offered as the spending that they amount to at the
planned looks, linear in between. At the planned looks they are reproduced exactly, and a look that
falls elsewhere still spends only what is allowed.

References:
    Lan, K. K. G., DeMets, D. L. (1983). Discrete sequential boundaries for clinical trials.
    Biometrika 70(3), 659-663.
    O'Brien, P. C., Fleming, T. R. (1979). A multiple testing procedure for clinical trials.
    Biometrics 35(3), 549-556.
    Pocock, S. J. (1977). Group sequential methods in the design and analysis of clinical trials.
    Biometrika 64(2), 191-199.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from abplatform.stats.sequential.recursion import Crossings, crossing_probabilities

__all__ = ["Spending", "classical_constant", "spend"]

Floats = npt.NDArray[np.float64]


class Spending(StrEnum):
    """Which spending function a plan uses."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"
    CLASSICAL_OBRIEN_FLEMING = "classical_obrien_fleming"
    CLASSICAL_POCOCK = "classical_pocock"


def spend(
    spending: Spending, fraction: npt.ArrayLike, *, alpha: float, planned: Sequence[float]
) -> Floats:
    """Return A(t), the two-sided error that may have been spent by t.

    Args:
        spending: Which function.
        fraction: t, from 0 to 1; any shape.
        alpha: Two-sided error of the whole experiment.
        planned: Fractions of the planned looks, rising to 1; only classical boundaries use them.
    """
    t = np.asarray(fraction, dtype=float)
    if spending is Spending.OBRIEN_FLEMING:
        from scipy.special import ndtr, ndtri

        with np.errstate(divide="ignore"):
            # 4·Φ(-x) is 4 - 4·Φ(x) without its cancellation.
            return np.asarray(4 * ndtr(ndtri(alpha / 4) / np.sqrt(t)))
    if spending is Spending.POCOCK:
        return np.asarray(alpha * np.log1p((math.e - 1) * t))
    steps = (0.0, *planned)
    return np.asarray(np.interp(t, steps, _classical_spend(spending, tuple(planned), alpha)))


def classical_constant(spending: Spending, *, alpha: float, planned: Sequence[float]) -> float:
    """Return C of a classical boundary: b_k = C/√t_k (O'Brien-Fleming) or b_k = C (Pocock).

    Args:
        spending: One of the two classical ones.
        alpha: Two-sided error of all planned looks together.
        planned: Their fractions of information, rising to 1.

    Raises:
        ValueError: The spending is no classical one.
    """
    from scipy.optimize import brentq

    if spending not in (Spending.CLASSICAL_OBRIEN_FLEMING, Spending.CLASSICAL_POCOCK):
        message = f"{spending.value} has no constant; it spends by a function of time"
        raise ValueError(message)
    from scipy.special import ndtri

    # One look alone would need the low end, and Bonferroni's share of alpha the high end.
    low = -float(ndtri(alpha / 2))
    high = -float(ndtri(alpha / (2 * len(planned)))) + 1e-9

    def excess(constant: float) -> float:
        return _cross(spending, constant, planned).total - alpha

    if len(planned) == 1:
        return low
    return float(brentq(excess, low, high, xtol=1e-9))


def _cross(spending: Spending, constant: float, planned: Sequence[float]) -> Crossings:
    flat = spending is Spending.CLASSICAL_POCOCK
    boundaries = [constant if flat else constant / math.sqrt(t) for t in planned]
    return crossing_probabilities(planned, boundaries)


@lru_cache(maxsize=256)
def _classical_spend(
    spending: Spending, planned: tuple[float, ...], alpha: float
) -> tuple[float, ...]:
    constant = classical_constant(spending, alpha=alpha, planned=planned)
    crossings = _cross(spending, constant, planned)
    steps = [up + down for up, down in zip(crossings.upper, crossings.lower, strict=True)]
    spent = [0.0, *np.cumsum(steps).tolist()]
    spent[-1] = alpha
    return tuple(spent)
