"""What the verdict rules may ask of one treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["GuardrailFact", "TreatmentFacts"]


@dataclass(frozen=True, slots=True)
class GuardrailFact:
    """Whether one guardrail is proven to hold or proven to be harmed.

    Args:
        metric: The guardrail's metric.
        holds: Proven to be within its bound.
        harmed: Proven to be beyond its bound.
        sentence: The numbers behind it.
    """

    metric: str
    holds: bool
    harmed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class TreatmentFacts:
    """What the verdict rules may ask of one treatment, overall or in one category.

    Args:
        treatment: The variant.
        category: None for all categories.
        wins: The test rejects in the direction that is better.
        loses: The test rejects in the other direction.
        within_mde: The 90 % interval lies within plus or minus the smallest lift worth having.
        sentence: The numbers behind it.
        guardrails: Every guardrail's fact.
        decided: Whether the plan has decided; before that only harm can be proven.
    """

    treatment: str
    category: str | None
    wins: bool
    loses: bool
    within_mde: bool
    sentence: str
    guardrails: tuple[GuardrailFact, ...] = ()
    decided: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the facts as the journal keeps them."""
        return {**asdict(self), "guardrails": [asdict(guard) for guard in self.guardrails]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TreatmentFacts:
        """Return the facts that the journal kept."""
        guardrails = tuple(GuardrailFact(**guard) for guard in data["guardrails"])
        return cls(**{**data, "guardrails": guardrails})
