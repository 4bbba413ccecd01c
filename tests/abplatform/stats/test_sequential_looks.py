"""Looks taken day by day: what is spent, what is skipped, what is never touched again."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from abplatform.stats.anytime import monitor
from abplatform.stats.fieller import RateEstimate, compare_rates
from abplatform.stats.ratio import Undetermined
from abplatform.stats.sequential import (
    LookPoint,
    LookRow,
    LookSeries,
    Spending,
    anytime_plan,
    first_crossings,
    fixed_plan,
    independent_series,
    planned_boundaries,
    rule,
    sequential_plan,
    take_looks,
)
from abplatform.stats.sequential.series import independent_correlation

RATE = 0.05


def point(day, z, information, *, units=1000):
    """A day with exactly this statistic and information."""
    se = RATE / math.sqrt(information)
    control = RateEstimate(RATE, se**2 / 2)
    return LookPoint(
        day, compare_rates(control, RateEstimate(RATE + z * se, se**2 / 2)), RATE, units
    )


def series_of(days, z, information, *, correlation=None, units=1000):
    points = tuple(point(*one, units=units) for one in zip(days, z, information, strict=True))
    if correlation is None:
        return independent_series(points)
    return LookSeries(points, np.asarray(correlation))


def head(series, days):
    return LookSeries(series.points[:days], series.correlation[:days, :days])


def returning(information, share):
    """A correlation below that of independent increments."""
    return (1 - share) * np.eye(len(information)) + share * independent_correlation(information)


def random_case(seed, looks=10):
    """A plan and a series of looks, independent or not, with falls, gaps and effects."""
    rng = np.random.default_rng(seed)
    days = list(range(5, 5 + looks))
    information = np.cumsum(rng.uniform(0.0, 1, looks))
    if seed % 3 == 1:
        information *= rng.uniform(0.9, 1.05, looks)
    ours = information.tolist()
    correlation = independent_correlation(ours) if seed % 2 else returning(ours, 0.8)
    z = np.linalg.cholesky(correlation + 1e-12 * np.eye(looks)) @ rng.standard_normal(looks)
    z = z + rng.choice([0.0, 0.0, 1.5, 3.0]) * np.sqrt(information / information[-1])
    plan = sequential_plan(alpha=float(rng.choice([0.05, 0.01, 0.2])), days=days)
    if seed % 4:
        plan = replace(plan, information_max=float(information[-1] * rng.choice([0.25, 1, 4])))
    return plan, series_of(days, z, ours, correlation=correlation)


@pytest.mark.parametrize("seed", range(24))
def test_one_look_a_day_is_the_same_as_all_at_once(seed):
    """Rows recorded daily equal those computed in one go, to the last bit; a rerun adds nothing."""
    plan, series = random_case(seed)
    at_once = take_looks(plan, series)
    daily = ()
    for known in range(1, len(series.points) + 1):
        daily = take_looks(plan, head(series, known), daily)
    assert daily == at_once
    assert take_looks(plan, series, at_once) == at_once


@pytest.mark.parametrize("seed", range(12))
def test_recorded_rows_stay_whatever_the_data_become(seed):
    """Data of past days that change leave the recorded rows verbatim and still spend alpha once."""
    plan, series = random_case(seed)
    past = take_looks(plan, head(series, 5))
    other = series_of(
        [one.day for one in series.points],
        [-0.1] * 10,
        [one.information * 1.1 for one in series.points],
        correlation=series.correlation,
    )
    rows = take_looks(plan, other, past)
    assert rows[: len(past)] == past
    assert math.fsum(row.alpha_here for row in rows) <= plan.alpha * (1 + 1e-12)
    if not rule(past).decided:
        assert rows[-1].alpha_spent == plan.alpha
    vanished = LookSeries(other.points[3:], other.correlation[3:, 3:])
    assert take_looks(plan, vanished, past)[: len(past)] == past


@pytest.mark.parametrize("factor", [0.25, 0.99, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("spending", Spending)
def test_every_plan_spends_exactly_alpha_by_its_last_look(factor, spending):
    """Plans too small or too large by four spend all of alpha, at t = 1 or else at max_runtime."""
    days, information = range(7, 29), [100.0 * d for d in range(7, 29)]
    plan = sequential_plan(alpha=0.05, days=days, spending=spending)
    plan = replace(plan, information_max=2800.0 * factor)
    rows = take_looks(plan, series_of(days, [0.3] * 22, information))
    assert math.fsum(row.alpha_here for row in rows) == pytest.approx(0.05, abs=1e-15)
    assert [row.last for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[-1].day == min(28, max(7, math.ceil(28 * factor)))
    assert rule(rows).direction == 0
    assert rule(rows).decided


def test_a_plan_that_was_far_too_small_tests_once_at_full_alpha():
    """Where the first look already has all planned information it is a fixed test."""
    plan = replace(sequential_plan(alpha=0.05, days=range(7, 29)), information_max=10.0)
    (row,) = take_looks(plan, series_of([7, 8], [1.95, 9.0], [700.0, 800.0]))
    assert row.last
    assert not row.crossed
    assert row.boundary == pytest.approx(norm.ppf(0.975), rel=1e-9)


def test_planned_looks_get_the_planned_boundaries():
    """Where information comes as planned, rows carry the published boundaries and spends."""
    plan = sequential_plan(alpha=0.05, days=range(1, 6))
    rows = take_looks(plan, series_of(range(1, 6), [0.1] * 5, [20.0 * k for k in range(1, 6)]))
    assert [row.boundary for row in rows] == pytest.approx(
        planned_boundaries(alpha=0.05, planned=(0.2, 0.4, 0.6, 0.8, 1.0)), abs=1e-8
    )
    assert [row.information_fraction for row in rows] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    # Reboussin et al. (2000): cumulative two-sided spend of five even looks.
    assert [row.alpha_spent for row in rows] == pytest.approx(
        [0.00000, 0.00079, 0.00762, 0.02442, 0.05000], abs=1e-5
    )


def test_a_look_without_more_information_neither_spends_nor_stops():
    """Information that falls, or rises by less than 0.1 %, costs nothing and cannot decide."""
    plan = sequential_plan(alpha=0.05, days=range(1, 8))
    information = [10.0, 20.0, 18.0, 20.01, 30.0, 29.0, 30.0]
    rows = take_looks(plan, series_of(range(1, 8), [0.1, 0.2, 9, 9, 0.3, 9, 0.4], information))
    assert [row.boundary is None for row in rows] == [False, False, True, True, False, True, False]
    assert [row.alpha_here == 0 for row in rows] == [False, False, True, True, False, True, False]
    assert not any(row.crossed for row in rows)
    assert rows[-1].alpha_spent == 0.05


def test_the_last_look_decides_also_without_more_information():
    """The day of max_runtime spends what is left although information fell."""
    plan = replace(sequential_plan(alpha=0.05, days=range(1, 5)), information_max=100.0)
    rows = take_looks(plan, series_of(range(1, 5), [0.1, 0.2, 0.3, 4.0], [10, 20, 30, 25]))
    assert rows[-1].last
    assert rows[-1].crossed
    assert rows[-1].information_fraction == pytest.approx(0.3)
    assert rows[-1].alpha_spent == 0.05


def test_days_before_min_runtime_are_no_looks():
    """Data of days outside the plan are left alone."""
    plan = sequential_plan(alpha=0.05, days=range(7, 15))
    rows = take_looks(plan, series_of(range(1, 21), [9.0] * 6 + [0.1] * 14, range(100, 120)))
    assert [row.day for row in rows] == list(range(7, 15))


def test_small_looks_are_skipped_and_spend_nothing():
    """With 49 clicking units a look is skipped with its reason; with 50 it counts."""
    plan = sequential_plan(alpha=0.05, days=range(1, 4))
    points = [point(1, 9.0, 10, units=49), point(2, 0.1, 20, units=50), point(3, 0.1, 30)]
    rows = take_looks(plan, independent_series(points))
    assert rows[0].skipped.startswith("few_events: 49 units")
    assert (rows[0].z, rows[0].boundary, rows[0].alpha_here, rows[0].crossed) == (
        *(None, None, 0.0),
        False,
    )
    assert rows[1].skipped is None
    assert rows[2].alpha_spent == 0.05


@pytest.mark.parametrize(("units", "decides"), [(4, False), (5, True), (49, True)])
def test_the_last_look_asks_for_five_units_only(units, decides):
    """At the last look 5 clicking units are tested, and 4 are undetermined, not a null result."""
    plan = sequential_plan(alpha=0.05, days=range(1, 3))
    rows = take_looks(
        plan, independent_series([point(1, 5, 10, units=3), point(2, 5, 20, units=units)])
    )
    ruling = rule(rows)
    assert ruling.decided
    assert ruling.direction == int(decides)
    assert isinstance(ruling.undetermined, Undetermined) is not decides


def test_a_contrast_that_is_undetermined_skips_its_look():
    """The reason of the contrast becomes the reason of the look."""
    plan = sequential_plan(alpha=0.05, days=range(1, 3))
    empty = LookPoint(1, Undetermined("no_traffic: control has no units"), 0.0, 0)
    rows = take_looks(plan, independent_series([empty, point(2, 0.5, 20)]))
    assert rows[0].skipped == "no_traffic: control has no units"
    assert rows[0].relative_lift is None
    assert rows[1].last


def test_any_other_stop_is_no_last_look():
    """Data that end before max_runtime decide nothing and leave alpha unspent."""
    plan = sequential_plan(alpha=0.05, days=range(7, 29))
    rows = take_looks(plan, series_of(range(7, 12), [1.9] * 5, [10, 20, 30, 40, 50]))
    ruling = rule(rows)
    assert (ruling.decided, ruling.row, ruling.direction) == (False, None, 0)
    assert rows[-1].alpha_spent < 0.001
    assert rule(()).decided is False


@pytest.mark.parametrize("sign", [1, -1])
def test_after_a_crossing_later_days_change_nothing(sign):
    """The crossing row is the last one, and its side is the ruling's direction."""
    plan = sequential_plan(alpha=0.05, days=range(1, 6))
    rows = take_looks(plan, series_of(range(1, 6), [0.1, sign * 4.0, 0, 0, 0], [1, 2, 3, 4, 5]))
    assert len(rows) == 2
    assert rule(rows).row is rows[1]
    assert rule(rows).direction == sign


