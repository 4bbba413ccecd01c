"""What the demo's weeks came to, gathered from their results; numbers only, no words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import polars as pl

from abplatform.cli.demo_world import CREATIVES, SHOP, demo_keys
from abplatform.cli.peeking import Comparison, Shipped, compare_shipping, peek_daily
from abplatform.workspace import Workspace

__all__ = [
    "CategoryRow",
    "Choice",
    "Contest",
    "DemoWeek",
    "category_rows",
    "hold_contest",
    "value_of_choice",
]


@dataclass(frozen=True, slots=True)
class DemoWeek:
    """One week of the demo.

    Args:
        week: Such as ``2026-W36``.
        results: Step to what it gave.
        scorecards: Experiment to its scorecard, as ``abp analyze --json`` prints it.
    """

    week: str
    results: Mapping[str, Any]
    scorecards: Mapping[str, Any]

    @classmethod
    def read(cls, workspace: Workspace, week: str, results: Mapping[str, Any]) -> DemoWeek:
        """Read the scorecards that the week's turn has kept."""
        from abplatform.loop.measure import scorecard_path

        scorecards = {
            key: json.loads(scorecard_path(workspace, week, key).read_bytes())
            for key in results["analyse"]["scorecards"]
        }
        return cls(week, results, scorecards)

    @property
    def creatives(self) -> Mapping[str, Any]:
        """The scorecard of generated scenes against plain pictures."""
        card: Mapping[str, Any] = self.scorecards[demo_keys(self.week)[CREATIVES]]
        return card

    @property
    def shop(self) -> Mapping[str, Any]:
        """The scorecard of the second experiment, whose log may be broken."""
        card: Mapping[str, Any] = self.scorecards[demo_keys(self.week)[SHOP]]
        return card

    @property
    def truth(self) -> Sequence[Mapping[str, Any]]:
        """The true lift of every experiment by category."""
        rows: Sequence[Mapping[str, Any]] = self.results["serve"]["true_lifts"]
        return rows


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One line of the demo's table.

    Args:
        category: None for all categories.
        lift: The estimate as the scorecard has it.
        true_lift: What endless traffic would have found.
        verdict: The platform's.
    """

    category: str | None
    lift: Mapping[str, Any]
    true_lift: float
    verdict: str

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the truth; None where an end is missing."""
        low, high = self.lift["ci_low"], self.lift["ci_high"]
        if low is None or high is None:
            return None
        return bool(low <= self.true_lift <= high)


@dataclass(frozen=True, slots=True)
class Contest:
    """Two ways of deciding on the same rows.

    Args:
        peeking: A z-test by impression, looked at daily.
        platform: This platform's verdicts by category.
    """

    peeking: Shipped
    platform: Shipped


@dataclass(frozen=True, slots=True)
class Choice:
    """What it is worth to let the reward model choose among a week's generated pictures.

    Args:
        pictures: How many pictures a product has to choose from, at least.
        chosen: True lift of the pictures that it ranks first, one a product.
        all: True lift of all of them.
        best: True lift of those that are truly best, which nobody can know.
    """

    pictures: int
    chosen: float
    all: float
    best: float


def value_of_choice(week: DemoWeek) -> Choice | None:
    """Return what the model's ranking would have been worth; None if it had not been asked.

    Args:
        week: One that the model had not seen when it scored its pictures.
    """
    predicted = week.results["gate"]["predicted"]
    if not predicted:
        return None
    key = demo_keys(week.week)[CREATIVES]
    shown = week.results["generate"]["creatives"][key]
    serve = week.results["serve"]
    rates, demand = serve["true_rates"], serve["demand"][key]
    control = sum(
        demand[product] * _mean(rates[name] for name in names)
        for product, names in shown["baseline"].items()
    )

    def lift(pick: Callable[[list[str]], float]) -> float:
        total = sum(demand[product] * pick(names) for product, names in shown["generated"].items())
        return float(total / control - 1.0)

    return Choice(
        pictures=min(map(len, shown["generated"].values())),
        chosen=lift(lambda names: rates[max(names, key=predicted.__getitem__)]),
        all=lift(lambda names: _mean(rates[name] for name in names)),
        best=lift(lambda names: max(rates[name] for name in names)),
    )


def _mean(values: Iterable[float]) -> float:
    return float(fmean(values))


def category_rows(card: Mapping[str, Any], truth: Sequence[Mapping[str, Any]]) -> list[CategoryRow]:
    """Return a scorecard's lifts beside the truth, all categories together first."""
    true = {
        (row["treatment"], row["category"]): float(row["lift"])
        for row in truth
        if row["experiment"] == card["experiment"]
    }
    verdicts = {
        (row["treatment"], row["category"]): str(row["verdict"])
        for row in card["verdict"]["by_category"]
    }
    primary = card["lifts"][0]["metric"]
    rows = []
    for lift in card["lifts"]:
        key = (lift["treatment"], lift["category"])
        wanted = lift["breakdown"] in {None, "category"} and lift["metric"] == primary
        if wanted and key in true:
            overall = card["verdict"]["verdict"]
            verdict = verdicts.get(key, overall) if lift["category"] else overall
            rows.append(CategoryRow(lift["category"], lift, true[key], verdict))
    return sorted(rows, key=lambda row: row.category or "")


def hold_contest(weeks: Sequence[DemoWeek], daily: pl.DataFrame) -> Contest:
    """Compare what daily peeking would have shipped with what the platform ships.

    Args:
        weeks: Of the demo.
        daily: The published table: counts by experiment, variant, day and category.
    """
    truth = [row for week in weeks for row in week.truth]
    controls = {
        key: card["lifts"][0]["control"]
        for week in weeks
        for key, card in week.scorecards.items()
        if card["lifts"]
    }
    by_category = (
        daily.filter(pl.col("category").is_not_null() & pl.col("experiment").is_in(list(controls)))
        .with_columns(pl.col("category").str.split("/").list.first())
        .group_by("experiment", "variant", "category", "day")
        .agg(pl.col("impressions", "clicks").sum())
    )
    shipped: set[Comparison] = {
        (key, row["treatment"], row["category"])
        for week in weeks
        for key, card in week.scorecards.items()
        for row in card["verdict"]["by_category"]
        if row["verdict"] == "ship"
    }
    peeked = peek_daily(by_category, controls)
    return Contest(compare_shipping(peeked, truth), compare_shipping(shipped, truth))
