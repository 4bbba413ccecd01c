"""Users who span categories: each has a favourite, and sees the others as well."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from integers import exact
from shoppers import ACTIVITY_MEAN, BUSY_CLICK_LESS, TASTE, draw_activity, draw_beta

from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import RatioSums

__all__ = ["EIGHT", "ONE_LARGE", "TWENTY", "Sliced", "World", "draw_sliced"]

EIGHT = (0.30, 0.20, 0.15, 0.10, 0.10, 0.05, 0.05, 0.05)
TWENTY = (0.05,) * 20
ONE_LARGE = (0.80, *((0.20 / 19,) * 19))
FAVOURITE = 0.5  # of a user's impressions come from the favourite category, the rest by traffic


@dataclass(frozen=True, slots=True)
class World:
    """Categories and what happens in them.

    Args:
        shares: Of traffic, shape (C,), summing to 1.
        ctr: Of a user of mean activity.
        factors: What CTR is multiplied by in each category, or None.
    """

    shares: Sequence[float]
    ctr: float = 0.03
    factors: Sequence[float] | None = None


@dataclass(frozen=True, eq=False)
class Sliced:
    """One variant in many runs.

    Args:
        impressions: Shape (runs, users, C).
        clicks: Likewise.
    """

    impressions: np.ndarray
    clicks: np.ndarray

    @cached_property
    def table(self) -> np.ndarray:
        """Sums over users by category, shape (runs, C, 8); users who saw it count."""
        n, k = self.impressions, self.clicks
        seen = np.count_nonzero(n, axis=1)
        columns = (
            *(seen, n.sum(axis=1), k.sum(axis=1)),
            *((n * n).sum(axis=1), (k * k).sum(axis=1), (n * k).sum(axis=1)),
            *(seen, np.count_nonzero(k, axis=1)),
        )
        return np.stack(columns, axis=-1)

    @cached_property
    def overall(self) -> np.ndarray:
        """Sums over users, all categories together, shape (runs, 8)."""
        whole = Sliced(
            self.impressions.sum(axis=2, keepdims=True), self.clicks.sum(axis=2, keepdims=True)
        )
        return whole.table[:, 0]

    def moments(self, run: int) -> UnitMoments:
        """Return the project's moments of one run over its categories."""
        n, k = (values[run].astype(float) for values in (self.impressions, self.clicks))
        present = n > 0
        first = present & (np.cumsum(present, axis=1) == 1)
        flat = np.concatenate([k, n, first], axis=1)
        places = n.shape[1]
        shape = (3, places)
        rows = self.table[run].tolist()
        return UnitMoments(
            kinds=("k", "n", "u"),
            places=tuple(str(place) for place in range(places)),
            sums=exact(flat.sum(axis=0)).reshape(shape),
            products=exact(flat.T @ flat).reshape(*shape, *shape),
            counts=tuple(Counts(row[0], row[6], row[7]) for row in rows),
        )

    def sums(self, run: int) -> list[RatioSums]:
        """Return the project's sums of one run, category by category."""
        return [RatioSums(*row) for row in self.table[run].tolist()]


def draw_sliced(rng: np.random.Generator, world: World, *, runs: int, users: int) -> Sliced:
    """Draw one variant."""
    size = len(world.shares)
    shape = (runs, users)
    relative = draw_activity(rng, shape)
    total = 1 + rng.poisson(ACTIVITY_MEAN * relative)
    taste = draw_beta(rng, world.ctr * relative**BUSY_CLICK_LESS, TASTE, shape).ravel()
    favourite = _categories(rng, world.shares, total.size)
    owner = np.repeat(np.arange(total.size), total.ravel())
    at_home = rng.random(owner.size, dtype=np.float32) < FAVOURITE
    elsewhere = _categories(rng, world.shares, owner.size)
    category = np.where(at_home, favourite[owner], elsewhere)
    chance = taste[owner]
    if world.factors is not None:
        chance *= np.asarray(world.factors)[category]
    cell = owner * size + category
    cube = (runs, users, size)
    clicked = rng.random(owner.size, dtype=np.float32) < chance
    return Sliced(
        np.bincount(cell, minlength=total.size * size).reshape(cube),
        np.bincount(cell[clicked], minlength=total.size * size).reshape(cube),
    )


def _categories(rng: np.random.Generator, shares: Sequence[float], size: int) -> np.ndarray:
    """Draw categories by their shares, to one part in 65,536."""
    slots = (np.arange(65_536) + 0.5) / 65_536
    lookup = np.searchsorted(np.cumsum(shares)[:-1], slots)
    return lookup[rng.integers(0, 65_536, size, dtype=np.uint16)]
