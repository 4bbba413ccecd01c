"""Simulated users of one variant, and their sums: heavy-tailed, clustered, all of it vectorised.

Each user i has an activity a_i and tastes of its own; nothing is independent by impression.

    a_i           log-normal, mean 8, spread 1.2 (the busiest thousandth sees 160 or more)
    decisions     1 + Poisson(a_i)                           shown ~ Binomial(decisions, q_i)
    clicks        Binomial(impressions, p_i)                 busy users click less: a_i^-0.15
    conversions   Binomial(clicks, c_i)                      value: log-normal 1.3 each, in cents
    cost          clicks · price_i, in cents                 price_i log-normal 0.5
    feedbacks     Binomial(impressions, 5 %)                 scores +1 or -1
    matched       Binomial(impressions, m_i)

with p, q, c, m and the share of good scores drawn from beta distributions for each user. A lift
multiplies the mean of a beta distribution, so that the true ratio of two variants is known exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abplatform.stats.ratio import RatioSums

__all__ = [
    "METRICS",
    "SHARES",
    "Rates",
    "Users",
    "draw_activity",
    "draw_beta",
    "draw_users",
    "sums_of",
    "true_lift",
]

ACTIVITY_MEAN = 8.0
ACTIVITY_SIGMA = 1.2
BUSY_CLICK_LESS = -0.15
TASTE = 30.0  # a + b of the beta distribution of CTR: its spread is about its mean
MOOD = 6.0  # a + b of the beta distributions of the other rates
VALUE_CENTS = 1000.0
VALUE_SIGMA = 1.3
PRICE_CENTS = 40.0
PRICE_SIGMA = 0.5
FEEDBACK_SHARE = 0.05

METRICS = {
    "ctr": ("clicks", "impressions"),
    "cvr": ("conversions", "clicks"),
    "ctcvr": ("conversions", "impressions"),
    "coverage": ("impressions", "decisions"),
    "satisfaction": ("score", "feedbacks"),
    "match_rate": ("matched", "impressions"),
    "rpm": ("value", "impressions"),
    "cpa": ("cost", "conversions"),
    "roi": ("profit", "cost"),
    "iroas": ("value", "cost"),
}
SHARES = frozenset({"ctr", "coverage", "match_rate"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Mean rates of each run, arrays of shape (runs, 1) or numbers.

    Args:
        ctr: Clicks over impressions of a user of mean activity.
        cvr: Conversions over clicks.
        shown: Shown over decisions.
        match: Matched over impressions.
        score: Mean score, -1 … 1.
    """

    ctr: np.ndarray | float = 0.03
    cvr: np.ndarray | float = 0.15
    shown: np.ndarray | float = 0.7
    match: np.ndarray | float = 0.75
    score: np.ndarray | float = 0.4

    @classmethod
    def drawn(cls, rng: np.random.Generator, runs: int) -> "Rates":
        """Return rates for each run: CTR 1-5 %, conversion 5-25 %, the others as they are."""
        return cls(ctr=rng.uniform(0.01, 0.05, (runs, 1)), cvr=rng.uniform(0.05, 0.25, (runs, 1)))

    def lifted(self, factor: float) -> "Rates":
        """Return all rates multiplied by one factor."""
        return Rates(
            self.ctr * factor,
            self.cvr * factor,
            self.shown * factor,
            self.match * factor,
            self.score * factor,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Totals of each user, integer arrays of shape (runs, users)."""

    decisions: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    conversions: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    feedbacks: np.ndarray
    score: np.ndarray
    matched: np.ndarray

    @property
    def profit(self) -> np.ndarray:
        """Value less cost, in cents."""
        return self.value - self.cost


def draw_activity(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Draw each user's activity over its mean: log-normal with mean 1."""
    return np.exp(rng.normal(-(ACTIVITY_SIGMA**2) / 2, ACTIVITY_SIGMA, shape))


def draw_users(rng: np.random.Generator, rates: Rates, *, runs: int, users: int) -> Users:
    """Draw the users of one variant in many runs at once."""
    shape = (runs, users)
    relative = draw_activity(rng, shape)
    decisions = 1 + rng.poisson(ACTIVITY_MEAN * relative)
    impressions = rng.binomial(decisions, draw_beta(rng, rates.shown, MOOD, shape))
    taste = draw_beta(rng, rates.ctr * relative**BUSY_CLICK_LESS, TASTE, shape)
    clicks = rng.binomial(impressions, taste)
    conversions = _some(rng, clicks, _mean(rates.cvr, shape))
    feedbacks = rng.binomial(impressions, FEEDBACK_SHARE)
    good = _some(rng, feedbacks, _mean((1 + rates.score) / 2, shape))
    price = np.exp(rng.normal(np.log(PRICE_CENTS), PRICE_SIGMA, shape))
    return Users(
        decisions=decisions,
        impressions=impressions,
        clicks=clicks,
        conversions=conversions,
        value=_order_values(rng, conversions),
        cost=np.rint(clicks * price).astype(np.int64),
        feedbacks=feedbacks,
        score=2 * good - feedbacks,
        matched=rng.binomial(impressions, draw_beta(rng, rates.match, MOOD, shape)),
    )


def sums_of(n: np.ndarray, k: np.ndarray) -> list[RatioSums]:
    """Return the project's sums of each run.

    Args:
        n: Denominators of each user, shape (runs, users).
        k: Numerators of each user, same shape.
    """
    columns = (
        n.sum(axis=1),
        k.sum(axis=1),
        (n * n).sum(axis=1),
        (k * k).sum(axis=1),
        (k * n).sum(axis=1),
        np.count_nonzero(n, axis=1),
        np.count_nonzero(k, axis=1),
    )
    rows = np.stack(columns, axis=1).tolist()
    return [RatioSums(n.shape[1], *row) for row in rows]


def true_lift(metric: str, factor: float, rates: Rates) -> np.ndarray:
    """Return the relative lift of each run that ``Rates.lifted(factor)`` means for a metric.

    Of iroas, which compares with break-even, the value less 1. A user is shown more, clicks more of
    it and buys more: the cost of a user rises by the factor's square, the value by its cube.

    Args:
        metric: Its name.
        factor: What every rate is multiplied by.
        rates: Of the control.
    """
    price = PRICE_CENTS * np.exp(PRICE_SIGMA**2 / 2)
    value_over_cost = np.ravel(rates.cvr) * VALUE_CENTS / price
    lifts = {
        "ctcvr": factor**2 - 1,
        "rpm": factor**2 - 1,
        "cpa": 1 / factor - 1,
        "roi": (factor * value_over_cost - 1) / (value_over_cost - 1) - 1,
        "iroas": (factor**2 + factor + 1) / (factor + 1) * value_over_cost - 1,
    }
    return np.broadcast_to(lifts.get(metric, factor - 1), value_over_cost.shape)


def _mean(value: np.ndarray | float, shape: tuple[int, int]) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, dtype=float), shape)


def draw_beta(
    rng: np.random.Generator, mean: np.ndarray | float, total: float, shape: tuple[int, int]
) -> np.ndarray:
    """Return beta variables with these means and a + b = total."""
    mean = np.minimum(_mean(mean, shape), 0.98)
    return rng.beta(total * mean, total * (1 - mean))


def _some(rng: np.random.Generator, trials: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return Binomial(trials, beta) where most users have no trial at all."""
    successes = np.zeros_like(trials)
    tried = trials > 0
    own = mean[tried]
    successes[tried] = rng.binomial(trials[tried], rng.beta(MOOD * own, MOOD * (1 - own)))
    return successes


def _order_values(rng: np.random.Generator, conversions: np.ndarray) -> np.ndarray:
    """Return the cents of each user's orders."""
    owner = np.repeat(np.arange(conversions.size), conversions.ravel())
    mean_log = np.log(VALUE_CENTS) - VALUE_SIGMA**2 / 2
    cents = np.rint(np.exp(rng.normal(mean_log, VALUE_SIGMA, owner.size)))
    total = np.bincount(owner, weights=cents, minlength=conversions.size)
    return total.astype(np.int64).reshape(conversions.shape)
