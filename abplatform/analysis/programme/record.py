"""What a programme of experiments taught, as data: what ``abp history --json`` prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from abplatform.analysis.scorecard import format_time

__all__ = ["AttributeEffect", "EndedRow", "HoldoutLift", "Impact", "Programme"]


@dataclass(frozen=True, slots=True)
class EndedRow:
    """One treatment of an experiment that has ended.

    Args:
        experiment: The key.
        treatment: The variant.
        metric: The experiment's primary metric.
        state: ``stopped`` or ``decided``.
        verdict: What was decided, or None.
        shipped: Whether the verdict ships this treatment.
        won: Whether the primary metric is proven better.
        started_at: When it began, or None.
        ended_at: When it was stopped, or None.
        units: Units of treatment and control.
        relative_lift: As measured, final rows.
        ci_low: Of its interval, fixed horizon; None where it is open.
        ci_high: Of its interval.
        shrunken_lift: In the light of all ended experiments with this metric.
        shrunken_low: Of its interval.
        shrunken_high: Of its interval.
        undetermined: Why numbers are missing, or None.
    """

    experiment: str
    treatment: str
    metric: str
    state: str
    verdict: str | None
    shipped: bool
    won: bool
    started_at: datetime | None
    ended_at: datetime | None
    units: int
    relative_lift: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    shrunken_lift: float | None = None
    shrunken_low: float | None = None
    shrunken_high: float | None = None
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        times = {
            name: None if moment is None else format_time(moment)
            for name, moment in (("started_at", self.started_at), ("ended_at", self.ended_at))
        }
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class Impact:
    """What shipping has brought in one metric, lifts compounded.

    Args:
        metric: The primary metric of these experiments.
        treatments: How many treatments were measured.
        shipped: How many of them were shipped.
        mean_lift: The mean true lift over all treatments, shipped or not.
        mean_low: Of its interval.
        mean_high: Of its interval.
        spread: Standard deviation of true log-lifts.
        p_heterogeneity: Of all treatments having one lift.
        raw_total: Shipped lifts as measured, compounded; too good to be true.
        shrunken_total: The same with shrunken lifts.
        shrunken_low: Of its interval.
        shrunken_high: Of its interval.
        undetermined: Why numbers are missing, or None.
    """

    metric: str
    treatments: int
    shipped: int
    mean_lift: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None
    spread: float | None = None
    p_heterogeneity: float | None = None
    raw_total: float | None = None
    shrunken_total: float | None = None
    shrunken_low: float | None = None
    shrunken_high: float | None = None
    undetermined: str | None = None


@dataclass(frozen=True, slots=True)
class HoldoutLift:
    """Everyone else against the units that were kept on original baselines.

    Args:
        planned_share: What abp.yaml holds out now, 0 … 1.
        units_holdout: Units of the holdout in the period.
        units_others: All other units of the period.
        units_both: Units seen as both, which are left out.
        rate_holdout: CTR of the holdout.
        rate_others: CTR of all others.
        relative_lift: The cumulative lift of all that was shipped and tried.
        ci_low: Of its interval; None where it is open.
        ci_high: Of its interval.
        p_value: Two-sided.
        first_at: First impression of the period.
        last_at: Last impression of the period.
        undetermined: Why numbers are missing and what to do, or None.
        note: What a reader must know of the comparison, or None.
    """

    planned_share: float
    units_holdout: int = 0
    units_others: int = 0
    units_both: int = 0
    rate_holdout: float | None = None
    rate_others: float | None = None
    relative_lift: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    undetermined: str | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON data."""
        times = {
            name: None if moment is None else format_time(moment)
            for name, moment in (("first_at", self.first_at), ("last_at", self.last_at))
        }
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class AttributeEffect:
    """What one word of a scene does to CTR, against other creatives of the same product.

    Args:
        category: Top of the category path, or None for all of them together.
        attribute: Such as ``palette``.
        value: Such as ``cream``.
        products: Products with and without it among their creatives, counted once an experiment.
        creatives: Creatives that have it there.
        clicks: Clicks on those.
        relative_effect: Ratio of CTRs - 1.
        ci_low: Of its interval.
        ci_high: Of its interval.
        standard_error: Of the logarithm of that ratio.
        p_value: Two-sided.
        p_adjusted: By Benjamini-Hochberg over all rows.
        significant: p_adjusted ≤ 0.05.
        shrunken_effect: In the light of all rows, what to expect of the next creative; None where
            fewer than three rows tell how much words differ.
        shrunken_low: Of its interval.
        shrunken_high: Of its interval.
    """

    category: str | None
    attribute: str
    value: str
    products: int
    creatives: int
    clicks: int
    relative_effect: float
    ci_low: float
    ci_high: float
    standard_error: float
    p_value: float
    p_adjusted: float
    significant: bool
    shrunken_effect: float | None = None
    shrunken_low: float | None = None
    shrunken_high: float | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    """Everything that ``abp history`` says without a key.

    Args:
        started: Experiments that began.
        ended: Those that were stopped or decided.
        win_rate: Share of the ended ones in which a treatment is proven better.
        ship_rate: Share of the ended ones that were shipped.
        invalid: Ended ones that cannot be used.
        rows: One per treatment of an ended experiment, newest last.
        impacts: One per metric.
        holdout: The cumulative lift.
        attributes: What scenes do, strongest evidence first.
        notes: What a reader must know, in plain sentences.
    """

    started: int
    ended: int
    win_rate: float | None
    ship_rate: float | None
    invalid: int
    rows: tuple[EndedRow, ...]
    impacts: tuple[Impact, ...]
    holdout: HoldoutLift
    attributes: tuple[AttributeEffect, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the whole as one JSON object."""
        return {
            "started": self.started,
            "ended": self.ended,
            "win_rate": self.win_rate,
            "ship_rate": self.ship_rate,
            "invalid": self.invalid,
            "experiments": [row.to_json() for row in self.rows],
            "impact": [asdict(one) for one in self.impacts],
            "holdout": self.holdout.to_json(),
            "attributes": [asdict(one) for one in self.attributes],
            "notes": list(self.notes),
        }
