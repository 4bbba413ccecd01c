"""The confidence sequence against integrals, minimisation and simulated random walks."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import ndtr
from scipy.stats import norm

from abplatform.stats.anytime import (
    AnytimeView,
    anytime_bound,
    anytime_critical_value,
    effect_e_value,
    mixture_variance,
    monitor,
    one_sided_critical_value,
    one_sided_log_e,
    two_sided_log_e,
)
from abplatform.stats.fieller import RateEstimate, compare_rates
from abplatform.stats.ratio import Undetermined

CASES = [(z, x) for z in (-3.0, -0.4, 0.0, 1.0, 2.5, 6.0) for x in (0.05, 1.0, 8.6, 300.0)]


def contrast_of(log_ratio, information, rate=0.05):
    """Two rates with this log ratio, each with half of its variance."""
    treatment = rate * math.exp(log_ratio)
    half = 1 / (2 * information)
    return compare_rates(
        RateEstimate(rate, half * rate**2), RateEstimate(treatment, half * treatment**2)
    )


@pytest.mark.parametrize(("z", "x"), CASES)
def test_e_values_are_mixed_likelihood_ratios(z, x):
    """Both e-values equal the likelihood ratio integrated over the normal, or its upper half."""
    information, tau = 7.0, math.sqrt(x / 7.0)
    score = z * math.sqrt(information)

    def ratio(theta):
        return math.exp(theta * score - theta**2 * information / 2) * norm.pdf(theta, scale=tau)

    middle = score / (information + 1 / tau**2)
    width = 1 / math.sqrt(information + 1 / tau**2)
    upper = quad(ratio, max(0.0, middle - 12 * width), max(0.0, middle) + 12 * width)[0]
    whole = quad(ratio, middle - 12 * width, middle + 12 * width, points=[middle])[0]
    assert math.exp(two_sided_log_e(z, x=x)) == pytest.approx(whole, rel=1e-8)
    assert math.exp(one_sided_log_e(z, x=x)) == pytest.approx(2 * upper, rel=1e-8)


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.01, 0.05 / 7])
@pytest.mark.parametrize("x", [0.01, 1.0, 8.6, 500.0])
def test_critical_values_are_where_e_reaches_one_over_alpha(alpha, x):
    """At the critical z the e-value is exactly 1/alpha, for one side and for two."""
    two = float(anytime_critical_value(alpha=alpha, x=x))
    assert two_sided_log_e(two, x=x) == pytest.approx(-math.log(alpha), rel=1e-12)
    one = one_sided_critical_value(alpha=alpha, x=x)
    assert one_sided_log_e(one, x=x) == pytest.approx(-math.log(alpha), rel=1e-9)
    assert 0 < one < two


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
@pytest.mark.parametrize("information", [40.0, 1300.0, 1e9])
def test_the_sequence_is_narrowest_at_the_planned_sample(alpha, information):
    """No other variance of the mixture, found by minimisation, gives a narrower interval there."""

    def width(log_tau2):
        return float(anytime_critical_value(alpha=alpha, x=information * math.exp(log_tau2)))

    best = minimize_scalar(width, bracket=(-math.log(information), 4 - math.log(information)))
    found = mixture_variance(alpha=alpha, information=information)
    assert math.log(found) == pytest.approx(best.x, abs=1e-4)
    assert width(math.log(found)) <= best.fun + 1e-12


def test_the_exact_tuning_is_near_the_published_approximation():
    """Waudby-Smith et al.'s closed form for rho at t* differs by a few percent, and is wider."""
    alpha, planned = 0.05, 1000.0
    rough = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / planned
    exact = mixture_variance(alpha=alpha, information=planned)
    assert exact == pytest.approx(rough, rel=0.1)
    assert anytime_critical_value(alpha=alpha, x=exact * planned) <= anytime_critical_value(
        alpha=alpha, x=rough * planned
    )


@pytest.mark.parametrize("t", [10, 1000, 100_000])
def test_the_interval_is_the_published_one(t):
    """The half width is that of Waudby-Smith et al. (2021), theorem 2.2, at rho = tau/sigma."""
    alpha, rho, sigma = 0.05, 0.09, 3.0
    published = sigma * math.sqrt(
        2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / alpha)
    )
    information, tau2 = t / sigma**2, (rho * sigma) ** 2
    ours = anytime_critical_value(alpha=alpha, x=information * tau2) / math.sqrt(information)
    assert float(ours) == pytest.approx(published, rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-0.6, 0.6),
    st.floats(30, 5000),
    st.sampled_from([0.05, 0.025, 0.01]),
    st.floats(0.01, 0.3),
)
def test_interval_e_value_and_p_value_never_disagree(log_ratio, information, alpha, mde):
    """Zero is outside the interval exactly when e reaches 1/alpha and p = 1/e is at most alpha."""
    tau2 = mixture_variance(alpha=alpha, information=7.85 / math.log1p(mde) ** 2)
    view = monitor(contrast_of(log_ratio, information), event_units=100, alpha=alpha, tau2=tau2)
    outside = not view.relative.low <= 0 <= view.relative.high
    assert outside == (view.e_value > 1 / alpha) == (view.p_value < alpha)
    assert view.relative.low < math.expm1(log_ratio) < view.relative.high
    assert view.p_value == pytest.approx(min(1.0, 1 / view.e_value))


