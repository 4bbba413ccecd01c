"""The scorecard as data: what ``abp analyze --json`` prints, field by field.

A number that cannot be computed is None, and the reason stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from abplatform.analysis.scorecard.facts import GuardrailFact, TreatmentFacts
from abplatform.analysis.scorecard.special_views import (
    BayesFact,
    CalendarView,
    CupedFact,
    InteractionRow,
    NoveltyView,
)
from abplatform.analysis.scorecard.strata import CorrectedLift, Heterogeneity, PairwiseLift
from abplatform.analysis.scorecard.taken import EstimateAtDecision, TakenLook
from abplatform.domain.experiment import BreakdownBy, Verdict

if TYPE_CHECKING:
    from abplatform.analysis.scorecard.creatives import ComparedCreatives

__all__ = [
    "BayesFact",
    "CorrectedLift",
    "CreativeComparison",
    "CupedFact",
    "Decision",
    "EstimateAtDecision",
    "Excluded",
    "GuardrailFact",
    "Heterogeneity",
    "LiftEstimate",
    "Look",
    "PairwiseLift",
    "Scorecard",
    "SrmCheck",
    "Standing",
    "TakenLook",
    "TreatmentFacts",
    "Warned",
    "format_time",
]


Standing = Literal["open", "draft", "stopped"]


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class SrmCheck:
    """Did the units arrive in the shares that were planned?

    Args:
        observed: Variant to units at their first assigned exposure (impressions for aggregates).
        expected: Variant to the count that the weights promise.
        p_value: Chi-square of all counts so far; None when there is nothing to test.
        e_value: Of the sequential test: its largest value at the end of a workspace day since the
            last acknowledgement. None for aggregates and when there is nothing to test.
        verdict: ``alarm`` blocks every verdict of the experiment.
        e_value_now: Its value with all counts so far.
        e_value_analysed: The same of those units only that are not left out of the analysis.
        fired_on: The first of those days on which it fired; None when it did not.
        segments: Segments whose own e-value fired.
        acknowledged_at: When a person last acknowledged an alarm, or None.
    """

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    p_value: float | None
    e_value: float | None
    verdict: Literal["ok", "alarm", "unavailable"]
    e_value_now: float | None = None
    e_value_analysed: float | None = None
    fired_on: date | None = None
    segments: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """What came and what was planned, with the numbers behind the verdict."""
        seen = ", ".join(f"{name} {count:,}" for name, count in self.observed.items())
        if self.p_value is None:
            return seen or "nothing seen"
        plan = ", ".join(
            f"{name} {f'{count:,.1f}'.removesuffix('.0')}" for name, count in self.expected.items()
        )
        e_value = "" if self.e_value is None else f", e = {self.e_value:.3g}"
        return f"seen {seen}; planned {plan} (p = {self.p_value:.2g}{e_value})"

    def to_json(self) -> dict[str, Any]:
        """Return the public object."""
        return {
            "observed": dict(self.observed),
            "expected": dict(self.expected),
            "p_value": self.p_value,
            "e_value": self.e_value,
            "verdict": self.verdict,
            "e_value_now": self.e_value_now,
            "e_value_analysed": self.e_value_analysed,
            "fired_on": self.fired_on.isoformat() if self.fired_on else None,
            "segments": list(self.segments),
            "acknowledged_at": format_time(self.acknowledged_at) if self.acknowledged_at else None,
        }


@dataclass(frozen=True, slots=True)
class LiftEstimate:
    """One treatment against the control in one metric and one slice.

    The names are those of the public contract; ``docs/contracts.md`` explains each.
    """

    metric: str
    category: str | None
    breakdown: BreakdownBy | None
    level: str | None
    control: str
    treatment: str
    units_control: int
    units_treatment: int
    n_control: int
    n_treatment: int
    k_control: int
    k_treatment: int
    rate_control: float | None = None
    rate_treatment: float | None = None
    absolute_lift: float | None = None
    se_absolute: float | None = None
    relative_lift: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    log10_p: float | None = None
    p_adjusted: float | None = None
    sequential_low: float | None = None
    sequential_high: float | None = None
    sequential_p: float | None = None
    look: int | None = None
    information_fraction: float | None = None
    boundary: float | None = None
    alpha_spent: float | None = None
    decided_at: datetime | None = None
    anytime_low: float | None = None
    anytime_high: float | None = None
    anytime_p: float | None = None
    e_value: float | None = None
    shrunken_lift: float | None = None
    shrunken_low: float | None = None
    shrunken_high: float | None = None
    p_better: float | None = None
    design_effect: float | None = None
    significant: bool = False
    undetermined: str | None = None

    def __post_init__(self) -> None:
        """Refuse NaN and infinity: they are never a result."""
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                message = f"{name} of {self.metric} is {value}; say why instead"
                raise ValueError(message)

    @property
    def interval_shown(self) -> tuple[float | None, float | None]:
        """The interval to show: the plan's own for the lift that it tests, else the fixed one."""
        if self.sequential_p is not None:
            return self.sequential_low, self.sequential_high
        if self._by_sequence:
            return self.anytime_low, self.anytime_high
        return self.ci_low, self.ci_high

    @property
    def p_shown(self) -> float | None:
        """The p-value by which the lift is judged, or that of a fixed horizon before it is."""
        if self.p_adjusted is not None:
            return self.p_adjusted
        if self.sequential_p is not None:
            return self.sequential_p
        return self.anytime_p if self._by_sequence else self.p_value

    @property
    def _by_sequence(self) -> bool:
        """Whether the confidence sequence decides: of all plans, it alone spends nothing."""
        return self.look is not None and self.alpha_spent is None and self.anytime_p is not None

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the contract in its order."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.decided_at is not None:
            data["decided_at"] = format_time(self.decided_at)
        return data


