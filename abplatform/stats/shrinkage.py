"""Lifts of many categories pulled towards their common mean: raw winners are mostly luck.

    y ~ N(θ, V)        log-ratios of C categories, steadied joint covariance
    θ_c ~ N(μ, τ²)     flat μ

**τ²** is Paule and Mandel's: the root of Q(τ²) = C - 1, where Q is the generalised sum of squares
(y - μ̂·1)'(V + τ²I)⁻¹(y - μ̂·1) and μ̂ the generalised least-squares mean; 0 where Q(0) ≤ C - 1. Q
falls in τ², so that the root is unique; with a diagonal V it is the textbook estimate.

**Shrunken lift**: the posterior mean E(θ_c | y, τ²) at that τ².

**Interval**: normal around it with the second moment of the posterior in which τ is not known: its
restricted likelihood (μ integrated out) times a half-normal prior of scale 0.25, on a grid,

    s_c² = Σ_g w_g·(Var(θ_c | y, τ_g) + (E(θ_c | y, τ_g) - E(θ_c | y, τ²))²)

Var(θ_c | y, τ) counts the uncertainty of μ̂. A plug-in τ² alone is 0 half of the time where the
spread is small, and its intervals are then far too narrow.

References:
    Paule, R. C., Mandel, J. (1982). Consensus values and weighting factors. J. Res. NBS 87(5).
    Morris, C. N. (1983). Parametric empirical Bayes inference. JASA 78(381), 47-55.
    Kass, R. E., Steffey, D. (1989). Approximate Bayesian inference in conditionally independent
    hierarchical models. JASA 84(407), 717-726.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.joint import JointLifts, steady_covariance
from abplatform.stats.meta import solve_tau2
from abplatform.stats.ratio import Undetermined, normal_critical_value

__all__ = ["TAU_SCALE", "ShrunkenLifts", "paule_mandel", "shrink"]

Vector = npt.NDArray[np.float64]

TAU_SCALE = 0.25
"""Scale of the half-normal prior of τ, the spread of log-lifts among categories."""

_GRID_POINTS = 64
_GRID_END = 4 * TAU_SCALE
_LEAST_VARIANCE = 1e-12
"""Eigenvalues of V below this share of the largest are raised to it: V may be singular."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrunkenLifts:
    """Posterior of every category's lift.

    Args:
        names: The categories, as in the input.
        tau2: τ², the variance of the true log-lifts among categories.
        mean: μ̂, the log-lift towards which they are pulled.
        lift: exp(E θ) - 1, shape (C,).
        low: Lower end of the posterior interval of the relative lift, shape (C,).
        high: Upper end, shape (C,).
        p_positive: P(θ > 0), shape (C,).
    """

    names: tuple[str, ...]
    tau2: float
    mean: float
    lift: Vector
    low: Vector
    high: Vector
    p_positive: Vector


def shrink(joint: JointLifts, *, alpha: float = 0.05) -> ShrunkenLifts | Undetermined:
    """Pull the log-ratios of many categories towards their common mean.

    Args:
        joint: The categories; at least two.
        alpha: The posterior probability outside the interval.
    """
    from scipy.special import ndtr

    if len(joint.names) < 2:
        return Undetermined("one_category: a single category has no others to be pulled towards")
    model = _Rotated.of(joint)
    if model is None:
        return Undetermined("no_variance: every unit has the same rates")
    tau2 = model.tau2
    at_root = model.at(np.array([tau2]))
    grid = _grid()
    over_grid = model.at(grid**2)
    weight = np.exp(over_grid.log_likelihood - over_grid.log_likelihood.max())
    weight *= np.sqrt(grid) * np.exp(-0.5 * (grid / TAU_SCALE) ** 2)
    weight /= weight.sum()
    center = at_root.mean[0]
    second = over_grid.variance + (over_grid.mean - center) ** 2
    deviation = np.sqrt(weight @ second)
    half = normal_critical_value(alpha) * deviation
    return ShrunkenLifts(
        names=joint.names,
        tau2=tau2,
        mean=float(at_root.common[0]),
        lift=np.expm1(center),
        low=np.expm1(center - half),
        high=np.expm1(center + half),
        p_positive=ndtr(center / deviation),
    )


def paule_mandel(joint: JointLifts) -> float | Undetermined:
    """Return τ², the variance of true log-lifts among categories, truncated at zero.

    Args:
        joint: The categories; at least two.
    """
    if len(joint.names) < 2:
        return Undetermined("one_category: a single category shows no spread among categories")
    model = _Rotated.of(joint)
    if model is None:
        return Undetermined("no_variance: every unit has the same rates")
    return model.tau2


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """At G values of τ²: restricted log-likelihood, μ̂, and E and Var of every θ."""

    log_likelihood: Vector  # (G,)
    common: Vector  # (G,)
    mean: Vector  # (G, C)
    variance: Vector  # (G, C)


@dataclass(frozen=True, slots=True, eq=False)
class _Rotated:
    """y and 1 in the eigenvectors of V, where V + τ²I is diagonal for every τ²."""

    values: Vector  # (C,)
    vectors: Vector  # (C, C)
    y: Vector  # (C,), as given
    turned: Vector  # (C,), E'y
    ones: Vector  # (C,), E'1

    @classmethod
    def of(cls, joint: JointLifts) -> _Rotated | None:
        values, vectors = np.linalg.eigh(steady_covariance(joint))
        largest = float(values.max())
        if largest <= 0:
            return None
        y = joint.log_lifts
        values = np.maximum(values, _LEAST_VARIANCE * largest)
        return cls(values, vectors, y, vectors.T @ y, vectors.sum(axis=0))

    @property
    def tau2(self) -> float:
        """Paule and Mandel's τ², of estimates divided by their own errors."""
        deviation = np.sqrt(self.values)
        ones = (self.ones / deviation)[:, None]
        return solve_tau2(self.turned / deviation, ones, 1 / self.values)

    def at(self, tau2: Vector) -> _Posterior:
        precision = 1 / (self.values + tau2[:, None])  # (G, C)
        mass = precision @ self.ones**2  # (G,)
        common = precision @ (self.ones * self.turned) / mass
        residual = self.turned - common[:, None] * self.ones
        misfit = (precision * residual**2).sum(axis=1)
        log_likelihood = 0.5 * (np.log(precision).sum(axis=1) - np.log(mass) - misfit)
        # θ̂ = y - V(V + τ²I)⁻¹(y - μ̂1), and what is lost by not knowing μ.
        kept = self.values * precision
        mean = self.y - (kept * residual) @ self.vectors.T
        loose = (kept * self.ones) @ self.vectors.T
        inside = (tau2[:, None] * kept) @ (self.vectors.T**2)
        variance = inside + loose**2 / mass[:, None]
        return _Posterior(log_likelihood, common, mean, variance)


def _grid() -> Vector:
    """Return G midpoints of τ, dense near zero: the square of an even grid."""
    u = (np.arange(_GRID_POINTS) + 0.5) / _GRID_POINTS
    tau: Vector = _GRID_END * u**2
    return tau
