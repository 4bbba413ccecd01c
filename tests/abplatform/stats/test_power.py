"""Power, sample sizes and what looks cost, against statsmodels, published values and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower

from abplatform.stats.power import (
    LookPlan,
    Precision,
    detectable_lift,
    fixed_drift,
    fixed_power,
    information_for,
    needed_drift,
    share_unit_variance,
    unit_variance,
)
from abplatform.stats.ratio import RatioSums, Undetermined
from abplatform.stats.sequential import (
    anytime_plan,
    fixed_information,
    fixed_plan,
    inflation_factor,
    sequential_plan,
)

DAYS = range(7, 29)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("share", [0.5, 0.2, 0.9])
@pytest.mark.parametrize("lift", [0.01, 0.05, -0.1])
def test_units_are_those_of_statsmodels(alpha, power, share, lift):
    """The units for a lift are NormalIndPower's with the effect ln(1 + L)/ω, for any weights."""
    variance = share_unit_variance(0.03, per_unit=4, design_effect=1.7)
    precision = Precision(variance, share, 1 - share)
    drift = fixed_drift(alpha=alpha, power=power)
    units = precision.units(information_for(lift, drift=drift))
    effect = abs(math.log1p(lift)) / math.sqrt(variance)
    ratio = (1 - share) / share
    expected = NormalIndPower().solve_power(effect, alpha=alpha, power=power, ratio=ratio)
    assert units * share == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("drift", [-6.0, -1.0, 0.0, 0.3, 2.8, 9.0])
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_power_is_that_of_statsmodels(drift, alpha):
    """Both tails count, so that the power without an effect is alpha."""
    critical = norm.ppf(1 - alpha / 2)
    # Two samples of 2 units have the standard error 1.
    expected = NormalIndPower().power(abs(drift), 2, alpha)
    assert fixed_power(drift, critical=critical) == pytest.approx(expected, rel=1e-10)
    assert fixed_power(0.0, critical=critical) == pytest.approx(alpha, rel=1e-10)


@given(
    lift=st.floats(-0.9, 5).filter(lambda value: abs(value) > 1e-4),
    drift=st.floats(0.1, 20),
)
def test_information_and_smallest_lift_undo_each_other(lift, drift):
    """The smallest lift found with the information that a lift needs is that lift."""
    found = detectable_lift(information_for(lift, drift=drift), drift=drift)
    assert math.log1p(found) == pytest.approx(abs(math.log1p(lift)), rel=1e-9)


@given(
    k=st.lists(st.integers(0, 5), min_size=10, max_size=40),
    copies=st.integers(2, 6),
)
@settings(max_examples=60)
def test_unit_variance_belongs_to_the_unit(k, copies):
    """More of the same units leave ω² as it is, but for the factor U/(U - 1)."""
    n = [value + 1 + at % 3 for at, value in enumerate(k)]
    one = unit_variance(RatioSums.of_units(n, k))
    many = unit_variance(RatioSums.of_units(n * copies, k * copies))
    if isinstance(one, Undetermined):
        assert isinstance(many, Undetermined)
        return
    units = len(k)
    factor = (1 - 1 / units) / (1 - 1 / (copies * units))
    assert many == pytest.approx(one * factor, rel=1e-9)


def test_design_effect_gives_back_the_unit_variance():
    """ω² from rate, impressions per unit and design effect is the delta method's own."""
    rng = np.random.default_rng(4)
    n = rng.geometric(0.2, 5000)
    k = rng.binomial(n, rng.beta(2, 60, 5000))
    sums = RatioSums.of_units(n.tolist(), k.tolist())
    effect = sums.variance / sums.trial_variance
    told = share_unit_variance(sums.rate, per_unit=sums.n / sums.units, design_effect=effect)
    assert told == pytest.approx(unit_variance(sums), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "k", "code"),
    [
        ([], [], "few_units"),
        ([3], [1], "few_units"),
        ([0, 0], [0, 0], "few_units"),
        ([3, 4], [0, 0], "no_events"),
        ([2, 4], [1, 2], "no_variance"),
    ],
)
def test_unit_variance_says_why_there_is_none(n, k, code):
    """One unit, no event and no spread are reasons, never a number."""
    found = unit_variance(RatioSums.of_units(n, k))
    assert isinstance(found, Undetermined)
    assert found.code == code


def test_planned_information_finds_the_lift_with_the_power_planned():
    """A sequential plan that gathers as planned holds alpha and has 80 % power."""
    plan = sequential_plan(alpha=0.05, days=DAYS, mde=0.03)
    looks = LookPlan.following(plan, [plan.information_max * day / 28 for day in plan.days])
    assert looks.power(0.0) == pytest.approx(0.05, abs=1e-6)
    assert looks.power(math.log(1.03)) == pytest.approx(0.8, abs=1e-4)
    root = math.sqrt(plan.information_max)
    drift = needed_drift(lambda found: looks.power(found / root), power=0.8)
    planned = tuple(day / 28 for day in DAYS)
    inflation = inflation_factor(alpha=0.05, power=0.8, planned=planned)
    alone = fixed_drift(alpha=0.05, power=0.8)
    assert (drift / alone) ** 2 == pytest.approx(inflation, abs=1e-4)


