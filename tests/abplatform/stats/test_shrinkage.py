"""Shrunken lifts against statsmodels, direct inversion and simulated truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from abplatform.stats.joint import JointLifts
from abplatform.stats.ratio import Undetermined
from abplatform.stats.shrinkage import TAU_SCALE, paule_mandel, shrink


def lifts_of(y, covariance, effective_units=math.inf):
    """Categories with given log-lifts; a vector stands for a diagonal covariance."""
    covariance = np.asarray(covariance, dtype=float)
    if covariance.ndim == 1:
        covariance = np.diag(covariance)
    size = len(y)
    names = tuple(f"c{c}" for c in range(size))
    return JointLifts(
        names, np.asarray(y, float), covariance, np.ones(size) / size, effective_units
    )


def drawn(seed, size, *, spread=0.15):
    rng = np.random.default_rng(seed)
    y, v = rng.normal(0.05, spread, size), rng.uniform(0.001, 0.02, size)
    loads = rng.normal(size=(size, 2)) * 0.03
    return y, v, np.diag(v) + loads @ loads.T


@pytest.mark.parametrize("size", [2, 3, 5, 8, 20, 60])
@pytest.mark.parametrize("seed", range(5))
def test_tau2_is_paule_and_mandels(seed, size):
    """With independent categories τ² is what statsmodels iterates to."""
    from statsmodels.stats.meta_analysis import combine_effects

    y, v, _ = drawn(seed, size, spread=0.02 if seed == 0 else 0.15)
    expected = combine_effects(y, v, method_re="iterated", atol=1e-10, maxiter=1000).tau2

    def misfit(tau2):
        mean = (y / (v + tau2)).sum() / (1 / (v + tau2)).sum()
        return ((y - mean) ** 2 / (v + tau2)).sum()

    if not expected and misfit(0.0) > size - 1:
        # Its last step overshot by a rounding error, on which it answers 0.
        expected = optimize.bisect(lambda tau2: misfit(tau2) - size + 1, 0, 10, xtol=1e-15)
    assert paule_mandel(lifts_of(y, v)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_generalised_misfit_is_its_degrees_of_freedom(seed):
    """At τ² above zero Q is C - 1, by direct inversion; at zero it is no more."""
    y, _, covariance = drawn(seed, 7)
    tau2 = paule_mandel(lifts_of(y, covariance))
    precision = np.linalg.inv(covariance + tau2 * np.eye(7))
    ones = np.ones(7)
    rest = y - (ones @ precision @ y) / (ones @ precision @ ones)
    misfit = rest @ precision @ rest
    assert misfit == pytest.approx(6, rel=1e-9) if tau2 else misfit <= 6


@pytest.mark.parametrize("seed", range(6))
def test_posteriors_are_those_of_direct_inversion(seed):
    """Mean at τ², and the second moment over the grid of τ, written out one τ at a time."""
    y, _, covariance = drawn(seed, 5, spread=0.02 + 0.05 * seed)
    found = shrink(lifts_of(y, covariance), alpha=0.1)

    def at(tau2):
        total = covariance + tau2 * np.eye(5)
        precision, ones = np.linalg.inv(total), np.ones(5)
        mass = ones @ precision @ ones
        mean = (ones @ precision @ y) / mass
        rest = y - mean
        theta = mean + tau2 * precision @ rest
        loose = 1 - tau2 * precision @ ones
        spread = tau2 * np.eye(5) - tau2**2 * precision + np.outer(loose, loose) / mass
        likelihood = -0.5 * (np.linalg.slogdet(total)[1] + math.log(mass) + rest @ precision @ rest)
        return theta, np.diag(spread), likelihood, mean

    center, _, _, mean = at(found.tau2)
    assert found.lift == pytest.approx(np.expm1(center), rel=1e-9, abs=1e-12)
    assert found.mean == pytest.approx(mean, rel=1e-9)
    steps = (np.arange(64) + 0.5) / 64
    taus = 4 * TAU_SCALE * steps**2
    parts = [at(tau**2) for tau in taus]
    log_weight = np.array([part[2] for part in parts]) + stats.halfnorm.logpdf(
        taus, scale=TAU_SCALE
    )
    weight = np.exp(log_weight - log_weight.max()) * steps
    second = sum(w * (p[1] + (p[0] - center) ** 2) for w, p in zip(weight, parts, strict=True))
    deviation = np.sqrt(second / weight.sum())
    assert np.log1p(found.high) == pytest.approx(
        center + stats.norm.isf(0.05) * deviation, rel=1e-7, abs=1e-12
    )
    assert found.p_positive == pytest.approx(stats.norm.cdf(center / deviation), rel=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0.0, 0.3))
def test_independent_lifts_never_leave_the_range_between_raw_and_mean(seed, size, spread):
    """Each shrunken lift lies between its raw lift and the mean, inside its interval."""
    y, v, _ = drawn(seed, size, spread=spread)
    found = shrink(lifts_of(y, v))
    raw, mean = np.expm1(y), math.expm1(found.mean)
    assert (found.lift <= np.maximum(raw, mean) + 1e-12).all()
    assert (found.lift >= np.minimum(raw, mean) - 1e-12).all()
    assert ((found.low < found.lift) & (found.lift < found.high)).all()
    assert ((found.p_positive > 0.5) == (found.lift > 0)).all()


def test_without_spread_all_share_the_mean():
    """Categories that scatter less than chance get one lift, with an interval of some width."""
    found = shrink(lifts_of([0.05, 0.051, 0.049, 0.05], np.full(4, 0.01)))
    assert found.tau2 == 0
    assert found.lift == pytest.approx(np.full(4, math.expm1(0.05)), rel=1e-6)
    # Unknown τ makes it wider than the mean's own error, 0.05.
    assert (np.log1p(found.high) - np.log1p(found.low) > 2 * 1.96 * 0.05).all()


def test_precise_lifts_stay_where_they_are():
    """Where chance is small beside the spread nothing is pulled."""
    y = [0.1, -0.2, 0.3]
    assert shrink(lifts_of(y, np.full(3, 1e-8))).lift == pytest.approx(np.expm1(y), rel=1e-5)


def test_intervals_cover_and_winners_keep_their_promise():
    """Twenty categories: intervals hold the truth, and the best one's lift is off by 0.5 points.

    Raw winners promise more than 5 points too much. Standard error and spread are both 5 %.
    """
    rng, runs = np.random.default_rng(20261122), 600
    raw, shrunken, covered = [], [], []
    for _ in range(runs):
        truth = rng.normal(math.log(1.05), 0.05, 20)
        y = truth + 0.05 * rng.standard_normal(20)
        found, lift = shrink(lifts_of(y, np.full(20, 0.0025))), np.expm1(truth)
        best, chosen = int(np.argmax(y)), int(np.argmax(found.lift))
        raw.append(math.expm1(y[best]) - lift[best])
        shrunken.append(found.lift[chosen] - lift[chosen])
        covered.append(((found.low <= lift) & (lift <= found.high)).mean())
    assert np.mean(raw) > 0.05
    assert abs(np.mean(shrunken)) < 0.005 + 3.3 * np.std(shrunken) / math.sqrt(runs)
    assert 0.92 < np.mean(covered) < 0.98


class TestDegenerate:
    """Odd input gives a right number or a reason."""

    def test_one_category(self):
        """A single category has nothing to be pulled towards."""
        assert shrink(lifts_of([0.1], [0.01])).code == "one_category"
        assert paule_mandel(lifts_of([0.1], [0.01])).code == "one_category"

    def test_no_variance(self):
        """Categories without any variance are no statistics."""
        assert isinstance(shrink(lifts_of([0.1, 0.2], [0.0, 0.0])), Undetermined)

    def test_two_equal(self):
        """Two equal categories keep their lift."""
        found = shrink(lifts_of([0.1, 0.1], [0.01, 0.01]))
        assert found.lift == pytest.approx(np.full(2, math.expm1(0.1)), rel=1e-9)

    def test_a_singular_covariance(self):
        """Perfectly correlated categories give finite numbers."""
        found = shrink(lifts_of([0.1, 0.1, 0.3], np.full((3, 3), 0.01)))
        assert np.isfinite([found.lift, found.low, found.high, found.p_positive]).all()

    def test_two_hundred_categories_of_one_hundred_units(self):
        """A covariance that is noise for the most part still gives finite, pulled lifts."""
        rng = np.random.default_rng(4)
        scores = rng.normal(size=(100, 200))
        y = rng.normal(0, 0.1, 200)
        found = shrink(lifts_of(y, scores.T @ scores * 1e-4, effective_units=100.0))
        assert np.isfinite([found.lift, found.low, found.high]).all()
        assert np.std(found.lift) < np.std(np.expm1(y))
