"""Looks that were taken, and what they decided: facts that later data never change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any

from abplatform.analysis.scorecard.facts import TreatmentFacts

__all__ = ["EstimateAtDecision", "JudgedLift", "Outcome", "TakenLook"]


@dataclass(frozen=True, slots=True)
class EstimateAtDecision:
    """How large the lift is, given that it was decided at this look.

    A winner's raw lift is too large, because a lift that luck made larger crosses sooner.

    Args:
        treatment: The variant.
        look: The deciding look.
        day: Its day.
        relative_lift: The raw lift.
        ci_low: Of its fixed-horizon interval; None where it is unbounded.
        ci_high: Likewise.
        median_unbiased: Corrected: as often too large as too small; None with a reason.
        low: Of the corrected interval.
        high: Likewise.
        conditional_mle: The most likely lift given the selection; None where that has no meaning.
        method: How it was corrected.
        undetermined: Why a number is missing, or None.
    """

    treatment: str
    look: int
    day: date
    relative_lift: float | None
    ci_low: float | None
    ci_high: float | None
    median_unbiased: float | None
    low: float | None
    high: float | None
    conditional_mle: float | None
    method: str
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the contract in its order."""
        return {**asdict(self), "day": self.day.isoformat()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EstimateAtDecision:
        """Return the estimate that the journal kept."""
        return cls(**{**data, "day": date.fromisoformat(data["day"])})


@dataclass(frozen=True, slots=True)
class JudgedLift:
    """What the decision look said of one lift.

    Args:
        metric: The metric.
        breakdown: The dimension of the cut, or None.
        depth: Depth of the category path, or None without a cut.
        level: The slice, or None.
        p_adjusted: The adjusted p-value, or None.
        significant: Whether it is at most alpha.
    """

    metric: str
    breakdown: str | None
    depth: int | None
    level: str | None
    p_adjusted: float | None
    significant: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a deciding look decided about a treatment.

    Args:
        facts: What the rules may ask, overall first and then by category.
        lifts: Every lift's adjusted p-value.
        estimate: The primary metric's lift at that look, raw and corrected.
    """

    facts: tuple[TreatmentFacts, ...]
    lifts: tuple[JudgedLift, ...]
    estimate: EstimateAtDecision | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as the journal keeps it."""
        return {
            "facts": [facts.to_json() for facts in self.facts],
            "lifts": [asdict(lift) for lift in self.lifts],
            "estimate": self.estimate.to_json() if self.estimate else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the outcome that the journal kept."""
        return cls(
            facts=tuple(TreatmentFacts.from_json(facts) for facts in data["facts"]),
            lifts=tuple(JudgedLift(**lift) for lift in data["lifts"]),
            estimate=EstimateAtDecision.from_json(data["estimate"]) if data["estimate"] else None,
        )


@dataclass(frozen=True, slots=True)
class TakenLook:
    """One look at one treatment's primary metric, over everything up to the end of its day.

    Args:
        treatment: The variant.
        look: Counted from 1.
        day: The last workspace day that counts.
        at: Its end.
        information: r̄²/s², about one over the variance of the log-ratio; None without a contrast.
        information_fraction: t, the clock of the spending, 0 … 1.
        z: The statistic.
        boundary: What the size of z has to reach; None while it is infinite.
        alpha_spent: Up to and including this look.
        relative_lift: The raw lift then.
        sequential_low: Of the repeated interval; None while it is unbounded.
        sequential_high: Likewise.
        sequential_p: Always valid at the looks; non-increasing.
        anytime_low: Of the confidence sequence; None while it is unbounded.
        anytime_high: Likewise.
        skipped: Nothing was spent, since too few units have an event.
        crossed: The boundary was reached.
        last: The plan's last look.
        harmed: Guardrails proven to be harmed at this look or an earlier one.
        undetermined: Why numbers are missing, or None.
        outcome: What was decided, at the look that decides.
    """

    treatment: str
    look: int
    day: date
    at: datetime
    information: float | None = None
    information_fraction: float | None = None
    z: float | None = None
    boundary: float | None = None
    alpha_spent: float | None = None
    relative_lift: float | None = None
    sequential_low: float | None = None
    sequential_high: float | None = None
    sequential_p: float | None = None
    anytime_low: float | None = None
    anytime_high: float | None = None
    skipped: bool = False
    crossed: bool = False
    last: bool = False
    harmed: tuple[str, ...] = ()
    undetermined: str | None = None
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        """Refuse NaN and infinity: they are never a result."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                message = f"{field.name} of look {self.look} is {value}; say why instead"
                raise ValueError(message)

    @property
    def decides(self) -> bool:
        """Whether the plan ends here for the treatment."""
        return self.crossed or self.last

    def to_json(self) -> dict[str, Any]:
        """Return the public fields in their order."""
        hidden = {"at", "outcome"}
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in hidden}
        return {**data, "day": self.day.isoformat(), "harmed": list(self.harmed)}

    def to_journal(self) -> dict[str, Any]:
        """Return everything, as the journal keeps it."""
        return {**self.to_json(), "outcome": self.outcome.to_json() if self.outcome else None}

    @classmethod
    def from_journal(cls, data: Mapping[str, Any], *, at: datetime) -> TakenLook:
        """Return the look that the journal kept."""
        outcome = Outcome.from_json(data["outcome"]) if data["outcome"] else None
        changed = {
            "day": date.fromisoformat(data["day"]),
            "harmed": tuple(data["harmed"]),
            "outcome": outcome,
        }
        return cls(**{**data, **changed, "at": at})
