"""Metrics: each is a numerator over a denominator, both sums over events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "Direction", "Metric", "Total"]

Direction = Literal["increase", "decrease"]

Total = Literal[
    "impressions",
    "clicked_impressions",
    "conversions",
    "net_value_micros",
    "cost_micros",
    "profit_micros",
    "shown",
    "decisions",
    "score_micros",
    "feedbacks",
    "matched_impressions",
]
"""What is added up per unit. All are integers, so that sums are exact in any order."""


_MONEY: frozenset[Total] = frozenset({"net_value_micros", "cost_micros", "profit_micros"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A rate: ``scale`` · Σ numerator / Σ denominator, over the units of a variant.

    Args:
        name: The word used in YAML, tables and JSON.
        numerator: What is summed above the line.
        denominator: What is summed below the line.
        scale: Multiplies the rate for people (1000 for revenue per thousand).
        direction: What is better.
        needs_conversions: Whether a row is final only after the conversion windows as well.
        incremental: Whether the metric compares differences per assigned unit (iroas).
        amount: Whether people read it as an amount, such as money, instead of as a percentage.
    """

    name: str
    numerator: Total
    denominator: Total
    scale: float = 1.0
    direction: Direction = "increase"
    needs_conversions: bool = False
    incremental: bool = False
    amount: bool = False

    @property
    def needs_money(self) -> bool:
        """Whether amounts of money are in it."""
        return not _MONEY.isdisjoint((self.numerator, self.denominator))

    @property
    def title(self) -> str:
        """What people call it: ``CTR``, ``match rate``."""
        return self.name.upper() if len(self.name) <= 5 else self.name.replace("_", " ")

    def write(self, rate: float) -> str:
        """Write a rate in the metric's scale for people: ``2.31%``, or ``12.4`` for an amount."""
        if not self.amount:
            return f"{rate:.2%}"
        # Three digits or all before the point, so that amounts of one size have one form.
        size = math.floor(math.log10(abs(rate))) if rate else 0
        return f"{rate:,.{min(max(2 - size, 0), 9)}f}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("ctr", "clicked_impressions", "impressions"),
        Metric("cvr", "conversions", "clicked_impressions", needs_conversions=True),
        Metric("ctcvr", "conversions", "impressions", needs_conversions=True),
        # Money is kept in millionths: 1e-6 brings it back to units, 1e3 makes it per thousand.
        Metric(
            "rpm",
            "net_value_micros",
            "impressions",
            scale=1e-3,
            needs_conversions=True,
            amount=True,
        ),
        Metric(
            "cpa",
            "cost_micros",
            "conversions",
            scale=1e-6,
            direction="decrease",
            needs_conversions=True,
            amount=True,
        ),
        Metric("roi", "profit_micros", "cost_micros", needs_conversions=True, amount=True),
        Metric(
            "iroas",
            "net_value_micros",
            "cost_micros",
            needs_conversions=True,
            incremental=True,
            amount=True,
        ),
        Metric("coverage", "shown", "decisions"),
        Metric("satisfaction", "score_micros", "feedbacks", scale=1e-6, amount=True),
        Metric("match_rate", "matched_impressions", "impressions"),
    )
}
