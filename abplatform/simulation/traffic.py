"""One week in the market: who sees which picture, who clicks, and what would have been true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.domain.assignment import AssignmentPlan, assign_many
from abplatform.domain.targeting import targets
from abplatform.simulation.market import Market
from abplatform.simulation.seeds import stream
from abplatform.simulation.shoppers import Visits, visit
from abplatform.simulation.taste import Picture

__all__ = ["Bots", "Exposure", "Gallery", "SimulatedWeek", "TrueLift", "simulate_week"]

Ints = NDArray[np.int64]

_BOT_PACE = 1.5
"""Impressions a second that a bot asks for."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Every picture that may be shown this week.

    Args:
        pictures: Creative id to what shoppers see.
        advertised: Creative id to product id.
        default: Product id to the creatives that are shown where no experiment chooses.
    """

    pictures: Mapping[str, Picture]
    advertised: Mapping[str, str]
    default: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Exposure:
    """An experiment that runs all week.

    Args:
        plan: Who gets which variant.
        control: The control's name.
        creatives: Variant to product id to the creatives it shows; None for an experiment that
            only watches, so that its true lift is zero.
        lost: Variant to the share of its units whose assignments never reach the log.
    """

    plan: AssignmentPlan
    control: str
    creatives: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    lost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bots:
    """Programs that hammer one category, each for minutes, and click nearly everything.

    Args:
        count: How many; every other one says in its user agent that it is a bot, the others look
            like people but for their pace.
        impressions: How many impressions each of them causes.
    """

    count: int = 0
    impressions: int = 300


@dataclass(frozen=True, slots=True)
class TrueLift:
    """What the experiment would find with endless traffic.

    Args:
        category: The category, None for all together.
        control_rate: Expected clicks per impression under the control.
        treatment_rate: Expected clicks per impression under the treatment.
    """

    category: str | None
    control_rate: float
    treatment_rate: float

    @property
    def lift(self) -> float:
        """Relative lift of the treatment."""
        return self.treatment_rate / self.control_rate - 1.0


@dataclass(frozen=True, slots=True)
class SimulatedWeek:
    """What happened, before any of it is logged.

    Args:
        market: Where it happened.
        impressions: One row an impression, ascending in time: ``ts`` (µs since 1970), ``unit``
            (row of ``units``), ``product`` (index), ``creative`` (row of ``creatives``),
            ``clicked``, ``delay`` (µs from impression to click), ``bot``, and by experiment the
            variant's index, -1 when it does not apply.
        units: Unit ids, bots at the end.
        creatives: Creative ids.
        exposures: The experiments.
        rates: Creative id to its click rate.
    """

    market: Market
    impressions: pl.DataFrame
    units: pl.Series
    creatives: tuple[str, ...]
    exposures: tuple[Exposure, ...]
    rates: Mapping[str, float]

    def true_lifts(self, experiment: str, treatment: str) -> list[TrueLift]:
        """Return the exact lift, overall first and then by category.

        It is the expectation over assignment and choice of creative, given who came when and for
        which product: Σ over impressions of eagerness · mean rate of the variant's creatives.

        Args:
            experiment: Its key.
            treatment: The variant that is compared with the control.
        """
        exposure = next(e for e in self.exposures if e.plan.experiment_key == experiment)
        seen, eager = self.demand(experiment)
        size = len(self.market.products)
        expected = {}
        for name in (exposure.control, treatment):
            shown = (exposure.creatives or {}).get(name)
            expected[name] = eager * self._mean_rates(shown)
        rows = []
        everything = np.ones(size, dtype=bool)
        of = self.market.category_of
        slices = [(None, everything), *((c, of == i) for i, c in enumerate(self.market.categories))]
        for category, mine in slices:
            if seen[mine].sum() > 0:
                control, treated = (
                    float(expected[name][mine].sum() / seen[mine].sum())
                    for name in (exposure.control, treatment)
                )
                rows.append(TrueLift(category, control, treated))
        return rows

    def demand(self, experiment: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return impressions and summed eagerness of people by product, whatever they were shown.

        Args:
            experiment: Its key; impressions that it does not apply to are left out.
        """
        people = self.impressions.filter(~pl.col("bot") & (pl.col(experiment) >= 0))
        product = people["product"].to_numpy()
        eagerness = self.market.shoppers.eagerness[people["unit"].to_numpy()]
        size = len(self.market.products)
        seen = np.bincount(product, minlength=size).astype(np.float64)
        eager = np.bincount(product, weights=eagerness, minlength=size).astype(np.float64)
        return seen, eager

    def _mean_rates(self, shown: Mapping[str, Sequence[str]] | None) -> NDArray[np.float64]:
        """Mean click rate by product; an experiment that only watches has one for all."""
        if shown is None:
            return np.ones(len(self.market.products))
        return np.array(
            [
                np.mean([self.rates[creative] for creative in shown[product.product_id]])
                for product in self.market.products
            ]
        )


