"""Incremental return against the formulas over units one by one, tests of means and roots."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, ttest_ind

from abplatform.stats.fieller import Interval, RatioContrast
from abplatform.stats.incremental import contrast_incremental
from abplatform.stats.ratio import RatioSums, Undetermined

MICROS = 10**6


def draw_spend(seed, *, units=400, cost=1.0, value=1.5):
    """Units with heavy-tailed value and a cost that value follows, in micros."""
    rng = np.random.default_rng(seed)
    spent = rng.gamma(2, cost / 2, units)
    earned = rng.lognormal(0, 1, units) * value * (0.5 + spent / cost / 2) / math.exp(0.5)
    return (spent * MICROS).astype(int), (earned * MICROS).astype(int)


def sums_of(spend):
    cost, value = spend
    return RatioSums.of_units(cost.tolist(), value.tolist())


@pytest.mark.parametrize("seed", range(20))
def test_p_is_welchs_test_of_profit_per_unit(seed):
    """Z is Welch's t of value - cost over units, and p its normal tail: the null is iroas = 1."""
    control = draw_spend(seed, units=300 + seed, cost=0.5, value=1.0)
    treatment = draw_spend(seed + 100, cost=1.0, value=1.6)
    found = contrast_incremental(sums_of(control), sums_of(treatment))
    profits = [(value - cost).astype(float) for cost, value in (treatment, control)]
    expected = ttest_ind(*profits, equal_var=False)
    assert found.z == pytest.approx(expected.statistic, rel=1e-9)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(expected.statistic)), rel=1e-9)
    assert found.absolute_lift == pytest.approx(profits[0].mean() - profits[1].mean(), rel=1e-9)
    extra = [treatment[at].mean() - control[at].mean() for at in (0, 1)]
    assert found.relative_lift + 1 == pytest.approx(extra[1] / extra[0], rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_is_where_the_test_accepts(seed):
    """The interval of iroas is the set of R at which value - R·cost shows no difference."""
    control = draw_spend(seed, cost=0.4, value=1.0)
    treatment = draw_spend(seed + 100, cost=1.0, value=1.0 + 0.05 * seed)
    found = contrast_incremental(sums_of(control), sums_of(treatment))

    def excess(ratio):
        scores = [value - ratio * cost.astype(float) for cost, value in (treatment, control)]
        return abs(ttest_ind(*scores, equal_var=False).statistic) - norm.isf(0.025)

    middle = found.relative_lift + 1
    assert isinstance(found.relative, Interval)
    assert found.relative.low + 1 == pytest.approx(brentq(excess, middle - 50, middle), rel=1e-8)
    assert found.relative.high + 1 == pytest.approx(brentq(excess, middle, middle + 50), rel=1e-8)
    outside = not found.relative.low <= 0 <= found.relative.high
    assert outside == (found.p_value < 0.05)


def test_variants_of_different_sizes_compare_per_unit():
    """A treatment of a tenth of the units has the same return as one of equal size."""
    cost, value = draw_spend(1, units=500)
    control = sums_of((cost // 2, value // 2))
    small = contrast_incremental(control, sums_of((cost[:50], value[:50])))
    large = contrast_incremental(
        control, sums_of((np.tile(cost[:50], 10), np.tile(value[:50], 10)))
    )
    assert small.relative_lift == pytest.approx(large.relative_lift, rel=1e-12)
    assert small.se_absolute > large.se_absolute


def test_equal_costs_have_no_bounded_return():
    """Where the extra cost cannot be told from zero the interval says so, and p stands."""
    found = contrast_incremental(
        sums_of(draw_spend(3)), sums_of(tuple(part + 1000 for part in draw_spend(3)))
    )
    assert found.relative.code == "relative_interval_unbounded"
    assert 0 < found.p_value <= 1


def test_a_treatment_that_saves_has_no_return_on_extra_cost():
    """Less cost than the control gives no ratio, and p still compares profits."""
    found = contrast_incremental(sums_of(draw_spend(4, cost=2.0)), sums_of(draw_spend(5, cost=1.0)))
    assert isinstance(found, RatioContrast)
    assert found.relative_lift.code == found.relative.code == "no_extra_cost"
    assert math.isfinite(found.z)


NOTHING = RatioSums(0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("treatment", "code"),
    [
        (NOTHING, "no_traffic"),
        (RatioSums.of_units([5], [9]), "one_unit"),
        (RatioSums.of_units([5] * 20, [9] * 3 + [0] * 17), "few_values"),
        (RatioSums.of_units([5] * 20, [0] * 20), "few_values"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_what_cannot_be_computed_says_why(treatment, code, swapped):
    """No units, one unit or hardly any value on either side give a reason."""
    fine = sums_of(draw_spend(6))
    found = contrast_incremental(*((treatment, fine) if swapped else (fine, treatment)))
    assert isinstance(found, Undetermined)
    assert found.code == code
    assert ("control" if swapped else "treatment") in found.reason


def test_without_any_cost_or_variance_there_is_no_return():
    """No cost at all, and units that are all alike, give a reason."""
    free = RatioSums.of_units([0] * 50, list(range(1, 51)))
    assert contrast_incremental(free, free).code == "no_cost"
    alike = RatioSums.of_units([3] * 50, [4] * 50)
    assert contrast_incremental(alike, alike).code == "no_variance"


@pytest.mark.parametrize("scale", [10**9, 10**12])
def test_huge_money_loses_no_digits(scale):
    """Totals of 1e12 micros and beyond a unit give the very same return and p."""
    control, treatment = draw_spend(7, cost=0.5), draw_spend(8)
    small = contrast_incremental(sums_of(control), sums_of(treatment))
    huge = [
        RatioSums.of_units(*([int(one) * scale for one in part] for part in spend))
        for spend in (control, treatment)
    ]
    large = contrast_incremental(*huge)
    assert (large.z, large.relative_lift) == pytest.approx(
        (small.z, small.relative_lift), rel=1e-12
    )
