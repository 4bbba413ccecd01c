"""Sample ratio mismatch against scipy, slow products and simulation."""

import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom, binomtest, chi2, chisquare

from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import (
    FIRES_AT,
    PRIOR_UNITS,
    PhaseCounts,
    chi_square,
    chi_square_by_phase,
    e_value_of,
    log_e_path,
    log_e_value,
)

EVEN = {"a": 50, "b": 50}
EVEN_WEIGHTS = [50, 50]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.5, 99)), min_size=2, max_size=6).filter(
        lambda rows: any(count for count, _ in rows)
    )
)
def test_p_value_is_that_of_scipy(rows):
    """Statistic and p-value agree with scipy.stats.chisquare where 10 units are expected."""
    observed = {str(i): count for i, (count, _) in enumerate(rows)}
    weights = {str(i): weight for i, (_, weight) in enumerate(rows)}
    least = sum(observed.values()) * min(weights.values()) / sum(weights.values())
    assume(least >= 10)
    result = chi_square(observed, weights)
    total, planned = sum(observed.values()), sum(weights.values())
    expected = [total * weight / planned for weight in weights.values()]
    oracle = chisquare(list(observed.values()), expected, sum_check=False)
    assert result.statistic == pytest.approx(oracle.statistic, rel=1e-9, abs=1e-9)
    assert result.p_value == pytest.approx(max(oracle.pvalue, 2.3e-308), rel=1e-6)


def test_a_variant_without_weight_is_no_degree_of_freedom():
    """Adding a variant at weight zero changes neither p nor the degrees of freedom."""
    plain = chi_square({"a": 510, "b": 490}, {"a": 50, "b": 50})
    padded = chi_square({"a": 510, "b": 490, "c": 0}, {"a": 50, "b": 50, "c": 0})
    assert (plain.p_value, plain.df) == (padded.p_value, padded.df)


def test_units_in_a_variant_without_weight_are_an_alarm():
    """Nobody can be assigned to a variant without weight, so one unit there is a fault."""
    result = chi_square({"a": 510, "b": 490, "c": 1}, {"a": 50, "b": 50, "c": 0})
    assert result.alarm


@pytest.mark.parametrize(
    ("counts", "alarm"),
    [((5000, 5000), False), ((5100, 4900), False), ((5250, 4750), True), ((10**12, 10**12), False)],
)
def test_alarm_is_below_one_in_a_thousand(counts, alarm):
    """An imbalance rings at p < 0.001 and not before."""
    result = chi_square(dict(zip("ab", counts, strict=True)), {"a": 50, "b": 50})
    assert result.alarm is alarm
    assert result.alarm == (result.p_value < 0.001)


def test_a_hopeless_imbalance_has_a_p_value_above_zero():
    """P is never 0: where it underflows it is the smallest float."""
    assert chi_square({"a": 10**9, "b": 10}, {"a": 50, "b": 50}).p_value == 2.2250738585072014e-308


@pytest.mark.parametrize(
    ("counts", "weights", "code"),
    [
        ({"a": 0, "b": 0}, {"a": 50, "b": 50}, "no_traffic"),
        ({"a": 9}, {"a": 100}, "no_weights"),
        ({"a": 9, "b": 9}, {}, "no_weights"),
    ],
)
def test_nothing_to_test_says_why(counts, weights, code):
    """Without traffic or without weights there is a reason instead of a p-value."""
    result = chi_square(counts, weights)
    assert isinstance(result, Undetermined)
    assert result.code == code


def test_negative_counts_are_refused():
    """A count below zero is an error, not a number."""
    with pytest.raises(ValueError, match="not negative"):
        chi_square({"a": -1, "b": 5}, {"a": 50, "b": 50})


def false_alarms(expected, share):
    """Exact probability that two variants ring, by the exact p and by chi-square."""
    total = round(expected / share)
    counts = range(total + 1)
    results = [chi_square({"a": n, "b": total - n}, {"a": share, "b": 1 - share}) for n in counts]
    chance = binom.pmf(counts, total, share)
    ours = sum(chance[n] for n in counts if results[n].alarm)
    pearson = sum(chance[n] for n in counts if chi2.sf(results[n].statistic, 1) < 0.001)
    return ours, pearson


@pytest.mark.parametrize("expected", [0.2, 1, 2, 5])
def test_small_counts_ring_no_more_often_than_stated(expected):
    """With few expected units p is exact: it rings in at most 0.1 % where chi-square rings more."""
    ours, pearson = false_alarms(expected, 0.01)
    assert ours <= 0.001
    assert pearson > 0.0015


def test_small_counts_of_two_variants_are_a_binomial_test():
    """Two variants have one exact p, that of scipy's binomial test."""
    result = chi_square({"a": 2, "b": 5}, {"a": 10, "b": 90})
    assert result.exact
    assert result.p_value == pytest.approx(binomtest(2, 7, 0.1).pvalue, rel=1e-12)


