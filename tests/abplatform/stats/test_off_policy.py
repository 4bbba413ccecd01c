"""Off-policy estimators give what their formulas say, and the truth where it is known."""

import itertools
import math

import numpy as np
import pytest

from abplatform.stats import off_policy
from abplatform.stats.off_policy import (
    ESTIMATORS,
    LoggedRows,
    diagnose_weights,
    estimate_values,
)
from abplatform.stats.undetermined import Undetermined


def values_of(rows, *, seed=1, runs=100):
    found = estimate_values(rows, rng=np.random.default_rng(seed), runs=runs)
    return dict(zip(ESTIMATORS, found, strict=True))


def rows_of(rewards, weights, predicted, expected, units=None):
    columns = [np.array(column, dtype=float) for column in (rewards, weights, predicted, expected)]
    return LoggedRows(*columns, None if units is None else np.array(units))


def test_four_rows_by_hand():
    """Four rows worked out on paper: w = 2, ½, 0, 1 with the model at 0.3 and 0.4."""
    rows = rows_of([1, 0, 1, 1], [2, 0.5, 0, 1], [0.3] * 4, [0.4] * 4)
    found = values_of(rows)
    assert found["ips"].value == pytest.approx((2 + 1) / 4)
    assert found["snips"].value == pytest.approx(3 / 3.5)
    assert found["dm"].value == pytest.approx(0.4)
    assert found["dr"].value == pytest.approx(0.4 + (2 * 0.7 - 0.5 * 0.3 + 0.7) / 4)


def test_without_a_click_there_is_no_number():
    """Where nothing that the target shows was clicked, no estimate is determined, nor 0 … 0."""
    for rewards, weights in (([0] * 300, [1] * 300), ([1, 0] * 150, [0, 2] * 150)):
        found = values_of(rows_of(rewards, weights, [0.3] * 300, [0.3] * 300))
        assert {value.code for value in found.values()} == {"no_clicks"}


@pytest.mark.parametrize("seed", range(3))
def test_estimators_agree_with_one_row_at_a_time(seed):
    """Every estimator equals its formula, written as a loop over the rows at the chosen cut."""
    rng = np.random.default_rng(seed)
    rows = rows_of(
        rng.integers(0, 2, 300), rng.lognormal(-0.5, 1.3, 300), rng.random(300), rng.random(300)
    )
    found = values_of(rows)
    each = list(zip(rows.rewards, rows.weights, rows.predicted, rows.expected, strict=True))
    cut, shrink = found["switch_dr"].cut, found["dros"].cut
    slow = {
        "dr": [v + w * (r - q) for r, w, q, v in each],
        "switch_dr": [v + (w * (r - q) if w <= cut else 0) for r, w, q, v in each],
        "dros": [
            v + (w if shrink == math.inf else shrink * w / (w * w + shrink)) * (r - q)
            for r, w, q, v in each
        ],
    }
    for name, terms in slow.items():
        assert found[name].value == pytest.approx(math.fsum(terms) / 300, rel=1e-12)


def test_heavy_weights_are_cut_and_even_ones_are_not():
    """λ is finite where a few rows carry everything, and infinite where the model is wrong."""
    rng = np.random.default_rng(2)
    rewards, model = rng.integers(0, 2, 2000), np.full(2000, 0.5)
    rewards[:4] = [0, 1, 0, 1]
    heavy = values_of(rows_of(rewards, np.r_[[300.0] * 4, [0.4] * 1996], model, model))
    wrong = np.full(2000, 0.1)
    even = values_of(rows_of(rewards, np.ones(2000), wrong, wrong))
    assert heavy["switch_dr"].cut < 300
    assert heavy["dros"].cut < 300**2
    assert heavy["switch_dr"].se < heavy["dr"].se / 2
    assert heavy["dros"].se < heavy["dr"].se / 2
    assert even["switch_dr"].cut == even["dros"].cut == math.inf
    assert even["dros"].value == even["dr"].value == pytest.approx(rewards.mean())


