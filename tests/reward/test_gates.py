"""Bars that a challenger has to take, each held against evaluations made by hand."""

import numpy as np
import pytest

from reward.dataset import read_pairs
from reward.evaluate import evaluate
from reward.gates import Gates, gain_over, pass_gates

GATES = Gates(max_ece=1.0, min_pairs=30, min_components=8)


@pytest.fixture(scope="module")
def table(drawn):
    return read_pairs(drawn.pairs)


def judged(table, accuracy, *, seed=0, sure=0.8):
    """An evaluation that is right in a share of pairs, by category if a mapping is given."""
    draw = np.random.default_rng(seed).random(len(table))
    wanted = np.array(
        [accuracy[one] if isinstance(accuracy, dict) else accuracy for one in table.categories]
    )
    p_chosen = np.where((draw < wanted) == (table.p_win >= 0.5), sure, 1 - sure)
    return evaluate(table, p_chosen, p_chosen)


def gate(name, gates):
    return next(one for one in gates if one.name == name)


def test_a_better_challenger_takes_every_bar(table):
    passed = pass_gates(
        GATES, table, judged(table, 0.9), judged(table, 0.7, seed=1), twin=judged(table, 0.5)
    )
    assert all(one.passed for one in passed), passed


def test_a_category_that_suffers_refuses_a_gain_elsewhere(table):
    """Better on the whole and far worse in one category is refused, and the category is named."""
    challenger = judged(table, {"beauty/lip": 1.0, "home/lamp": 0.6})
    champion = judged(table, {"beauty/lip": 0.0, "home/lamp": 0.95}, seed=1)
    passed = pass_gates(GATES, table, challenger, champion, twin=judged(table, 0.5, seed=2))
    assert gate("gain", passed).passed
    found = gate("categories", passed)
    assert not found.passed
    assert "home" in found.detail
    assert "beauty" not in found.detail


def test_small_categories_are_not_judged_alone(table):
    """Too few pairs prove nothing against a category."""
    challenger = judged(table, {"beauty/lip": 1.0, "home/lamp": 0.6})
    champion = judged(table, {"beauty/lip": 0.0, "home/lamp": 0.95}, seed=1)
    gates = Gates(max_ece=1.0, min_pairs=100)
    passed = pass_gates(gates, table, challenger, champion, twin=judged(table, 0.5, seed=2))
    found = gate("categories", passed)
    assert found.passed
    assert "none of 0" in found.detail


def test_alarms_of_the_champion_refuse(table):
    passed = pass_gates(
        GATES,
        table,
        judged(table, 0.9),
        judged(table, 0.6, seed=1),
        twin=judged(table, 0.5),
        alarms=["realised wins fell below what was predicted"],
    )
    assert [one.name for one in passed if not one.passed] == ["report_card"]
    assert "rollback" in gate("report_card", passed).detail


def test_overconfidence_is_refused(table):
    """A challenger that is right in 6 of 10 and says 99 % is not promoted."""
    sure = judged(table, 0.6, sure=0.99)
    passed = pass_gates(Gates(), table, sure, None, twin=judged(table, 0.5, seed=2))
    assert not gate("calibration", passed).passed


def test_gains_are_bounded_by_whole_products(table):
    """Copies of one product's pairs make a bound wider than that of as many products."""
    half = np.full(len(table), 0.5)
    hit = judged(table, 0.7).hit
    whole = gain_over(half, hit, table.component, confidence=0.95)
    alone = gain_over(half, hit, np.arange(len(table)), confidence=0.95)
    assert whole.mean == alone.mean == pytest.approx(hit.mean() - 0.5)
    assert whole.low < whole.mean < whole.high
    normal = 1.645 * hit.std() / np.sqrt(len(hit))
    assert alone.mean - alone.low == pytest.approx(normal, rel=0.15)