def test_small_counts_of_three_variants_pay_for_three_looks():
    """Three variants with few units have the least binomial p, times three."""
    result = chi_square({"a": 9, "b": 0, "c": 0}, {"a": 1, "b": 1, "c": 1})
    assert result.p_value == pytest.approx(3 * binomtest(9, 9, 1 / 3).pvalue, rel=1e-12)


def test_phases_add_up_and_do_not_cancel():
    """Two phases that are wrong in opposite directions ring, where the pooled counts look fine."""
    phases = [
        PhaseCounts({"a": 5300, "b": 4700}, EVEN),
        PhaseCounts({"a": 2700, "b": 7300}, {"a": 30, "b": 70}),
    ]
    both = chi_square_by_phase(phases)
    parts = [chi_square(phase.observed, phase.weights) for phase in phases]
    assert both.statistic == pytest.approx(sum(part.statistic for part in parts))
    assert both.df == 2
    assert both.p_value == pytest.approx(chi2.sf(both.statistic, 2))
    assert both.observed == {"a": 8000, "b": 12000}
    assert both.expected == {"a": 8000, "b": 12000}
    assert both.alarm
    assert not chi_square(both.observed, both.expected).alarm


def test_a_phase_with_few_units_has_its_own_exact_share():
    """A phase of a few units joins by its exact p, so that it adds no false alarm."""
    large = PhaseCounts({"a": 5000, "b": 5050}, EVEN)
    small = PhaseCounts({"a": 2, "b": 0}, {"a": 5, "b": 95})
    both = chi_square_by_phase([large, small])
    assert both.exact
    assert both.p_value == pytest.approx(2 * binomtest(2, 2, 0.05).pvalue)
    assert chi_square_by_phase([large, PhaseCounts({}, {"a": 5, "b": 95})]).p_value == (
        chi_square(large.observed, EVEN).p_value
    )


def test_a_phase_with_one_planned_variant_tells_only_of_strangers():
    """Where one variant gets everything nothing can be tested, but units elsewhere are a fault."""
    even = PhaseCounts({"a": 500, "b": 500}, EVEN)
    alone = {"a": 100, "b": 0}
    assert not chi_square_by_phase([even, PhaseCounts({"a": 900}, alone)]).alarm
    assert chi_square_by_phase([even, PhaseCounts({"a": 900, "b": 1}, alone)]).alarm
    assert isinstance(chi_square_by_phase([PhaseCounts({"a": 900}, alone)]), Undetermined)


def slow_e_value(counts, weights, order):
    """One unit after the other: its predictive probability over the planned one."""
    shares = np.asarray(weights) / np.sum(weights)
    seen, e = np.zeros(len(shares)), 1.0
    for variant in order:
        predicted = (PRIOR_UNITS * shares[variant] + seen[variant]) / (PRIOR_UNITS + seen.sum())
        e *= predicted / shares[variant]
        seen[variant] += 1
    assert list(seen) == list(counts)
    return e


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0.5, 99)), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_e_value_is_the_product_of_predictions(rows, draw):
    """In any order of arrival, e is the product of predictive over planned probabilities."""
    counts, weights = zip(*rows, strict=True)
    order = [variant for variant, count in enumerate(counts) for _ in range(count)]
    draw.shuffle(order)
    expected = slow_e_value(counts, weights, order)
    assert float(log_e_value(counts, weights)) == pytest.approx(math.log(expected), abs=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.003])
@pytest.mark.parametrize("total", [1, 30, 4_000, 10**6])
def test_e_value_of_two_variants_is_beta_binomial(share, total):
    """For two variants e is the beta-binomial over the binomial probability of scipy."""
    deviation = 4 * math.sqrt(total * share * (1 - share))
    first = min(total, round(total * share + deviation))
    a, b = PRIOR_UNITS * share, PRIOR_UNITS * (1 - share)
    oracle = betabinom.logpmf(first, total, a, b) - binom.logpmf(first, total, share)
    ours = float(log_e_value([first, total - first], [share, 1 - share]))
    assert ours == pytest.approx(oracle, rel=1e-9, abs=1e-8 * max(1, total / 1e4))


