"""Moments of units, against the units themselves."""

from fractions import Fraction

import numpy as np
import pytest

from abplatform.stats.moments import Counts, UnitMoments, ratio_score, score_products
from abplatform.stats.ratio import RatioSums

PLACES = ["mon", "tue", "wed", "thu"]


def draw(seed, *, units=60, scale=1):
    rng = np.random.default_rng(seed)
    n = rng.poisson(1.5, (units, len(PLACES))) * scale
    k = rng.binomial(n, 0.3)
    seen = n.sum(axis=1) > 0
    return n[seen], k[seen]


def moments_of(n, k):
    return UnitMoments.of_units({"k": k.tolist(), "n": n.tolist()}, places=PLACES)


def running_counts(n, k):
    return [
        Counts(*(int((np.cumsum(x, axis=1)[:, at] > 0).sum()) for x in (n, n, k)))
        for at in range(len(PLACES))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_running_totals_give_the_ratio_sums_that_the_units_give(seed):
    """At every place the cumulated moments are those of the units' totals up to it."""
    n, k = draw(seed)
    running = moments_of(n, k).cumulated(running_counts(n, k))
    for at in range(len(PLACES)):
        ours, whole_n, whole_k = running.ratio_sums(at), n[:, : at + 1], k[:, : at + 1]
        present = whole_n.sum(axis=1) > 0
        units = whole_n.sum(axis=1)[present], whole_k.sum(axis=1)[present]
        assert ours == RatioSums.of_units(*(part.tolist() for part in units))


@pytest.mark.parametrize("seed", range(5))
def test_score_products_are_the_sums_over_units(seed):
    """Σ ψ(x)ψ(y) from moments is what adding up unit by unit in fractions gives."""
    n, k = draw(seed, scale=10**6)
    running = moments_of(n, k).cumulated(running_counts(n, k))
    found = score_products(running, [ratio_score(running, at, log=True) for at in range(4)])
    n, k = np.cumsum(n, axis=1).astype(object), np.cumsum(k, axis=1).astype(object)
    for x in range(4):
        for y in range(4):
            slow = sum(
                Fraction(int(k[i, x] * n[:, x].sum() - n[i, x] * k[:, x].sum()))
                * int(k[i, y] * n[:, y].sum() - n[i, y] * k[:, y].sum())
                / (int(k[:, x].sum() * n[:, x].sum()) * int(k[:, y].sum() * n[:, y].sum()))
                for i in range(len(n))
            )
            assert found[x, y] == pytest.approx(float(slow), rel=1e-12, abs=1e-300)


def test_the_variance_of_a_rate_is_its_score_times_itself():
    """Σ ψ² with the factor U/(U - 1) is the delta-method variance that the contrast uses."""
    n, k = draw(9)
    running = moments_of(n, k).cumulated(running_counts(n, k))
    sums = running.ratio_sums(3)
    (own,) = score_products(running, [ratio_score(running, 3)])[0]
    assert own * sums.units / (sums.units - 1) == pytest.approx(sums.variance, rel=1e-12)


def test_a_place_without_events_has_no_logarithm():
    """Zero clicks have no log rate, and zero impressions no rate."""
    none = UnitMoments.of_units({"k": [[0], [0]], "n": [[3], [0]]}, places=["mon"])
    assert ratio_score(none, 0).divisor == 9
    with pytest.raises(ZeroDivisionError):
        ratio_score(none, 0, log=True)


def test_counts_of_a_trillion_lose_nothing():
    """Integers stay exact where a double would round."""
    huge = 10**12 + 1
    moments = UnitMoments.of_units({"k": [[huge], [1]], "n": [[huge + 1], [3]]}, places=["mon"])
    k, n = moments.at("k"), moments.at("n")
    assert moments.products[k, 0, n, 0] == huge * (huge + 1) + 3
