"""Ratios by unit against explicit formulas, regression with robust errors and root finding."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from abplatform.stats.ratio import (
    Interval,
    RatioContrast,
    RatioSums,
    Undetermined,
    contrast,
    normal_critical_value,
    rate_interval,
    relative_interval,
)


def draw_units(seed, units=400, rate=0.06, spread=0.7):
    rng = np.random.default_rng(seed)
    n = rng.geometric(0.15, units)
    taste = rng.lognormal(-(spread**2) / 2, spread, units)
    k = rng.binomial(n, np.minimum(rate * taste, 1))
    return n.tolist(), k.tolist()


def slow_variance(n, k):
    n, k = np.asarray(n, float), np.asarray(k, float)
    size, rate = len(n), k.sum() / n.sum()
    return size / (size - 1) * ((k - rate * n) ** 2).sum() / n.sum() ** 2


@pytest.mark.parametrize("seed", range(24))
def test_variance_is_the_delta_method_over_units(seed):
    """The variance from five integer sums equals the formula over the units one by one."""
    n, k = draw_units(seed, units=20 + 30 * seed)
    assert RatioSums.of_units(n, k).variance == pytest.approx(slow_variance(n, k), rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_test_statistic_is_that_of_a_clustered_regression(seed):
    """Z agrees with statsmodels: clicks on variant, weighted by impressions, clustered by unit."""
    import statsmodels.api as sm

    control, treatment = draw_units(seed), draw_units(seed + 100, rate=0.07)
    result = contrast(RatioSums.of_units(*control), RatioSums.of_units(*treatment), share=True)
    n = np.array(control[0] + treatment[0], float)
    k = np.array(control[1] + treatment[1], float)
    treated = np.repeat([0.0, 1.0], [len(control[0]), len(treatment[0])])
    fit = sm.WLS(k / n, sm.add_constant(treated), weights=n).fit(cov_type="HC0")
    # HC0 is the same sandwich without the factor U/(U - 1) of each variant.
    bare = sum(
        slow_variance(*one) * (len(one[0]) - 1) / len(one[0]) for one in (control, treatment)
    )
    assert fit.params[1] == pytest.approx(result.absolute_lift, rel=1e-9)
    assert fit.bse[1] == pytest.approx(math.sqrt(bare), rel=1e-9)
    assert fit.bse[1] * math.sqrt(400 / 399) == pytest.approx(result.se_absolute, rel=1e-9)


@pytest.mark.parametrize("seed", range(24))
def test_interval_is_where_the_test_accepts(seed):
    """The closed Fieller interval equals the roots of |z(R)| = c found by bisection."""
    control = RatioSums.of_units(*draw_units(seed))
    treatment = RatioSums.of_units(*draw_units(seed + 500, rate=0.03 + 0.002 * seed))
    critical = normal_critical_value(0.05)

    def excess(ratio):
        distance = treatment.rate - ratio * control.rate
        return (
            abs(distance) / math.sqrt(treatment.variance + ratio**2 * control.variance) - critical
        )

    middle = treatment.rate / control.rate
    interval = relative_interval(control, treatment, alpha=0.05)
    assert interval.low + 1 == pytest.approx(brentq(excess, -5, middle, xtol=1e-13), rel=1e-8)
    assert interval.high + 1 == pytest.approx(brentq(excess, middle, 1e4, xtol=1e-13), rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 0.3), st.floats(0.001, 0.2))
def test_p_value_and_interval_never_disagree(seed, rate, alpha):
    """Zero lies outside the interval at 1 - alpha exactly when p is below alpha."""
    control = RatioSums.of_units(*draw_units(seed, units=150))
    treatment = RatioSums.of_units(*draw_units(seed + 1, units=150, rate=rate))
    result = contrast(control, treatment, alpha=alpha, share=True)
    if isinstance(result, RatioContrast) and isinstance(result.relative, Interval):
        outside = not result.relative.low <= 0 <= result.relative.high
        assert outside == (result.p_value < alpha)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40),
    st.integers(0, 40),
)
def test_sums_add_up_in_any_split(units, cut):
    """Sums of two halves added with + are the sums of the whole, exactly."""
    n, k = [a for a, _ in units], [b for _, b in units]
    parts = RatioSums.of_units(n[:cut], k[:cut]) + RatioSums.of_units(n[cut:], k[cut:])
    assert parts == RatioSums.of_units(n, k)


def test_identical_rates_have_lift_zero_and_p_one():
    """46 of 10,000 against 46 of 10,000 is no difference, computed and not assumed."""
    same = RatioSums.independent(10_000, 46)
    result = contrast(same, same, share=True)
    assert (result.absolute_lift, result.relative_lift, result.p_value) == (0, 0, 1)
    assert result.relative.low < 0 < result.relative.high


@pytest.mark.parametrize("size", [10**9, 10**12])
def test_huge_counts_lose_no_digits(size):
    """A lift of one in ten million at 1e12 impressions keeps nine digits."""
    control = RatioSums.independent(size, size // 50)
    treatment = RatioSums.independent(size, size // 50 + size // 10**7)
    result = contrast(control, treatment, share=True)
    assert result.absolute_lift == pytest.approx(1e-7, rel=1e-12)
    assert result.relative_lift == pytest.approx(5e-6, rel=1e-12)
    expected = 2 * (0.02 * 0.98 / (size - 1))
    assert result.se_absolute == pytest.approx(math.sqrt(expected), rel=1e-5)


def test_huge_clustered_units_do_not_cancel():
    """Units of a billion impressions each with nearly equal rates keep their small variance."""
    n = [10**9 + i for i in range(50)]
    k = [2 * 10**7 + (i % 7) for i in range(50)]
    from fractions import Fraction

    rate = Fraction(sum(k), sum(n))
    spread = sum((Fraction(b) - rate * a) ** 2 for a, b in zip(n, k, strict=True))
    exact = Fraction(50, 49) * spread / Fraction(sum(n)) ** 2
    assert RatioSums.of_units(n, k).variance == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("ratio", [1.05, 1.2, 2.0])
def test_log10_p_survives_where_p_underflows(ratio):
    """log10_p follows the normal tail far beyond 1e-300, and p is then the smallest float."""
    control = RatioSums.independent(10**9, 10**7)
    treatment = RatioSums.independent(10**9, int(10**7 * ratio))
    result = contrast(control, treatment, share=True)
    expected = (math.log(2) + norm.logsf(abs(result.z))) / math.log(10)
    assert result.log10_p == pytest.approx(expected, rel=1e-12)
    assert result.p_value == pytest.approx(max(2 * norm.sf(abs(result.z)), 2.2250738585072014e-308))


def test_moderate_p_value_is_two_sided_normal():
    """P is twice the upper tail of |z|."""
    result = contrast(RatioSums.independent(900, 50), RatioSums.independent(900, 70), share=True)
    assert result.p_value == pytest.approx(2 * norm.sf(abs(result.z)), rel=1e-12)
    assert result.log10_p == pytest.approx(math.log10(result.p_value), rel=1e-12)


def test_clustering_shows_as_design_effect():
    """Ten copies of every trial inside its unit multiply the variance by ten."""
    rng = np.random.default_rng(5)
    clicks = rng.random(4000) < 0.05
    copied = RatioSums.of_units([10] * 4000, (10 * clicks).tolist())
    result = contrast(copied, copied, share=True)
    assert result.design_effect == pytest.approx(10, rel=1e-3)


FINE = RatioSums.independent(1000, 50)


@pytest.mark.parametrize(
    ("treatment", "code"),
    [
        (RatioSums(0, 0, 0, 0, 0, 0, 0, 0), "no_traffic"),
        (RatioSums.of_units([0, 0], [0, 0]), "no_denominator"),
        (RatioSums.of_units([100], [7]), "one_unit"),
        (RatioSums.independent(1000, 0), "few_clicks"),
        (RatioSums.independent(1000, 4), "few_clicks"),
        (RatioSums.of_units([100, 100, 900], [40, 40, 80]), "few_clicks"),
        (RatioSums.independent(1000, 1000), "no_variance"),
        (RatioSums.of_units([2] * 30, [1] * 30), "no_variance"),
        (RatioSums.of_units([1] * 30, [2] * 29 + [1]), "not_a_share"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_what_cannot_be_computed_says_why(treatment, code, swapped):
    """Degenerate variants give a reason on either side, never NaN, zero or p = 1."""
    pair = (treatment, FINE) if swapped else (FINE, treatment)
    result = contrast(*pair, share=True)
    assert isinstance(result, Undetermined)
    assert result.code == code
    assert ("control" if swapped else "treatment") in result.reason


def test_interval_is_unbounded_when_control_could_be_zero():
    """With a noisy control there is a p-value, but a ratio to it has no finite interval."""
    rng = np.random.default_rng(2)
    n = rng.integers(1, 4, 40).tolist()
    k = [0] * 40
    for place, clicks in zip(range(5), (1, 1, 1, 1, 300), strict=True):
        k[place] = clicks
    noisy = RatioSums.of_units(n, k)
    result = contrast(noisy, RatioSums.independent(5000, 300))
    assert isinstance(result.relative, Undetermined)
    assert result.relative.code == "relative_interval_unbounded"
    assert 0 < result.p_value < 1


def test_negative_base_has_no_relative_lift():
    """A loss as base gives an absolute difference, and the reason why there is no relative one."""
    loss = RatioSums.of_units([10] * 50, [-5 + i % 3 for i in range(50)])
    gain = RatioSums.of_units([10] * 50, [5 + i % 3 for i in range(50)])
    result = contrast(loss, gain, event="profit")
    assert result.relative_lift.code == "no_positive_base"
    assert result.absolute_lift == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize(
    "values",
    [
        (10, 10, math.nan, 10, 5, 5, 10, 5),
        (10, 10.0, 5, 10, 5, 5, 10, 5),
        (-1, 10, 5, 10, 5, 5, 10, 5),
        (10, -10, 5, 10, 5, 5, 10, 5),
        (10, 10, 5, 10, -5, 5, 10, 5),
        (10, 100, 5, 10, 5, 5, 10, 5),
        (10, 10, 5, 10, 5, 50, 10, 5),
        (10, 10, 5, 10, 5, 5, 11, 5),
    ],
)
def test_impossible_sums_are_refused(values):
    """NaN, floats, negative counts and sums that no units can have never get in."""
    with pytest.raises(ValueError, match="sums over units"):
        RatioSums(*values)


def test_more_successes_than_trials_are_refused():
    """Clicks above impressions are an error where each trial is 0 or 1."""
    with pytest.raises(ValueError, match="11 successes in 10 trials"):
        RatioSums.independent(10, 11)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, math.nan])
def test_error_rate_must_be_a_probability(alpha):
    """An alpha outside 0 … 1 is refused."""
    with pytest.raises(ValueError, match="alpha lies between 0 and 1"):
        normal_critical_value(alpha)


def test_one_rate_has_an_interval_by_unit():
    """A single variant's interval is its rate plus and minus c standard errors."""
    n, k = draw_units(3)
    interval = rate_interval(RatioSums.of_units(n, k), alpha=0.1)
    half = norm.isf(0.05) * math.sqrt(slow_variance(n, k))
    assert interval.high - interval.low == pytest.approx(2 * half, rel=1e-9)
    assert isinstance(rate_interval(RatioSums.of_units([5], [1]), alpha=0.1), Undetermined)


