"""The ratio of ratios of two experiments."""

import math

import numpy as np
import pytest

from abplatform.stats.ratio import RatioSums, Undetermined
from abplatform.stats.ratio_of_ratios import CELLS, ratio_of_ratios


def draw_cells(rng, *, units=300, rate=0.05, lifts=(0.2, 0.1), interaction=0.0):
    """Heavy-tailed users in four cells, with a lift for each experiment and one for both."""
    cells = {}
    for cell in CELLS:
        own, _, other = cell.partition("/")
        log = lifts[0] * (own == "treatment") + lifts[1] * (other == "treatment")
        log += interaction * (cell == "treatment/treatment")
        n = rng.negative_binomial(0.8, 0.1, units) + 1
        chance = np.clip(rate * rng.lognormal(-0.1, 0.5, units) * math.exp(log), 0, 1)
        cells[cell] = (n, rng.binomial(n, chance))
    return cells


def sums_of(cells):
    return {cell: RatioSums.of_units(n.tolist(), k.tolist()) for cell, (n, k) in cells.items()}


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_delta_method_unit_by_unit(seed):
    """I and its error follow from scores added up unit by unit, and p from t."""
    from scipy.stats import t as student

    cells = draw_cells(np.random.default_rng(seed))
    found = ratio_of_ratios(sums_of(cells), share=True)
    log, parts, weights = 0.0, [], []
    for cell, (n, k) in cells.items():
        rate = k.sum() / n.sum()
        log += CELLS[cell] * math.log(rate)
        scores = (k - rate * n) / k.sum()
        parts.append(scores.var(ddof=1) * len(n))
        weights.append(k.sum() ** 2 / (k**2).sum() - 1)
    df = sum(parts) ** 2 / sum(part**2 / w for part, w in zip(parts, weights, strict=True))
    assert found.log_ratio == pytest.approx(log, rel=1e-9)
    assert found.se == pytest.approx(math.sqrt(sum(parts)), rel=1e-9)
    assert found.df == pytest.approx(df, rel=1e-9)
    assert found.p_value == pytest.approx(2 * student.sf(abs(log) / found.se, df), rel=1e-9)
    half = student.ppf(0.975, df) * found.se
    assert found.interval.low == pytest.approx(math.expm1(log - half), rel=1e-9)


def test_exchanging_the_experiments_changes_nothing():
    """An interaction is the same whichever experiment one asks."""
    cells = sums_of(draw_cells(np.random.default_rng(2)))
    turned = {f"{b}/{a}": cells[f"{a}/{b}"] for a, _, b in (cell.partition("/") for cell in CELLS)}
    one, other = ratio_of_ratios(cells), ratio_of_ratios(turned)
    assert one.log_ratio == pytest.approx(other.log_ratio, rel=1e-12)
    assert one.p_value == pytest.approx(other.p_value, rel=1e-12)


@pytest.mark.parametrize(
    ("sums", "code"),
    [
        (RatioSums(0, 0, 0, 0, 0, 0, 0, 0), "no_traffic"),
        (RatioSums.of_units([3] * 40, [1] * 4 + [0] * 36), "few_clicks"),
        (RatioSums.of_units([2] * 40, [2] * 40), "no_variance"),
        (RatioSums.of_units([1] * 40, [3] * 20 + [0] * 20), "not_a_share"),
    ],
)
def test_a_cell_without_enough_says_which(sums, code):
    """One empty, thin or constant cell makes it undetermined, and the reason names the cell."""
    cells = sums_of(draw_cells(np.random.default_rng(3)))
    found = ratio_of_ratios(cells | {"treatment/control": sums}, share=True)
    assert isinstance(found, Undetermined)
    assert found.code == code
    assert "treatment/control" in found.reason


def test_two_lifts_alone_are_no_interaction():
    """Where lifts multiply, 5 % of tests reject at 5 %; a planted interaction is found."""
    rng = np.random.default_rng(6)
    null = [ratio_of_ratios(sums_of(draw_cells(rng))).p_value <= 0.05 for _ in range(600)]
    planted = [
        ratio_of_ratios(sums_of(draw_cells(rng, interaction=0.5))).p_value <= 0.05
        for _ in range(60)
    ]
    assert 0.025 <= np.mean(null) <= 0.08
    assert np.mean(planted) > 0.8
