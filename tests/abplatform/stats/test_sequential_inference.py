"""Sequential p-values, repeated intervals and estimates against definitions and integrals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from abplatform.stats.fieller import RateEstimate, compare_rates
from abplatform.stats.ratio import Interval, Undetermined
from abplatform.stats.sequential import (
    LookPoint,
    LookSeries,
    Spending,
    anytime_plan,
    estimate_at_decision,
    fixed_plan,
    independent_series,
    repeated_interval,
    rule,
    sequential_p,
    sequential_plan,
    take_looks,
)
from abplatform.stats.sequential.series import independent_correlation

RATE = 0.05


def point(day, z, information):
    se = RATE / math.sqrt(information)
    control = RateEstimate(RATE, se**2 / 2)
    treatment = RateEstimate(RATE + z * se, se**2 / 2)
    return LookPoint(day, compare_rates(control, treatment), RATE, 1000)


def draw(rng, looks, *, share=1.0, drift=0.0, scale=1.0):
    """Looks of a Gaussian experiment with uneven information, independent or not."""
    information = scale * np.cumsum(rng.uniform(0.3, 1, looks))
    ours = information.tolist()
    rho = (1 - share) * np.eye(looks) + share * independent_correlation(ours)
    z = np.linalg.cholesky(rho) @ rng.standard_normal(looks) + drift * np.sqrt(information)
    points = tuple(point(k + 1, z[k], ours[k]) for k in range(looks))
    return LookSeries(points, rho)


def check_p(plan, series):
    """The p-value only falls, and is at most alpha exactly from the crossing on."""
    rows, before = take_looks(plan, series), 1.0
    for known in range(1, len(rows) + 1):
        found = sequential_p(plan, rows[:known], series)
        assert 0 < found <= before
        assert (found <= plan.alpha) == any(row.crossed for row in rows[:known])
        before = found
    return rows, before


@pytest.mark.parametrize("spending", [Spending.OBRIEN_FLEMING, Spending.POCOCK])
def test_p_is_at_most_alpha_exactly_when_a_boundary_was_crossed(spending):
    """On 2,100 random pairs of an experiment and an alpha, all kinds of effects and clocks."""
    rng, crossed = np.random.default_rng(51 + len(spending)), 0
    plan = sequential_plan(alpha=1e-12, days=range(1, 4), spending=spending)
    for run in range(70):
        share = 1.0 if run % 4 else 0.7  # every fourth one by paths
        series = draw(rng, 3, share=share, drift=0.4 * (run % 5))
        maximum = [None, series.points[-1].information * (0.3, 1.0, 3.0)[run % 3]][run % 2]
        ours = replace(plan, information_max=maximum)
        # Nothing crosses at 1e-12, so that all looks are taken.
        found = sequential_p(ours, take_looks(ours, series), series)
        for alpha in 10 ** rng.uniform(-4, math.log10(0.6), 15):
            at = replace(ours, alpha=float(alpha))
            won = rule(take_looks(at, series)).direction != 0
            assert won == (found <= alpha)
            crossed += won
    assert 100 < crossed < 950


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_p_never_rises_from_look_to_look(alpha):
    """Day by day p falls or stays, and passes alpha at the look that crosses."""
    rng = np.random.default_rng(int(alpha * 1000))
    plan = sequential_plan(alpha=alpha, days=range(1, 6))
    for run in range(30):
        check_p(plan, draw(rng, 5, drift=0.4 * (run % 5)))


def test_p_agrees_with_the_boundaries_of_returning_users():
    """The equivalence holds where paths give the boundaries, and information falls."""
    rng = np.random.default_rng(5)
    plan = sequential_plan(alpha=0.05, days=range(1, 7))
    for run in range(3):
        series = draw(rng, 6, share=0.7, drift=0.5 * run)
        check_p(plan, series)
        check_p(replace(plan, information_max=3.0), series)


@pytest.mark.parametrize("spending", [Spending.CLASSICAL_OBRIEN_FLEMING, Spending.CLASSICAL_POCOCK])
def test_p_agrees_with_classical_boundaries(spending):
    """The equivalence holds for boundaries that are solved anew at every alpha."""
    rng = np.random.default_rng(6)
    plan = sequential_plan(alpha=0.05, days=range(1, 4), spending=spending)
    for run in range(8):
        check_p(plan, draw(rng, 3, drift=0.5 * (run % 4)))


@pytest.mark.parametrize("z", [0.7, 2.3, -3.1, 9.0, 30.0])
def test_p_of_one_look_is_the_fixed_one(z):
    """With a single look the sequential p-value is the two-sided normal one, on its grid."""
    plan = fixed_plan(alpha=0.05, day=1)
    series = independent_series([point(1, z, 50.0)])
    found = sequential_p(plan, take_looks(plan, series), series)
    assert found == pytest.approx(2 * norm.sf(abs(z)), rel=3e-5)
    assert found >= 2 * norm.sf(abs(z))


def test_p_is_where_the_boundary_meets_the_statistic():
    """Run again at alpha = p the same data sit on the boundary of the deciding look."""
    plan = sequential_plan(alpha=0.05, days=range(1, 6))
    z = [0.4, 1.9, 2.2, 2.25, 1.1]
    series = independent_series([point(k + 1, z[k], 10.0 * (k + 1)) for k in range(5)])
    found = sequential_p(plan, take_looks(plan, series), series)
    assert 0.05 < found < 0.1
    rows = take_looks(replace(plan, alpha=found), series)
    assert rule(rows).direction == 1
    assert abs(rows[-1].z) == pytest.approx(rows[-1].boundary, abs=1e-4)


def test_there_is_no_p_without_a_look():
    """Before the first look, and for an anytime plan, there is a reason instead."""
    plan, series = sequential_plan(alpha=0.05, days=[1]), independent_series([])
    assert sequential_p(plan, (), series).code == "no_look"
    assert sequential_p(anytime_plan(alpha=0.05, days=[1]), (), series).code == "not_sequential"


@pytest.mark.parametrize("seed", range(6))
def test_repeated_interval_excludes_zero_exactly_at_a_crossing(seed):
    """The Fieller set at the boundary leaves zero outside where the row says crossed."""
    rng = np.random.default_rng(seed)
    plan = sequential_plan(alpha=0.05, days=range(1, 9))
    series = draw(rng, 8, drift=0.3 * seed, scale=30.0)
    for row in take_looks(plan, series):
        found = repeated_interval(series.points[row.look - 1].contrast, row.boundary)
        if isinstance(found, Interval):
            assert row.crossed == (not found.low <= 0 <= found.high)
            assert found.low <= row.relative_lift <= found.high


def test_repeated_interval_is_unbounded_while_nothing_is_spent():
    """Without a boundary there is no interval but its reason, and a reason is passed on."""
    contrast = point(1, 3.0, 40.0).contrast
    assert repeated_interval(contrast, None).code == "relative_interval_unbounded"
    reason = Undetermined("no_traffic: control has no units")
    assert repeated_interval(reason, 2.0) is reason


def above_by_integral(rows, drift, correlation):
    """P(upper crossing before the last row, or none and Z at or above its z) by scipy."""
    information = np.array([row.information for row in rows])
    mean = drift * np.sqrt(information)
    total = 0.0
    for k, row in enumerate(rows):
        last = k == len(rows) - 1
        b = np.array([r.boundary for r in rows[:k]])
        low = np.append(-b, row.z if last else row.boundary)
        high = np.append(b, np.inf)
        total += multivariate_normal.cdf(
            high, mean[: k + 1], correlation[: k + 1, : k + 1], lower_limit=low,
            abseps=1e-6, releps=1e-6, maxpts=200_000, rng=3,
        )  # fmt: skip
    return total


@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_estimate_solves_the_stagewise_ordering(seed, share):
    """At the estimate and both ends, scipy's integral of the ordering gives its level."""
    rng = np.random.default_rng(40 + seed)
    plan = sequential_plan(alpha=0.05, days=range(1, 5), spending=Spending.POCOCK)
    series = draw(rng, 4, drift=[0.0, 0.09, -0.12, 0.15][seed], scale=100.0, share=share)
    rows = take_looks(plan, series)
    found = estimate_at_decision(plan, rows, series)
    row = rows[-1]
    scale = math.log1p(row.relative_lift) / (row.z / math.sqrt(row.information))
    close = 2e-5 if share == 1 else 4 * math.sqrt(0.25 / 200_000)
    for value, level in (
        (found.low, 0.025),
        (found.median_unbiased, 0.5),
        (found.high, 0.975),
    ):
        drift = math.log1p(value) / scale
        ours = above_by_integral(rows, drift, series.correlation)
        assert ours == pytest.approx(level, abs=close)