@pytest.mark.parametrize("looks", [28, 2000])
def test_no_walk_without_drift_is_rejected_too_often(looks):
    """Of 20,000 random walks at most 5 % ever reach 1/alpha, also at the one-sided bounds."""
    rng, runs, alpha = np.random.default_rng(3), 20_000, 0.05
    tau2 = mixture_variance(alpha=alpha, information=1.0)
    half_tau2 = mixture_variance(alpha=alpha / 2, information=1.0, one_sided=True)
    information = np.arange(1, looks + 1) * (2.0 / looks)
    both = anytime_critical_value(alpha=alpha, x=information * tau2)
    upper = [one_sided_critical_value(alpha=alpha / 2, x=i * half_tau2) for i in information]
    position, ever, harmed = np.zeros(runs), np.zeros(runs, bool), np.zeros(runs, bool)
    for k, now in enumerate(information):
        position += rng.standard_normal(runs) * math.sqrt(information[0])
        z = position / math.sqrt(now)
        ever |= np.abs(z) >= both[k]
        harmed |= z >= upper[k]
    assert 0.005 < ever.mean() <= alpha
    assert 0.002 < harmed.mean() <= alpha / 2


def test_a_one_sided_bound_is_nearer_than_the_two_sided_one():
    """At the same error a bound alone excludes more than the interval's end does."""
    contrast = contrast_of(-0.05, 900)
    two = mixture_variance(alpha=0.025, information=1000)
    one = mixture_variance(alpha=0.025, information=1000, one_sided=True)
    interval = monitor(contrast, event_units=400, alpha=0.025, tau2=two).relative
    low = anytime_bound(contrast, event_units=400, alpha=0.025, tau2=one, side="low")
    high = anytime_bound(contrast, event_units=400, alpha=0.025, tau2=one, side="high")
    assert interval.low < low < math.expm1(-0.05) < high < interval.high


def test_the_sequence_begins_at_a_hundred_units():
    """With 99 clicking units there is a reason instead of a number; with 100 there is a number."""
    contrast = contrast_of(0.1, 50)
    few = monitor(contrast, event_units=99, alpha=0.05, tau2=0.01)
    assert isinstance(few, Undetermined)
    assert few.code == "sequence_not_begun"
    assert isinstance(monitor(contrast, event_units=100, alpha=0.05, tau2=0.01), AnytimeView)
    bound = anytime_bound(contrast, event_units=3, alpha=0.05, tau2=0.01, side="low")
    assert bound.code == "sequence_not_begun"


def test_what_has_no_logarithm_has_no_sequence():
    """A rate of zero or below, and a contrast that is undetermined, pass on their reason."""
    negative = compare_rates(RateEstimate(-0.2, 1e-4), RateEstimate(0.1, 1e-4))
    assert monitor(negative, event_units=500, alpha=0.05, tau2=0.01).code == "no_positive_rate"
    reason = Undetermined("no_traffic: control has no units")
    assert monitor(reason, event_units=500, alpha=0.05, tau2=0.01) is reason


@pytest.mark.parametrize("z", [40.0, 1e3, 1e6])
def test_overwhelming_evidence_stays_finite(z):
    """Beyond 1e308 the e-value and p stop at the ends of floats while log10_e goes on."""
    view = monitor(contrast_of(z / 1e7, 1e14), event_units=10**9, alpha=0.05, tau2=0.01)
    assert all(map(math.isfinite, (view.e_value, view.p_value, view.log10_e)))
    assert view.p_value > 0
    expected = two_sided_log_e(z, x=1e12) / math.log(10)
    assert view.log10_e == pytest.approx(expected, rel=1e-6)
    far = anytime_bound(
        contrast_of(z / 1e7, 1e14), event_units=10**9, alpha=0.025 / 40, tau2=0.01, side="low"
    )
    assert math.isfinite(far)


@pytest.mark.parametrize(("alpha", "information"), [(0, 1), (1, 1), (0.05, 0), (0.05, math.inf)])
def test_impossible_tunings_are_refused(alpha, information):
    """An error rate or an information that cannot be is a ValueError."""
    with pytest.raises(ValueError, match="no mixture"):
        mixture_variance(alpha=alpha, information=information)


def test_an_effect_read_every_day_is_rarely_called():
    """Over 28 daily readings of no effect, the e-value reaches 20 in at most one run of 20."""
    draw = np.random.default_rng(20261122)
    steps = np.cumsum(draw.normal(size=(4000, 28)), axis=1)
    information = 200.0 * np.arange(1, 29)
    z = steps / np.sqrt(np.arange(1, 29))
    p_values = 2 * ndtr(-np.abs(z))
    ever = sum(
        any(
            effect_e_value(float(p), se=float(one**-0.5), spread=0.1) >= 20
            for p, one in zip(run, information, strict=True)
        )
        for run in p_values
    )
    naive = (p_values < 0.05).any(axis=1).mean()
    assert ever / 4000 <= 0.05
    assert naive > 0.15


def test_an_effects_e_value_is_that_of_its_z():
    """From a normal p-value comes the mixture's e-value; an underflowing p stays finite."""
    for z in (0.3, 1.96, 4.0, 8.0):
        found = effect_e_value(float(2 * ndtr(-z)), se=0.05, spread=0.1)
        assert math.log(found) == pytest.approx(two_sided_log_e(z, x=4.0), rel=1e-9)
    assert math.isfinite(effect_e_value(sys.float_info.min, se=1e-9, spread=0.1))
