"""Temperatures against simulated truth, and where little is known."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, ndtr

from reward.dataset import read_pairs, table_from_frame
from reward.temperature import find_temperature

PAIRS = 4000


def draw(drawn, *, rise, unknown, shown, counts=True, seed=0):
    """Pairs whose true log-CTR difference is rise·margin plus what no model knows."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 1, PAIRS)
    true = rise * margin + rng.normal(0, unknown, PAIRS)
    clicks = {
        side: rng.binomial(shown, 0.03 * np.exp(sign * true / 2))
        for side, sign in (("chosen", 1), ("rejected", -1))
    }
    variance = sum(1 / (count + 0.5) for count in clicks.values())
    prior = rise**2 + unknown**2
    gap = np.log((clicks["chosen"] + 0.5) / (clicks["rejected"] + 0.5))
    p_win = ndtr(gap / variance / np.sqrt(1 / variance + 1 / prior))
    frame = read_pairs(drawn.pairs).frame
    rows = frame[np.arange(PAIRS) % len(frame)].with_columns(
        pl.Series("pair_id", [str(number) for number in range(PAIRS)]),
        pl.Series("p_win", p_win),
        *(pl.Series(f"clicks_{side}", count) for side, count in clicks.items()),
        *(pl.lit(shown * counts, pl.Int64).alias(f"impressions_{side}") for side in clicks),
    )
    return table_from_frame(rows), margin, true > 0


@pytest.mark.parametrize("shown", [1_000, 5_000, 50_000])
def test_probabilities_are_those_of_the_truth(drawn, shown):
    """At any noise of the log, what is said with a probability is true as often."""
    table, margin, is_better = draw(drawn, rise=0.2, unknown=0.2, shown=shown)
    said = expit(margin / find_temperature(margin, table, np.arange(PAIRS)))
    for low, high in ((0.5, 0.65), (0.65, 0.8), (0.8, 1.0)):
        rows = (said >= low) & (said < high)
        assert said[rows].mean() == pytest.approx(is_better[rows].mean(), abs=0.04)


def test_winners_alone_tell_less_but_something(drawn):
    """Without clicks, p_win gives a temperature that is too sure, by less than a factor of two."""
    settings = {"rise": 0.2, "unknown": 0.2, "shown": 5_000}
    table, margin, _ = draw(drawn, **settings)
    bare, same, _ = draw(drawn, **settings, counts=False)
    rows = np.arange(PAIRS)
    best, found = find_temperature(margin, table, rows), find_temperature(same, bare, rows)
    assert 0.5 * best < found < best


def test_models_that_know_nothing_are_not_sure(drawn):
    """Margins that have nothing to do with the truth are divided by much."""
    table, _, is_better = draw(drawn, rise=0.2, unknown=0.2, shown=5_000)
    luck = np.random.default_rng(5).normal(0, 1, PAIRS)
    said = expit(luck / find_temperature(luck, table, np.arange(PAIRS)))
    assert np.maximum(said, 1 - said).mean() < 0.56
    assert is_better.mean() == pytest.approx(0.5, abs=0.05)


def test_a_few_pairs_make_nobody_certain(drawn):
    """Five pairs that are all right by far allow the mean margin a probability of 6 in 7."""
    table, margin, is_better = draw(drawn, rise=0.5, unknown=0.01, shown=50_000)
    rows = np.flatnonzero(is_better & (margin > 1))[:5]
    few = np.full(5, margin[rows].mean())
    assert expit(few[0] / find_temperature(few, table, rows)) <= 6 / 7 + 1e-9


def test_no_margin_at_all(drawn):
    """A model that prefers nothing has a temperature, too."""
    table, _, _ = draw(drawn, rise=0.2, unknown=0.2, shown=5_000)
    assert find_temperature(np.zeros(9), table, np.arange(9)) > 1
