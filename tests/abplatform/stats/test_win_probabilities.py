"""p_win against independent quadrature, Monte Carlo and simulated truth."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import halfnorm, norm

from abplatform.stats.pairs import (
    TAU_SCALE,
    ProductCounts,
    design_effect,
    pair_weight,
    win_probabilities,
)
from abplatform.stats.ratio import RatioSums


def product(impressions, clicks, **shared):
    return ProductCounts(np.array(impressions, float), np.array(clicks, float), **shared)


def slow_two(products, which, deff=1.0):
    """p_win of the first over the second creative, K = 2, by adaptive quadrature over τ.

    With two creatives d = y1 - y2 ~ N(δ, v1 + v2) and δ ~ N(0, 2τ²), so μ drops out.
    """
    facts = []
    for one in products:
        k, n = one.clicks / deff, one.impressions / deff
        y, v = np.log((k + 0.5) / n), 1 / (k + 0.5)
        facts.append((y[0] - y[1], v.sum()))

    def joint(tau):
        likelihood = np.prod([norm.pdf(d, scale=np.sqrt(v + 2 * tau**2)) for d, v in facts])
        return likelihood * halfnorm.pdf(tau, scale=TAU_SCALE)

    def sign(tau):
        d, v = facts[which]
        shrink = 2 * tau**2 / (v + 2 * tau**2)
        return norm.cdf(shrink * d / np.sqrt(shrink * v)) * joint(tau)

    top = quad(sign, 0, 2, limit=400, points=[0.05, 0.3])[0]
    return top / quad(joint, 0, 2, limit=400, points=[0.05, 0.3])[0]


@pytest.mark.parametrize(
    "products",
    [
        [product([10_000, 10_000], [200, 260])],
        [product([500, 700], [3, 0])],
        [product([9_000, 8_000], [200, 190]), product([10_000, 10_000], [150, 220])],
        [product([10**6, 10**6], [20_000, 20_400])] * 3,
    ],
)
@pytest.mark.parametrize("deff", [1.0, 2.5])
def test_two_creatives_agree_with_quadrature(products, deff):
    """For two creatives a product, the grid agrees with adaptive quadrature to three digits."""
    for which, win in enumerate(win_probabilities(products, design_effect=deff)):
        assert win[0, 1] == pytest.approx(slow_two(products, which, deff), abs=2e-3)
        assert win[0, 1] + win[1, 0] == pytest.approx(1)
        assert np.diag(win) == pytest.approx(0.5)


def test_several_creatives_agree_with_contrasts_on_a_dense_grid():
    """For four creatives with shared units, p_win agrees with the same model in contrasts."""
    n, k = np.array([4000.0, 5000, 3000, 6000]), np.array([90.0, 150, 60, 130])
    nn = np.full((4, 4), 2500.0)
    kn = np.outer(k / n, np.ones(4)) * nn
    kk = np.outer(k / n, k / n) * nn * 3  # units that click on one click on others: omega = 2
    one = product(n, k, shared_nn=nn, shared_kk=kk, shared_kn=kn)
    (win,) = win_probabilities([one])
    covariance = np.diag(1 / (k + 0.5)) + 2 * nn / np.outer(n, n) * (1 - np.eye(4))
    # Differences to the first creative are free of μ, and their likelihood is the restricted one.
    differences = np.hstack([np.ones((3, 1)), -np.eye(3)])
    d = differences @ np.log((k + 0.5) / n)
    weights, wins = [], []
    for tau in np.linspace(0.0005, 1.4, 1500):
        v = differences @ (covariance + tau**2 * np.eye(4)) @ differences.T
        log = -0.5 * (np.linalg.slogdet(v)[1] + d @ np.linalg.solve(v, d))
        weights.append(np.exp(log) * halfnorm.pdf(tau, scale=TAU_SCALE))
        prior = tau**2 * differences @ differences.T
        mean = prior @ np.linalg.solve(v, d)
        spread = prior - prior @ np.linalg.solve(v, prior)
        wins.append(norm.cdf(mean / np.sqrt(np.diag(spread))))
    assert win[0, 1:] == pytest.approx(np.average(wins, axis=0, weights=weights), abs=2e-3)


def test_shared_users_make_a_difference_surer():
    """Where the same users saw both, what they have in common cancels, and p_win is surer."""
    n, k = [5000, 5000], [100, 130]
    nn = np.array([[0.0, 5000], [5000, 0]])
    rates = np.array([0.02, 0.026])
    together = product(
        n,
        k,
        shared_nn=nn,
        shared_kk=np.outer(rates, rates) * nn * 9,
        shared_kn=np.outer(rates, np.ones(2)) * nn,
    )
    apart = win_probabilities([product(n, k)])[0][1, 0]
    assert win_probabilities([together])[0][1, 0] > apart > 0.5


def test_more_evidence_elsewhere_changes_the_shrinkage():
    """Where the category's creatives differ a lot, the same counts are believed more."""
    same = product([10_000, 10_000], [200, 230])
    calm = [product([100_000, 100_000], [2000, 2000])] * 30
    wild = [product([100_000, 100_000], [1000, 3000])] * 30
    among_calm = win_probabilities([same, *calm])[0][1, 0]
    among_wild = win_probabilities([same, *wild])[0][1, 0]
    assert 0.5 < among_calm < among_wild < norm.cdf(np.log(230.5 / 200.5) / np.sqrt(2 / 215)) + 0.01