def test_estimate_without_earlier_looks_is_the_observed_one():
    """A decision at the first look has nothing to correct."""
    plan = fixed_plan(alpha=0.05, day=1)
    series = independent_series([point(1, 2.6, 400.0)])
    found = estimate_at_decision(plan, take_looks(plan, series), series)
    assert found.median_unbiased == pytest.approx(found.relative_lift, rel=1e-6)
    log_ratio = math.log1p(found.relative_lift)
    width = norm.ppf(0.975) * log_ratio / 2.6
    assert (math.log1p(found.low), math.log1p(found.high)) == pytest.approx(
        (log_ratio - width, log_ratio + width), rel=1e-5
    )


def test_estimate_is_too_high_as_often_as_too_low():
    """Stopped early, the raw lift is too high 60 % of the time, the corrected one half of it."""
    rng, runs, information, drift = np.random.default_rng(77), 400, 1000.0, 0.09
    plan = sequential_plan(alpha=0.05, days=range(1, 5), spending=Spending.POCOCK)
    raw, corrected, covered = 0, 0, 0
    ours = information * np.arange(1, 5) / 4
    for _ in range(runs):
        steps = rng.standard_normal(4) * math.sqrt(information / 4) + drift * information / 4
        z = np.cumsum(steps) / np.sqrt(ours)
        series = independent_series([point(k + 1, z[k], ours[k]) for k in range(4)])
        rows = take_looks(plan, series)
        found = estimate_at_decision(plan, rows, series)
        # The truth on the scale of the deciding look: its drift, carried to the log ratio.
        scale = math.log1p(found.relative_lift) / (rows[-1].z / math.sqrt(rows[-1].information))
        truth = math.expm1(drift * scale)
        raw += found.relative_lift > truth
        corrected += found.median_unbiased > truth
        covered += found.low <= truth <= found.high
    assert raw / runs > 0.55
    assert corrected / runs == pytest.approx(0.5, abs=3.3 * math.sqrt(0.25 / runs))
    assert covered / runs == pytest.approx(0.95, abs=3.3 * math.sqrt(0.0475 / runs))