def exact_log_e(counts, weights):
    """The formula in 60 digits."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath comes with torch")
    with mpmath.workdps(60):
        shares = [mpmath.mpf(weight) / sum(weights) for weight in weights]
        a = [mpmath.mpf(PRIOR_UNITS) * share for share in shares]
        value = mpmath.loggamma(sum(a)) - mpmath.loggamma(sum(a) + sum(counts))
        for prior, share, n in zip(a, shares, counts, strict=True):
            value += mpmath.loggamma(prior + n) - mpmath.loggamma(prior) - n * mpmath.log(share)
        return float(value)


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([10**12, 10**12 + 3 * 10**6], [50, 50]),
        ([10**12 + 3 * 10**6, 3 * 10**12], [25, 75]),
        ([500, 500, 10**9], [1, 1, 98]),
        ([10**12, 0], [1, 1]),
        ([3, 0, 9], [0.01, 1, 98.99]),
        ([0, 0], [50, 50]),
    ],
)
def test_e_value_keeps_its_digits(counts, weights):
    """Counts of 1e12 lose no digits to cancellation, and nobody is e = 1."""
    ours = float(log_e_value(counts, weights))
    assert ours == pytest.approx(exact_log_e(counts, weights), rel=1e-12, abs=1e-9)


def test_arrays_are_many_e_values_at_once():
    """Days and simulations are leading axes."""
    counts = np.random.default_rng(5).integers(0, 900, (4, 7, 3))
    many = log_e_value(counts, [20, 30, 50])
    assert many.shape == (4, 7)
    assert many[2, 5] == float(log_e_value(counts[2, 5], [20, 30, 50]))


def test_the_expected_e_value_is_one():
    """Averaged over what the plan draws, the e-value after any number of units is 1."""
    for total in (1, 50, 2000):
        first = np.arange(total + 1)
        log_e = log_e_value(np.stack([first, total - first], axis=-1), [30, 70])
        chance = np.exp(binom.logpmf(first, total, 0.3) + log_e)
        assert float(chance.sum()) == pytest.approx(1, rel=1e-9)


def test_daily_looks_ring_in_one_of_a_thousand_at_most():
    """Looked at every day, also across a change of weights, a sound split hardly ever rings."""
    draw = np.random.default_rng(20)
    runs, days = 4000, 14
    log_e = np.zeros((runs, 2 * days))
    for phase, shares in enumerate(([0.5, 0.5], [0.1, 0.6, 0.3])):
        daily = draw.multinomial(700, shares, size=(runs, days))
        before = log_e[:, [days - 1]] if phase else 0
        path = log_e_value(np.cumsum(daily, axis=1), shares)
        log_e[:, phase * days : (phase + 1) * days] = before + path
    fired = (log_e.max(axis=1) >= math.log(FIRES_AT)).mean()
    assert fired <= 0.001 + 3 * math.sqrt(0.001 / runs)


@pytest.mark.parametrize(("share", "days", "daily"), [(0.52, 20, 1000), (0.51, 20, 4000)])
def test_a_broken_split_rings(share, days, daily):
    """52/48 rings within 20,000 units and 51/49 within 80,000, nine times in ten."""
    draw = np.random.default_rng(21)
    first = np.cumsum(draw.binomial(daily, share, size=(2000, days)), axis=1)
    total = daily * np.arange(1, days + 1)
    path = log_e_value(np.stack([first, total - first], axis=-1), [50, 50])
    assert (path.max(axis=1) >= math.log(FIRES_AT)).mean() >= 0.9


def test_a_change_of_weights_starts_a_new_factor():
    """The path is the product over phases of each phase's e-value of its days so far."""
    first = np.array([[60, 40], [55, 45], [0, 0], [0, 0]])
    second = np.array([[0, 0], [0, 0], [9, 91], [12, 88]])
    path = log_e_path([(first, [50, 50]), (second, [10, 90])])
    expected = [
        log_e_value([60, 40], EVEN_WEIGHTS),
        log_e_value([115, 85], EVEN_WEIGHTS),
        log_e_value([115, 85], EVEN_WEIGHTS) + log_e_value([9, 91], [10, 90]),
        log_e_value([115, 85], EVEN_WEIGHTS) + log_e_value([21, 179], [10, 90]),
    ]
    assert path == pytest.approx(np.array(expected, dtype=float))


def test_a_unit_without_a_plan_makes_e_infinite():
    """From the day on which it came, whatever comes later; as a number it is the largest float."""
    daily = np.array([[50, 50, 0], [50, 50, 1], [50, 50, 0]])
    path = log_e_path([(daily, [50, 50, 0])])
    assert list(np.isinf(path)) == [False, True, True]
    assert e_value_of(path[1]) == sys.float_info.max
    assert path[0] == log_e_value([50, 50], EVEN_WEIGHTS)


def test_paths_of_many_segments_are_found_at_once():
    """Leading axes are segments, each with its own path."""
    daily = np.random.default_rng(6).integers(0, 90, (3, 5, 2))
    many = log_e_path([(daily, [50, 50]), (daily[:, ::-1], [40, 60])])
    assert many.shape == (3, 5)
    assert list(many[1]) == list(log_e_path([(daily[1], [50, 50]), (daily[1, ::-1], [40, 60])]))


@pytest.mark.parametrize(
    ("log_e", "e"), [(0.0, 1.0), (1e6, sys.float_info.max), (-1e6, sys.float_info.min)]
)
def test_e_values_are_finite(log_e, e):
    """A number beyond a float is the largest or smallest one."""
    assert e_value_of(log_e) == e


@pytest.mark.parametrize(("counts", "weights"), [([-1, 2], [1, 1]), ([1, 2], [1, 0])])
def test_impossible_counts_and_weights_are_refused(counts, weights):
    """Counts below zero and weights of zero are errors, not numbers."""
    with pytest.raises(ValueError, match="above zero"):
        log_e_value(counts, weights)
