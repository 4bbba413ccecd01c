"""One decision: eligible → variant → policy → record, as a ``decision`` event of the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from abplatform.domain.assignment import AssignmentPlan, assign
from abplatform.traffic.policies import choose_uniformly

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Request", "decide"]


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks what to show of one product.

    Args:
        decision_id: Unique.
        unit_id: Who will see it.
        at: When, with a time zone.
        product_id: The product.
        category: Its category.
        context: What else is known, such as ``country``; targeting reads it and the category.
    """

    decision_id: str
    unit_id: str
    at: datetime
    product_id: str
    category: str
    context: Mapping[str, str] = field(default_factory=dict)


def decide(
    plan: AssignmentPlan,
    request: Request,
    *,
    eligible: Mapping[str, Sequence[str]],
    control: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Decide what one unit sees and return the record.

    Args:
        plan: The allocation in force.
        request: Who asks, about which product.
        eligible: Variant to the product's creatives that may be shown.
        control: The variant whose creatives everybody outside the experiment sees.
        rng: Where the policy's draw comes from.

    Returns:
        A ``decision`` event of schema 1. ``action`` is ``hold`` when the variant has nothing to
        show; such a unit stays in the analysis. A unit outside the experiment has no assignment
        and the reason why.
    """
    given = assign(plan, request.unit_id, {**request.context, "category": request.category})
    choice = choose_uniformly(eligible.get(given.variant or control, ()), rng)
    record: dict[str, Any] = {
        "schema": 1,
        "event_type": "decision",
        "event_id": request.decision_id,
        "decision_id": request.decision_id,
        "ts": request.at.isoformat(),
        "unit_id": request.unit_id,
        "assignments": [{"experiment": plan.experiment_key, "variant": given.variant}]
        if given.variant
        else [],
        "action": "show" if choice else "hold",
        "reason": given.reason,
        "product_id": request.product_id,
        "category": request.category,
    }
    if choice:
        record["creative_id"] = choice.creative_id
        record["propensity"] = choice.propensity
        record["explored"] = choice.explored
    return record
