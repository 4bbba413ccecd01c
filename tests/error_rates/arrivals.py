"""Experiments that run for days: who comes when, and the sums at the end of every day.

Users are those of :mod:`shoppers` (log-normal activity, a taste of their own); only impressions and
clicks are drawn. How they come:

    one day          new users every day, who never come back
    all from day 0   everybody is there from the first day on and keeps coming
    uniform entry    users enter on a day drawn evenly and keep coming until the end
    light, heavy     the same, but the lighter half enters in the first half of the days and the
                     heavier half in the second, so that information can fall from day to day
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from integers import exact
from shoppers import (
    ACTIVITY_MEAN,
    BUSY_CLICK_LESS,
    TASTE,
    draw_activity,
    draw_beta,
)

from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import RatioSums

__all__ = ["CTR", "ENTRIES", "Daily", "draw_one_day", "draw_returning", "information_per_user"]

ENTRIES = ("one day", "all from day 0", "uniform entry", "light early, heavy late")
CTR = 0.03


@dataclass(frozen=True, eq=False)
class Daily:
    """One variant in many runs: sums over units from the start to the end of each day.

    Args:
        table: Shape (runs, days, 8): units, n, k, nn, kk, kn, n_units, k_units.
        impressions: Each user's impressions by day, shape (runs, users, days); None for users of
            one day, whose looks follow from the sums.
        clicks: Likewise.
    """

    table: np.ndarray
    impressions: np.ndarray | None = None
    clicks: np.ndarray | None = None

    @cached_property
    def _rows(self) -> list[list[list[int]]]:
        return self.table.tolist()

    def sums(self, run: int, day: int) -> RatioSums:
        """Return the project's sums of one run from its start to the end of a day."""
        return RatioSums(*self._rows[run][day])

    def moments(self, run: int) -> UnitMoments:
        """Return the project's moments of running totals of one run."""
        days = self.table.shape[1]
        rows = self._rows[run]
        counts = tuple(Counts(row[0], row[6], row[7]) for row in rows)
        places = tuple(str(day) for day in range(days))
        if self.impressions is None or self.clicks is None:
            return _one_day_moments(self.table[run], places, counts)
        totals = np.stack([self.clicks[run], self.impressions[run]], axis=1).astype(float)
        present = totals[:, 1] > 0
        first = present & (np.cumsum(present, axis=1) == 1)
        totals = np.concatenate([totals, first[:, None, :]], axis=1)
        flat = totals.reshape(len(totals), -1)
        shape = totals.shape[1:]
        daily = UnitMoments(
            kinds=("k", "n", "u"),
            places=places,
            sums=exact(flat.sum(axis=0)).reshape(shape),
            products=exact(flat.T @ flat).reshape(*shape, *shape),
            counts=counts,
        )
        return daily.cumulated(counts)


def draw_one_day(
    rng: np.random.Generator, *, runs: int, users_a_day: int, days: int, ctr: float = CTR
) -> Daily:
    """Draw a variant whose users never come back."""
    shape = (runs, days, users_a_day)
    relative = draw_activity(rng, shape)
    n = 1 + rng.poisson(ACTIVITY_MEAN * relative)
    k = rng.binomial(n, draw_beta(rng, ctr * relative**BUSY_CLICK_LESS, TASTE, shape))
    daily = _table(np.full((runs, days), users_a_day), n, k, axis=2)
    return Daily(np.cumsum(daily, axis=1))


def draw_returning(
    rng: np.random.Generator,
    *,
    runs: int,
    users: int,
    days: int,
    entry: str,
    ctr: float = CTR,
) -> Daily:
    """Draw a variant whose users keep coming back."""
    shape = (runs, users)
    relative = draw_activity(rng, shape)
    total = 1 + rng.poisson(ACTIVITY_MEAN * relative)
    taste = draw_beta(rng, ctr * relative**BUSY_CLICK_LESS, TASTE, shape).ravel()
    first = _entry_days(rng, entry, relative, days).ravel()
    owner = np.repeat(np.arange(total.size), total.ravel())
    left = (days - first)[owner]
    cell = owner * days + first[owner] + (rng.random(owner.size) * left).astype(np.int64)
    clicked = rng.random(owner.size) < taste[owner]
    cube = (runs, users, days)
    impressions = np.bincount(cell, minlength=total.size * days).reshape(cube)
    clicks = np.bincount(cell[clicked], minlength=total.size * days).reshape(cube)
    n, k = np.cumsum(impressions, axis=2), np.cumsum(clicks, axis=2)
    table = _table((n > 0).sum(axis=1), n, k, axis=1)
    return Daily(table, impressions, clicks)


def information_per_user(rng: np.random.Generator, *, ctr: float = CTR) -> float:
    """Return the information that one more user of one day in each variant adds."""
    many = draw_one_day(rng, runs=1, users_a_day=1_000_000, days=1, ctr=ctr).sums(0, 0)
    return (many.k / many.n) ** 2 / (2 * many.variance) / many.units


def _entry_days(
    rng: np.random.Generator, entry: str, relative: np.ndarray, days: int
) -> np.ndarray:
    if entry == "all from day 0":
        return np.zeros(relative.shape, dtype=np.int64)
    if entry == "uniform entry":
        return rng.integers(0, days, relative.shape)
    half = days // 2
    heavy = relative > np.median(relative, axis=1, keepdims=True)
    return rng.integers(0, half, relative.shape) + np.where(heavy, days - half, 0)


def _table(units: np.ndarray, n: np.ndarray, k: np.ndarray, *, axis: int) -> np.ndarray:
    columns = (
        units,
        n.sum(axis=axis),
        k.sum(axis=axis),
        (n * n).sum(axis=axis),
        (k * k).sum(axis=axis),
        (n * k).sum(axis=axis),
        np.count_nonzero(n, axis=axis),
        np.count_nonzero(k, axis=axis),
    )
    return np.stack(columns, axis=-1)


def _one_day_moments(
    table: np.ndarray, places: tuple[str, ...], counts: tuple[Counts, ...]
) -> UnitMoments:
    """Return moments of running totals where nobody comes back: products end at the earlier day."""
    days = len(places)
    earlier = np.minimum(np.arange(days)[:, None], np.arange(days)[None, :])
    column = {"n": 1, "k": 2, "nn": 3, "kk": 4, "kn": 5, "u": 0}
    kinds = ("k", "n", "u")
    products = np.zeros((3, days, 3, days), dtype=object)
    for a, first in enumerate(kinds):
        for b, second in enumerate(kinds):
            pair = "".join(sorted(first + second)).replace("uu", "u")
            pair = pair.replace("ku", "k").replace("nu", "n")
            products[a, :, b, :] = exact(table[:, column[pair]])[earlier]
    sums = np.stack([exact(table[:, column[kind]]) for kind in kinds])
    return UnitMoments(kinds, places, sums, products, counts)
