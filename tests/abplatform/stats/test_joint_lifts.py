"""Lifts of many categories together, against cluster-robust regression and slow arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from abplatform.stats.joint import (
    JointLifts,
    independent_lifts,
    is_reversed,
    joint_lifts,
    pool,
    steady_covariance,
    wald_heterogeneity,
)
from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import Interval, RatioSums, Undetermined, contrast


def moments_of(n, k, *, places=None):
    """Moments of units given as two arrays, users by categories; fast where sums are small."""
    n, k = np.asarray(n), np.asarray(k)
    present = (n != 0) | (k != 0)
    first = present & (np.cumsum(present, axis=1) == 1)
    stacked = np.stack([k, n, first.astype(int)], axis=1)
    units, kinds, size = stacked.shape
    flat = stacked.reshape(units, kinds * size).astype(np.float64)
    whole = np.rint(flat.T @ flat).astype(np.int64).astype(object)
    counts = [
        Counts(
            *(
                int(found)
                for found in (present[:, c].sum(), (n[:, c] != 0).sum(), (k[:, c] != 0).sum())
            )
        )
        for c in range(size)
    ]
    return UnitMoments(
        ("k", "n", "u"),
        tuple(places or (f"c{c}" for c in range(size))),
        stacked.sum(axis=0).astype(object),
        whole.reshape(kinds, size, kinds, size),
        tuple(counts),
    )


def draw(rng, users, size, *, rate=0.05, spread=0.8, lift=None):
    """Users who see many categories, some of whom click far more than others."""
    activity = rng.lognormal(1.5, 0.8, users)
    n = rng.poisson(activity[:, None] * rng.dirichlet(np.full(size, 2.0), users))
    taste = np.exp(spread * rng.standard_normal((users, 1)) - spread**2 / 2)
    factor = np.ones(size) if lift is None else np.exp(lift)
    return n, rng.binomial(n, np.minimum(rate * taste * factor, 1))


def pair(seed, users=800, size=4, rate=0.05, lift=None):
    rng = np.random.default_rng(seed)
    control = draw(rng, users, size, rate=rate)
    return control, draw(rng, users, size, rate=rate, lift=lift)


@pytest.mark.parametrize("seed", range(6))
def test_log_ratios_and_covariance_are_those_of_a_clustered_poisson_regression(seed):
    """A Poisson regression with errors clustered by user gives the same numbers."""
    import statsmodels.api as sm

    sides = pair(seed, users=300, size=3)
    joint = joint_lifts(*(moments_of(n, k) for n, k in sides))
    covariance, level = 0, []
    for n, k in sides:
        seen = n > 0
        user, category = np.nonzero(seen)
        design = np.eye(3)[category]
        # Clicks are fewer than impressions, so that zero impressions never come with a click.
        fit = sm.GLM(k[seen], design, family=sm.families.Poisson(), offset=np.log(n[seen])).fit(
            cov_type="cluster",
            cov_kwds={"groups": user, "use_correction": False},
            tol=1e-14,
        )
        users = len(np.unique(user))
        covariance = covariance + fit.cov_params() * users / (users - 1)
        level.append(fit.params)
    assert joint.log_lifts == pytest.approx(level[1] - level[0], rel=1e-8)
    assert joint.covariance == pytest.approx(covariance, rel=1e-7, abs=1e-12)


def test_each_category_alone_is_the_usual_contrast():
    """The diagonal is each category's own variance of the log-ratio, but for U against U - 1."""
    sides = pair(3)
    ours, theirs = (moments_of(n, k) for n, k in sides)
    joint = joint_lifts(ours, theirs)
    for place in range(4):
        alone = contrast(ours.ratio_sums(place), theirs.ratio_sums(place))
        assert joint.log_lifts[place] == pytest.approx(alone.log_ratio, rel=1e-12)
        assert joint.covariance[place, place] == pytest.approx(alone.log_ratio_variance, rel=2e-3)