def test_rows_survive_a_journal_to_the_last_digit():
    """A row written as JSON and read back is the same row, with keys of others beside it."""
    plan, series = random_case(2)
    rows = take_looks(plan, series)
    written = [json.loads(json.dumps({**row.to_json(), "treatment": "b"})) for row in rows]
    assert tuple(map(LookRow.from_json, written)) == rows


def test_a_fixed_plan_is_one_test_at_the_end():
    """One look, at its day, with the fixed critical value and all of alpha."""
    plan = fixed_plan(alpha=0.05, day=14)
    rows = take_looks(plan, series_of(range(1, 21), [9.0] * 13 + [1.97] + [0.0] * 6, range(1, 21)))
    (row,) = rows
    assert (row.day, row.last, row.crossed, row.alpha_spent) == (14, True, True, 0.05)
    assert row.boundary == pytest.approx(norm.ppf(0.975), rel=1e-9)


@pytest.mark.parametrize("lift", [0.0, 0.6, -0.5])
def test_an_anytime_plan_crosses_where_the_sequence_excludes_zero(lift):
    """Rows cross exactly where the monitored interval leaves zero outside; nothing is spent."""
    plan = anytime_plan(alpha=0.05, days=range(3, 15), mde=0.1)
    days = range(1, 15)
    points = [point(d, lift * math.sqrt(30 * d), 30.0 * d, units=25 * d) for d in days]
    rows = take_looks(plan, independent_series(points))
    for row in rows:
        view = monitor(
            points[row.day - 1].contrast, event_units=25 * row.day, alpha=0.05, tau2=plan.tau2
        )
        if row.day < 4:
            assert row.skipped.startswith("few_events")
            continue
        assert row.crossed == (not view.relative.low <= 0 <= view.relative.high)
        assert (row.alpha_here, row.alpha_spent) == (None, None)
    assert rule(rows).decided
    assert rule(rows).direction == (lift > 0) - (lift < 0)
    assert rows[-1].day == 14 or rows[-1].crossed


