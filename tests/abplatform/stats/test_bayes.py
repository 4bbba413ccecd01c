"""Posteriors of a lift against scipy's quadrature, draws and limits."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, norm

from abplatform.stats.bayes import LOG_LIFT_SIGMA, beta_posterior, normal_posterior
from abplatform.stats.fieller import RateEstimate, compare_rates
from abplatform.stats.ratio import RatioSums, Undetermined, contrast


def draw_contrast(seed):
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.01, 0.2, 2)
    errors = rates * rng.uniform(0.01, 0.15, 2)
    return compare_rates(
        RateEstimate(float(rates[0]), float(errors[0] ** 2)),
        RateEstimate(float(rates[0] * rng.uniform(0.8, 1.25)), float(errors[1] ** 2)),
    )


@pytest.mark.parametrize("increase", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_the_normal_posterior_is_prior_times_likelihood(seed, increase):
    """Probability, losses and interval equal quadrature over prior times likelihood."""
    found = draw_contrast(seed)
    ours = normal_posterior(found, increase=increase)
    y, se = found.log_ratio, math.sqrt(found.log_ratio_variance)

    def density(delta):
        return norm.pdf(delta, 0, LOG_LIFT_SIGMA) * norm.pdf(y, delta, se)

    middle, reach = ours.median, 12 * min(se, LOG_LIFT_SIGMA)
    ends = (math.log1p(middle) - reach, 0.0, math.log1p(middle) + reach)

    def mean_of(function):
        low, zero, high = sorted(ends)
        parts = [(low, zero), (zero, high)]
        return sum(quad(lambda d: function(d) * density(d), *part, epsabs=0)[0] for part in parts)

    whole = mean_of(lambda _: 1.0)
    sign = 1 if increase else -1
    assert ours.p_better == pytest.approx(mean_of(lambda d: sign * d > 0) / whole, rel=1e-6)
    for value, better in ((ours.loss_treatment, -sign), (ours.loss_control, sign)):
        expected = mean_of(lambda d, way=better: max(0.0, way * math.expm1(d))) / whole
        assert value == pytest.approx(expected, rel=1e-7, abs=1e-15)
    inside = mean_of(lambda d: ours.credible.low < math.expm1(d) < ours.credible.high) / whole
    assert inside == pytest.approx(0.95, abs=1e-3)


def test_a_flat_prior_gives_the_one_sided_p_value():
    """Without a prior, 1 - P(better) is the one-sided p of the log-lift."""
    found = draw_contrast(3)
    flat = normal_posterior(found, sigma=math.inf)
    z = found.log_ratio / math.sqrt(found.log_ratio_variance)
    assert flat.p_better == pytest.approx(norm.cdf(z), rel=1e-12)
    assert flat.median == pytest.approx(found.relative_lift, rel=1e-12)


def test_the_prior_pulls_towards_no_lift():
    """The median lies between zero and the estimate, the closer to it the smaller the error."""
    found = draw_contrast(5)
    assert 0 < abs(normal_posterior(found).median) < abs(found.relative_lift)
    tight = abs(normal_posterior(found, sigma=0.01).median)
    assert tight < abs(normal_posterior(found).median)


COUNTS = [
    ((50, 1000), (63, 1010)),
    ((0, 20), (3, 25)),
    ((20, 20), (15, 20)),
    ((0, 10), (0, 1000)),
    ((5, 5), (0, 5)),
    ((300, 10_000), (310, 9000)),
    ((40, 900), (4, 90)),
    ((1, 2), (1, 2)),
]


@pytest.mark.parametrize(("control", "treatment"), COUNTS)
def test_the_beta_posterior_is_that_of_adaptive_quadrature(control, treatment):
    """P(better) and expected losses equal scipy's adaptive integration of two betas."""
    ours, theirs = (beta(k + 0.5, n - k + 0.5) for k, n in (control, treatment))
    found = beta_posterior(control, treatment)
    cuts = np.unique(
        np.concatenate([[0, 1], *(d.ppf(np.linspace(0, 1, 25)) for d in (ours, theirs))])
    )

    def integral(function):
        return sum(
            quad(function, low, high, epsabs=1e-13, limit=200)[0] for low, high in pairwise(cuts)
        )

    # By parts, where a density has no bound: ∫ f_t F_c = 1 - ∫ F_t f_c, and ∫ (1 - F_c) F_t.
    loss = integral(lambda x: ours.sf(x) * theirs.cdf(x))
    gain = integral(lambda x: theirs.sf(x) * ours.cdf(x))
    assert found.loss_treatment == pytest.approx(loss / ours.mean(), rel=1e-8)
    assert found.loss_control == pytest.approx(gain / ours.mean(), rel=1e-8)
    draws = np.random.default_rng(1)
    size = 100_000
    p_c, p_t = ours.rvs(size, random_state=draws), theirs.rvs(size, random_state=draws)
    assert found.p_better == pytest.approx((p_t > p_c).mean(), abs=8e-3)
    ratio = p_t / p_c - 1
    for level, value in (
        (0.025, found.credible.low),
        (0.5, found.median),
        (0.975, found.credible.high),
    ):
        assert (ratio <= value).mean() == pytest.approx(level, abs=4e-3)


def test_equal_counts_are_even():
    """The same counts on both sides give a probability of one half and equal losses."""
    found = beta_posterior((30, 1000), (30, 1000))
    assert found.p_better == pytest.approx(0.5, abs=1e-9)
    assert found.loss_control == pytest.approx(found.loss_treatment, rel=1e-9)
    assert beta_posterior((30, 1000), (45, 1000)).p_better == pytest.approx(
        1 - beta_posterior((30, 1000), (45, 1000), increase=False).p_better, rel=1e-12
    )


@pytest.mark.parametrize("size", [10**9, 10**12])
def test_huge_counts_agree_with_the_normal_posterior(size):
    """At 1e9 to 1e12 trials both models say the same, and nothing overflows."""
    control, treatment = (size // 50, size), (size // 50 + math.isqrt(size) // 10, size)
    found = beta_posterior(control, treatment)
    sums = [RatioSums.independent(n, k) for k, n in (control, treatment)]
    normal = normal_posterior(contrast(*sums, share=True))
    assert found.p_better == pytest.approx(normal.p_better, rel=1e-4)
    assert found.loss_treatment == pytest.approx(normal.loss_treatment, rel=1e-3)
    assert found.credible.high == pytest.approx(normal.credible.high, rel=1e-3)


@pytest.mark.parametrize(
    ("control", "treatment", "code"),
    [
        ((0, 0), (5, 10), "no_traffic"),
        ((5, 10), (0, 0), "no_traffic"),
        ((11, 10), (5, 10), "not_a_share"),
        ((5, 10), (-1, 10), "not_a_share"),
    ],
)
def test_impossible_counts_have_no_posterior(control, treatment, code):
    """No trials, more successes than trials, or negative counts give a reason."""
    found = beta_posterior(control, treatment)
    assert isinstance(found, Undetermined)
    assert found.code == code


def test_a_rate_below_zero_has_no_log_lift():
    """A loss as base has no logarithm, so there is no posterior, and a prior needs a width."""
    found = compare_rates(RateEstimate(-1.0, 0.1), RateEstimate(2.0, 0.1))
    assert normal_posterior(found).code == "no_positive_rate"
    with pytest.raises(ValueError, match="above zero"):
        normal_posterior(draw_contrast(1), sigma=0)