def test_users_who_span_categories_make_their_lifts_move_together():
    """Shared taste shows as positive covariance; disjoint users leave nearly none."""
    rng = np.random.default_rng(5)
    spanning = [draw(rng, 4000, 3, spread=1.2) for _ in range(2)]
    joint = joint_lifts(*(moments_of(n, k) for n, k in spanning))
    assert joint.covariance[np.triu_indices(3, 1)].min() > 0
    apart = []
    for n, k in spanning:
        own = np.eye(3, dtype=int)[rng.integers(3, size=len(n))]
        apart.append(moments_of(n * own, k * own))
    alone = joint_lifts(*apart)
    assert abs(alone.covariance[np.triu_indices(3, 1)]).max() < 1e-3 * alone.covariance.max()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_order_and_side_do_not_matter(seed, order):
    """Categories in another order, or the variants exchanged, give the same test."""
    (n_c, k_c), (n_t, k_t) = pair(seed, users=400)
    plain = joint_lifts(moments_of(n_c, k_c), moments_of(n_t, k_t))
    names = [f"c{c}" for c in order]
    turned = joint_lifts(
        moments_of(n_t[:, order], k_t[:, order], places=names),
        moments_of(n_c[:, order], k_c[:, order], places=names),
    )
    assert wald_heterogeneity(turned).statistic == pytest.approx(
        wald_heterogeneity(plain).statistic, rel=1e-8
    )
    assert pool(turned).log_lift == pytest.approx(-pool(plain).log_lift, rel=1e-9, abs=1e-12)


def test_wald_on_independent_categories_is_cochrans_q():
    """With a diagonal covariance and known variances it is statsmodels' Q and its p."""
    from statsmodels.stats.meta_analysis import combine_effects

    rng = np.random.default_rng(2)
    for size in (2, 5, 12):
        y, v = rng.normal(0, 0.2, size), rng.uniform(0.005, 0.05, size)
        found = wald_heterogeneity(JointLifts(tuple(map(str, range(size))), y, np.diag(v), v))
        expected = combine_effects(y, v).test_homogeneity()
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-10)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.df == size - 1


def test_few_effective_units_make_the_reference_hotellings():
    """The p-value is that of Hotelling's T² with the effective units."""
    rng = np.random.default_rng(3)
    y, v = rng.normal(0, 0.3, 5), np.full(5, 0.03)
    names = tuple(map(str, range(5)))
    found = wald_heterogeneity(JointLifts(names, y, np.diag(v), v, effective_units=30))
    scaled = found.statistic * (30 - 4 + 1) / (30 * 4)
    assert found.p_value == pytest.approx(stats.f.sf(scaled, 4, 27), rel=1e-10)
    assert found.denominator_df == 27
    few = wald_heterogeneity(JointLifts(names, y, np.diag(v), v, effective_units=3))
    assert isinstance(few, Undetermined)
    assert few.code == "few_units"


def test_the_pooled_lift_is_a_weighted_mean_with_the_joint_variance():
    """Mantel-Haenszel weights, and w'Σw for the variance, by slow arithmetic."""
    (n_c, k_c), (n_t, k_t) = pair(7, lift=np.full(4, 0.3))
    joint = joint_lifts(moments_of(n_c, k_c), moments_of(n_t, k_t))
    found = pool(joint, alpha=0.1)
    a, b = n_c.sum(axis=0), n_t.sum(axis=0)
    weight = (k_c.sum(axis=0) + k_t.sum(axis=0)) / (a + b) * a * b / (a + b)
    weight = weight / weight.sum()
    log_lift = (weight * joint.log_lifts).sum()
    se = math.sqrt(
        sum(weight[i] * weight[j] * joint.covariance[i, j] for i in range(4) for j in range(4))
    )
    assert found.log_lift == pytest.approx(log_lift, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(log_lift / se)), rel=1e-9)
    ends = np.expm1(log_lift + np.array([-1, 1]) * stats.norm.isf(0.05) * se)
    assert [found.interval.low, found.interval.high] == pytest.approx(ends, rel=1e-9)


