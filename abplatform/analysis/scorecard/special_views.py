"""Views beside the lifts, as data: beliefs, adjustments, special days, novelty, other experiments.

They import nothing of the scorecard, so that its record can hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

__all__ = [
    "BayesFact",
    "CalendarRow",
    "CalendarView",
    "CupedFact",
    "InteractionRow",
    "NoveltyRow",
    "NoveltyTrend",
    "NoveltyView",
    "SideRow",
    "SpecialDay",
]


@dataclass(frozen=True, slots=True)
class BayesFact:
    """What is believed of the primary metric's overall lift after the data.

    Args:
        metric: The primary metric.
        treatment: The variant.
        model: ``normal`` on the log-lift, or ``beta_binomial`` where each impression stands alone.
        prior: In words.
        p_better: Posterior probability that the treatment is better.
        lift: Posterior median of the relative lift.
        credible_low: Lower end of its central credible interval.
        credible_high: Upper end.
        loss_treatment: Expected loss, relative to the control's rate, if the treatment is shipped.
        loss_control: Expected loss if the control is kept.
        undetermined: Why there is none, or None.
    """

    metric: str
    treatment: str
    model: str | None = None
    prior: str | None = None
    p_better: float | None = None
    lift: float | None = None
    credible_low: float | None = None
    credible_high: float | None = None
    loss_treatment: float | None = None
    loss_control: float | None = None
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the scorecard's ``bayes``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CupedFact:
    """What the adjustment by pre-period totals did to one contrast.

    Args:
        metric: The primary metric.
        treatment: The variant.
        theta: Covariate to its coefficient; empty where nothing is adjusted.
        variance_reduction: Share of the difference's variance that it took out.
        units_with_history: Units of all variants that have pre-period totals.
        rate_control: The control's adjusted rate, in the metric's scale.
        rate_treatment: The treatment's adjusted rate.
        reason: Why covariates were left out, or nothing was adjusted.
    """

    metric: str
    treatment: str
    theta: Mapping[str, float]
    variance_reduction: float | None
    units_with_history: int
    rate_control: float | None = None
    rate_treatment: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the scorecard's ``cuped``."""
        return {**asdict(self), "theta": dict(self.theta)}


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day of the calendar in which the experiment ran.

    Args:
        day: The workspace day.
        names: What it is called.
        known_at_start: Whether the calendar named it when the experiment started.
    """

    day: date
    names: tuple[str, ...]
    known_at_start: bool


@dataclass(frozen=True, slots=True)
class SideRow:
    """The primary metric's lift on some of the days.

    Args:
        treatment: The variant.
        days: Which days.
        units_control: Units with a row on those days.
        units_treatment: Likewise.
        relative_lift: r_t / r_c - 1.
        ci_low: Of its interval, fixed horizon.
        ci_high: Of its interval.
        p_value: Of that lift.
        undetermined: Why numbers are missing, or None.
    """

    treatment: str
    days: str
    units_control: int
    units_treatment: int
    relative_lift: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    undetermined: str | None = None


@dataclass(frozen=True, slots=True)
class CalendarRow(SideRow):
    """The lift ``without`` the special days, or ``only`` on them; all days are the overall lift.

    Args:
        p_difference: Of the two kinds of days having one lift; on the row ``only``.
    """

    p_difference: float | None = None


@dataclass(frozen=True, slots=True)
class CalendarView:
    """What the calendar's days do to the lift.

    Args:
        days: Those in which the experiment ran.
        rows: Two per treatment.
    """

    days: tuple[SpecialDay, ...]
    rows: tuple[CalendarRow, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the scorecard's ``calendar``."""
        return {
            "days": [
                {
                    "day": one.day.isoformat(),
                    "names": list(one.names),
                    "known_at_start": one.known_at_start,
                }
                for one in self.days
            ],
            "rows": [asdict(row) for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class NoveltyRow(SideRow):
    """The lift ``0``, ``1-2``, ``3-6`` or ``7+`` days after returning units were first seen."""


@dataclass(frozen=True, slots=True)
class NoveltyTrend:
    """Whether a treatment's lift changes as units get used to it.

    Args:
        treatment: The variant.
        per_step: Relative change of (1 + lift) from one row to the next.
        statistic: z of the slope.
        p_value: Two-sided, of a fixed horizon.
        e_value: Evidence of a trend that may be read every day; it decides about the warning.
        undetermined: Why there is no test, or None.
    """

    treatment: str
    per_step: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    e_value: float | None = None
    undetermined: str | None = None


@dataclass(frozen=True, slots=True)
class NoveltyView:
    """The scorecard's ``novelty``.

    Args:
        rows: By treatment and days.
        trends: One per treatment.
    """

    rows: tuple[NoveltyRow, ...]
    trends: tuple[NoveltyTrend, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the scorecard's ``novelty``."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "trends": [asdict(trend) for trend in self.trends],
        }


@dataclass(frozen=True, slots=True)
class InteractionRow:
    """Whether another experiment changes what a treatment does.

    Args:
        other: The other experiment's key.
        treatment: This experiment's treatment.
        other_treatment: The other's treatment.
        metric: This experiment's primary metric.
        units: Cell to its units: ``control/control``, ``treatment/control``, ….
        relative: How much larger 1 + lift is where the other's treatment is shown than where its
            control is: ratio of ratios - 1.
        ci_low: Of its interval, fixed horizon.
        ci_high: Of its interval.
        p_value: Two-sided, normal, on the log scale.
        p_adjusted: By Benjamini-Hochberg over all rows.
        e_value: Evidence of an interaction that may be read every day.
        significant: By e-BH at 0.05 over all rows.
        undetermined: Why there is no test, or None.
    """

    other: str
    treatment: str
    other_treatment: str
    metric: str
    units: Mapping[str, int]
    relative: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    e_value: float | None = None
    significant: bool = False
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return one row of the scorecard's ``interactions``."""
        return {**asdict(self), "units": dict(self.units)}
