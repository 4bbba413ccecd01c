"""Adjusted p-values against statsmodels and against hand computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from abplatform.stats.categories import adjust, reject_by_e_values


def slow_bh(p_values):
    """Benjamini-Hochberg by its definition: the least of m·p(j)/j over all j at or above."""
    m, order = len(p_values), np.argsort(p_values)
    ranked = [p_values[place] for place in order]
    adjusted = [min(min(1, m * ranked[j] / (j + 1)) for j in range(i, m)) for i in range(m)]
    found = [0.0] * m
    for rank, place in enumerate(order):
        found[place] = adjusted[rank]
    return found


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(P_VALUES)
def test_bh_is_its_definition(p_values):
    """BH agrees with the definition written out."""
    assert adjust(p_values, correction="bh") == pytest.approx(slow_bh(p_values), rel=1e-12)


@settings(max_examples=6, deadline=None)
@given(P_VALUES)
def test_holm_and_by_agree_with_statsmodels(p_values):
    """Holm, which is our own, and BY agree with statsmodels."""
    for ours, theirs in (("holm", "holm"), ("by", "fdr_by")):
        expected = multipletests(p_values, method=theirs)[1]
        assert adjust(p_values, correction=ours) == pytest.approx(expected, rel=1e-12)


def test_known_example():
    """The four p-values 0.01, 0.02, 0.03, 0.5 become 0.04, 0.04, 0.04, 0.5."""
    assert adjust([0.01, 0.5, 0.03, 0.02], correction="bh") == pytest.approx(
        [0.04, 0.5, 0.04, 0.04]
    )


@pytest.mark.parametrize("correction", ["bh", "by", "holm", "none"])
def test_a_missing_result_is_in_no_family(correction):
    """A category without a result stays without one and does not weaken the others."""
    with_gap = adjust([0.01, None, 0.04], correction=correction)
    without = adjust([0.01, 0.04], correction=correction)
    assert with_gap == [without[0], None, without[1]]
    assert adjust([None, None], correction=correction) == [None, None]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(wrong):
    """NaN and numbers outside 0 … 1 are refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust([0.5, wrong], correction="bh")


E_VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(E_VALUES, st.sampled_from([0.05, 0.1]))
def test_e_bh_is_its_definition(e_values, alpha):
    """The k largest are rejected, k the greatest for which the k-th is at least K/(k·alpha)."""
    size, ranked = len(e_values), sorted(e_values, reverse=True)
    k = max((k for k in range(1, size + 1) if ranked[k - 1] * k * alpha >= size), default=0)
    found = reject_by_e_values(e_values, alpha=alpha, correction="bh")
    assert sum(found) >= k
    assert found == [k > 0 and e >= ranked[k - 1] for e in e_values]
    assert reject_by_e_values(e_values, alpha=alpha, correction="by") == found


def test_e_bh_by_hand():
    """Of 60, 30, 10, 1 at 10 %: 60 ≥ 40 and 30 ≥ 20, but 10 < 13.3, so two are rejected."""
    found = reject_by_e_values([10.0, 60.0, 1.0, 30.0], alpha=0.1, correction="bh")
    assert found == [False, True, False, True]


def test_other_corrections_of_e_values():
    """Holm on 1/e, and each alone; infinity is as sure as it gets."""
    e_values = [25.0, float("inf"), 30.0]
    assert reject_by_e_values(e_values, alpha=0.05, correction="none") == [True, True, True]
    assert reject_by_e_values(e_values, alpha=0.05, correction="holm") == [False, True, False]


def test_a_missing_e_value_is_in_no_family():
    """A category without an e-value is not rejected and does not weaken the others."""
    found = reject_by_e_values([None, 45.0, None, 45.0], alpha=0.05, correction="bh")
    assert found == [False, True, False, True]
    assert reject_by_e_values([None], alpha=0.05, correction="bh") == [False]


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_what_is_no_e_value_is_refused(wrong):
    """NaN and negative numbers are refused."""
    with pytest.raises(ValueError, match="not negative"):
        reject_by_e_values([2.0, wrong], alpha=0.05, correction="bh")


def test_e_bh_keeps_the_false_discovery_rate_under_dependence():
    """Twenty correlated categories, four with an effect: at most 5 % of the findings are false."""
    rng, runs, false_share = np.random.default_rng(20261122), 3000, 0.0
    effects, tau2 = np.where(np.arange(20) < 4, 4.0, 0.0), 4.0
    for _ in range(runs):
        z = effects + 0.7 * rng.standard_normal() + np.sqrt(0.51) * rng.standard_normal(20)
        e_values = np.exp(0.5 * z**2 * tau2 / (1 + tau2)) / np.sqrt(1 + tau2)
        found = reject_by_e_values(e_values.tolist(), alpha=0.05, correction="bh")
        false_share += sum(found[4:]) / max(1, sum(found))
    assert false_share / runs <= 0.05
