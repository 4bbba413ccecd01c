"""Confidence sequences of a log ratio: valid whenever, and however often, one looks.

With the estimate θ̂ of a log ratio and its information I = 1/variance, the asymptotic confidence
sequence mixes the likelihood ratio against θ over a normal with variance τ²; with z = (θ̂ - θ)·√I
and x = I·τ² the e-value against θ is

    e(θ) = (1 + x)^(-1/2) · exp(z²/2 · x/(1 + x))

Under θ it is, in the limit of many units, a martingale that starts at 1, so by Ville's inequality
it ever reaches 1/alpha with probability at most alpha. {θ : e(θ) < 1/alpha} is the interval and
1/e(0) the p-value.

τ² is tuned so that the interval is narrowest at a planned information I*. The width is least where
x = ln(1 + x) + 2·ln(1/alpha), which Lambert's W solves exactly (Waudby-Smith et al. give this
besides an approximation):

    τ² = (-W₋₁(-alpha²/e) - 1) / I*

A one-sided bound mixes over the positive half of the normal only (Howard et al., one-sided normal
mixture):

    e⁺(θ) = 2·(1 + x)^(-1/2) · exp(z²/2 · x/(1 + x)) · Φ(z·√(x/(1 + x)))

The limit needs many units with an event: a sequence begins at 100 in each variant.

References:
    Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H., Ramdas, A. (2021). Time-uniform
    central limit theory and asymptotic confidence sequences. arXiv:2103.06476.
    Howard, S. R., Ramdas, A., McAuliffe, J., Sekhon, J. (2021). Time-uniform, nonparametric,
    nonasymptotic confidence sequences. Annals of Statistics 49(2), 1055-1080.
    Johari, R., Koomen, P., Pekelis, L., Walsh, D. (2022). Always valid inference: continuous
    monitoring of A/B tests. Operations Research 70(3), 1806-1821.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import Interval, RatioContrast, Undetermined

__all__ = [
    "ANYTIME_EVENT_UNITS",
    "AnytimeView",
    "anytime_bound",
    "anytime_critical_value",
    "effect_e_value",
    "mixture_variance",
    "monitor",
    "one_sided_critical_value",
    "one_sided_log_e",
    "two_sided_log_e",
]

Floats = npt.NDArray[np.float64]

ANYTIME_EVENT_UNITS = 100
"""Below this many units with an event in a variant the sequence has not begun."""

_LARGEST = math.log(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class AnytimeView:
    """What the confidence sequence says at one moment.

    Args:
        relative: Interval of the relative lift.
        e_value: Evidence against no difference; 1.8e308 where it overflows.
        p_value: min(1, 1/e), valid at every moment; 2.2e-308 where it underflows.
        log10_e: Decimal logarithm of the e-value, exact also where it overflows.
    """

    relative: Interval
    e_value: float
    p_value: float
    log10_e: float


def mixture_variance(*, alpha: float, information: float, one_sided: bool = False) -> float:
    """Return τ², at which the interval is narrowest at the planned information.

    Args:
        alpha: Error of the sequence.
        information: I*, 1/variance of the log ratio in the planned sample.
        one_sided: Whether it is for one bound; that is tuned at 2·alpha, of which it is the half.

    Raises:
        ValueError: A number is out of range.
    """
    from scipy.special import lambertw

    level = 2 * alpha if one_sided else alpha
    # Below 1e-150 the square of a level is no float any more.
    if not (1e-150 < level < 1 and 0 < information < math.inf):
        message = f"no mixture for alpha {alpha} at information {information}"
        raise ValueError(message)
    x = -float(lambertw(-(level**2) / math.e, k=-1).real) - 1
    return x / information


def two_sided_log_e(z: float, *, x: float) -> float:
    """Return ln e of the two-sided mixture.

    Args:
        z: Distance of the estimate from the tested value, in standard errors.
        x: I·τ².
    """
    return 0.5 * (z * z * x / (1 + x) - math.log1p(x))


def one_sided_log_e(z: float, *, x: float) -> float:
    """Return ln e⁺ against all values at or below the tested one.

    Args:
        z: Distance of the estimate above the tested value, in standard errors.
        x: I·τ².
    """
    from scipy.special import log_ndtr

    tail = float(log_ndtr(z * math.sqrt(x / (1 + x))))
    return math.log(2) + two_sided_log_e(z, x=x) + tail


def effect_e_value(p_value: float, *, se: float, spread: float) -> float:
    """Return the e-value of no effect, for an effect on the log scale that is read every day.

    The z behind the p-value counts, so that a reference with heavier tails than the normal carries
    over.

    Args:
        p_value: Two-sided, of a fixed horizon, above 0.
        se: The effect's standard error.
        spread: Standard deviation of the effects that are looked for, fixed before any look.
    """
    from scipy.special import ndtri

    log_e = two_sided_log_e(-float(ndtri(p_value / 2)), x=(spread / se) ** 2)
    return math.exp(min(log_e, _LARGEST))


def anytime_critical_value(*, alpha: float, x: npt.ArrayLike) -> Floats:
    """Return the |z| at which the two-sided e-value reaches 1/alpha.

    Args:
        alpha: Error of the sequence.
        x: I·τ², above 0; any shape.
    """
    share = np.asarray(x, dtype=float)
    found: Floats = np.sqrt((1 + share) / share * (np.log1p(share) - 2 * math.log(alpha)))
    return found


def one_sided_critical_value(*, alpha: float, x: float) -> float:
    """Return the z at which the one-sided e-value reaches 1/alpha.

    Args:
        alpha: Error of the bound.
        x: I·τ², above 0.
    """
    from scipy.optimize import brentq

    # 2·e·Φ lies above e from z = 0 on, so the two-sided critical value is too far out.
    far = float(anytime_critical_value(alpha=alpha, x=x))
    return float(brentq(lambda z: one_sided_log_e(z, x=x) + math.log(alpha), 0.0, far, xtol=1e-12))


def monitor(
    contrast: RatioContrast | Undetermined, *, event_units: int, alpha: float, tau2: float
) -> AnytimeView | Undetermined:
    """Return what the confidence sequence of one contrast says now.

    Args:
        contrast: Treatment against control, everything since start.
        event_units: Units with an event in the variant that has fewer.
        alpha: Error of the sequence.
        tau2: Variance of the mixture, fixed before the first look.
    """
    scaled = _scale(contrast, event_units)
    if isinstance(scaled, Undetermined):
        return scaled
    estimate, information = scaled
    z, x = estimate * math.sqrt(information), information * tau2
    log_e = two_sided_log_e(z, x=x)
    half = float(anytime_critical_value(alpha=alpha, x=x)) / math.sqrt(information)
    return AnytimeView(
        relative=Interval(_lift(estimate - half), _lift(estimate + half)),
        e_value=math.exp(min(log_e, _LARGEST)),
        p_value=max(math.exp(min(0.0, -log_e)), sys.float_info.min),
        log10_e=log_e / math.log(10),
    )


def anytime_bound(
    contrast: RatioContrast | Undetermined,
    *,
    event_units: int,
    alpha: float,
    tau2: float,
    side: Literal["low", "high"],
) -> float | Undetermined:
    """Return a one-sided bound of the relative lift that holds at all times at once.

    Args:
        contrast: Treatment against control, everything since start.
        event_units: Units with an event in the variant that has fewer.
        alpha: Error of this bound alone, such as 0.025 over the number of guardrails.
        tau2: Variance of the mixture, tuned with ``one_sided=True``.
        side: ``low``: the lift is above it; ``high``: the lift is below it.
    """
    scaled = _scale(contrast, event_units)
    if isinstance(scaled, Undetermined):
        return scaled
    estimate, information = scaled
    critical = one_sided_critical_value(alpha=alpha, x=information * tau2)
    half = critical / math.sqrt(information)
    return _lift(estimate - half if side == "low" else estimate + half)


def _scale(
    contrast: RatioContrast | Undetermined, event_units: int
) -> tuple[float, float] | Undetermined:
    """Return the log ratio and its information."""
    if isinstance(contrast, Undetermined):
        return contrast
    if event_units < ANYTIME_EVENT_UNITS:
        return Undetermined(
            f"sequence_not_begun: {event_units} units with an event in a variant, "
            f"{ANYTIME_EVENT_UNITS} are needed"
        )
    estimate, variance = contrast.log_ratio, contrast.log_ratio_variance
    if isinstance(estimate, Undetermined):
        return estimate
    if isinstance(variance, Undetermined):
        return variance
    if variance <= 0:
        return Undetermined("no_variance: the log ratio shows no variance")
    return estimate, 1 / variance


def _lift(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, _LARGEST))
