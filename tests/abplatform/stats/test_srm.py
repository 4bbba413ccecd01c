"""Sample ratio mismatch against scipy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.5, 99)), min_size=2, max_size=6).filter(
        lambda rows: any(count for count, _ in rows)
    )
)
def test_p_value_is_that_of_scipy(rows):
    """Statistic and p-value agree with scipy.stats.chisquare for any counts and weights."""
    observed = {str(i): count for i, (count, _) in enumerate(rows)}
    weights = {str(i): weight for i, (_, weight) in enumerate(rows)}
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
