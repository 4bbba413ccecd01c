"""From units' totals to looks: statistic, information and correlation by the obvious formulas."""

import math

import numpy as np
import pytest

from abplatform.stats.moments import UnitMoments, ratio_score
from abplatform.stats.ratio import RatioContrast, RatioSums, Undetermined, contrast
from abplatform.stats.sequential import (
    LookPoint,
    build_series,
    rule,
    sequential_p,
    sequential_plan,
    take_looks,
)
from abplatform.stats.sequential.series import LookSeries, independent_correlation

DAYS = 8


def draw_units(seed, *, units=400, rate=0.06, returning):
    """Clicks and impressions of each unit on each day, shape (U, D)."""
    rng = np.random.default_rng(seed)
    units = units if returning else 5 * units
    n = np.zeros((units, DAYS), dtype=int)
    if returning:
        # Light users early, and heavy ones of strong taste who come late and often.
        habit = np.where(np.arange(units)[:, None] % 4, 2.0, 40.0 * (np.arange(DAYS) >= DAYS // 2))
        n = rng.poisson(habit * rng.gamma(1.0, 1.0, units)[:, None])
    else:
        n[np.arange(units), rng.integers(0, DAYS, units)] = rng.geometric(0.2, units)
    taste = np.minimum(rng.gamma(0.5, 2 * rate, units), 0.8)
    return rng.binomial(n, taste[:, None]), n


def moments_of(k, n):
    """Moments of running totals, with the units seen up to each day."""
    return UnitMoments.of_units(
        {"k": k.cumsum(1).tolist(), "n": n.cumsum(1).tolist()},
        places=[str(day) for day in range(DAYS)],
    )


def series_of(seed, *, returning, rate=0.06):
    sides = [
        draw_units(seed, returning=returning),
        draw_units(seed + 1000, returning=returning, rate=rate),
    ]
    moments = [moments_of(*side) for side in sides]
    return sides, build_series(*moments, days=range(1, DAYS + 1), share=True)


def scores(k, n, look):
    """ψ_i(look) = (k_i - r·n_i)/(r·Σn), unit by unit."""
    c, i = k.cumsum(1)[:, look], n.cumsum(1)[:, look]
    rate = c.sum() / i.sum()
    return (c - rate * i) / (rate * i.sum())


@pytest.mark.parametrize("returning", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_looks_follow_the_formulas_unit_by_unit(seed, returning):
    """z, information and correlation equal the recipe's sums over units, to nine digits."""
    sides, series = series_of(seed, returning=returning)
    for look, point in enumerate(series.points):
        variance, rates = 0.0, []
        for k, n in sides:
            seen = n.cumsum(1)[:, look] > 0
            c, i = k.cumsum(1)[seen, look], n.cumsum(1)[seen, look]
            rates.append(c.sum() / i.sum())
            spread = ((c - rates[-1] * i) ** 2).sum() / i.sum() ** 2
            variance += seen.sum() / (seen.sum() - 1) * spread
        pooled = sum(k[:, : look + 1].sum() for k, _ in sides) / sum(
            n[:, : look + 1].sum() for _, n in sides
        )
        assert point.contrast.z == pytest.approx((rates[1] - rates[0]) / math.sqrt(variance))
        assert point.information == pytest.approx(pooled**2 / variance, rel=1e-9)
        assert point.event_units == min((k.cumsum(1)[:, look] > 0).sum() for k, _ in sides)
    for a in range(DAYS):
        for b in range(DAYS):
            ab, aa, bb = (
                sum(scores(k, n, x) @ scores(k, n, y) for k, n in sides)
                for x, y in ((a, b), (a, a), (b, b))
            )
            assert series.correlation[a, b] == pytest.approx(ab / math.sqrt(aa * bb), rel=1e-9)


def test_users_of_one_day_have_independent_increments_and_returning_ones_do_not():
    """Correlations stay near √(I_j/I_k) only where nobody comes back."""
    gaps = {}
    for returning in (False, True):
        worst = []
        for seed in range(3):
            _, series = series_of(seed, returning=returning)
            information = [point.information for point in series.points]
            worst.append(np.abs(series.correlation - independent_correlation(information)).max())
        gaps[returning] = float(np.median(worst))
    assert gaps[False] < 0.1
    assert gaps[True] > 0.2


def test_an_adjusted_contrast_brings_its_own_scores():
    """Scores handed in give the correlation; adjusted contrasts replace the plain ones."""
    sides = [draw_units(seed, returning=True) for seed in (1, 2)]
    moments = [moments_of(*side) for side in sides]
    plain = build_series(*moments, days=range(1, DAYS + 1))
    raw = tuple([ratio_score(one, at, log=True) for at in range(DAYS)] for one in moments)
    swapped = [point.contrast for point in plain.points[::-1]]
    other = build_series(*moments, days=range(1, DAYS + 1), adjusted=swapped, scores=raw)
    assert [point.contrast for point in other.points] == swapped
    np.testing.assert_allclose(other.correlation, plain.correlation)
    assert other.points[3].pooled_rate == plain.points[3].pooled_rate


def test_days_without_clicks_have_a_reason_and_no_correlation():
    """A look before the first click is undetermined; the looks after it hang together as ever."""
    sides = [draw_units(seed, returning=True) for seed in (5, 6)]
    for k, _ in sides:
        k[:, :2] = 0
    series = build_series(*(moments_of(*side) for side in sides), days=range(1, DAYS + 1))
    assert isinstance(series.points[0].contrast, Undetermined)
    assert series.points[0].information is None
    assert series.points[0].relative_lift is None
    np.testing.assert_array_equal(series.correlation[:2, 2:], 0)
    assert isinstance(series.points[-1].contrast, RatioContrast)


def test_refunds_below_zero_still_have_looks():
    """Where a numerator is negative the scores are those of the rate itself."""
    sides = [draw_units(seed, returning=True) for seed in (7, 8)]
    negative = [(-k, n) for k, n in sides]
    plain = build_series(*(moments_of(*one) for one in sides), days=range(1, DAYS + 1))
    found = build_series(*(moments_of(*one) for one in negative), days=range(1, DAYS + 1))
    last = found.points[-1]
    assert last.contrast.z == pytest.approx(-plain.points[-1].contrast.z)
    assert last.relative_lift is None
    assert np.linalg.eigvalsh(found.correlation).min() > -1e-9


def test_a_day_that_the_data_lost_takes_independent_increments():
    """A recorded look whose day is gone is correlated by √(I_j/I_k) with every other look."""
    points = tuple(LookPoint(day, Undetermined("no_traffic: none"), 0.0, 0) for day in (1, 3))
    series = LookSeries(points, np.array([[1.0, 0.2], [0.2, 1.0]]))
    found = series.correlation_of([1, 2, 3], [1.0, 2.0, 4.0])
    assert found[0, 2] == 0.2
    assert found[0, 1] == pytest.approx(math.sqrt(0.5))
    assert found[1, 2] == pytest.approx(math.sqrt(0.5))


def test_a_point_of_sums_is_their_contrast():
    """Sums give the same contrast as the ratio module, and none without a denominator."""
    control, treatment = RatioSums.independent(4000, 200), RatioSums.independent(4000, 260)
    point = LookPoint.of_sums(3, control, treatment, share=True)
    assert point.contrast == contrast(control, treatment, share=True)
    assert point.pooled_rate == pytest.approx(460 / 8000)
    empty = RatioSums.independent(0, 0)
    assert LookPoint.of_sums(1, empty, empty).information is None


def test_returning_users_are_looked_at_in_full():
    """From units to rows, p-value and ruling on returning users with a large effect."""
    _, series = series_of(11, returning=True, rate=0.12)
    plan = sequential_plan(alpha=0.05, days=range(2, DAYS + 1), mde=0.5)
    rows = take_looks(plan, series)
    assert rule(rows).direction == 1
    assert sequential_p(plan, rows, series) <= 0.05