@pytest.mark.parametrize("tau", [0.1, 0.25])
def test_wrong_signs_are_as_rare_as_stated(tau):
    """Over simulated products, pairs stated at p_win are wrong 1 - p_win of the time."""
    rng = np.random.default_rng(7)
    stated, wrong = [], []
    for _ in range(40):
        truth = rng.normal(np.log(0.03), 0.3, (60, 1)) + rng.normal(0, tau, (60, 3))
        clicks = rng.poisson(8000 * np.exp(truth))
        products = [product([8000] * 3, row) for row in clicks]
        for theta, win in zip(truth, win_probabilities(products), strict=True):
            for a, b in ((0, 1), (0, 2), (1, 2)):
                first, second = (a, b) if win[a, b] >= 0.5 else (b, a)
                stated.append(win[first, second])
                wrong.append(theta[first] < theta[second])
    stated, wrong = np.array(stated), np.array(wrong)
    assert wrong.mean() <= (1 - stated).mean() + 0.012
    sure = stated >= 0.95
    assert wrong[sure].mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / sure.sum())


def test_design_effect_pools_the_category_and_is_at_least_one():
    """Clustered clicks give their true factor; clicks too regular for chance give 1."""
    rng = np.random.default_rng(4)
    clicks = rng.random(3000) < 0.04
    clustered = RatioSums.of_units([5] * 3000, (5 * clicks).tolist())
    assert design_effect([clustered, clustered]) == pytest.approx(5, rel=1e-3)
    regular = RatioSums.of_units([10] * 60, [5, 5, 5, 4, 6, 5] * 10)
    assert design_effect([regular]) == 1.0
    assert design_effect([]) == 1.0


def test_pair_weights_sum_to_the_independent_comparisons():
    """K creatives that are all surely ordered weigh K - 1 in total."""
    for creatives in (2, 3, 7):
        pairs = creatives * (creatives - 1) // 2
        total = pairs * pair_weight(1.0, creatives=creatives)
        assert total == pytest.approx(creatives - 1)
    assert pair_weight(0.5, creatives=2) == 0


@pytest.mark.parametrize(
    ("impressions", "clicks"), [([0, 10], [0, 1]), ([10, 10], [-1, 1]), ([10, np.nan], [1, 1])]
)
def test_impossible_counts_are_refused(impressions, clicks):
    """Creatives without impressions, negative clicks and NaN never get in."""
    with pytest.raises(ValueError, match="every creative needs impressions"):
        product(impressions, clicks)


def test_the_clearest_winner_stays_a_probability():
    """Rounding carries no probability above 1 or below 0, where the weights sum to a bit more."""
    clear = ProductCounts(np.array([5000.0, 5000.0]), np.array([264.0, 10.0]))
    for clicks in range(10, 210, 10):
        other = ProductCounts(np.array([5000.0, 5000.0]), np.array([100.0, float(clicks)]))
        for win in win_probabilities([clear, other]):
            assert win.min() >= 0.0
            assert win.max() <= 1.0
