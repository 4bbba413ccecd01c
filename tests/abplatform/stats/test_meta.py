"""Meta-analysis and meta-regression of blocks of correlated estimates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.stats.meta import (
    Block,
    fit_each,
    fit_meta,
    shrink_blocks,
)
from abplatform.stats.ratio import Undetermined


def singles(effects, variances, designs=None):
    """One block an estimate."""
    columns = [None] * len(effects) if designs is None else [row[None, :] for row in designs]
    return [
        Block(np.array([y]), np.array([[v]]), column)
        for y, v, column in zip(effects, variances, columns, strict=True)
    ]


def draw(seed, size, *, tau=0.06, mean=0.02):
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0.0005, 0.01, size)
    return rng.normal(mean, np.sqrt(variances + tau**2)), variances


def dense_q(tau2, effects, covariance, design, spread):
    """Q and β by the textbook's matrices, one big system."""
    weight = np.linalg.inv(covariance + tau2 * spread)
    beta = np.linalg.solve(design.T @ weight @ design, design.T @ weight @ effects)
    away = effects - design @ beta
    return away @ weight @ away, beta, np.linalg.inv(design.T @ weight @ design)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [3, 5, 20, 60])
def test_it_agrees_with_statsmodels(seed, size):
    """Mean, τ², Q, I² and the Hartung-Knapp interval are those of statsmodels."""
    from statsmodels.stats.meta_analysis import combine_effects

    effects, variances = draw(seed, size, tau=0.12)
    ours = fit_meta(singles(effects, variances))
    theirs = combine_effects(effects, variances, method_re="iterated", use_t=True)
    assert ours.statistic == pytest.approx(theirs.q, rel=1e-12)
    assert ours.i2 == pytest.approx(max(theirs.i2, 0.0), rel=1e-9, abs=1e-12)
    assert ours.tau2 == pytest.approx(theirs.tau2, rel=3e-3, abs=1e-7)
    assert ours.coefficients[0] == pytest.approx(theirs.mean_effect_re, rel=1e-3, abs=1e-6)
    if ours.tau2 > 0:
        found = ours.interval()
        low, high = theirs.conf_int()[3]  # Hartung-Knapp, where its factor is not below one
        assert (found.low, found.high) == pytest.approx((low, high), rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_tau2_solves_its_equation(seed):
    """At τ̂² the weighted squared residuals add up to their degrees of freedom, to 1e-9."""
    effects, variances = draw(seed, 15, tau=0.2)
    tau2 = fit_meta([Block(effects, np.diag(variances))]).tau2
    ones, eye = np.ones((15, 1)), np.eye(15)
    assert tau2 > 0
    assert dense_q(tau2, effects, np.diag(variances), ones, eye)[0] == pytest.approx(14, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_blocks_are_one_big_system(seed):
    """Blocks with correlated errors, covariates and their own S equal the dense textbook system."""
    rng = np.random.default_rng(seed)
    blocks = []
    for size in (1, 2, 3, 4, 5, 3):
        root = rng.normal(size=(size, size + 2))
        mixing = rng.normal(size=(size, size + 1))
        covariance = 0.02 * (root @ root.T / size + np.eye(size))
        design = np.column_stack([np.ones(size), rng.normal(size=size)])
        noise = rng.multivariate_normal(np.zeros(size), covariance + 0.1 * mixing @ mixing.T)
        blocks.append(Block(design @ [0.1, 0.3] + noise, covariance, design, mixing @ mixing.T))
    fit = fit_meta(blocks)
    from scipy.linalg import block_diag

    q, beta, covariance = dense_q(
        fit.tau2,
        np.concatenate([block.effects for block in blocks]),
        block_diag(*(block.covariance for block in blocks)),
        np.concatenate([block.design for block in blocks]),
        block_diag(*(block.spread for block in blocks)),
    )
    assert q == pytest.approx(fit.df, rel=1e-8)
    assert fit.coefficients == pytest.approx(beta, rel=1e-9)
    assert fit.covariance == pytest.approx(covariance, rel=1e-9)


def test_a_regression_is_weighted_least_squares():
    """Coefficients, errors and p-values are those of statsmodels with weights 1/(v + τ̂²)."""
    from scipy.stats import t as student
    from statsmodels.regression.linear_model import WLS

    effects, variances = draw(4, 30, tau=0.1)
    design = np.column_stack([np.ones(30), np.arange(30) / 30, np.arange(30) % 2])
    ours = fit_meta(singles(effects, variances, design))
    theirs = WLS(effects, design, weights=1 / (variances + ours.tau2)).fit(
        cov_type="fixed scale", use_t=True
    )
    assert ours.coefficients == pytest.approx(theirs.params, rel=1e-9)
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs.bse, rel=1e-9)
    expected = 2 * student.sf(np.abs(theirs.params / theirs.bse), 27)
    assert ours.p_values() == pytest.approx(expected, rel=1e-9)


def test_differences_within_a_product_equal_a_level_for_each_product():
    """Contrasts to a product's first creative give what a dummy variable per product gives."""
    rng = np.random.default_rng(8)
    contrasts, dummies = [], []
    for product in range(6):
        size = 3 + product % 2
        word = rng.integers(2, size=size).astype(float)
        variances = rng.uniform(0.005, 0.03, size)
        y = rng.normal(product, 0.1) + 0.4 * word + rng.normal(0, np.sqrt(variances + 0.04))
        levels = np.zeros((size, 6))
        levels[:, product] = 1
        dummies.append(Block(y, np.diag(variances), np.column_stack([word, levels])))
        away = np.eye(size)[1:] - np.eye(size)[:1]
        within = away @ np.diag(variances) @ away.T
        contrasts.append(Block(away @ y, within, away @ word[:, None], away @ away.T))
    one, other = fit_meta(contrasts), fit_meta(dummies)
    assert one.df == other.df
    assert one.tau2 == pytest.approx(other.tau2, rel=1e-8)
    assert one.coefficients[0] == pytest.approx(other.coefficients[0], rel=1e-9)
    assert one.covariance[0, 0] == pytest.approx(other.covariance[0, 0], rel=1e-9)


def test_every_covariate_alone():
    """fit_each gives, column by column, what fit_meta gives for that column."""
    effects, variances = draw(3, 12)
    design = np.random.default_rng(1).normal(size=(12, 3))
    for column, found in enumerate(fit_each(singles(effects, variances, design))):
        alone = fit_meta(singles(effects, variances, design[:, [column]]))
        assert found.coefficients == pytest.approx(alone.coefficients, rel=1e-12)
        assert found.tau2 == pytest.approx(alone.tau2, rel=1e-9)


@given(
    st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(1e-4, 0.1)), min_size=3, max_size=12),
    st.floats(0.01, 100),
)
def test_neither_order_nor_scale_matters(pairs, scale):
    """Reordered estimates give the same fit, scaled ones the scaled fit."""
    effects, variances = (np.array(values) for values in zip(*pairs, strict=True))
    fit = fit_meta(singles(effects, variances))
    turned = fit_meta(singles(effects[::-1], variances[::-1]))
    scaled = fit_meta(singles(scale * effects, scale**2 * variances))
    least = float(variances.min())
    assert turned.tau2 == pytest.approx(fit.tau2, rel=1e-6, abs=1e-6 * least)
    assert scaled.tau2 == pytest.approx(scale**2 * fit.tau2, rel=1e-6, abs=1e-6 * scale**2 * least)
    shift = abs(scaled.coefficients[0] - scale * fit.coefficients[0])
    assert shift <= 1e-6 * scale * math.sqrt(least)


