"""What a scorecard knows beside the lifts: corrected winners, days, habits, other experiments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from abplatform.analysis.report.wording import MISSING, between, p_text
from abplatform.analysis.scorecard import Scorecard
from abplatform.analysis.scorecard.special_views import SpecialDay
from abplatform.figures import percent, table

__all__ = ["view_sections"]


def view_sections(scorecard: Scorecard) -> str:
    """Return a titled table for everything that this scorecard has, nothing for the rest."""
    parts = [
        _section("The lift at the decision", _AT_DECISION, _at_decision(scorecard)),
        _section("Treatments against each other", _PAIRWISE, _pairwise(scorecard)),
        _section("Do categories differ?", _HETEROGENEITY, _heterogeneity(scorecard)),
        _section("Does the lift wear off?", _NOVELTY, _novelty(scorecard)),
        _section("Days unlike others", _CALENDAR, _calendar(scorecard)),
        _section("Other experiments", _INTERACTIONS, _interactions(scorecard)),
        _section("Adjusted by what units did before", _CUPED, _cuped(scorecard)),
    ]
    return "".join(parts)


Rows = list[Sequence[str]]

_AT_DECISION = (
    "Luck makes lifts cross sooner: the raw one is too large on average, the corrected one is not.",
    ("treatment", "day", "raw lift", "interval", "corrected lift", "interval", "method"),
)
_PAIRWISE = (
    "Each treatment against each other one; p adjusted by Holm.",
    ("treatment", "against", "lift", "interval", "p", "p adjusted"),
)
_HETEROGENEITY = (
    "A small p says that they do. The pooled lift sets their different traffic aside.",
    ("treatment", "categories", "p", "spread of true lifts", "pooled lift", "interval"),
)
_NOVELTY = (
    "The lift among units that came back, by days since each was first seen.",
    ("treatment", "days since first seen", "lift", "interval", "units"),
)
_CALENDAR = (
    "The lift without the days that the calendar names, and on them only.",
    ("treatment", "days", "lift", "interval", "p of a difference"),
)
_INTERACTIONS = (
    "Does another experiment change what this one's treatment does? 0 means that it does not.",
    ("other experiment", "its treatment", "treatment", "change of the lift", "interval", "p adj."),
)
_CUPED = (
    "Totals from before the experiment take out noise; the lift above is the adjusted one.",
    ("treatment", "variance taken out", "units with a past", "note"),
)


def _section(title: str, about: tuple[str, Sequence[str]], rows: Rows) -> str:
    if not rows:
        return ""
    sentence, columns = about
    return f"<h2>{escape(title)}</h2><p class='quiet'>{escape(sentence)}</p>{table(columns, rows)}"


def _lift(value: float | None, why: str | None = None) -> str:
    if value is None:
        return (why or MISSING).partition(":")[0]
    return percent(value)


def _at_decision(scorecard: Scorecard) -> Rows:
    return [
        (
            one.treatment,
            f"{one.day:%d %b %Y}",
            _lift(one.relative_lift, one.undetermined),
            between(one.ci_low, one.ci_high),
            _lift(one.median_unbiased, one.undetermined),
            between(one.low, one.high),
            one.method,
        )
        for one in scorecard.estimates_at_decision
    ]


def _pairwise(scorecard: Scorecard) -> Rows:
    return [
        (
            one.treatment,
            one.base,
            _lift(one.relative_lift, one.undetermined),
            between(one.ci_low, one.ci_high),
            p_text(one.p_value),
            p_text(one.p_adjusted),
        )
        for one in scorecard.pairwise
        if one.metric == scorecard.lifts[0].metric
    ]


def _heterogeneity(scorecard: Scorecard) -> Rows:
    first = scorecard.heterogeneity
    if first is None or (first.undetermined and first.pooled_lift is None):
        return []
    return [
        (
            one.treatment,
            f"{one.categories}",
            p_text(one.p_value),
            # √τ² is the standard deviation of true log-lifts, near that of lifts in per cent.
            MISSING if one.tau2 is None else f"±{one.tau2**0.5:.1%}",
            _lift(one.pooled_lift, one.undetermined),
            between(one.pooled_low, one.pooled_high),
        )
        for one in (first, *first.others)
    ]


def _novelty(scorecard: Scorecard) -> Rows:
    if scorecard.novelty is None:
        return []
    rows: Rows = [
        (
            row.treatment,
            row.days,
            _lift(row.relative_lift, row.undetermined),
            between(row.ci_low, row.ci_high),
            f"{row.units_control + row.units_treatment:,}",
        )
        for row in scorecard.novelty.rows
    ]
    rows += [
        (
            trend.treatment,
            "trend per row",
            _lift(trend.per_step, trend.undetermined),
            f"p = {p_text(trend.p_value)}",
            "",
        )
        for trend in scorecard.novelty.trends
        if trend.per_step is not None
    ]
    return rows


def _calendar(scorecard: Scorecard) -> Rows:
    if scorecard.calendar is None:
        return []
    named = ", ".join(_name_days(scorecard.calendar.days))
    return [
        (
            row.treatment,
            f"without {named}" if row.days == "without" else "on them only",
            _lift(row.relative_lift, row.undetermined),
            between(row.ci_low, row.ci_high),
            p_text(row.p_difference) if row.days == "only" else "",
        )
        for row in scorecard.calendar.rows
    ]


def _name_days(days: Iterable[SpecialDay]) -> list[str]:
    return list(dict.fromkeys(name for day in days for name in day.names))


def _interactions(scorecard: Scorecard) -> Rows:
    return [
        (
            row.other,
            row.other_treatment,
            row.treatment,
            _lift(row.relative, row.undetermined),
            between(row.ci_low, row.ci_high),
            p_text(row.p_adjusted),
        )
        for row in scorecard.interactions
    ]


def _cuped(scorecard: Scorecard) -> Rows:
    return [
        (
            one.treatment,
            MISSING if one.variance_reduction is None else f"{one.variance_reduction:.0%}",
            f"{one.units_with_history:,}",
            one.reason or "",
        )
        for one in scorecard.cuped
    ]
