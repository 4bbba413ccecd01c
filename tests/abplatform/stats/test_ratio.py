"""Ratios by unit against explicit formulas, regression with robust errors and root finding."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from abplatform.stats.fieller import compare_rates
from abplatform.stats.ratio import (
    Interval,
    RateEstimate,
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
@given(st.integers(0, 10_000), st.floats(0.05, 0.3), st.floats(0.001, 0.2))
def test_p_value_and_interval_never_disagree(seed, rate, alpha):
    """Zero lies outside the interval at 1 - alpha exactly when p is below alpha."""
    control = RatioSums.of_units(*draw_units(seed, units=150))
    treatment = RatioSums.of_units(*draw_units(seed + 1, units=150, rate=rate))
    for method in METHODS:
        result = contrast(control, treatment, alpha=alpha, share=True, interval=method)
        assert isinstance(result, RatioContrast)
        # With this traffic the control's rate is far from zero: its interval is always bounded.
        assert isinstance(result.relative, Interval)
        outside = not result.relative.low <= 0 <= result.relative.high
        assert outside == (result.p_value < alpha)


@pytest.mark.parametrize("seed", range(12))
def test_an_unbounded_interval_goes_with_a_control_that_could_be_zero(seed):
    """The interval is unbounded exactly when the test at zero does not reject for the control."""
    control = RatioSums.of_units(*draw_units(seed, units=25 + 5 * seed, rate=0.1))
    treatment = RatioSums.of_units(*draw_units(seed + 1, units=400))
    from_zero = control.rate / math.sqrt(control.variance)
    for critical in (0.9 * from_zero, 1.1 * from_zero):
        result = contrast(control, treatment).relative_interval(critical=critical)
        assert isinstance(result, Undetermined) == (from_zero <= critical)


METHODS = ["fieller", "log_delta", "delta"]


@pytest.mark.parametrize("seed", range(20))
def test_tea_tasting_gives_the_same_contrast(seed):
    """Effect, error, z, p and the log-delta interval of tea-tasting's RatioOfMeans are ours."""
    import pyarrow as pa
    import tea_tasting as tt

    control, treatment = draw_units(seed), draw_units(seed + 300, rate=0.05 + 0.002 * seed)
    table = pa.table(
        {
            "variant": [0] * 400 + [1] * 400,
            "n": control[0] + treatment[0],
            "k": control[1] + treatment[1],
        }
    )
    metric = tt.RatioOfMeans("k", "n", equal_var=False, use_t=False)
    (theirs,) = tt.Experiment(m=metric).analyze(table).values()
    sums = [RatioSums.of_units(*one) for one in (control, treatment)]
    ours = contrast(*sums, share=True)
    assert ours.absolute_lift == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.relative_lift == pytest.approx(theirs.rel_effect_size, rel=1e-9)
    assert ours.z == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    log = contrast(*sums, share=True, interval="log_delta")
    assert log.relative.low == pytest.approx(theirs.rel_effect_size_ci_lower, rel=1e-9)
    assert log.relative.high == pytest.approx(theirs.rel_effect_size_ci_upper, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_the_shortcuts_are_their_formulas(seed):
    """log_delta and delta, and the information, follow from the two rates and variances."""
    sums = [RatioSums.of_units(*draw_units(one)) for one in (seed, seed + 700)]
    (r_c, v_c), (r_t, v_t) = ((one.rate, one.variance) for one in sums)
    ratio, se = r_t / r_c, math.sqrt(v_t / r_t**2 + v_c / r_c**2)
    critical = norm.isf(0.05)
    log, delta = (contrast(*sums, alpha=0.1, interval=name) for name in METHODS[1:])
    assert log.z == pytest.approx(math.log(ratio) / se, rel=1e-9)
    assert log.relative.high == pytest.approx(ratio * math.exp(critical * se) - 1, rel=1e-9)
    assert delta.z == pytest.approx((ratio - 1) / (ratio * se), rel=1e-9)
    assert delta.relative.low == pytest.approx(ratio - critical * ratio * se - 1, rel=1e-9)
    assert log.log_ratio == pytest.approx(math.log(ratio), rel=1e-9)
    assert log.log_ratio_variance == pytest.approx(se**2, rel=1e-9)


def test_a_rate_of_zero_or_below_has_no_logarithm():
    """Losses have no log ratio, and the shortcuts that need one say so."""
    loss = RatioSums.of_units([10] * 50, [-5 + i % 3 for i in range(50)])
    gain = RatioSums.of_units([10] * 50, [5 + i % 3 for i in range(50)])
    for pair in ((loss, gain), (gain, loss)):
        result = contrast(*pair, event="profit")
        assert result.log_ratio.code == result.log_ratio_variance.code == "no_positive_rate"
        for method in METHODS[1:]:
            assert contrast(*pair, interval=method).code == "no_positive_rate"


@pytest.mark.parametrize("covariance", [-0.5, 0.0, 0.6])
@pytest.mark.parametrize("seed", range(8))
def test_correlated_estimates_share_one_test(seed, covariance):
    """With a covariance, z and the interval are those of numerator - R · denominator."""
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(1, 3, 2)
    v_y, v_x = rng.uniform(0.01, 0.04, 2)
    cov = covariance * math.sqrt(v_x * v_y)
    result = compare_rates(RateEstimate(y, v_y), RateEstimate(x, v_x), covariance=cov)

    def excess(ratio):
        spread = v_x - 2 * ratio * cov + ratio**2 * v_y
        return abs(x - ratio * y) / math.sqrt(spread) - norm.isf(0.025)

    assert result.z == pytest.approx((x - y) / math.sqrt(v_x + v_y - 2 * cov), rel=1e-12)
    assert result.relative.low + 1 == pytest.approx(brentq(excess, -9, x / y), rel=1e-8)
    assert result.relative.high + 1 == pytest.approx(brentq(excess, x / y, 99), rel=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_other_levels_come_from_the_same_contrast(seed):
    """A contrast gives its interval at any level or critical value, at 1.96 the very same."""
    result = contrast(*(RatioSums.of_units(*draw_units(one)) for one in (seed, seed + 9)))
    assert result.relative_interval(alpha=0.05) == result.relative
    wide = result.relative_interval(critical=3.0)
    assert wide.low < result.relative.low < result.relative.high < wide.high
    assert result.relative_interval(critical=math.inf).code == "relative_interval_unbounded"
    with pytest.raises(ValueError, match="either alpha or the critical value"):
        result.relative_interval()


@pytest.mark.parametrize(("value", "variance"), [(math.nan, 1), (1, math.inf), (1, -1e-9)])
def test_an_estimate_is_finite(value, variance):
    """NaN, infinity and a negative variance never become an estimate."""
    with pytest.raises(ValueError, match="no estimate"):
        RateEstimate(value, variance)


@pytest.mark.parametrize("factor", [1.0, 2.5, 40.0])
def test_inflation_multiplies_the_variance(factor):
    """Overdispersion widens error, interval and design effect, and moves no estimate."""
    sums = RatioSums.independent(40_000, 800), RatioSums.independent(41_000, 900)
    plain, wide = contrast(*sums, share=True), contrast(*sums, share=True, inflation=(factor,) * 2)
    assert wide.absolute_lift == plain.absolute_lift
    assert wide.se_absolute == pytest.approx(plain.se_absolute * math.sqrt(factor), rel=1e-12)
    assert wide.design_effect == pytest.approx(plain.design_effect * factor, rel=1e-12)
    one, other = (rate_interval(sums[0], alpha=0.1, inflation=by) for by in (1.0, factor))
    assert (other.high - other.low) == pytest.approx((one.high - one.low) * math.sqrt(factor))


def exact_z(control, treatment):
    """Return z² as a fraction, from the units one by one."""
    rates, spread = [], Fraction(0)
    for n, k in (control, treatment):
        size, rate = len(n), Fraction(sum(k), sum(n))
        residual = sum((b - rate * a) ** 2 for a, b in zip(n, k, strict=True))
        spread += Fraction(size, size - 1) * residual / sum(n) ** 2
        rates.append(rate)
    return (rates[1] - rates[0]) ** 2 / spread


def log10_tail(z):
    """Return log10 of 2·P(Z > z) by Laplace's continued fraction of the normal tail."""
    below = z
    for term in range(400, 0, -1):
        below = z + term / below
    log_tail = -(z**2) / 2 - math.log(2 * math.pi) / 2 - math.log(below)
    return (math.log(2) + log_tail) / math.log(10)


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("seed", range(10))
def test_p_is_exact_at_every_size_of_count(seed, scale):
    """With totals of up to 1e12, z equals exact fractions over units, and p its tail to 1e-300."""
    control, treatment = (
        ([a * scale for a in n], [b * scale for b in k])
        for n, k in (draw_units(seed, units=300), draw_units(seed + 40, units=300, rate=0.14))
    )
    result = contrast(RatioSums.of_units(*control), RatioSums.of_units(*treatment), share=True)
    z = math.sqrt(exact_z(control, treatment))
    assert abs(result.z) == pytest.approx(z, rel=1e-12)
    assert result.log10_p == pytest.approx(log10_tail(z), rel=1e-9)


@pytest.mark.parametrize("lift", [1.002, 1.005, 1.01, 1.02, 1.0365])
def test_p_is_right_down_to_1e_300(lift):
    """At a billion impressions p follows the tail until it underflows, and log10_p beyond."""
    k = 10**7
    result = contrast(
        RatioSums.independent(10**9, k), RatioSums.independent(10**9, int(k * lift)), share=True
    )
    assert result.log10_p == pytest.approx(log10_tail(result.z), rel=1e-10)
    if result.log10_p > -300:
        assert math.log10(result.p_value) == pytest.approx(result.log10_p, abs=1e-9)


FINE = RatioSums.independent(1000, 50)

HOSTILE = [
    ("zero clicks", RatioSums.independent(10**6, 0), "few_clicks"),
    ("zero impressions", RatioSums.of_units([0] * 90, [0] * 90), "no_denominator"),
    ("one unit", RatioSums.of_units([10**12], [10**9]), "one_unit"),
    ("a rate of one", RatioSums.of_units([7] * 90, [7] * 90), "no_variance"),
    ("clicks above impressions", RatioSums.of_units([1] * 90, [2] * 90), "not_a_share"),
    ("negative clicks", RatioSums.of_units([9] * 90, [-1] * 90), "not_a_share"),
    ("a vanished variant", RatioSums(0, 0, 0, 0, 0, 0, 0, 0), "no_traffic"),
    ("four clicking units", RatioSums.of_units([9] * 90, [1] * 4 + [0] * 86), "few_clicks"),
]


@pytest.mark.parametrize(("name", "sums", "code"), HOSTILE, ids=[one[0] for one in HOSTILE])
@pytest.mark.parametrize("method", METHODS)
def test_hostile_variants_never_give_a_number(name, sums, code, method):
    """Whatever the option, a degenerate variant on either or both sides gives its reason."""
    for pair in ((sums, FINE), (FINE, sums), (sums, sums)):
        result = contrast(*pair, share=True, interval=method)
        assert isinstance(result, Undetermined), name
        assert result.code == code


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