def test_identical_effects_are_one_effect():
    """Equal estimates have τ² = 0 and no heterogeneity, and an interval by their own errors."""
    fit = fit_meta(singles(np.full(5, 0.1), np.full(5, 0.01)))
    assert (fit.tau2, fit.i2) == (0.0, 0.0)
    assert fit.statistic == pytest.approx(0, abs=1e-20)
    assert fit.p_value == pytest.approx(1.0)
    from scipy.stats import t as student

    half = student.ppf(0.975, 4) * math.sqrt(0.01 / 5)
    assert fit.interval().high - 0.1 == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_too_few_estimates_tell_nothing(size):
    """Fewer than three estimates are refused with their number."""
    found = fit_meta(singles(np.zeros(size), np.ones(size)))
    assert isinstance(found, Undetermined)
    assert found.code == "few_estimates"
    assert str(size) in found.reason


def test_covariates_that_say_the_same_are_refused():
    """Two equal columns cannot be told apart."""
    design = np.ones((6, 2))
    found = fit_meta(singles(np.arange(6.0), np.ones(6), design))
    assert isinstance(found, Undetermined)
    assert found.code == "collinear"


@pytest.mark.parametrize(
    ("effects", "covariance"),
    [([math.nan], [[1.0]]), ([1.0], [[math.inf]]), ([1.0], [[0.0]]), ([1.0, 2.0], [[1.0]])],
)
def test_what_is_no_estimate_is_refused(effects, covariance):
    """NaN, infinity, a variance of zero and shapes that do not fit are refused at once."""
    with pytest.raises(ValueError, match="needs"):
        Block(np.array(effects), np.array(covariance))


