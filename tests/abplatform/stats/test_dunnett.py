"""Treatments that share a control, against published tables and other integrations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from abplatform.stats.dunnett import compare_with_control, joint_critical_value, log_tail
from abplatform.stats.ratio import RatioSums, contrast

EQUAL = math.sqrt(0.5)

TABLE = {
    # Dunnett (1964), two-sided, infinite degrees of freedom: treatments to (5 %, 1 %).
    2: (2.21, 2.79),
    3: (2.35, 2.92),
    4: (2.44, 3.00),
    5: (2.51, 3.06),
    6: (2.57, 3.11),
    7: (2.61, 3.15),
    8: (2.65, 3.19),
    9: (2.69, 3.22),
}


@pytest.mark.parametrize("treatments", TABLE)
def test_critical_values_are_dunnetts(treatments):
    """Equal allocation gives Dunnett's published table to its last digit."""
    for alpha, published in zip((0.05, 0.01), TABLE[treatments], strict=True):
        found = joint_critical_value([EQUAL] * treatments, alpha=alpha)
        assert found == pytest.approx(published, abs=0.0051)


def tail_by_multivariate_normal(c, shared):
    correlation = np.outer(shared, shared)
    np.fill_diagonal(correlation, 1)
    size = len(shared)
    normal = stats.multivariate_normal(np.zeros(size), correlation, allow_singular=True)
    return 1 - normal.cdf(np.full(size, c), lower_limit=np.full(size, -c))


@pytest.mark.parametrize(
    "shared", [(0.7, 0.7), (0.5, 0.9), (0.999999, 0.5), (1.0, 0.5), (0.0, 0.3)]
)
@pytest.mark.parametrize("c", [0.3, 1.0, 2.2, 3.5])
def test_two_treatments_agree_with_the_bivariate_normal(c, shared):
    """Two treatments of any allocation, to ten digits."""
    expected = tail_by_multivariate_normal(c, shared)
    assert math.exp(log_tail(c, shared)) == pytest.approx(expected, rel=1e-10, abs=1e-14)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.floats(0, 0.99), min_size=3, max_size=6), st.floats(0.1, 4))
def test_any_number_agrees_with_slow_quadrature(shared, c):
    """Several treatments agree with scipy's adaptive integral of the plain formula."""

    def inside(u):
        own = np.sqrt(1 - np.square(shared))
        upper, lower = (c - np.multiply(shared, u)) / own, (-c - np.multiply(shared, u)) / own
        return stats.norm.pdf(u) * np.prod(stats.norm.cdf(upper) - stats.norm.cdf(lower))

    points = sorted({s * c / x for x in shared if x > 0.1 for s in (-1, 1) if c / x < 9})
    whole = integrate.quad(inside, -9, 9, points=points or None, limit=400, epsabs=1e-13)[0]
    assert math.exp(log_tail(c, shared)) == pytest.approx(1 - whole, abs=1e-10)


def test_adjusted_p_values_are_scipys_for_large_groups():
    """Three large groups of unequal size and scipy's Dunnett agree to what its sampling gives."""
    rng = np.random.default_rng(1)
    control, groups = (
        rng.normal(0, 1, 4000),
        [rng.normal(m, 1, n) for m, n in ((0.05, 2000), (0.02, 6000))],
    )
    expected = stats.dunnett(*groups, control=control, rng=np.random.default_rng(2))
    pooled = np.concatenate([x - x.mean() for x in (control, *groups)]).var()
    variances = [pooled / len(x) for x in (control, *groups)]
    found = compare_with_control(expected.statistic, variances[1:], control_variance=variances[0])
    assert found.p_adjusted == pytest.approx(expected.pvalue, rel=5e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-6, 6), st.floats(0.01, 100)), min_size=1, max_size=6),
    st.floats(0.001, 0.2),
)
def test_adjusted_p_lies_between_the_single_one_and_bonferroni(treatments, alpha):
    """Between p and m·p, and at most alpha exactly where |z| reaches the critical value."""
    z, variances = zip(*treatments, strict=True)
    found = compare_with_control(z, variances, control_variance=1.0, alpha=alpha)
    for value, adjusted in zip(z, found.p_adjusted, strict=True):
        single = 2 * stats.norm.sf(abs(value))
        assert single * (1 - 1e-9) <= adjusted <= min(1, len(z) * single) * (1 + 1e-9)
        if abs(abs(value) - found.critical_value) > 1e-9:
            assert (adjusted <= alpha) == (abs(value) >= found.critical_value)
    assert stats.norm.isf(found.alpha / 2) == pytest.approx(found.critical_value, rel=1e-9)