def test_estimates_of_an_anytime_plan_use_its_own_boundaries():
    """An anytime plan that stopped early gets a smaller lift than the observed one."""
    plan = anytime_plan(alpha=0.05, days=range(1, 6), mde=0.1)
    series = independent_series(
        [point(k + 1, 1.35 * math.sqrt(k + 1), 200.0 * (k + 1)) for k in range(5)]
    )
    rows = take_looks(plan, series)
    found = estimate_at_decision(plan, rows, series)
    assert rule(rows).decided
    assert found.low < found.median_unbiased < found.high
    assert found.median_unbiased <= found.relative_lift


def test_there_is_no_estimate_before_the_decision():
    """An open experiment, and one that was undecidable, get a reason."""
    plan = sequential_plan(alpha=0.05, days=range(1, 5))
    series = independent_series([point(1, 0.3, 10.0)])
    assert estimate_at_decision(plan, take_looks(plan, series), series).code == "not_decided"
    few = independent_series([replace(point(4, 0.3, 10.0), event_units=2)])
    assert estimate_at_decision(plan, take_looks(plan, few), few).code == "few_events"


def test_an_estimate_is_plain_data():
    """to_json names every field."""
    plan = fixed_plan(alpha=0.05, day=1)
    series = independent_series([point(1, 2.6, 400.0)])
    found = estimate_at_decision(plan, take_looks(plan, series), series).to_json()
    assert set(found) == {"look", "day", "relative_lift", "median_unbiased", "low", "high"}
