"""What thousands of past headline tests say: broken splits by week, and clear winners."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from abplatform.analysis.scorecard import Scorecard
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.categories import adjust
from abplatform.stats.ratio import RatioSums, Undetermined, contrast

__all__ = ["PastTest", "find_winner", "judge_past_tests", "summarise"]

ALPHA = 0.05

_FIRST_DAY = date(1900, 1, 1)
_LAST_DAY = date(2261, 12, 31)


@dataclass(frozen=True, slots=True)
class PastTest:
    """One past test.

    Args:
        key: The experiment.
        week: The ISO week in which it ran, such as ``2014-W46``.
        srm: Whether its impressions came in the planned shares: ``ok | alarm | unavailable``.
        winner: The variant that beats every other one, or None.
    """

    key: str
    week: str
    srm: str
    winner: str | None


def judge_past_tests(warehouse: Warehouse, scorecards: Collection[Scorecard]) -> Iterator[PastTest]:
    """Find when each test ran, whether its split held, and which variant won.

    Args:
        warehouse: The open store.
        scorecards: Of the tests.
    """
    totals = _totals(warehouse, [scorecard.experiment for scorecard in scorecards])
    for scorecard in scorecards:
        yield PastTest(
            key=scorecard.experiment,
            week=_week(scorecard.first_at.date()) if scorecard.first_at else "",
            srm=scorecard.srm.verdict,
            winner=find_winner(totals.get(scorecard.experiment, {})),
        )


def find_winner(counts: dict[str, tuple[int, int]], *, alpha: float = ALPHA) -> str | None:
    """Return the variant with the best CTR if it beats every other one.

    Its comparisons with all others are one family, corrected by Holm; each impression counts as a
    unit, since there are no unit rows.

    Args:
        counts: Variant to (impressions, clicks).
        alpha: Family-wise error rate, two-sided.
    """
    sums = {
        name: RatioSums.independent(impressions, clicks)
        for name, (impressions, clicks) in counts.items()
        if impressions
    }
    if len(sums) < 2:
        return None
    best = max(sums, key=lambda name: sums[name].rate or 0.0)
    compared = [
        contrast(other, sums[best], alpha=alpha, share=True)
        for name, other in sums.items()
        if name != best
    ]
    if any(isinstance(one, Undetermined) for one in compared):
        return None
    p_values = [one.p_value for one in compared if not isinstance(one, Undetermined)]
    adjusted = adjust(p_values, correction="holm")
    return best if all(p is not None and p < alpha for p in adjusted) else None


def summarise(tests: Iterable[PastTest]) -> dict[str, Any]:
    """Count tests, alarms and winners; alarms by week, weeks in order."""
    frame = pl.DataFrame(
        [(test.week, test.srm == "alarm", test.winner is not None) for test in tests],
        schema={"week": pl.String, "alarm": pl.Boolean, "won": pl.Boolean},
        orient="row",
    )
    weeks = frame.group_by("week").agg(pl.len().alias("tests"), pl.col("alarm").sum()).sort("week")
    return {
        "tests": len(frame),
        "srm_alarms": int(frame["alarm"].sum()),
        "winners": int(frame["won"].sum()),
        "winners_without_alarm": int((frame["won"] & ~frame["alarm"]).sum()),
        "srm_alarms_by_week": [
            {"week": week, "tests": tests, "alarms": alarms}
            for week, tests, alarms in weeks.iter_rows()
        ],
    }


def _totals(warehouse: Warehouse, keys: list[str]) -> dict[str, dict[str, tuple[int, int]]]:
    days: dict[str, Any] = {
        "from_days": [_FIRST_DAY] * len(keys),
        "until_days": [_LAST_DAY] * len(keys),
    }
    rows = warehouse.query("portable/aggregate_totals", experiments=keys, excluded=[""], **days)
    summed = rows.group_by("experiment", "variant", maintain_order=True).agg(
        pl.col("impressions", "clicks").sum()
    )
    totals: dict[str, dict[str, tuple[int, int]]] = {}
    for key, variant, impressions, clicks in summed.iter_rows():
        totals.setdefault(key, {})[variant] = (int(impressions), int(clicks))
    return totals


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"