_NUMBERS = tuple(
    field.name for field in fields(LiftEstimate) if field.type in {"float | None", "float"}
)


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a reader must know before trusting the numbers.

    Args:
        code: A stable word.
        message: One plain sentence.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """What is left out of a scorecard for one cause.

    Args:
        units: Distinct ones; None for reports, which have none.
        impressions: Of them, that do not count.
        exposures: Impressions and held decisions; None for reports.
    """

    units: int | None
    impressions: int
    exposures: int | None

    def to_json(self) -> dict[str, int | None]:
        """Return the public object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Look:
    """The moment at which the plan may decide.

    Args:
        reached: Whether it has come and its rows are final.
        sentence: What is waited for, or on what the decision rests.
        at: When it is or was; None where the log's end is the look.
        standing: Whether the experiment goes on towards it, has not begun, or was stopped before.
    """

    reached: bool
    sentence: str
    at: datetime | None = None
    standing: Standing = "open"


@dataclass(frozen=True, slots=True)
class CreativeComparison:
    """A treatment's creative against the control's most shown creative of the same product.

    Args:
        product_id: The product.
        category: Its category.
        creative_id: The treatment's creative.
        against: The control's creative.
        variant: The treatment.
        p_win: Posterior probability that the treatment's creative has the higher CTR.
        impressions: Of the treatment's creative.
        clicks: Of the treatment's creative.
        impressions_against: Of the control's creative.
        clicks_against: Of the control's creative.
        strata: Within how many strata of policy, variant and day they were compared; 1: none.
        p_win_explored: Like ``p_win``, by what the policy's floor drew alone; None without that.
    """

    product_id: str
    category: str | None
    creative_id: str
    against: str
    variant: str
    p_win: float
    impressions: int
    clicks: int
    impressions_against: int
    clicks_against: int
    strata: int = 1
    p_win_explored: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and why.

    Args:
        verdict: ``invalid | reject | ship | no_difference | continue``.
        reasons: Plain sentences.
        by_category: One entry per category and treatment.
        by_creative: One entry per treatment's creative.
        by_treatment: Treatment to its own verdict, where any was judged; not part of the object.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    by_category: tuple[Mapping[str, Any], ...] = ()
    by_creative: tuple[Mapping[str, Any], ...] = ()
    by_treatment: Mapping[str, Verdict] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's ``verdict`` object."""
        return {
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "by_category": [dict(row) for row in self.by_category],
            "by_creative": [dict(row) for row in self.by_creative],
        }


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Everything the store says about one experiment.

    Args:
        experiment: The key.
        as_of: Up to when events count.
        data_version: What was loaded.
        status: ``provisional`` while late events may still come.
        units: Distinct units that count.
        srm: The sample ratio check.
        lifts: Overall first, then the breakdowns.
        warnings: What to know before trusting it.
        look: When the plan may decide.
        facts: What the verdict rules may ask, overall and per category; from final rows.
        creatives: Creatives of one product compared; from final rows.
        first_at: First exposure that counts.
        last_at: Last exposure that counts.
        decision: The verdict, once judged.
        looks: Every look taken so far, in order of time and then of treatments.
        cuped: What the adjustment by pre-period totals did, one entry per treatment.
        bayes: What is believed of the primary metric, one entry per treatment.
        calendar: The lift with and without days unlike others; None if it met none.
        novelty: The lift by days since a unit was first seen; None without returning units.
        interactions: Experiments of other layers that it met.
        excluded_sources: Sources that a person has excluded; none of their rows count.
        refused: Why a person said not to use it; None if nobody did.
        heterogeneity: Whether categories differ, and what they share; None without categories.
        pairwise: Treatments against each other, where there are several.
        corrected_lifts: Lifts called significant at the decision look, corrected for that.
        harmed: Treatment to the guardrails that everything so far proves harmed, with the numbers.
        excluded: Cause to what is left out for it.
        compared: All creatives, counted and compared by final rows, for whoever goes on with them;
            not part of the object. None where it comes from reports.
    """

    experiment: str
    as_of: datetime
    data_version: str
    status: Literal["final", "provisional"]
    units: int
    srm: SrmCheck
    lifts: tuple[LiftEstimate, ...]
    warnings: tuple[Warned, ...]
    look: Look
    facts: tuple[TreatmentFacts, ...] = ()
    creatives: tuple[CreativeComparison, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    decision: Decision | None = None
    looks: tuple[TakenLook, ...] = ()
    cuped: tuple[CupedFact, ...] = ()
    bayes: tuple[BayesFact, ...] = ()
    calendar: CalendarView | None = None
    novelty: NoveltyView | None = None
    interactions: tuple[InteractionRow, ...] = ()
    excluded_sources: tuple[str, ...] = ()
    refused: str | None = None
    heterogeneity: Heterogeneity | None = None
    pairwise: tuple[PairwiseLift, ...] = ()
    corrected_lifts: tuple[CorrectedLift, ...] = ()
    harmed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    excluded: Mapping[str, Excluded] = field(default_factory=dict)
    compared: ComparedCreatives | None = field(default=None, compare=False, repr=False)

    @property
    def estimates_at_decision(self) -> tuple[EstimateAtDecision, ...]:
        """The decided treatments' lifts at their deciding looks, raw and corrected."""
        return tuple(look.estimate for look in self.looks if look.estimate is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the public object; ``verdict`` is null until the scorecard is judged."""
        return {
            "experiment": self.experiment,
            "as_of": format_time(self.as_of),
            "data_version": self.data_version,
            "status": self.status,
            "units": self.units,
            "srm": self.srm.to_json(),
            "lifts": [lift.to_json() for lift in self.lifts],
            "heterogeneity": self.heterogeneity.to_json() if self.heterogeneity else None,
            "pairwise": [row.to_json() for row in self.pairwise],
            "corrected_lifts": [row.to_json() for row in self.corrected_lifts],
            "looks": [look.to_json() for look in self.looks],
            "estimate_at_decision": [one.to_json() for one in self.estimates_at_decision],
            "novelty": self.novelty.to_json() if self.novelty else None,
            "calendar": self.calendar.to_json() if self.calendar else None,
            "interactions": [row.to_json() for row in self.interactions],
            "cuped": [fact.to_json() for fact in self.cuped],
            "bayes": [fact.to_json() for fact in self.bayes],
            "excluded": {cause: one.to_json() for cause, one in self.excluded.items()},
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "verdict": self.decision.to_json() if self.decision else None,
        }