def test_the_sequence_needs_a_positive_rate():
    """A rate below zero skips an anytime look with its reason, and the last one is undetermined."""
    contrast = compare_rates(RateEstimate(-0.1, 1e-4), RateEstimate(0.2, 1e-4))
    rows = take_looks(
        anytime_plan(alpha=0.05, days=[1]),
        independent_series([LookPoint(1, contrast, 0.05, 900)]),
    )
    assert rule(rows).undetermined.code == "no_positive_rate"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_simulations_cross_where_looks_do(seed):
    """first_crossings finds the very look at which take_looks stops, by both methods."""
    plan, series = random_case(seed, looks=6)
    z = np.array([[one.contrast.z for one in series.points]])
    information = np.array([[one.information for one in series.points]])
    found = first_crossings(plan, z, information, correlation=lambda _: series.correlation)
    ruling = rule(take_looks(plan, series))
    assert found[0] == (ruling.row.look if ruling.direction else 0)


def test_simulations_cross_where_an_anytime_plan_does():
    """The same holds for the confidence sequence, with looks that have too little data."""
    plan = anytime_plan(alpha=0.05, days=range(1, 9), mde=0.1)
    rng = np.random.default_rng(8)
    information = np.tile(40.0 * np.arange(1, 9), (40, 1))
    z = rng.standard_normal((40, 8)) + np.linspace(-3, 4, 40)[:, None]
    usable = np.tile(np.arange(1, 9) > 2, (40, 1))
    # On the log scale the point's own z differs from the plain one; ask the row for it.
    for run in range(40):
        points = [
            point(d + 1, z[run, d], information[run, d], units=1000 if usable[run, d] else 3)
            for d in range(8)
        ]
        for d, one in enumerate(points):
            variance = one.contrast.log_ratio_variance
            z[run, d] = one.contrast.log_ratio / math.sqrt(variance)
            information[run, d] = 1 / variance
        ruling = rule(take_looks(plan, independent_series(points)))
        found = first_crossings(plan, z[[run]], information[[run]], usable=usable[[run]])
        assert found[0] == (ruling.row.look if ruling.direction else 0)