@pytest.mark.parametrize("model", [(0.0, 0.0), (0.9, 0.1), (0.2, 0.7)])
def test_over_all_logs_ips_and_dr_have_no_bias(model):
    """Averaged over every log of two rows that can happen, IPS and DR are the value itself."""
    logged, target, rates = (0.3, 0.7), (0.8, 0.2), (0.25, 0.6)
    truth = sum(p * rate for p, rate in zip(target, rates, strict=True))
    row = [
        (logged[a] * (rates[a] if r else 1 - rates[a]), a, r)
        for a, r in itertools.product((0, 1), (0, 1))
    ]
    expected = sum(p * q for p, q in zip(target, model, strict=True))
    mean = dict.fromkeys(("ips", "dr"), 0.0)
    for (p, a, r), (p2, a2, r2) in itertools.product(row, row):
        shown = (a, a2)
        rows = rows_of(
            [r, r2],
            [target[i] / logged[i] for i in shown],
            [model[i] for i in shown],
            [expected] * 2,
        )
        terms, _ = off_policy._terms(rows)
        for name in mean:
            mean[name] += p * p2 * terms[name].mean()
    assert mean["ips"] == pytest.approx(truth, abs=1e-12)
    assert mean["dr"] == pytest.approx(truth, abs=1e-12)


def test_without_weights_the_model_alone_speaks():
    """Where the target shows nothing of the log, SNIPS has no value and DR is the model's."""
    rows = rows_of([0, 1, 1], [0, 0, 0], [0.5] * 3, [0.2] * 3)
    ips, snips, dm, dr, *_ = estimate_values(rows, rng=np.random.default_rng(1), runs=200)
    assert isinstance(snips, Undetermined)
    assert snips.code == "no_overlap"
    assert (ips.value, dm.value, dr.value) == pytest.approx((0, 0.2, 0.2))


def draw_log(rng, *, units):
    """Units with a taste of their own see 1-9 rows of three actions; the model is half right."""
    logged, target = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
    rates, model = np.array([0.1, 0.2, 0.3]), np.array([0.15, 0.2, 0.2])
    unit = np.repeat(np.arange(units), rng.integers(1, 10, units))
    taste = rng.gamma(1.5, 1 / 1.5, units)[unit]
    action = rng.choice(3, unit.size, p=logged)
    reward = rng.random(unit.size) < np.minimum(rates[action] * taste, 1)
    rows = rows_of(
        reward,
        (target / logged)[action],
        model[action],
        np.full(unit.size, float(target @ model)),
        unit,
    )
    mean_taste = np.array(
        [np.minimum(rate * rng.gamma(1.5, 1 / 1.5, 200_000), 1).mean() for rate in rates]
    )
    return rows, float(target @ mean_taste)


def test_intervals_by_unit_cover_the_truth():
    """Over 120 logs of clustered units the 90 % intervals hold the truth about 90 times in 100."""
    rng = np.random.default_rng(5)
    covered = dict.fromkeys(("ips", "snips", "dr"), 0)
    values = {name: [] for name in covered}
    for _ in range(120):
        rows, truth = draw_log(rng, units=250)
        found = {one.estimator: one for one in estimate_values(rows, rng=rng, runs=200, alpha=0.1)}
        for name in covered:
            covered[name] += found[name].interval.low <= truth <= found[name].interval.high
            values[name].append(found[name].value / truth)
    for name, hits in covered.items():
        assert 96 <= hits <= 119, name  # binomial(120, 0.9) lies outside once in 1,000
        error = np.std(values[name]) / math.sqrt(120)
        assert abs(np.mean(values[name]) - 1) < 4 * error + 0.005, name
    assert np.std(values["dr"]) < np.std(values["ips"])


def test_rows_of_one_unit_are_drawn_together():
    """A log whose rows all stand ten times has the standard error of the rows standing once."""
    rng = np.random.default_rng(8)
    once = [rng.integers(0, 2, 400), rng.lognormal(0, 0.5, 400), np.zeros(400), np.zeros(400)]
    tenfold = [np.repeat(column, 10) for column in once]
    single = values_of(rows_of(*once), runs=1500)["ips"]
    together = values_of(rows_of(*tenfold, np.repeat(np.arange(400), 10)), runs=1500)["ips"]
    apart = values_of(rows_of(*tenfold), runs=1500)["ips"]
    assert together.se == pytest.approx(single.se, rel=0.1)
    assert apart.se < single.se / 2