def test_simultaneous_intervals_cover_together():
    """Three treatments without effect: all three Fieller intervals hold zero 95 % of the time."""
    rng, runs, held = np.random.default_rng(20261122), 250, 0
    sizes = (40_000, 20_000, 20_000, 60_000)
    for _ in range(runs):
        control, *treated = (RatioSums.independent(n, int(rng.binomial(n, 0.05))) for n in sizes)
        found = [contrast(control, one) for one in treated]
        joint = compare_with_control(
            [one.z for one in found],
            [one.treatment.variance for one in found],
            control_variance=found[0].control.variance,
        )
        intervals = [one.relative_interval(critical=joint.critical_value) for one in found]
        held += all(one.low <= 0 <= one.high for one in intervals)
    assert abs(held / runs - 0.95) < 0.01 + 3.3 * math.sqrt(0.0475 / runs)


class TestDegenerate:
    """Odd input gives a right number or a reason."""

    def test_one_treatment_is_the_plain_test(self):
        """One treatment: nothing to adjust."""
        found = compare_with_control([2.5], [1.0], control_variance=1.0)
        assert found.p_adjusted[0] == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-12)
        assert found.critical_value == pytest.approx(1.959963984540054, rel=1e-12)

    def test_a_missing_treatment_is_in_no_family(self):
        """A treatment without a result leaves the others as they would be without it."""
        gap = compare_with_control([2.2, None, -1.0], [1.0, 7.0, 2.0], control_variance=1.0)
        without = compare_with_control([2.2, -1.0], [1.0, 2.0], control_variance=1.0)
        assert gap.p_adjusted == (without.p_adjusted[0], None, without.p_adjusted[1])
        assert compare_with_control([None], [1.0], control_variance=1.0).code == "no_contrast"

    def test_far_tails_keep_their_digits(self):
        """A z of 37 has p = 1e-298 twice over, and one of 60 a logarithm where p underflows."""
        found = compare_with_control([37.0, 60.0], [1.0, 1.0], control_variance=1.0)
        for value, log10_p in zip((37.0, 60.0), found.log10_p, strict=True):
            single = (math.log(2) + stats.norm.logsf(value)) / math.log(10)
            assert log10_p == pytest.approx(single + math.log10(2), abs=1e-9)
        assert found.p_adjusted[1] == 2.2250738585072014e-308

    def test_a_control_without_error_gives_independent_tests(self):
        """A control of no variance: Šidák."""
        found = compare_with_control([2.0, 1.0], [1.0, 1.0], control_variance=0.0)
        single = 2 * stats.norm.sf(2.0)
        assert found.p_adjusted[0] == pytest.approx(1 - (1 - single) ** 2, rel=1e-10)

    def test_treatments_without_error_are_one_test(self):
        """Treatments of no variance share one z: nothing to adjust."""
        found = compare_with_control([2.0, 1.0], [0.0, 0.0], control_variance=1.0)
        assert found.p_adjusted[0] == pytest.approx(2 * stats.norm.sf(2.0), rel=1e-12)

    @pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
    def test_what_is_no_variance_is_refused(self, wrong):
        """Negative, NaN and infinite variances are refused."""
        with pytest.raises(ValueError, match="finite and not negative"):
            compare_with_control([1.0], [wrong], control_variance=1.0)