def test_reports_give_the_same_numbers_with_a_diagonal():
    """Categories of independent impressions: each contrast's own variance, inflated or not."""
    sums = {
        name: (RatioSums.independent(n_c, k_c), RatioSums.independent(n_t, k_t))
        for name, n_c, k_c, n_t, k_t in (("a", 5000, 150, 5100, 190), ("b", 900, 40, 850, 30))
    }
    contrasts = {name: contrast(*both, inflation=(2.0, 3.0)) for name, both in sums.items()}
    joint = independent_lifts(
        {**contrasts, "c": Undetermined("few_clicks: none")},
        {name: (c.n, t.n) for name, (c, t) in sums.items()},
    )
    assert joint.names == ("a", "b")
    assert joint.left_out["c"].code == "few_clicks"
    assert np.diag(joint.covariance) == pytest.approx(
        [one.log_ratio_variance for one in contrasts.values()], rel=1e-12
    )
    assert joint.covariance[0, 1] == 0
    assert isinstance(pool(joint).interval, Interval)


def test_steadied_covariances_keep_variances_and_stay_covariances():
    """Only correlations move, towards their mean, and no eigenvalue falls below zero."""
    sides = pair(11, users=150, size=12, rate=0.3)
    joint = joint_lifts(*(moments_of(n, k) for n, k in sides))
    steady = steady_covariance(joint)
    assert np.diag(steady) == pytest.approx(np.diag(joint.covariance), rel=1e-12)
    assert np.linalg.eigvalsh(steady).min() > 0
    scale = np.sqrt(np.diag(steady))
    above = np.triu_indices(len(scale), 1)
    plain, pulled = (
        (found / np.outer(scale, scale))[above] for found in (joint.covariance, steady)
    )
    assert pulled.mean() == pytest.approx(plain.mean(), rel=1e-9)
    assert pulled.std() < plain.std()


def test_the_joint_wald_test_keeps_its_error_rate():
    """Heavy-tailed users over eight categories, one lift everywhere: at most 7 % are rejected."""
    rng, rejected, runs = np.random.default_rng(20261122), 0, 400
    for _ in range(runs):
        sides = [draw(rng, 500, 8, rate=0.06, spread=1.0) for _ in range(2)]
        joint = joint_lifts(*(moments_of(n, k) for n, k in sides))
        rejected += wald_heterogeneity(joint).p_value < 0.05
    assert rejected / runs <= 0.07 + 3.3 * math.sqrt(0.0475 / runs)


def test_different_lifts_are_found():
    """Categories with lifts of +60 % and -40 % are told apart."""
    sides = pair(1, users=4000, size=4, lift=np.array([0.5, -0.5, 0.5, -0.5]))
    assert wald_heterogeneity(joint_lifts(*(moments_of(n, k) for n, k in sides))).p_value < 1e-4


def test_a_reversal_needs_both_signs_beyond_doubt():
    """Simpson's paradox: opposite signs, each distinguishable from zero."""
    assert is_reversed(3.0, -2.5)
    assert is_reversed(-3.0, 2.5)
    assert not is_reversed(3.0, -1.5)
    assert not is_reversed(1.5, -3.0)
    assert not is_reversed(3.0, 2.5)


def test_a_planted_paradox_is_a_reversal():
    """Better in each category, worse overall, because its traffic falls on the poor category."""
    rng = np.random.default_rng(8)
    mixes, rates = ((0.8, 0.2), (0.2, 0.8)), ((0.10, 0.02), (0.13, 0.026))
    sides = []
    for mix, rate in zip(mixes, rates, strict=True):
        n = rng.multinomial(10, mix, size=6000)
        sides.append(moments_of(n, rng.binomial(n, rate)))
    overall = contrast(
        *(RatioSums.independent(int(m.sums[1].sum()), int(m.sums[0].sum())) for m in sides)
    )
    pooled = pool(joint_lifts(*sides))
    assert overall.z < 0 < pooled.z
    assert is_reversed(overall.z, pooled.z)


