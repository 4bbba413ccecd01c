"""The bootstrap by unit agrees with the Fieller interval, and says when it cannot."""

import math

import numpy as np
import pytest

from abplatform.stats.bootstrap import bootstrap_lift
from abplatform.stats.ratio import RatioSums, Undetermined, contrast


def draw_units(seed, *, rate, units=600):
    rng = np.random.default_rng(seed)
    n = rng.geometric(0.2, units)
    taste = rng.gamma(2, 0.5, units)
    return rng.binomial(n, np.minimum(rate * taste, 1)), n


@pytest.mark.parametrize("weights", ["poisson", "multinomial"])
@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_the_fieller_interval(seed, weights):
    """With many clicking units both intervals and errors agree within a few percent."""
    control, treatment = draw_units(seed, rate=0.1), draw_units(seed + 50, rate=0.12)
    rng = np.random.default_rng(99)
    found = bootstrap_lift(control, treatment, rng=rng, runs=3000, weights=weights)
    sums = [RatioSums.of_units(n.tolist(), k.tolist()) for k, n in (control, treatment)]
    expected = contrast(*sums, share=True)
    width = expected.relative.high - expected.relative.low
    assert found.interval.low == pytest.approx(expected.relative.low, abs=0.08 * width)
    assert found.interval.high == pytest.approx(expected.relative.high, abs=0.08 * width)
    assert found.without_base == 0


def test_multinomial_weights_are_drawing_with_replacement():
    """Weights give the distribution of drawing units one by one with replacement."""
    (k, n), treatment = draw_units(1, rate=0.3, units=40), ([1] * 30 + [0] * 30, [2] * 60)
    found = bootstrap_lift(
        (k, n), treatment, rng=np.random.default_rng(3), runs=4000, weights="multinomial"
    )
    rng, slow = np.random.default_rng(4), []
    for _ in range(4000):
        ours, theirs = rng.integers(0, 40, 40), rng.integers(0, 60, 60)
        rate = np.array(treatment[0])[theirs].sum() / np.array(treatment[1])[theirs].sum()
        slow.append(rate / (k[ours].sum() / n[ours].sum()) - 1)
    assert found.lifts.mean() == pytest.approx(
        np.mean(slow), abs=4 * np.std(slow) / math.sqrt(2000)
    )
    assert found.se == pytest.approx(np.std(slow), rel=0.08)


def test_the_same_seed_draws_the_same():
    """Chance comes from the generator alone."""
    control, treatment = draw_units(1, rate=0.1), draw_units(2, rate=0.1)
    first, second = (
        bootstrap_lift(control, treatment, rng=np.random.default_rng(7), runs=200) for _ in range(2)
    )
    assert (first.lifts == second.lifts).all()


@pytest.mark.parametrize(
    ("control", "code"),
    [
        (([], []), "no_traffic"),
        (([1], [3]), "no_traffic"),
        (([0] * 50, [4] * 50), "no_positive_base"),
        (([0] * 49 + [1], [4] * 50), "no_positive_base"),
    ],
)
def test_what_cannot_be_drawn_says_why(control, code):
    """No units, one unit, or a base that vanishes in many runs give a reason."""
    found = bootstrap_lift(control, ([1] * 50, [4] * 50), rng=np.random.default_rng(1), runs=400)
    assert isinstance(found, Undetermined)
    assert found.code == code


@pytest.mark.parametrize(
    ("control", "runs", "said"),
    [
        (([1.0, math.nan], [2, 2]), 200, "not finite"),
        (([1, 1], [2, math.inf]), 200, "not finite"),
        (([1, 1], [2, 2]), 10, "at least 100"),
    ],
)
def test_nonsense_is_refused(control, runs, said):
    """NaN, infinity and a handful of runs are errors."""
    with pytest.raises(ValueError, match=said):
        bootstrap_lift(control, ([1, 0], [4, 4]), rng=np.random.default_rng(1), runs=runs)
