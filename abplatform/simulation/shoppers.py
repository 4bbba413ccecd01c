"""The people of the market: how often they come, what for, and how readily they click."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.simulation.seeds import stream

__all__ = ["Shoppers", "Visits", "draw_shoppers", "visit"]

_MEAN_IMPRESSIONS = 12.0
"""Impressions a shopper sees in a week, on average; half of all shoppers see five or fewer."""

_MOST_IMPRESSIONS = 150
_MOST_EAGER = 12.0
"""Nobody clicks more readily than twelve times the average."""

_LOYALTY = 0.45
"""Share of a shopper's impressions that falls into their favourite category."""

_HOURS = np.array(
    [2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 8, 8, 7, 7, 7, 8, 10, 12, 13, 12, 9, 5], dtype=np.float64
)
"""How busy each hour of the day is."""


@dataclass(frozen=True, slots=True)
class Shoppers:
    """A population; every array has one entry a shopper.

    Args:
        unit_ids: Their ids.
        activity: Expected impressions a week; heavy-tailed.
        eagerness: Their click rate as a multiple of the average, so that clicks cluster.
        favourite: Index of the category that they mostly look at.
        channel: 0 app, 1 web.
    """

    unit_ids: pl.Series
    activity: NDArray[np.float64]
    eagerness: NDArray[np.float64]
    favourite: NDArray[np.int64]
    channel: NDArray[np.int8]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.unit_ids)


@dataclass(frozen=True, slots=True)
class Visits:
    """Impressions of a week before a picture is chosen; every array has one entry each.

    Args:
        shopper: Index of the shopper.
        category: Index of the category looked at.
        ts: When, in microseconds since 1970, ascending.
    """

    shopper: NDArray[np.int64]
    category: NDArray[np.int64]
    ts: NDArray[np.int64]


def draw_shoppers(seed: int, *, impressions: int, popularity: NDArray[np.float64]) -> Shoppers:
    """Draw a population that sees about ``impressions`` impressions a week.

    Args:
        seed: The market's seed; the same shoppers come back every week.
        impressions: How many impressions a week they see together, on average.
        popularity: Share of each category among favourites; sums to 1.
    """
    draw = stream(seed, "shoppers")
    count = max(2, round(impressions / _MEAN_IMPRESSIONS))
    activity = np.minimum(draw.lognormal(0.0, 1.25, count), 40.0)
    return Shoppers(
        unit_ids=pl.select(
            pl.format("u{}", pl.int_range(1_000_000, 1_000_000 + count))
        ).to_series(),
        activity=activity * (impressions / activity.sum()),
        eagerness=np.minimum(draw.gamma(0.6, 1.0 / 0.6, count), _MOST_EAGER),
        favourite=draw.choice(len(popularity), count, p=popularity),
        channel=(draw.random(count) < 0.4).astype(np.int8),
    )


def visit(
    shoppers: Shoppers, *, monday: datetime, popularity: NDArray[np.float64], seed: int
) -> Visits:
    """Let the shoppers come for one week, mostly several times.

    A visit shows a few impressions within minutes; visits fall on days at random and on hours as
    busy as the hour is.

    Args:
        shoppers: Who comes.
        monday: The week's first moment.
        popularity: Share of each category where a shopper strays from the favourite.
        seed: The week's own seed.
    """
    draw = stream(seed, "visits", monday.isoformat())
    seen = np.minimum(draw.poisson(shoppers.activity), _MOST_IMPRESSIONS)
    shopper = np.repeat(np.arange(len(shoppers)), seen)
    visits_each = np.maximum(1, np.ceil(seen / 4).astype(np.int64))
    first_visit = np.cumsum(visits_each) - visits_each
    which = first_visit[shopper] + (draw.random(len(shopper)) * visits_each[shopper]).astype(int)
    total = int(visits_each.sum())
    hour = draw.choice(24, total, p=_HOURS / _HOURS.sum())
    starts = (draw.integers(0, 7, total) * 24 + hour) * 3600.0 + draw.uniform(0, 3000, total)
    within = draw.uniform(0, 590, len(shopper))
    seconds = starts[which] + within
    strays = draw.random(len(shopper)) >= _LOYALTY
    elsewhere = draw.choice(len(popularity), len(shopper), p=popularity)
    category = np.where(strays, elsewhere, shoppers.favourite[shopper])
    order = np.argsort(seconds, kind="stable")
    since = int(monday.timestamp()) * 1_000_000
    return Visits(
        shopper=shopper[order],
        category=category[order],
        ts=since + (seconds[order] * 1e6).astype(np.int64),
    )
