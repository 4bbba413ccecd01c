"""What a test by impression, looked at every day, would have shipped; for comparison only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

import polars as pl

__all__ = ["Shipped", "compare_shipping", "peek_daily"]

_CRITICAL = 1.959964
"""Two-sided 5 %, the way most dashboards draw it."""

Comparison = tuple[str, str, str]
"""Experiment, treatment, category."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """How one way of deciding did over all comparisons.

    Args:
        comparisons: How many there were.
        null: In how many of them the treatment is truly no better.
        shipped: How many it shipped.
        wrong: How many of those are truly no better.
    """

    comparisons: int
    null: int
    shipped: int
    wrong: int


def peek_daily(daily: pl.DataFrame, controls: Mapping[str, str]) -> set[Comparison]:
    """Return what a two-proportion z-test on impressions ships at the first day it likes.

    Args:
        daily: ``experiment``, ``variant``, ``category``, ``day``, ``impressions``, ``clicks``.
        controls: Experiment to its control.
    """
    running = (
        daily.sort("day")
        .with_columns(
            pl.col("impressions", "clicks").cum_sum().over("experiment", "variant", "category")
        )
        .rename({"impressions": "n", "clicks": "k"})
    )
    is_control = pl.col("variant") == pl.col("experiment").replace_strict(
        controls, default=None, return_dtype=pl.String
    )
    pairs = running.filter(~is_control).join(
        running.filter(is_control).drop("variant"),
        on=["experiment", "category", "day"],
        suffix="_control",
    )
    return {
        (row["experiment"], row["variant"], row["category"])
        for row in pairs.iter_rows(named=True)
        if _z(row["k"], row["n"], row["k_control"], row["n_control"]) >= _CRITICAL
    }


def compare_shipping(shipped: set[Comparison], truth: Iterable[Mapping[str, object]]) -> Shipped:
    """Hold what was shipped against what is true.

    Args:
        shipped: From :func:`peek_daily`, or the platform's own verdicts by category.
        truth: ``experiment``, ``treatment``, ``category``, ``lift``; rows without a category are
            left out.
    """
    lifts = {
        (str(row["experiment"]), str(row["treatment"]), str(row["category"])): row["lift"]
        for row in truth
        if row["category"] is not None
    }
    idle = {comparison for comparison, lift in lifts.items() if not _helps(lift)}
    counted = shipped & set(lifts)
    return Shipped(len(lifts), len(idle), len(counted), len(counted & idle))


def _helps(lift: object) -> bool:
    return isinstance(lift, float) and lift > 0.0


def _z(clicks: int, shown: int, clicks_control: int, shown_control: int) -> float:
    """Pooled two-proportion z of treatment against control; 0 where there is nothing yet."""
    if not shown or not shown_control:
        return 0.0
    pooled = (clicks + clicks_control) / (shown + shown_control)
    variance = pooled * (1.0 - pooled) * (1.0 / shown + 1.0 / shown_control)
    if variance == 0.0:
        return 0.0
    return (clicks / shown - clicks_control / shown_control) / sqrt(variance)
