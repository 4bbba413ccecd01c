"""The Bayesian view of one lift: how likely is the treatment better, and what would an error cost?

Clustered data: the log-lift's estimate y has variance v by the delta method over units, and with
the prior δ ~ N(0, s²) the posterior is normal,

    δ | y ~ N(w·y, w·v),   w = s²/(s² + v)

Independent impressions: clicks are binomial and rates p ~ Beta(½, ½), Jeffreys' prior, so that
p | k, n ~ Beta(k + ½, n - k + ½), and what follows of two of them is integrated on the logit scale.

The prior s = 0.2 says that 19 lifts in 20 lie between -32 % and +48 %, which is wider than what
creatives do, and lets the data speak: at a standard error of 3 % it takes 2 % off the estimate. The
posterior does not know of stopping rules, of looks or of other categories; no verdict rests on it.

    expected loss of shipping = E[max(0, 1 - e^δ)],  of keeping the control = E[max(0, e^δ - 1)]

both relative to the control's rate.

References:
    Stucchio, C. (2015). Bayesian A/B testing at VWO.
    Deng, A. (2015). Objective Bayesian two sample hypothesis testing for online controlled
    experiments. WWW 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from abplatform.stats.fieller import Interval, RatioContrast, normal_critical_value
from abplatform.stats.undetermined import Undetermined

__all__ = ["LOG_LIFT_SIGMA", "PosteriorLift", "beta_posterior", "normal_posterior"]

Vector = npt.NDArray[np.float64]

LOG_LIFT_SIGMA = 0.2
"""Standard deviation of the normal prior of the log-lift."""

_JEFFREYS = 0.5
_GRID_POINTS = 2001


@dataclass(frozen=True, slots=True)
class PosteriorLift:
    """What is believed of a lift r_t/r_c - 1 after the data.

    Args:
        model: ``normal`` on the log-lift, or ``beta_binomial``.
        p_better: Posterior probability that the treatment is better.
        loss_treatment: Expected relative loss if the treatment is shipped.
        loss_control: Expected relative loss if the control is kept.
        median: Posterior median of the lift.
        credible: Central credible interval of the lift.
    """

    model: Literal["normal", "beta_binomial"]
    p_better: float
    loss_treatment: float
    loss_control: float
    median: float
    credible: Interval


def normal_posterior(
    contrast: RatioContrast,
    *,
    alpha: float = 0.05,
    sigma: float = LOG_LIFT_SIGMA,
    increase: bool = True,
) -> PosteriorLift | Undetermined:
    """Return the posterior of a lift from its estimate by unit.

    Args:
        contrast: Gives the log-lift and its variance.
        alpha: One less the credible interval's level.
        sigma: The prior's standard deviation; infinity for a flat one.
        increase: Whether more is better.

    Raises:
        ValueError: ``sigma`` is not above zero.
    """
    if not sigma > 0:
        message = f"the prior's standard deviation lies above zero, not at {sigma}"
        raise ValueError(message)
    estimate, variance = contrast.log_ratio, contrast.log_ratio_variance
    if isinstance(estimate, Undetermined):
        return estimate
    if isinstance(variance, Undetermined):
        return variance
    weight = 1 / (1 + variance / sigma**2)
    mean, spread = weight * estimate, math.sqrt(weight * variance)
    half = normal_critical_value(alpha) * spread
    below, above = _shortfall(mean, spread), _shortfall(mean, spread) + _mean_gain(mean, spread)
    return PosteriorLift(
        model="normal",
        p_better=_upper_tail(-mean / spread if increase else mean / spread),
        loss_treatment=below if increase else above,
        loss_control=above if increase else below,
        median=math.expm1(mean),
        credible=Interval(math.expm1(mean - half), math.expm1(mean + half)),
    )


def beta_posterior(
    control: tuple[int, int],
    treatment: tuple[int, int],
    *,
    alpha: float = 0.05,
    increase: bool = True,
) -> PosteriorLift | Undetermined:
    """Return the posterior of a lift from independent trials.

    Args:
        control: The control's successes k and trials n.
        treatment: The treatment's.
        alpha: One less the credible interval's level.
        increase: Whether more is better.
    """
    for name, (k, n) in (("control", control), ("treatment", treatment)):
        if not 0 <= k <= n:
            return Undetermined(f"not_a_share: {name} has {k} successes in {n} trials")
        if n == 0:
            return Undetermined(f"no_traffic: {name} has no trials")
    ours, theirs = _Beta.of(*control), _Beta.of(*treatment)
    below, above = ours.mean_above(theirs), theirs.mean_above(ours)
    better = theirs.chance_above(ours, 1.0)
    return PosteriorLift(
        model="beta_binomial",
        p_better=better if increase else 1 - better,
        loss_treatment=(below if increase else above) / ours.mean,
        loss_control=(above if increase else below) / ours.mean,
        median=_ratio_quantile(ours, theirs, 0.5),
        credible=Interval(
            _ratio_quantile(ours, theirs, alpha / 2), _ratio_quantile(ours, theirs, 1 - alpha / 2)
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Beta:
    """A Beta(a, b) distribution with a quadrature of its density on the logit scale.

    Args:
        a: First parameter.
        b: Second parameter.
        x: Points, shape (G,).
        weight: Their probabilities, which sum to one.
    """

    a: float
    b: float
    x: Vector
    weight: Vector

    @classmethod
    def of(cls, k: int, n: int) -> _Beta:
        """Return the posterior under Jeffreys' prior.

        The density of y = logit x is x^a (1 - x)^b up to a factor. With x₀ = a/(a + b) and
        d = y - logit x₀ its logarithm is a·d - (a + b)·log1p(x₀·expm1(d)), in which nothing large
        cancels; the trapezoid rule on it converges faster than any power of the step.
        """
        from scipy.special import expit

        a, b = k + _JEFFREYS, n - k + _JEFFREYS
        middle, scale = a / (a + b), math.sqrt(1 / a + 1 / b)
        # Tails fall like a normal's near the middle and like exp(-a·|d|), exp(-b·d) far from it.
        d = np.linspace(-12 * scale - 45 / a, 12 * scale + 45 / b, _GRID_POINTS)
        # log(1 + x₀·(e^d - 1)) without overflow of e^d.
        tail = np.where(
            d < 1,
            np.log1p(middle * np.expm1(np.minimum(d, 1.0))),
            d + np.log(middle + (1 - middle) * np.exp(-np.maximum(d, 1.0))),
        )
        weight = np.exp(a * d - (a + b) * tail)
        return cls(a, b, expit(d + math.log(a / b)), weight / weight.sum())

    @property
    def mean(self) -> float:
        """The mean."""
        return self.a / (self.a + self.b)

    def chance_above(self, other: _Beta, ratio: float) -> float:
        """P(self > ratio · other)."""
        from scipy.special import betainc

        return float(self.weight @ betainc(other.a, other.b, np.minimum(self.x / ratio, 1.0)))

    def mean_above(self, other: _Beta) -> float:
        """E[max(0, self - other)], integrated over the other."""
        from scipy.special import betaincc

        whole = self.mean * betaincc(self.a + 1, self.b, other.x)
        return float(other.weight @ (whole - other.x * betaincc(self.a, self.b, other.x)))


def _ratio_quantile(control: _Beta, treatment: _Beta, level: float) -> float:
    """Return q with P(p_t/p_c - 1 ≤ q) = level."""
    from scipy.optimize import brentq

    def excess(log_ratio: float) -> float:
        return 1 - level - treatment.chance_above(control, math.exp(log_ratio))

    start = math.log(treatment.mean / control.mean)
    reach = 1 / math.sqrt(control.a) + 1 / math.sqrt(treatment.a)
    low, high = start - reach, start + reach
    while excess(low) > 0:
        low -= 2 * (high - low)
    while excess(high) < 0:
        high += 2 * (high - low)
    return math.expm1(float(brentq(excess, low, high, xtol=1e-12)))


def _shortfall(mean: float, spread: float) -> float:
    """E[max(0, 1 - e^δ)] for a normal δ."""
    above = mean / spread
    return _upper_tail(above) - math.exp(mean + spread**2 / 2) * _upper_tail(above + spread)


def _mean_gain(mean: float, spread: float) -> float:
    """E[e^δ - 1] for a normal δ."""
    return math.expm1(mean + spread**2 / 2)


def _upper_tail(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2
