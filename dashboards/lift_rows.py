"""Lifts as rows: each knows its numbers in words, its tone, and why a number is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abplatform.domain.metrics import METRICS, Direction
from abplatform.figures import ForestRow, Tone
from dashboards.number_words import Shown, count, interval, lift, p_value, plain, rate

__all__ = [
    "LiftRow",
    "breakdown_rows",
    "category_rows",
    "describe_adjustment",
    "forest_rows",
    "is_whole",
    "other_metric_rows",
    "p_shown",
]

Row = Mapping[str, Any]
"""One row of the published table ``lifts``."""

WHOLE = "All categories"


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One line of the forest plot and of the table of lifts.

    Args:
        label: The slice, ``All categories`` for the whole.
        lift: Relative lift as a fraction, or None.
        low: Its interval's lower end, or None where open or unknown.
        high: Its interval's upper end, or None where open or unknown.
        tone: Whether it is proven better, proven worse, open or missing.
        why: Why there is no lift; None when there is one.
        units: How many units it rests on, or None.
        cells: Column heading to what is shown in it.
        shrunken: The lift pulled towards the others', and its interval's ends; None without one.
        verdict: What the rules say of this slice, or None where they are not asked.
        verdict_reason: What that rests on; empty without a verdict.
    """

    label: str
    lift: float | None
    low: float | None
    high: float | None
    tone: Tone
    why: str | None
    units: int | None
    cells: Mapping[str, Shown]
    shrunken: tuple[float, float | None, float | None] | None = None
    verdict: str | None = None
    verdict_reason: str = ""


def is_whole(row: Row) -> bool:
    """Whether a lift is over everything, not over a slice."""
    return row["category"] is None and row["breakdown"] is None


def category_rows(
    primary: Sequence[Row], *, direction: Direction, rulings: Mapping[str, Row]
) -> tuple[LiftRow, ...]:
    """Return the whole first, then each category by name.

    Args:
        primary: Lifts of the primary metric and one treatment.
        direction: What is better.
        rulings: Category to what the verdict's rules say of it: ``verdict`` and ``reason``.
    """
    whole = [_lift_row(row, WHOLE, direction) for row in primary if is_whole(row)]
    slices = [row for row in primary if row["breakdown"] == "category"]
    slices.sort(key=lambda row: row["category"])
    return (
        *whole,
        *(
            _lift_row(row, row["category"], direction, rulings.get(row["category"], {}))
            for row in slices
        ),
    )


def breakdown_rows(
    primary: Iterable[Row], *, direction: Direction
) -> dict[str, tuple[LiftRow, ...]]:
    """Return dimension to its slices, for every dimension but category."""
    found: dict[str, tuple[LiftRow, ...]] = {}
    for row in primary:
        if row["breakdown"] not in (None, "category"):
            added = _lift_row(row, row["level"] or "unknown", direction)
            found[row["breakdown"]] = (*found.get(row["breakdown"], ()), added)
    return found


def other_metric_rows(contrast: Iterable[Row], *, primary: str) -> tuple[LiftRow, ...]:
    """Return every metric but the primary one, over all categories."""
    return tuple(
        _lift_row(row, row["metric"], METRICS[row["metric"]].direction)
        for row in contrast
        if row["metric"] != primary and is_whole(row)
    )


def describe_adjustment(primary: Iterable[Row]) -> str:
    """Say what the categories' p-values are; nothing where there are none."""
    slices = [row for row in primary if row["breakdown"] == "category"]
    computed = [row for row in slices if row["p_value"] is not None]
    if not computed:
        return ""
    if all(row["p_adjusted"] is not None for row in computed):
        return "The p of a category is adjusted for the number of categories."
    return "The p of a category is not adjusted yet, so it decides nothing."


def forest_rows(rows: Iterable[LiftRow], *, units: str) -> list[ForestRow]:
    """Return the rows as the forest plot takes them.

    Args:
        rows: From top to bottom.
        units: What a unit is, in the plural.
    """
    return [
        ForestRow(
            # A blank line would end the HTML that the picture stands in.
            label=" ".join(row.label.split()),
            note="" if row.units is None else f"{row.units:,} {units}",
            estimate=row.lift,
            low=row.low,
            high=row.high,
            tone=row.tone,
            why=row.why,
            strong=row.label == WHOLE,
            pulled=row.shrunken[0] if row.shrunken else None,
            pulled_low=row.shrunken[1] if row.shrunken else None,
            pulled_high=row.shrunken[2] if row.shrunken else None,
        )
        for row in rows
    ]


def _lift_row(row: Row, label: str, direction: Direction, ruling: Row | None = None) -> LiftRow:
    why, metric = row["undetermined"], row["metric"]
    units = _sum(row["units_control"], row["units_treatment"])
    ruling = ruling or {}
    return LiftRow(
        label=label,
        lift=row["relative_lift"],
        low=row["low_shown"],
        high=row["high_shown"],
        tone=_tone(row, direction),
        why=plain(why) if why else None,
        units=units,
        cells={
            row["control"]: rate(row["rate_control"], why, metric=metric),
            row["treatment"]: rate(row["rate_treatment"], why, metric=metric),
            "Lift": lift(row["relative_lift"], why),
            "Interval": interval(row["low_shown"], row["high_shown"], why),
            "p": p_shown(row),
            "Units": count(units, why),
        },
        shrunken=None
        if row["shrunken_lift"] is None
        else (row["shrunken_lift"], row["shrunken_low"], row["shrunken_high"]),
        verdict=ruling.get("verdict"),
        verdict_reason=ruling.get("reason") or "",
    )


def _tone(row: Row, direction: Direction) -> Tone:
    if row["p_value"] is None or row["absolute_lift"] is None:
        return "missing"
    if not row["significant"]:
        return "open"
    return "better" if (row["absolute_lift"] > 0) == (direction == "increase") else "worse"


def p_shown(row: Row) -> Shown:
    """Return the p-value by which a lift is judged; of a fixed horizon it may underflow."""
    if row["p_adjusted"] is None and (row["p_shown"] or 0.0) >= 1:
        # A sequential p-value is only searched for below this.
        return Shown("> 0.6")
    log10 = row["log10_p"] if row["p_shown"] == row["p_value"] else None
    return p_value(row["p_shown"], log10, row["undetermined"])


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