def test_shrinking_pulls_by_noise():
    """Single estimates shrink to μ̂ + τ²/(τ² + v)·(y - μ̂); the noisier, the further."""
    effects, variances = draw(2, 10, tau=0.15)
    blocks = singles(effects, variances)
    fit = fit_meta(blocks)
    shrunken = shrink_blocks(blocks, fit)
    kept = fit.tau2 / (fit.tau2 + variances)
    mean = fit.coefficients[0]
    assert shrunken.effects == pytest.approx(mean + kept * (effects - mean), rel=1e-9)
    # The posterior's own variance, the error in μ̂, and Morris's term, by hand.
    away = (1 - kept) * (effects - mean)
    own = fit.tau2 * (1 - kept) + (1 - kept) ** 2 * fit.covariance[0, 0] + 2 / 7 * away**2
    assert np.diag(shrunken.covariance) == pytest.approx(own, rel=1e-9)
    low = shrunken.interval(0).low
    assert low == pytest.approx(shrunken.effects[0] - 1.959964 * math.sqrt(own[0]), rel=1e-6)


def test_the_sum_of_chosen_winners_is_not_flattered():
    """Winners' raw lifts are too high by over 4 points each, shrunken ones by less than 1."""
    rng = np.random.default_rng(21)
    raw, shrunken, covered = [], [], []
    for _ in range(300):
        variances = rng.uniform(0.02, 0.10, 20) ** 2
        truth = rng.normal(0.01, 0.05, 20)
        effects = rng.normal(truth, np.sqrt(variances))
        blocks = singles(effects, variances)
        found = shrink_blocks(blocks, fit_meta(blocks))
        chosen = (effects / np.sqrt(variances) > 1.96).astype(float)
        if not chosen.any():
            continue
        raw.append(chosen @ (effects - truth) / chosen.sum())
        shrunken.append(chosen @ (found.effects - truth) / chosen.sum())
        total = found.total(chosen)
        covered.append(total.low <= chosen @ truth <= total.high)
    assert np.mean(raw) > 0.04
    assert abs(np.mean(shrunken)) < 0.01
    assert np.mean(covered) >= 0.92


def test_words_without_any_effect_shrink_to_none():
    """With no covariate at all the mean is zero, and estimates shrink towards it."""
    blocks = [
        Block(np.array([y]), np.array([[0.01]]), np.zeros((1, 0))) for y in (-0.3, 0.1, 0.2, 0.25)
    ]
    fit = fit_meta(blocks)
    shrunken = shrink_blocks(blocks, fit)
    kept = fit.tau2 / (fit.tau2 + 0.01)
    assert 0 < kept < 1
    assert shrunken.effects == pytest.approx(kept * np.array([-0.3, 0.1, 0.2, 0.25]), rel=1e-9)