def test_small_samples_are_marked():
    """Below 50 units with an event in a variant the result says so."""
    few, many = RatioSums.independent(900, 49), RatioSums.independent(900, 51)
    assert contrast(few, many, share=True).small_sample
    assert not contrast(many, many, share=True).small_sample


@pytest.mark.parametrize(("n", "k"), [(3, 0), (3, 3), (40, 2), (40, 38), (100_000, 0), (500, 500)])
def test_a_rate_near_zero_or_one_has_the_score_interval(n, k):
    """Three failures prove nothing; a hundred thousand bound the rate closely."""
    from statsmodels.stats.proportion import proportion_confint

    interval = rate_interval(RatioSums.independent(n, k), alpha=0.1, share=True)
    low, high = proportion_confint(k, n, alpha=0.1, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)


def test_a_rate_near_one_counts_units_and_not_their_trials():
    """A thousand shown pictures of two users are no thousand witnesses."""
    perfect = RatioSums.of_units([500, 500], [500, 500])
    two = rate_interval(RatioSums.independent(2, 2), alpha=0.1, share=True)
    assert rate_interval(perfect, alpha=0.1, share=True) == two
    assert two.low < 0.5


def test_money_of_a_few_units_has_no_interval():
    """Where numerators are no trials, fewer than five units with one say why."""
    sums = RatioSums.of_units([1] * 9, [7_000_000] * 3 + [0] * 6)
    found = rate_interval(sums, alpha=0.1, event="value")
    assert isinstance(found, Undetermined)
    assert found.code == "few_values"
