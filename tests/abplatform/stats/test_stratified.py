"""Creatives compared within strata: the formula, and what a policy that learns does without."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import beta

from abplatform.stats.pairs import ProductCounts, log_rates, win_probabilities
from abplatform.stats.stratified import Strata, stratified_rates

DAYS = 10


def one_stratum(impressions, clicks, variants=None):
    """All creatives in one stratum, or in one of each variant on one day."""
    stratum = np.zeros(len(clicks), int) if variants is None else np.array(variants)
    count = int(stratum.max()) + 1
    return Strata(
        np.arange(len(clicks)), stratum, np.arange(count), np.zeros(count, int), impressions, clicks
    )


@pytest.mark.parametrize("variants", [None, [0, 1, 1]])
def test_one_stratum_says_what_the_pooled_counts_say(variants):
    """Where propensities never changed, strata change no p_win."""
    n, k = np.array([1000.0, 3000.0, 500.0]), np.array([30.0, 60.0, 25.0])
    (plain,) = win_probabilities([ProductCounts(n, k)], design_effect=1.3)
    strata = one_stratum(n, k, variants)
    (within,) = win_probabilities([ProductCounts(n, k, strata=strata)], design_effect=1.3)
    assert within == pytest.approx(plain, abs=1e-9)


def test_it_is_the_poisson_regression_with_an_effect_of_every_stratum():
    """Estimates and covariances of contrasts equal those of statsmodels with a dummy a stratum."""
    rng = np.random.default_rng(3)
    creative, stratum = (one.ravel() for one in np.meshgrid(range(3), range(6), indexing="ij"))
    n = rng.integers(200, 3000, 18).astype(float)
    k = rng.poisson(n * 0.03 * np.exp(0.2 * creative - 0.3 * (stratum % 2))).astype(float)
    strata = Strata(creative, stratum, np.zeros(6, int), np.arange(6), n, k)
    found = stratified_rates(strata, creatives=3)
    spread = k + 0.5 * n / np.bincount(creative, n)[creative]
    design = np.column_stack([creative == 1, creative == 2, *(stratum == s for s in range(6))])
    fit = sm.GLM(spread, design.astype(float), family=sm.families.Poisson(), offset=np.log(n)).fit()
    contrast = np.array([[-1, 1, 0], [-1, 0, 1]])
    assert contrast @ found.log_rates == pytest.approx(fit.params[:2], abs=1e-6)
    covariance = contrast @ found.covariance @ contrast.T
    assert covariance == pytest.approx(fit.cov_params()[:2, :2], rel=1e-5)


def test_creatives_that_share_neither_stratum_nor_day_stay_uncertain():
    """Nothing is concluded from two creatives that were shown on different days."""
    n, k = np.array([5000.0, 5000.0]), np.array([50.0, 500.0])
    apart = Strata(np.arange(2), np.arange(2), np.zeros(2, int), np.arange(2), n, k)
    (win,) = win_probabilities([ProductCounts(n, k, strata=apart)])
    assert win[0, 1] == pytest.approx(0.5, abs=0.01)


def learned(rng, theta, *, daily=400):
    """Counts by day of creatives under Thompson sampling while the level of clicks triples."""
    size = len(theta)
    n, k = np.zeros((DAYS, size)), np.zeros((DAYS, size))
    for day in range(DAYS):
        level = 0.03 * 3 ** (day / (DAYS - 1))
        draws = beta.rvs(
            1 + k.sum(0), 30 + (n - k).sum(0), size=(200, size), random_state=rng
        ).argmax(axis=1)
        shares = 0.05 / size + 0.95 * np.bincount(draws, minlength=size) / 200
        n[day] = rng.multinomial(daily, shares)
        k[day] = rng.binomial(n[day].astype(int), level * np.exp(theta))
    return n, k


def compared(n, k):
    """The same counts pooled over days, and within strata of one day."""
    day, creative = np.nonzero(n)
    strata = Strata(
        creative, day, np.zeros(DAYS, int), np.arange(DAYS), n[day, creative], k[day, creative]
    )
    pooled = ProductCounts(n.sum(0), k.sum(0))
    return pooled, ProductCounts(n.sum(0), k.sum(0), strata=strata)


def test_a_policy_that_learns_biases_pooled_lifts_far_more_than_those_within_strata():
    """With clicks that grow over time a pooled lead more than doubles; within strata it stays."""
    rng = np.random.default_rng(20261123)
    truth = np.array([0.3, 0.0])
    errors = {"pooled": [], "within": []}
    for _ in range(300):
        both = compared(*learned(rng, truth, daily=1500))
        for name, counts in zip(errors, both, strict=True):
            ((y, _),) = log_rates([counts])
            errors[name].append(y[0] - y[1] - 0.3)
    mean = {name: np.mean(some) for name, some in errors.items()}
    error = {name: np.std(some) / np.sqrt(len(some)) for name, some in errors.items()}
    assert mean["pooled"] > 0.3
    assert mean["pooled"] > 10 * error["pooled"]
    assert abs(mean["within"]) < mean["pooled"] / 8


def test_p_win_within_strata_is_calibrated_where_the_pooled_one_is_not():
    """Of pairs that are called sure within strata about as many are wrong as p_win says."""
    rng = np.random.default_rng(7)
    sure, wrong, said = {"pooled": 0, "within": 0}, {"pooled": 0, "within": 0}, {}
    for _ in range(8):
        truths = rng.normal(0, 0.1, (40, 2))
        both = [compared(*learned(rng, theta, daily=2000)) for theta in truths]
        for place, name in enumerate(sure):
            wins = win_probabilities([counts[place] for counts in both])
            p_win = np.array([win[0, 1] for win in wins])
            first = truths[:, 0] > truths[:, 1]
            called = np.maximum(p_win, 1 - p_win) >= 0.9
            sure[name] += called.sum()
            wrong[name] += (called & ((p_win > 0.5) != first)).sum()
            said.setdefault(name, []).extend(np.minimum(p_win, 1 - p_win)[called])
    rate = {name: wrong[name] / sure[name] for name in sure}
    assert rate["within"] < np.mean(said["within"]) + 3 * np.sqrt(0.04 / sure["within"])
    assert rate["pooled"] > 3 * np.mean(said["pooled"])