@pytest.mark.parametrize(
    ("share", "factor"), [(1.0, 0.25), (1.0, 1.0), (1.0, 4.0), (0.8, 0.25), (0.8, 1.0)]
)
def test_type_one_error_is_alpha(share, factor):
    """Gaussian looks without effect cross 5 % of the time: plan right or four times off."""
    rng, runs = np.random.default_rng(20), 8000 if share == 1 else 1500
    days = range(4, 15)
    ours = [float(d) for d in days]
    correlation = returning(ours, share)
    plan = sequential_plan(alpha=0.05, days=days)
    plan = replace(plan, information_max=14.0 * factor)
    z = rng.standard_normal((runs, 11)) @ np.linalg.cholesky(correlation).T
    information = np.tile(ours, (runs, 1))
    found = first_crossings(plan, z, information, correlation=lambda _: correlation)
    assert (found > 0).mean() == pytest.approx(0.05, abs=3.3 * math.sqrt(0.0475 / runs))


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": ()},
        {"days": (3, 2)},
        {"days": (0, 1)},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"information_max": 0.0},
        {"information_max": math.inf},
        {"information_max": math.nan},
    ],
)
def test_plans_that_nobody_can_follow_are_refused(wrong):
    """Days out of order, impossible error rates and impossible information are ValueErrors."""
    with pytest.raises(ValueError, match=r"looks rise|alpha|information"):
        replace(sequential_plan(alpha=0.05, days=(1, 2)), **wrong)


@pytest.mark.parametrize("mde", [0.0, -1.0, math.nan])
def test_lifts_that_no_sample_finds_are_refused(mde):
    """A lift of nothing, or of -100 %, has no planned information."""
    with pytest.raises(ValueError, match="no sample"):
        sequential_plan(alpha=0.05, days=(1, 2), mde=mde)


def test_a_series_has_its_days_in_order():
    """Days out of order, or correlations of another size, are refused."""
    points = (point(2, 0, 1), point(1, 0, 2))
    with pytest.raises(ValueError, match="days"):
        LookSeries(points, np.eye(2))
    with pytest.raises(ValueError, match="shape"):
        LookSeries(points[:1], np.eye(2))
