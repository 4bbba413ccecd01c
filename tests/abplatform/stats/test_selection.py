"""Winners corrected for having been picked, against brute-force likelihoods and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from abplatform.stats.categories import adjust
from abplatform.stats.selection import (
    beyond,
    correct_selected,
    rejection_threshold,
)

C = 1.959963984540054


@pytest.mark.parametrize("c", [1.5, C, 3.0])
@pytest.mark.parametrize("beyond_by", [0.02, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_estimates_are_those_of_the_truncated_density(c, beyond_by, sign):
    """Likelihood maximised and distribution function inverted by brute force."""
    z = sign * (c + beyond_by)
    found = correct_selected(z, beyond(c))

    def log_likelihood(delta):
        chance = stats.norm.cdf(-c - delta) + stats.norm.sf(c - delta)
        return stats.norm.logpdf(z - delta) - math.log(chance)

    best = optimize.minimize_scalar(
        lambda delta: -log_likelihood(delta),
        bounds=(-9, 9),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found.conditional_mle == pytest.approx(best.x, abs=1e-5)

    def below(delta):
        def density(x):
            return math.exp(-0.5 * (x - delta) ** 2)

        left = [integrate.quad(density, -14, min(-c, z), epsabs=1e-13)[0]]
        if z > c:
            left.append(integrate.quad(density, c, z, epsabs=1e-13)[0])
        whole = [integrate.quad(density, -14, -c)[0], integrate.quad(density, c, 14)[0]]
        return sum(left) / sum(whole)

    assert below(found.median_unbiased) == pytest.approx(0.5, abs=1e-7)
    assert below(found.low) == pytest.approx(0.975, abs=1e-7)
    assert below(found.high) == pytest.approx(0.025, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.floats(1.0, 4.0), st.floats(1e-6, 40))
def test_a_correction_pulls_towards_zero_and_is_odd(c, beyond_by):
    """Never beyond the raw effect, never of the other sign (the mode), and mirrored by the sign."""
    found = correct_selected(c + beyond_by, beyond(c))
    mirrored = correct_selected(-c - beyond_by, beyond(c))
    assert -1e-9 <= found.conditional_mle <= found.raw + 1e-9
    assert found.low <= found.median_unbiased <= found.high
    assert found.median_unbiased <= found.raw + 1e-9
    assert mirrored.median_unbiased == pytest.approx(-found.median_unbiased, abs=1e-7)
    assert mirrored.low == pytest.approx(-found.high, abs=1e-7)


def test_a_far_effect_needs_no_correction():
    """Thirty standard errors beyond the threshold nothing changes."""
    found = correct_selected(32.0, beyond(C))
    assert found.conditional_mle == pytest.approx(32.0, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((32 - C, 32 + C), rel=1e-9)


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.5, 3.0])
def test_significant_results_are_median_unbiased_and_covered(delta):
    """Of what is significant: half of the estimates too large, 95 % of the intervals right."""
    rng = np.random.default_rng(20261122)
    z = delta + rng.standard_normal(40_000)
    found = [correct_selected(one, beyond(C)) for one in z[abs(z) > C][:400]]
    size = len(found)
    large = np.mean([one.median_unbiased > delta for one in found])
    covered = np.mean([one.low <= delta <= one.high for one in found])
    assert abs(large - 0.5) < 3.3 * math.sqrt(0.25 / size)
    assert abs(covered - 0.95) < 3.3 * math.sqrt(0.0475 / size)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["bh", "by", "holm", "none"]))
def test_thresholds_say_when_the_family_would_reject(seed, correction):
    """A p-value just within its threshold is rejected, and one just beyond it is not."""
    rng = np.random.default_rng(seed)
    p_values = (rng.random(int(rng.integers(1, 9))) ** 3 * 0.3).tolist()
    for place, adjusted in enumerate(adjust(p_values, correction=correction)):
        c = rejection_threshold(p_values, place, alpha=0.05, correction=correction)
        assert (c is not None) == (adjusted <= 0.05)
        if c is None:
            continue
        for factor, rejected in ((1 - 1e-6, True), (1 + 1e-6, False)):
            moved = [*p_values]
            moved[place] = 2 * stats.norm.sf(c) * factor
            assert (adjust(moved, correction=correction)[place] <= 0.05) == rejected


class TestDegenerate:
    """Odd input gives a right number or a reason."""

    def test_what_was_not_selected(self):
        """An effect that is not significant was not reported for its size."""
        assert correct_selected(1.0, beyond(C)).code == "not_selected"

    def test_on_the_threshold(self):
        """At the edge of a one-sided selection the data bound the effect on one side only."""
        found = correct_selected(2.0, ((2.0, math.inf),))
        assert found.low == found.median_unbiased == found.conditional_mle == -math.inf

    def test_without_a_selection_nothing_is_corrected(self):
        """Where every value would have been reported, the estimate is the raw one."""
        found = correct_selected(1.0, ((-math.inf, math.inf),))
        assert (found.conditional_mle, found.median_unbiased) == pytest.approx((1.0, 1.0))
        assert (found.low, found.high) == pytest.approx((1 - C, 1 + C))
