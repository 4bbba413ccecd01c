"""What one experiment says: published tables → what the Scorecard page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
import polars as pl

from abplatform.domain.experiment import UNIT_NOUNS
from abplatform.domain.metrics import Direction
from abplatform.figures import CoursePoint
from abplatform.logs.store.published import Published
from dashboards.duels_view import Duel, Prediction, duels, prediction
from dashboards.home_view import Light, clarity, srm_light
from dashboards.lift_rows import (
    LiftRow,
    breakdown_rows,
    category_rows,
    describe_adjustment,
    is_whole,
    other_metric_rows,
    p_shown,
)
from dashboards.number_words import Shown, count, interval, lift, rate

__all__ = [
    "Headline",
    "Ruling",
    "ScorecardView",
    "daily_rates",
    "experiment_keys",
    "scorecard_view",
]

_PER_IMPRESSION = "variance_assumes_independent_impressions"
_GAPS = {"not_applicable"}


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the large numbers on top.

    Args:
        label: What it is.
        shown: The number.
        note: What stands under it.
    """

    label: str
    shown: Shown
    note: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an experiment says and what that rests on.

    Args:
        verdict: The verdict, or None before the first scorecard.
        sentence: The verdict in one sentence.
        reasons: What it rests on.
        status: ``final`` or ``provisional``, or None before the first scorecard.
        as_of: Until when events count, or None.
        data_version: What the numbers were computed from, or None.
        srm: The sample-ratio light.
        split: Units seen and planned by variant, as a sentence; empty when unknown.
        warnings: What to know before trusting the numbers.
        gaps: What is not computed at all, whatever the data.
    """

    verdict: str | None
    sentence: str
    reasons: tuple[str, ...]
    status: str | None
    as_of: datetime | None
    data_version: str | None
    srm: Light
    split: str
    warnings: tuple[str, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScorecardView:
    """Everything that the Scorecard page shows of one contrast.

    Args:
        key: The experiment.
        facts: Its row of the published table ``experiments``.
        ruling: The verdict and what it rests on.
        treatments: Every contrast that can be chosen.
        treatment: The contrast that is shown, or None before the first scorecard.
        units: What a unit is, in the plural.
        headlines: The large numbers.
        lifts: Primary metric: the whole first, then each category.
        adjustment: What the categories' p-values are.
        breakdowns: Dimension to its slices, for the dimensions other than category.
        others: Every other metric, over all categories.
        course: The lift at the end of each day that was looked at.
        duels: Winning and losing creatives, the surest first.
        prediction: Predicted against realised.
    """

    key: str
    facts: Mapping[str, Any]
    ruling: Ruling
    treatments: tuple[str, ...]
    treatment: str | None
    units: str
    headlines: tuple[Headline, ...]
    lifts: tuple[LiftRow, ...]
    adjustment: str
    breakdowns: Mapping[str, tuple[LiftRow, ...]]
    others: tuple[LiftRow, ...]
    course: tuple[CoursePoint, ...]
    duels: tuple[Duel, ...]
    prediction: Prediction


def experiment_keys(published: Published) -> list[str]:
    """Return every experiment: analysed ones first, then the latest start, the clearest verdict."""
    rank = clarity(published)
    rows = published.table("experiments").select("key", "started_at").rows()
    rows.sort(key=lambda row: (rank.get(row[0], ()), row[0]))
    rows.sort(key=lambda row: row[1].timestamp() if row[1] else 0.0, reverse=True)
    rows.sort(key=lambda row: row[0] not in rank)
    return [key for key, _ in rows]


def scorecard_view(
    published: Published, key: str, *, treatment: str | None = None, most_duels: int = 6
) -> ScorecardView:
    """Gather the Scorecard page.

    Args:
        published: The current version.
        key: The experiment; one of :func:`experiment_keys`.
        treatment: The contrast; default the first one.
        most_duels: How many pairs of pictures at most.
    """
    facts = _only(published, "experiments", key=key)[0]
    scorecard = next(iter(_only(published, "scorecards", experiment=key)), {})
    detail = json.loads(scorecard.get("scorecard") or "{}")
    lifts = _only(published, "lifts", experiment=key)
    treatments = tuple(dict.fromkeys(row["treatment"] for row in lifts))
    chosen = treatment if treatment in treatments else next(iter(treatments), None)
    contrast = [row for row in lifts if row["treatment"] == chosen]
    primary = [row for row in contrast if row["metric"] == facts["primary_metric"]]
    direction: Direction = facts["primary_direction"] or "increase"
    units = _units(facts, detail)
    return ScorecardView(
        key=key,
        facts=facts,
        ruling=_ruling(scorecard, detail, key),
        treatments=treatments,
        treatment=chosen,
        units=units,
        headlines=_headlines(primary, scorecard, units),
        lifts=category_rows(
            primary, direction=direction, rulings=_category_rulings(detail, chosen)
        ),
        adjustment=describe_adjustment(primary),
        breakdowns=breakdown_rows(primary, direction=direction),
        others=other_metric_rows(contrast, primary=facts["primary_metric"]),
        course=_course(detail, chosen),
        duels=tuple(duels(published, key, most=most_duels)),
        prediction=prediction(published, key),
    )


def daily_rates(published: Published, key: str) -> pd.DataFrame:
    """Return CTR by day and variant over all categories.

    Returns:
        Columns ``day``, ``variant``, ``impressions``, ``clicks``, ``ctr``; a day without
        impressions is left out.
    """
    rows = published.table("daily").filter(
        (pl.col("experiment") == key) & pl.col("category").is_null() & (pl.col("impressions") > 0)
    )
    frame = rows.select("day", "variant", "impressions", "clicks").to_pandas()
    frame["ctr"] = frame["clicks"] / frame["impressions"]
    return frame.sort_values(["day", "variant"], ignore_index=True)


def _only(published: Published, table: str, **where: str) -> list[dict[str, Any]]:
    return published.table(table).filter(**where).to_dicts()


def _ruling(scorecard: Mapping[str, Any], detail: Mapping[str, Any], key: str) -> Ruling:
    notes = detail.get("warnings") or []
    return Ruling(
        verdict=scorecard.get("verdict"),
        sentence=scorecard.get("sentence")
        or "No verdict yet: no traffic has been analysed so far.",
        reasons=tuple(scorecard.get("reasons") or ()),
        status=scorecard.get("status"),
        as_of=scorecard.get("as_of"),
        data_version=scorecard.get("data_version"),
        srm=srm_light(scorecard or None, key),
        split=_split(detail.get("srm") or {}),
        warnings=tuple(note["message"] for note in notes if note["code"] not in _GAPS),
        gaps=tuple(note["message"] for note in notes if note["code"] in _GAPS),
    )


def _split(srm: Mapping[str, Any]) -> str:
    observed, expected = srm.get("observed") or {}, srm.get("expected") or {}
    return ", ".join(
        f"{variant} {number:,} of {expected[variant]:,.0f} planned"
        for variant, number in observed.items()
        if expected.get(variant) is not None
    )


def _category_rulings(
    detail: Mapping[str, Any], treatment: str | None
) -> dict[str, Mapping[str, Any]]:
    rows = (detail.get("verdict") or {}).get("by_category") or []
    return {row["category"]: row for row in rows if row["treatment"] == treatment}


def _course(detail: Mapping[str, Any], treatment: str | None) -> tuple[CoursePoint, ...]:
    return tuple(
        CoursePoint(
            day=date.fromisoformat(look["day"]),
            lift=look["relative_lift"],
            low=look["anytime_low"],
            high=look["anytime_high"],
            z_needed=look["boundary"],
            information=look["information"],
            mark="decided" if look["crossed"] else "last look" if look["last"] else "",
        )
        for look in detail.get("looks") or []
        if look["treatment"] == treatment and look["relative_lift"] is not None
    )


def _units(facts: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    codes = {note["code"] for note in detail.get("warnings") or []}
    return "impressions" if _PER_IMPRESSION in codes else UNIT_NOUNS.get(facts["unit"], "units")


def _headlines(
    primary: Sequence[Mapping[str, Any]], scorecard: Mapping[str, Any], units: str
) -> tuple[Headline, ...]:
    row = next((row for row in primary if is_whole(row)), None)
    if row is None:
        return ()
    why = row["undetermined"]
    span = interval(row["low_shown"], row["high_shown"], why)
    return (
        Headline(f"Lift of {row['metric'].upper()}", lift(row["relative_lift"], why), span.text),
        _side_headline(row, "control"),
        _side_headline(row, "treatment"),
        Headline("p-value", p_shown(row), _test_note(row)),
        Headline("Units", count(scorecard.get("units")), units),
    )


def _side_headline(row: Mapping[str, Any], side: str) -> Headline:
    return Headline(
        f"{row['metric'].upper()} of {row[side]}",
        rate(row[f"rate_{side}"], row["undetermined"], metric=row["metric"]),
        f"{count(row[f'k_{side}']).text} of {count(row[f'n_{side}']).text}",
    )


def _test_note(row: Mapping[str, Any]) -> str:
    return "significant" if row["significant"] else "not significant"