class TestDegenerate:
    """Odd input gives a right number or a reason."""

    def test_one_category(self):
        """One category has a pooled lift and no heterogeneity."""
        joint = joint_lifts(*(moments_of(n[:, :1], k[:, :1]) for n, k in pair(1)))
        assert wald_heterogeneity(joint).code == "one_category"
        assert pool(joint).log_lift == pytest.approx(float(joint.log_lifts[0]))

    def test_poor_categories_are_left_out_with_their_reasons(self):
        """No click, one unit, nobody on one side: left out; the others are as without them."""
        (n_c, k_c), (n_t, k_t) = pair(2, size=5)
        plain = joint_lifts(moments_of(n_c[:, :2], k_c[:, :2]), moments_of(n_t[:, :2], k_t[:, :2]))
        k_c[:, 2] = 0
        n_t[:, 3], k_t[:, 3] = 0, 0
        n_t[0, 3], k_t[0, 3] = 3, 1
        n_c[:, 4], k_c[:, 4] = 0, 0
        joint = joint_lifts(moments_of(n_c, k_c), moments_of(n_t, k_t))
        assert joint.names == ("c0", "c1")
        assert {name: one.code for name, one in joint.left_out.items()} == {
            "c2": "few_clicks",
            "c3": "one_unit",
            "c4": "no_traffic",
        }
        assert joint.log_lifts == pytest.approx(plain.log_lifts, rel=1e-12)
        assert joint.covariance == pytest.approx(plain.covariance, rel=1e-2)

    def test_a_category_of_one_variant_only(self):
        """A category that only the treatment saw is left out, whether or not it has a place."""
        (n_c, k_c), (n_t, k_t) = pair(2)
        joint = joint_lifts(moments_of(n_c[:, :3], k_c[:, :3]), moments_of(n_t, k_t))
        assert joint.left_out["c3"].code == "no_traffic"

    def test_nothing_left(self):
        """Without a single usable category there is a reason, not a number."""
        zero = np.zeros((50, 2), dtype=int)
        empty = joint_lifts(*(moments_of(zero + 1, zero) for _ in range(2)))
        assert empty.code == "few_clicks"
        assert (
            joint_lifts(*(moments_of(zero[:, :0], zero[:, :0]) for _ in range(2))).code
            == "no_traffic"
        )

    def test_a_category_twice_is_singular_and_no_error(self):
        """The same category twice differs from itself by nothing, and says so."""
        twice = [
            moments_of(np.hstack([n[:, :1]] * 2), np.hstack([k[:, :1]] * 2)) for n, k in pair(4)
        ]
        assert wald_heterogeneity(joint_lifts(*twice)).code == "no_variance"
        thrice = [moments_of(n[:, [0, 0, 1]], k[:, [0, 0, 1]]) for n, k in pair(4)]
        assert math.isfinite(wald_heterogeneity(joint_lifts(*thrice)).p_value)

    def test_two_hundred_categories(self):
        """Two hundred sparse categories give a test, quickly, of those with enough clicks."""
        rng = np.random.default_rng(9)
        sides = []
        for _ in range(2):
            n = rng.poisson(0.5, (4000, 200))
            sides.append(moments_of(n, rng.binomial(n, 0.05)))
        joint = joint_lifts(*sides)
        found = wald_heterogeneity(joint)
        assert found.df == len(joint.names) - 1 > 190
        assert 1e-4 < found.p_value < 1

    def test_counts_of_a_trillion(self):
        """Counts of 1e12 give what the same counts divided by a million give."""
        (n_c, k_c), (n_t, k_t) = pair(6, size=2, users=60, rate=0.4)
        small = joint_lifts(moments_of(n_c, k_c), moments_of(n_t, k_t))
        large = joint_lifts(
            *(
                UnitMoments.of_units(
                    {
                        "k": [[int(x) * 10**12 for x in row] for row in k],
                        "n": [[int(x) * 10**12 for x in row] for row in n],
                    },
                    places=["c0", "c1"],
                )
                for n, k in ((n_c, k_c), (n_t, k_t))
            )
        )
        assert large.log_lifts == pytest.approx(small.log_lifts, rel=1e-12)
        assert large.covariance == pytest.approx(small.covariance, rel=1e-12)
