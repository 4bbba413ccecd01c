"""Adjusted p-values against statsmodels and against hand computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from abplatform.stats.categories import adjust


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
