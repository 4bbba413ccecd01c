"""Several treatments against one control: they share the control's error.

With the control's variance v_c and a treatment's v_j, the z of treatments i and j correlate by

    corr_ij = λ_i·λ_j,   λ_j = √(v_c / (v_c + v_j))

so that given the control's own standardised error u they are independent, and

    P(max_j |Z_j| > c) = ∫ φ(u)·{1 - Π_j [Φ((c - λ_j·u)/s_j) - Φ((-c - λ_j·u)/s_j)]} du,
    s_j = √(1 - λ_j²)

One integral over u serves any number of treatments, allocations and variances. It is taken in
logarithms, panel by panel, so that p-values of 1e-300 keep their digits.

Single-step adjusted p: P(max_j |Z_j| > |z_i|). Simultaneous intervals: Fieller's, with the critical
value c at which the probability is alpha. Large samples are assumed (normal, not t).

References:
    Dunnett, C. W. (1955). A multiple comparison procedure for comparing several treatments with a
    control. JASA 50(272), 1096-1121.
    Hsu, J. C. (1996). Multiple Comparisons: Theory and Methods. Chapman & Hall, section 3.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import Undetermined, normal_critical_value

__all__ = ["JointTest", "compare_with_control", "joint_critical_value", "log_tail"]

Vector = npt.NDArray[np.float64]

_NODES = 16
_PANEL = 1.0
_REACH = 9.5
"""The integral reaches at least this far: φ is 1e-20 there."""

_BEYOND = 6.0
"""And at least this far beyond c, from where the rest is 1e-8 of what is at c, or less."""


@dataclass(frozen=True, slots=True)
class JointTest:
    """Several treatments against a shared control, judged together.

    Args:
        shared: λ_j of the treatments that have a z.
        family_alpha: Error rate of the family.
        p_adjusted: One per treatment in the order given; None where there was no z.
        log10_p: Their decimal logarithms, exact also where p underflows.
    """

    shared: tuple[float, ...]
    family_alpha: float
    p_adjusted: tuple[float | None, ...]
    log10_p: tuple[float | None, ...]

    @property
    def critical_value(self) -> float:
        """The c with P(max_j |Z_j| > c) = family_alpha: hand it to the Fieller interval."""
        return joint_critical_value(self.shared, alpha=self.family_alpha)

    @property
    def alpha(self) -> float:
        """The two-sided error rate of one interval that has this critical value."""
        return math.erfc(self.critical_value / math.sqrt(2))


def compare_with_control(
    z: Sequence[float | None],
    variances: Sequence[float],
    *,
    control_variance: float,
    alpha: float = 0.05,
) -> JointTest | Undetermined:
    """Judge several treatments that share a control.

    Args:
        z: (r_j - r_c)/√(v_j + v_c), one per treatment; None where it could not be computed, which
            is then in no family.
        variances: v_j, the variance of each treatment's rate; ignored where z is None.
        control_variance: v_c.
        alpha: Error rate of the family.

    Returns:
        The test, or why there is none.

    Raises:
        ValueError: A variance is negative or not finite, or the lengths differ.
    """
    known = [place for place, value in enumerate(z) if value is not None]
    shared = _loadings(
        [v for v, one in zip(variances, z, strict=True) if one is not None], control_variance
    )
    if not known:
        return Undetermined("no_contrast: no treatment could be compared with the control")
    logs = {place: log_tail(abs(z[place] or 0.0), shared) for place in known}
    return JointTest(
        shared=tuple(shared),
        family_alpha=alpha,
        p_adjusted=tuple(
            max(math.exp(logs[place]), sys.float_info.min) if place in logs else None
            for place in range(len(z))
        ),
        log10_p=tuple(
            logs[place] / math.log(10) if place in logs else None for place in range(len(z))
        ),
    )


def joint_critical_value(shared: Sequence[float], *, alpha: float) -> float:
    """Return c with P(max_j |Z_j| > c) = alpha.

    Args:
        shared: λ_j, each treatment's correlation with the control's error, 0 … 1.
        alpha: Error rate of the family.
    """
    from scipy.optimize import brentq

    least, most = normal_critical_value(alpha), normal_critical_value(alpha / len(shared))
    if len(shared) == 1 or log_tail(least, shared) <= math.log(alpha):
        return least
    wanted = math.log(alpha)
    return float(brentq(lambda c: log_tail(c, shared) - wanted, least, most + 1e-9, xtol=1e-10))


def log_tail(c: float, shared: Sequence[float]) -> float:
    """Return log P(max_j |Z_j| > c) for Z_j with correlations λ_i·λ_j.

    Args:
        c: The critical value, not negative.
        shared: λ_j, 0 … 1. Where several are 1, these treatments have one and the same z.
    """
    return _log_tail(c, tuple(shared))


# A scorecard asks for the same tail when it judges and again when it corrects winners.
@lru_cache(maxsize=1024)
def _log_tail(c: float, shared: tuple[float, ...]) -> float:
    from scipy.special import log_ndtr

    # Treatments without an error of their own share one z, which is -u itself: one of them counts.
    exact = [value for value in shared if value >= 1 - 1e-12]
    inner = np.array([value for value in shared if value < 1 - 1e-12])
    if not len(inner):
        return _log_two_sided(c)
    if len(inner) + min(len(exact), 1) == 1:
        return _log_two_sided(c)
    own = np.sqrt(1 - inner**2)
    u, step = _nodes(c, inner, own)
    log_density = -0.5 * u**2 - 0.5 * math.log(2 * math.pi) + np.log(step)
    above = log_ndtr(-(c - inner * u[:, None]) / own)
    below = log_ndtr(-(c + inner * u[:, None]) / own)
    outside = _log_any(np.logaddexp(above, below))
    if exact:
        outside = np.where(np.abs(u) > c, 0.0, outside)
    return min(float(np.logaddexp.reduce(log_density + outside)), 0.0)


def _loadings(variances: Sequence[float], control_variance: float) -> list[float]:
    values = [control_variance, *variances]
    if not all(math.isfinite(v) and v >= 0 for v in values):
        message = f"variances are finite and not negative: {values}"
        raise ValueError(message)
    return [
        math.sqrt(control_variance / (control_variance + v)) if control_variance + v > 0 else 0.0
        for v in variances
    ]


def _log_two_sided(c: float) -> float:
    from scipy.special import log_ndtr

    return min(float(math.log(2) + log_ndtr(-c)), 0.0)


def _log_any(log_tails: Vector) -> Vector:
    """Return log(1 - Π(1 - q_j)) from log q_j, shape (U, m), without losing small q."""
    capped = np.minimum(log_tails, 0.0)
    union: Vector = np.logaddexp.reduce(capped, axis=1)
    # Below this the product's cross terms are lost in rounding and the sum is exact.
    large = union > math.log(1e-17)
    with np.errstate(divide="ignore"):
        inside = np.log1p(-np.exp(capped[large])).sum(axis=1)
    union[large] = np.log(-np.expm1(inside))
    return np.minimum(union, 0.0)


@cache
def _gauss_legendre() -> tuple[Vector, Vector]:
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    return points, weights


def _nodes(c: float, shared: Vector, own: Vector) -> tuple[Vector, Vector]:
    """Return Gauss-Legendre nodes and weights over panels that are fine where the integrand bends.

    It bends at u = ±c/λ_j over a width of s_j/λ_j, and at ±c where a treatment has no own error.
    """
    end = max(_REACH, c + _BEYOND)
    edges = [*np.arange(-end, end, _PANEL), end, -c, c]
    offsets = np.array([-8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8])
    for load, rest in zip(shared, own, strict=True):
        # A wider bend is no finer than a panel.
        if rest < 0.5 * load:
            for sign in (-1, 1):
                edges += list(sign * c / load + offsets * rest / load)
    cuts = np.unique(np.clip(edges, -end, end))
    width = np.diff(cuts)
    cuts, width = cuts[:-1][width > 0], width[width > 0]
    points, weights = _gauss_legendre()
    u = cuts[:, None] + 0.5 * width[:, None] * (points + 1)
    return u.ravel(), (0.5 * width[:, None] * weights).ravel()
