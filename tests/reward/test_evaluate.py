import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from abplatform.errors import TrainingError
from reward.dataset import read_pairs, table_from_frame
from reward.evaluate import evaluate, hits
from reward.gates import Gates, gain_over, pass_gates


@pytest.fixture
def four(drawn):
    """Four pairs: a hit, a miss, a tie, and one whose label leans to the rejected side."""
    frame = read_pairs(drawn.pairs).frame.head(12).gather([0, 6, 7, 8])
    return table_from_frame(
        frame.with_columns(
            p_win=pl.Series([0.99, 0.8, 0.6, 0.3]),
            weight=pl.Series([0.4, 0.3, 0.2, 0.1]),
            category=pl.Series(["a", "b", "b", "b"]),
        )
    )


def test_evaluation_against_hand_counted_pairs(four):
    """Accuracy, ceiling, log-loss and calibration are what one counts on paper."""
    predicted = np.array([0.9, 0.4, 0.5, 0.2])
    numbers = evaluate(four, predicted, predicted).numbers
    assert numbers["pairs"] == 4
    assert numbers["accuracy"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert numbers["accuracy_weighted"] == pytest.approx(0.4 + 0 + 0.1 + 0.1)
    assert numbers["accuracy_significant"] == 1
    assert numbers["pairs_significant"] == 1
    assert numbers["noise_ceiling"] == pytest.approx((0.99 + 0.8 + 0.6 + 0.7) / 4)
    assert numbers["noise_ceiling_weighted"] == pytest.approx(0.396 + 0.24 + 0.12 + 0.07)
    assert numbers["ties"] == 1
    loss = [
        -(p * math.log(q) + (1 - p) * math.log(1 - q))
        for p, q in zip([0.99, 0.8, 0.6, 0.3], predicted, strict=True)
    ]
    assert numbers["log_loss"] == pytest.approx(sum(loss) / 4)
    # bins of 0.05 on the preferred side: (0.9 | 0.99), (0.6 | 0.2), (0.5 | 0.5), (0.8 | 0.7)
    assert numbers["ece"] == pytest.approx((0.09 + 0.4 + 0 + 0.1) / 4)
    assert numbers["by_category"]["a"]["accuracy"] == 1
    assert numbers["by_category"]["b"]["pairs"] == 3
    assert numbers["by_category"]["b"]["accuracy_significant"] is None
    assert numbers["share_of_ceiling"] == pytest.approx(0.625 / numbers["noise_ceiling"])


def test_a_winner_that_may_be_wrong_is_expected_less_often(four):
    """Adjusted calibration compares wins with q·π + (1 - q)·(1 - π), counted on paper."""
    predicted = np.array([0.9, 0.4, 0.5, 0.2])
    numbers = evaluate(four, predicted, predicted).numbers
    # preferred side q, reliability π, whether it won: (0.9, 0.99, 1), (0.6, 0.8, 0), (0.5, 0.6, ½),
    # (0.8, 0.7, 1); each in a bin of its own
    expected = [0.9 * 0.99 + 0.1 * 0.01, 0.6 * 0.8 + 0.4 * 0.2, 0.5, 0.8 * 0.7 + 0.2 * 0.3]
    gaps = [abs(one - won) for one, won in zip(expected, [1, 0, 0.5, 1], strict=True)]
    assert numbers["ece_adjusted"] == pytest.approx(sum(gaps) / 4)


def test_noise_in_winners_is_no_miscalibration(drawn):
    """Of a model that knows the truth, the adjusted error is near zero where winners are unsure."""
    rng = np.random.default_rng(1)
    frame = read_pairs(drawn.pairs).frame
    rows = frame[np.arange(6000) % len(frame)]
    truth, reliability = rng.uniform(0.5, 1, 6000), rng.uniform(0.55, 0.95, 6000)
    is_better = rng.random(6000) < truth
    is_right = rng.random(6000) < reliability
    p_win = np.where(is_better == is_right, reliability, 1 - reliability)
    table = table_from_frame(
        rows.with_columns(
            pl.Series("p_win", p_win), pl.Series("pair_id", [str(n) for n in range(6000)])
        )
    )
    numbers = evaluate(table, truth, truth).numbers
    assert numbers["ece_adjusted"] < 0.03
    cocksure = np.clip(1.5 * (truth - 0.5) + 0.5, 0.5, 1)
    assert evaluate(table, cocksure, cocksure).numbers["ece_adjusted"] > 0.04


def test_parts_add_up(four):
    """Every pair is in one category, week and margin."""
    predicted = np.array([0.9, 0.4, 0.5, 0.2])
    numbers = evaluate(four, predicted, predicted).numbers
    assert {name: part["pairs"] for name, part in numbers["by_margin"].items()} == {
        "0.5 to 0.75": 2,
        "0.75 to 0.9": 1,
        "0.975 to 1": 1,
    }
    assert numbers["by_margin"]["0.5 to 0.75"]["accuracy"] == pytest.approx(0.75)
    assert {week: part["pairs"] for week, part in numbers["by_week"].items()} == {"2026-W48": 4}


def test_click_ranking_against_every_impression(four):
    """The AUC over clicks is the rank statistic over impressions laid out one by one."""
    rng = np.random.default_rng(2)
    rates = rng.integers(1, 4, len(four.items)) / 100
    clicked = np.repeat(rates, four.clicks)
    passed = np.repeat(rates, four.impressions - four.clicks)
    predicted = np.full(4, 0.6)
    found = evaluate(four, predicted, predicted, click_rates=rates).numbers["auc_clicks"]
    statistic = mannwhitneyu(clicked, passed, method="asymptotic").statistic
    assert found == pytest.approx(statistic / len(clicked) / len(passed))
    assert evaluate(four, predicted, predicted).numbers["auc_clicks"] is None


def test_a_perfect_model_reaches_the_ceiling_on_drawn_labels(drawn):
    """A model that states the labels has accuracy 1 and, on coins they describe, the ceiling."""
    table = read_pairs(drawn.pairs)
    numbers = evaluate(table, table.p_win, table.p_win).numbers
    assert numbers["accuracy"] == 1
    assert numbers["ece"] == pytest.approx(0, abs=1e-12)
    coins = np.random.default_rng(0).random((4000, len(table))) < table.p_win
    assert np.where(coins, 1, 0).mean() == pytest.approx(numbers["noise_ceiling"], abs=0.003)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_hits_do_not_depend_on_the_order(pairs):
    """Exchanging the sides of pairs changes no hit, and every hit is 0, one half or 1."""
    predicted, p_win = (np.array(column) for column in zip(*pairs, strict=True))
    straight, turned = hits(predicted, p_win), hits(1 - predicted, 1 - p_win)
    exact = (1 - predicted > 0.5) == (predicted < 0.5)
    exact &= (1 - p_win > 0.5) == (p_win < 0.5)
    assert (straight[exact] == turned[exact]).all()
    assert set(straight) <= {0.0, 0.5, 1.0}


def test_bootstrap_draws_whole_products(drawn):
    """The interval is as wide as products, not pairs, allow: pairs of one product move together."""
    table = read_pairs(drawn.pairs)
    right = table.component % 2 == 0
    predicted = np.where(right, 0.9, 0.1)
    numbers = evaluate(table, predicted, predicted).numbers
    by_product = math.sqrt(right.mean() * (1 - right.mean()) / 24)
    width = numbers["accuracy_high"] - numbers["accuracy_low"]
    assert width == pytest.approx(2 * 1.96 * by_product, rel=0.25)


def test_gain_is_paired(drawn):
    """A small gain on every product is certain even where both models' accuracies vary."""
    table = read_pairs(drawn.pairs)
    theirs = (table.component % 2).astype(float)
    ours = theirs + 0.1
    gain = gain_over(theirs, ours, table.component, confidence=0.95)
    assert [gain.mean, gain.low, gain.high] == pytest.approx([0.1, 0.1, 0.1])


def judge(table, ours, theirs=None, twin=None, faults=()):
    def made(p):
        return evaluate(table, p, p)

    neutral = np.where(np.arange(len(table)) % 2, 0.6, 0.4)
    gates = pass_gates(
        Gates(),
        table,
        made(ours),
        None if theirs is None else made(theirs),
        twin=made(neutral if twin is None else twin),
        faults=faults,
    )
    return {gate.name for gate in gates if not gate.passed}


def test_every_gate_can_refuse(drawn):
    """A good challenger passes; each fault alone is refused by the gate made for it."""
    table = read_pairs(drawn.pairs)
    good = table.p_win
    bad = 1 - table.p_win
    assert judge(table, good) == set()
    assert judge(table, good, theirs=bad) == set()
    assert judge(table, good, theirs=good) == {"gain"}
    assert judge(table, good, faults=["sample ratio mismatch in x"]) == {"source"}
    assert judge(table, good, twin=good) == {"shuffled"}
    cocksure = np.where((good > 0.5) == (table.component % 5 > 0), 1 - 1e-9, 1e-9)
    assert judge(table, cocksure) == {"calibration"}
    assert judge(table, bad) >= {"gain", "calibration"}
    assert "pairs" in judge(table.keep(np.arange(len(table)) < 12), good[:12])


def test_nan_is_no_prediction(drawn):
    """A model that answers NaN is an error that counts the pairs, not a number."""
    table = read_pairs(drawn.pairs)
    predicted = np.where(np.arange(len(table)) < 3, np.nan, 0.6)
    with pytest.raises(TrainingError, match="3 of 144 pairs"):
        evaluate(table, predicted, predicted)
