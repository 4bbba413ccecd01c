"""Looks that were taken, and what they decided: facts that later data never change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any

from abplatform.analysis.scorecard.facts import TreatmentFacts
from abplatform.analysis.scorecard.strata import CorrectedLift, PairwiseLift
from abplatform.stats.sequential.looks import LookRow

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
        corrected: Significant lifts, corrected for having been reported for their size.
        pairs: Treatments against each other, kept by the one that decided last.
    """

    facts: tuple[TreatmentFacts, ...]
    lifts: tuple[JudgedLift, ...]
    corrected: tuple[CorrectedLift, ...] = ()
    pairs: tuple[PairwiseLift, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as the journal keeps it."""
        return {
            "facts": [facts.to_json() for facts in self.facts],
            "lifts": [asdict(lift) for lift in self.lifts],
            "corrected": [lift.to_json() for lift in self.corrected],
            "pairs": [pair.to_json() for pair in self.pairs],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Return the outcome that the journal kept."""
        return cls(
            facts=tuple(TreatmentFacts.from_json(facts) for facts in data["facts"]),
            lifts=tuple(JudgedLift(**lift) for lift in data["lifts"]),
            corrected=tuple(CorrectedLift(**lift) for lift in data["corrected"]),
            pairs=tuple(PairwiseLift(**pair) for pair in data["pairs"]),
        )


@dataclass(frozen=True, slots=True)
class TakenLook:
    """One look at one treatment's primary metric, over everything up to the end of its day.

    Args:
        treatment: The variant.
        day: The last workspace day that counts.
        at: Its end.
        row: What the plan found.
        sequential_low: Of the repeated interval; None while it is unbounded.
        sequential_high: Likewise.
        sequential_p: The smallest alpha at which some look so far crosses; None for other plans.
        anytime_low: Of the confidence sequence; None before it begins.
        anytime_high: Likewise.
        harmed: Guardrails proven to be harmed at this look or an earlier one, with the numbers.
        estimate: The lift at the look that decides, raw and corrected.
        outcome: What was decided, at the look that decides.
    """

    treatment: str
    day: date
    at: datetime
    row: LookRow
    sequential_low: float | None = None
    sequential_high: float | None = None
    sequential_p: float | None = None
    anytime_low: float | None = None
    anytime_high: float | None = None
    harmed: Mapping[str, str] = field(default_factory=dict)
    estimate: EstimateAtDecision | None = None
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        """Refuse NaN and infinity: they are never a result."""
        for name, value in (*_values(self), *_values(self.row)):
            if isinstance(value, float) and not math.isfinite(value):
                message = f"{name} of look {self.row.look} is {value}; say why instead"
                raise ValueError(message)

    @property
    def decides(self) -> bool:
        """Whether the plan ends here for the treatment."""
        return self.row.crossed or self.row.last

    @property
    def relative_lift(self) -> float | None:
        """The raw lift then."""
        return self.row.relative_lift

    @property
    def interval_shown(self) -> tuple[float | None, float | None]:
        """The interval of that lift by the plan that looked."""
        if self.sequential_p is not None:
            return self.sequential_low, self.sequential_high
        if self.row.alpha_spent is None and self.anytime_low is not None:
            return self.anytime_low, self.anytime_high
        return (self.estimate.ci_low, self.estimate.ci_high) if self.estimate else (None, None)

    @property
    def information(self) -> float | None:
        """I = r̄²/s² then, about one over the variance of the log-ratio."""
        return self.row.information

    @property
    def boundary(self) -> float | None:
        """What the size of z had to reach; None while that is infinite."""
        return self.row.boundary

    def to_json(self) -> dict[str, Any]:
        """Return the public fields in their order."""
        row = self.row
        return {
            "treatment": self.treatment,
            "look": row.look,
            "day": self.day.isoformat(),
            "information": row.information,
            "information_fraction": row.information_fraction,
            "z": row.z,
            "boundary": row.boundary,
            "alpha_spent": row.alpha_spent,
            "relative_lift": row.relative_lift,
            "sequential_low": self.sequential_low,
            "sequential_high": self.sequential_high,
            "sequential_p": self.sequential_p,
            "anytime_low": self.anytime_low,
            "anytime_high": self.anytime_high,
            "skipped": row.skipped,
            "crossed": row.crossed,
            "last": row.last,
            "harmed": list(self.harmed),
        }

    def to_journal(self) -> dict[str, Any]:
        """Return everything but treatment, day and moment, which the journal's row holds once."""
        kept = {name: value for name, value in _values(self) if name in _KEPT}
        return {
            **kept,
            "row": self.row.to_json(),
            "harmed": dict(self.harmed),
            "estimate": self.estimate.to_json() if self.estimate else None,
            "outcome": self.outcome.to_json() if self.outcome else None,
        }

    @classmethod
    def from_journal(
        cls, data: Mapping[str, Any], *, treatment: str, day: date, at: datetime
    ) -> TakenLook:
        """Return the look that the journal kept."""
        return cls(
            treatment=treatment,
            day=day,
            at=at,
            row=LookRow.from_json(data["row"]),
            harmed=data["harmed"],
            estimate=EstimateAtDecision.from_json(data["estimate"]) if data["estimate"] else None,
            outcome=Outcome.from_json(data["outcome"]) if data["outcome"] else None,
            **{name: data[name] for name in _KEPT},
        )


_KEPT = ("sequential_low", "sequential_high", "sequential_p", "anytime_low", "anytime_high")


def _values(record: TakenLook | LookRow) -> Iterator[tuple[str, Any]]:
    for one in fields(record):
        yield one.name, getattr(record, one.name)