def test_inflation_is_the_published_one():
    """Five looks of O'Brien-Fleming-type spending need 1.03 times the sample (80 %, 5 %)."""
    plan = sequential_plan(alpha=0.05, days=range(1, 6), mde=0.05)
    looks = LookPlan.following(plan, [plan.information_max * day / 5 for day in plan.days])
    # Jennison and Turnbull (2000), table 2.4, gives 1.028 for the classical boundary; the
    # spending function lies close to it.
    inflation = plan.information_max / fixed_information(alpha=0.05, power=0.8, mde=0.05)
    assert inflation == pytest.approx(1.028, abs=0.006)
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]  # Lan and DeMets (1983)
    assert looks.boundaries == pytest.approx(published, abs=2e-3)


@pytest.mark.parametrize("gathered", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("kind", ["sequential", "anytime", "fixed"])
def test_looks_agree_with_paths_drawn_one_by_one(kind, gathered):
    """Power and mean day are those of 40,000 Brownian paths, however much is gathered."""
    plan = {
        "sequential": sequential_plan(alpha=0.05, days=range(3, 11), mde=0.1),
        "anytime": anytime_plan(alpha=0.05, days=range(3, 11), mde=0.1),
        "fixed": fixed_plan(alpha=0.05, day=10, mde=0.1),
    }[kind]
    maximum = fixed_information(alpha=0.05, power=0.8, mde=0.1) * gathered
    looks = LookPlan.following(plan, [maximum * day / 10 for day in plan.days])
    rng = np.random.default_rng(7)
    steps = np.diff(looks.information, prepend=0.0)
    drift = math.log(1.1)
    paths = rng.normal(drift * steps, np.sqrt(steps), (40_000, len(steps))).cumsum(axis=1)
    crossed = np.abs(paths) >= np.asarray(looks.boundaries) * np.sqrt(looks.information)
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1), len(steps) - 1)
    assert looks.power(drift) == pytest.approx(crossed.any(axis=1).mean(), abs=0.01)
    assert looks.expected_day(drift) == pytest.approx(
        np.asarray(looks.days)[first].mean(), abs=0.06
    )


def test_a_plan_ends_when_its_information_is_in():
    """With four times the planned information a day, the last look comes early."""
    plan = sequential_plan(alpha=0.05, days=DAYS, mde=0.03)
    looks = LookPlan.following(plan, [4 * plan.information_max * day / 28 for day in plan.days])
    assert looks.days[-1] == 7
    assert looks.power(0.0) == pytest.approx(0.05, abs=1e-6)


def test_days_without_news_do_not_count_twice():
    """A day that brings no information is left out, and the last one stands for those before."""
    plan = sequential_plan(alpha=0.05, days=range(1, 5), mde=0.03)
    assert LookPlan.following(plan, [10.0, 20.0, 20.0, 30.0]).days == (1, 2, 4)
    saturated = LookPlan.following(plan, [10.0, 20.0, 20.0, 20.0])
    assert saturated.days == (1, 4)
    assert saturated.power(0.0) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("lift", [0.0, -1.0, -2.0, math.nan, math.inf])
def test_lifts_that_cannot_be_planned_for_are_refused(lift):
    """No lift, a loss of everything and what is no number have no sample size."""
    with pytest.raises(ValueError, match="cannot be planned for"):
        information_for(lift, drift=2.8)


@pytest.mark.parametrize(
    "given",
    [(0.0, 0.5, 0.5), (1.0, 0.0, 0.5), (1.0, 0.7, 0.5), (math.nan, 0.5, 0.5), (1.0, 0.5, 0.5, 1.0)],
)
def test_impossible_precisions_are_refused(given):
    """Shares beyond the whole and variances of nothing are mistakes of the caller."""
    with pytest.raises(ValueError, match=r"shares|precision"):
        Precision(*given)


def test_a_power_below_alpha_is_refused():
    """A test rejects that often without any effect."""
    with pytest.raises(ValueError, match="no drift"):
        fixed_drift(alpha=0.05, power=0.04)


def test_cuped_saves_what_it_explains():
    """Covariates that explain ρ² of the variance save ρ² of the units."""
    raw, adjusted = Precision(9.0, 0.5, 0.5), Precision(9.0, 0.5, 0.5, explained=0.3)
    assert adjusted.units(100.0) == pytest.approx(0.7 * raw.units(100.0))
