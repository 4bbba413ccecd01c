from fractions import Fraction
from functools import reduce
from itertools import combinations
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.stats.best import best_probabilities, rank_probabilities

PARAMETER = st.floats(0.05, 1e6)


def multiplied(first, second):
    product = [Fraction(0)] * (len(first) + len(second) - 1)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            product[i + j] += one * other
    return product


def integrated(polynomial):
    return [Fraction(0), *(term / power for power, term in enumerate(polynomial, start=1))]


def density(a, b):
    scale = Fraction(factorial(a + b - 1), factorial(a - 1) * factorial(b - 1))
    return [Fraction(0)] * (a - 1) + [scale * comb(b - 1, k) * (-1) ** k for k in range(b)]


def exactly(posteriors):
    """Whole parameters make polynomials, which fractions integrate without any error."""
    densities = [density(a, b) for a, b in posteriors]
    below = [integrated(polynomial) for polynomial in densities]
    found = []
    for i, own in enumerate(densities):
        integrand = reduce(multiplied, below[:i] + below[i + 1 :], own)
        found.append(float(sum(integrated(integrand))))
    return found


@pytest.mark.parametrize(
    "posteriors",
    [
        [(1, 1), (1, 1)],
        [(2, 30), (3, 25)],
        [(1, 2), (3, 4), (2, 2)],
        [(1, 20), (2, 30), (5, 40), (1, 1)],
        [(20, 1), (15, 2), (1, 1)],
        [(3, 3), (3, 3), (40, 2), (1, 30), (2, 2)],
    ],
)
def test_agrees_with_exact_fractions(posteriors):
    """Where parameters are whole numbers the probabilities are those of exact fractions."""
    found = best_probabilities(*zip(*posteriors, strict=True))
    assert found == pytest.approx(exactly(posteriors), abs=1e-12)


def test_agrees_with_drawing():
    """Two million draws of five posteriors of usual size are best as often as is computed."""
    a = np.array([47.0, 52.0, 60.0, 9.0, 300.0])
    b = np.array([9_500.0, 9_700.0, 11_000.0, 1_200.0, 61_000.0])
    draws = 400_000
    rng = np.random.default_rng(5)
    found = best_probabilities(a, b)
    won = np.zeros(5)
    for _ in range(5):
        won += np.bincount(rng.beta(a, b, size=(draws, 5)).argmax(axis=1), minlength=5)
    error = np.sqrt(found * (1 - found) / (5 * draws))
    assert np.all(np.abs(won / (5 * draws) - found) < 4 * error + 1e-6)


def test_many_impressions_lose_no_digits():
    """Posteriors of a hundred million impressions are told apart as their normal limits are."""
    n, rates = 1e8, np.array([0.01, 0.01002])
    a, b = n * rates, n * (1 - rates)
    sigma = np.sqrt((rates * (1 - rates) / n).sum())
    from scipy.stats import norm

    assert best_probabilities(a, b)[1] == pytest.approx(
        norm.cdf((rates[1] - rates[0]) / sigma), abs=1e-5
    )
    # Equal posteriors share equally, which no rounding of a density of 1e8 clicks may hide.
    assert best_probabilities([a[0]] * 3, [b[0]] * 3) == pytest.approx([1 / 3] * 3, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PARAMETER, PARAMETER), min_size=2, max_size=6))
def test_probabilities_of_any_posteriors(posteriors):
    """They sum to 1, follow their posteriors when those change places, and none is negative.

    The two that are best and worst by pairs agree with the merged question: dropping a rate never
    makes another one less likely to be the best.
    """
    a, b = (np.array(side) for side in zip(*posteriors, strict=True))
    found = best_probabilities(a, b)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found.min() >= 0
    assert best_probabilities(a[::-1], b[::-1])[::-1] == pytest.approx(found, abs=1e-12)
    fewer = best_probabilities(a[1:], b[1:])
    assert np.all(fewer >= found[1:] - 1e-9)


def test_a_skewed_posterior_keeps_its_steep_side():
    """With rates near 0 and near 1 at once, and tails like e^-z, nine digits hold.

    P(X > Y) for Y ~ Beta(a, 1) is E[X^a], which the Gamma function gives.
    """
    from scipy.special import gammaln

    for (a, b), power in [((6935.0, 0.05), 40_000.0), ((5.0, 0.04), 0.05), ((0.05, 7e5), 0.03)]:
        moment = np.exp(gammaln(a + power) + gammaln(a + b) - gammaln(a) - gammaln(a + b + power))
        found = best_probabilities([a, power], [b, 1.0])
        assert found[0] == pytest.approx(moment, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0], [1.0, 2.0]),
        ([0.0, 1.0], [1.0, 1.0]),
        ([1.0, np.nan], [1.0, 1.0]),
        ([1.0, 1e300], [1.0, 1.0]),
    ],
)
def test_refuses_what_is_no_posterior(a, b):
    """Nothing, sizes that differ, and parameters that are no Beta's are refused in words."""
    with pytest.raises(ValueError, match=r"needs|parameters"):
        best_probabilities(a, b)


def test_one_rate_is_the_best():
    """A rate without rivals is the highest for certain."""
    assert best_probabilities([3.0], [4.0]).tolist() == [1.0]


@pytest.mark.parametrize(
    "posteriors",
    [
        [(2, 30), (3, 25)],
        [(1, 2), (3, 4), (2, 2)],
        [(20, 1), (15, 2), (1, 1)],
        [(1, 20), (2, 30), (5, 40), (1, 1)],
    ],
)
def test_every_rank_agrees_with_exact_fractions(posteriors):
    """Each place's probabilities are those of fractions, summed over who stands above."""
    densities = [density(a, b) for a, b in posteriors]
    below = [integrated(polynomial) for polynomial in densities]
    above = [[1 - polynomial[0], *(-term for term in polynomial[1:])] for polynomial in below]
    size = len(posteriors)
    found = rank_probabilities(*zip(*posteriors, strict=True), ranks=size)
    for i, own in enumerate(densities):
        others = [j for j in range(size) if j != i]
        for rank in range(size):
            exact = Fraction(0)
            for better in combinations(others, rank):
                sides = [above[j] if j in better else below[j] for j in others]
                exact += sum(integrated(reduce(multiplied, sides, own)))
            assert found[i, rank] == pytest.approx(float(exact), abs=1e-11)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(PARAMETER, PARAMETER), min_size=2, max_size=6))
def test_every_rate_has_one_rank(posteriors):
    """Over all ranks a rate's probabilities sum to 1, as a rank's do over all rates."""
    a, b = (np.array(side) for side in zip(*posteriors, strict=True))
    found = rank_probabilities(a, b, ranks=len(a))
    assert found.sum(axis=0) == pytest.approx(np.ones(len(a)), abs=1e-12)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(a)), abs=1e-8)
    assert found[:, 0] == pytest.approx(best_probabilities(a, b), abs=1e-12)


def test_there_is_no_rank_beyond_the_last():
    """A rank below 1 or above K is refused."""
    for ranks in (0, 3):
        with pytest.raises(ValueError, match="as many ranks"):
            rank_probabilities([1.0, 1.0], [1.0, 1.0], ranks=ranks)