def simulate_week(
    market: Market,
    gallery: Gallery,
    exposures: Sequence[Exposure],
    *,
    monday: datetime,
    bots: Bots | None = None,
    stored: Callable[[pl.Series], pl.Series] | None = None,
) -> SimulatedWeek:
    """Let a week of traffic pass.

    Args:
        market: The shoppers, products and taste.
        gallery: Every picture that may be shown.
        exposures: The experiments; those that choose pictures share one layer, and where several
            do expose a unit the first one chooses.
        monday: The week's first moment.
        bots: A swarm, or None.
        stored: Makes stored ids of shoppers' ids, by which they are assigned; None: they are those.
    """
    draw = stream(market.seed, "week", monday.isoformat())
    swarm = bots or Bots()
    units = pl.concat([market.shoppers.unit_ids, _bot_ids(swarm.count)])
    visits = visit(market.shoppers, monday=monday, popularity=market.popularity, seed=market.seed)
    visits = _with_bots(visits, market, swarm, monday)
    product = market.choose_products(visits.category, draw)
    names = units if stored is None else stored(units)
    assigned = [assign_many(exposure.plan, names) for exposure in exposures]
    seen = [
        (exposure, _variant_seen(market, exposure, index[visits.shopper], product))
        for exposure, index in zip(exposures, assigned, strict=True)
    ]
    creatives = tuple(sorted(gallery.pictures))
    creative = _choose_creatives(market, gallery, seen, product, draw.random(len(product)))
    rates = market.click_rates(gallery.pictures, gallery.advertised)
    rate = np.array([rates[name] for name in creatives])[creative]
    bot = visits.shopper >= len(market.shoppers)
    eagerness = np.concatenate([market.shoppers.eagerness, np.zeros(swarm.count)])
    chance = np.where(bot, 0.7, rate * eagerness[visits.shopper])
    delay = np.minimum(draw.lognormal(2.5, 1.2, len(chance)) + 0.5, 20 * 3600.0)
    impressions = pl.DataFrame(
        {
            "ts": visits.ts,
            "unit": visits.shopper,
            "product": product,
            "creative": creative,
            "clicked": draw.random(len(chance)) < chance,
            "delay": (np.where(bot, 0.4, delay) * 1e6).astype(np.int64),
            "bot": bot,
            **{exposure.plan.experiment_key: index for exposure, index in seen},
        }
    ).filter(pl.any_horizontal(pl.col(e.plan.experiment_key) >= 0 for e in exposures))
    return SimulatedWeek(market, impressions, units, creatives, tuple(exposures), rates)


def _bot_ids(count: int) -> pl.Series:
    return pl.select(pl.format("u{}", pl.int_range(9_000_000, 9_000_000 + count))).to_series()


def _with_bots(visits: Visits, market: Market, swarm: Bots, monday: datetime) -> Visits:
    """Add a swarm that comes on the third afternoon, for the most popular category."""
    if not swarm.count:
        return visits
    draw = stream(market.seed, "bots", monday.isoformat())
    total = swarm.count * swarm.impressions
    start = int(monday.timestamp()) + 2 * 86_400 + 13 * 3600
    begin = np.repeat(draw.uniform(0, 7200, swarm.count), swarm.impressions)
    seconds = start + begin + draw.uniform(0, swarm.impressions / _BOT_PACE, total)
    ts = np.concatenate([visits.ts, (seconds * 1e6).astype(np.int64)])
    bot = len(market.shoppers) + np.repeat(np.arange(swarm.count), swarm.impressions)
    target = np.full(total, int(np.argmax(market.popularity)))
    order = np.argsort(ts, kind="stable")
    return Visits(
        np.concatenate([visits.shopper, bot])[order],
        np.concatenate([visits.category, target])[order],
        ts[order],
    )


def _variant_seen(
    market: Market, exposure: Exposure, index: NDArray[np.int16], product: Ints
) -> NDArray[np.int16]:
    """Variant index of each impression, -1 where the experiment's targeting excludes it."""
    admitted = np.array(
        [
            targets(exposure.plan.targeting, {"category": product.category.path})
            for product in market.products
        ]
    )
    return np.where(admitted[product], index, np.int16(-1)).astype(np.int16)


def _choose_creatives(
    market: Market,
    gallery: Gallery,
    seen: Sequence[tuple[Exposure, NDArray[np.int16]]],
    product: Ints,
    luck: NDArray[np.float64],
) -> Ints:
    """Row of the creative that each impression shows; uniform among the eligible ones."""
    row = {name: index for index, name in enumerate(sorted(gallery.pictures))}
    chosen = _Shelf.of(market, row, gallery.default).pick(product, luck)
    open_still = np.ones(len(product), dtype=bool)
    for exposure, index in seen:
        if exposure.creatives is None:
            continue
        for number, name in enumerate(exposure.plan.phase.variants):
            here = open_still & (index == number)
            shelf = _Shelf.of(market, row, exposure.creatives[name])
            chosen[here] = shelf.pick(product[here], luck[here])
        open_still &= index < 0
    return chosen


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The creatives of every product, one product after the other."""

    creatives: Ints
    first: Ints
    count: Ints

    @classmethod
    def of(cls, market: Market, row: Mapping[str, int], shown: Mapping[str, Sequence[str]]) -> Self:
        listed = [shown[product.product_id] for product in market.products]
        count = np.array([len(creatives) for creatives in listed])
        flat = np.array([row[creative] for creatives in listed for creative in creatives])
        return cls(flat, np.cumsum(count) - count, count)

    def pick(self, product: Ints, luck: NDArray[np.float64]) -> Ints:
        """Pick each impression's creative by its luck, 0 … 1, among those of its product."""
        count = self.count[product]
        within = np.minimum((luck * count).astype(np.int64), count - 1)
        chosen: Ints = self.creatives[self.first[product] + within]
        return chosen