def test_gathered_units_give_the_same_error(monkeypatch):
    """Beyond the limit units are drawn by groups, with the same standard error."""
    rng = np.random.default_rng(9)
    rows = rows_of(rng.random(6000), rng.lognormal(0, 0.5, 6000), np.zeros(6000), np.zeros(6000))
    whole = values_of(rows, runs=1000)
    monkeypatch.setattr(off_policy, "_MOST_GROUPS", 1000)
    gathered = values_of(rows, runs=1000)
    for name in ("ips", "snips"):
        assert gathered[name].se == pytest.approx(whole[name].se, rel=0.12)
        assert gathered[name].value == pytest.approx(whole[name].value)


def test_gain_is_the_difference_to_the_log():
    """When the target is the policy that ran, the gain is nothing in every run."""
    rng = np.random.default_rng(3)
    rewards = rng.integers(0, 2, 500)
    found = values_of(rows_of(rewards, np.ones(500), np.zeros(500), np.zeros(500)))
    for name in ("ips", "snips", "dr"):
        assert found[name].gain.low == pytest.approx(0, abs=1e-12)
        assert found[name].gain.high == pytest.approx(0, abs=1e-12)
        assert found[name].value == pytest.approx(rewards.mean())


def test_the_same_seed_draws_the_same():
    """Chance comes from the generator alone."""
    rows, _ = draw_log(np.random.default_rng(1), units=50)
    assert values_of(rows, seed=4) == values_of(rows, seed=4)
    assert values_of(rows, seed=4) != values_of(rows, seed=5)
    assert tuple(one.estimator for one in values_of(rows).values()) == ESTIMATORS


def test_weights_by_hand():
    """Mean, error, effective rows and largest share of 1, 1, 1, 5 are those on paper."""
    found = diagnose_weights(np.array([1.0, 1, 1, 5]))
    assert found.mean == pytest.approx(2)
    assert found.effective == pytest.approx(64 / 28)
    assert found.largest_share == pytest.approx(5 / 8)
    assert found.se == pytest.approx(math.sqrt(12 / 3) / 2)


def test_the_error_of_the_mean_weight_is_clustered():
    """Rows told ten times by the same units tell no more about the mean weight."""
    weights = np.random.default_rng(3).lognormal(0, 1, 200)
    once = diagnose_weights(weights)
    tenfold = diagnose_weights(np.repeat(weights, 10), np.repeat(np.arange(200), 10))
    assert tenfold.se == pytest.approx(once.se)
    assert tenfold.mean == pytest.approx(once.mean)


def test_weights_of_every_size_are_measured():
    """Huge, tiny and vanishing weights give finite numbers."""
    assert diagnose_weights(np.array([1e200, 1e200])).effective == pytest.approx(2)
    assert diagnose_weights(np.array([1e-200, 1e-200])).effective == pytest.approx(2)
    assert diagnose_weights(np.zeros(3)).effective == 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([1, 0], [1], [0, 0], [0, 0]), "same length"),
        (([1, math.nan], [1, 1], [0, 0], [0, 0]), "finite"),
        (([1, 0], [1, math.inf], [0, 0], [0, 0]), "finite"),
        (([1, 0], [1, -1], [0, 0], [0, 0]), "not negative"),
    ],
)
def test_impossible_logs_are_refused(columns, said):
    """Lengths that differ, numbers that are none and negative weights raise an error."""
    with pytest.raises(ValueError, match=said):
        rows_of(*columns)


def test_too_little_is_said_to_be_too_little():
    """One unit gives a reason instead of values; too few runs and no rows raise an error."""
    rows = rows_of([1, 0], [1, 1], [0, 0], [0, 0], [7, 7])
    found = estimate_values(rows, rng=np.random.default_rng(1), runs=100)
    assert [one.code for one in found] == ["no_traffic"] * len(ESTIMATORS)
    with pytest.raises(ValueError, match="at least 100"):
        estimate_values(rows, rng=np.random.default_rng(1), runs=99)
    with pytest.raises(ValueError, match="no row"):
        diagnose_weights(np.array([]))
