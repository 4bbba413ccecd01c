"""One unit's variant, or the first rule that excludes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from abplatform.domain.assignment.hashing import encoded_bucket
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
from abplatform.domain.assignment.ranges import share_range
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.domain.targeting import Context, targets

__all__ = ["Assignment", "Reason", "assign"]

Reason = Literal["assigned", "forced", "holdout", "layer", "targeting", "ramp", "not_running"]


class Assignment(NamedTuple):
    """What one unit gets. A tuple, since it is made at every decision.

    Args:
        unit_id: The unit.
        variant: Its variant, or None when it is not exposed.
        reason: ``assigned``, ``forced``, or the first rule that excludes the unit.
        bucket: Its bucket in the experiment, 0 … 2³²-1.
        layer_bucket: Its bucket in the layer, 0 … 2³²-1.
        phase: The number of the phase that was asked.
    """

    unit_id: str
    variant: str | None
    reason: Reason
    bucket: int
    layer_bucket: int
    phase: int


def assign(plan: AssignmentPlan, unit_id: str, context: Context | None = None) -> Assignment:
    """Return one unit's variant, or why it has none.

    Args:
        plan: The allocation in force.
        unit_id: The unit.
        context: What is known about the request; None leaves targeting out.

    Raises:
        ValueError: As for :func:`unit_hash`.
    """
    unit = unit_id.encode()
    layer_bucket = encoded_bucket(unit, plan.layer_salt)
    variant_bucket = encoded_bucket(unit, plan.variant_salt)
    variant: str | None = plan.forced.get(unit_id) if plan.forced and plan.running else None
    reason: Reason = "forced"
    if variant not in plan.phase.variants:  # also where nobody is forced
        reason = _first_exclusion(plan, unit, layer_bucket, context)
        variant = _owner(plan.phase, variant_bucket) if reason == "assigned" else None
    return Assignment(unit_id, variant, reason, variant_bucket, layer_bucket, plan.phase.number)


def _first_exclusion(
    plan: AssignmentPlan, unit: bytes, layer_bucket: int, context: Context | None
) -> Reason:
    if plan.holdout and encoded_bucket(unit, HOLDOUT_SALT) in share_range(plan.holdout):
        return "holdout"
    if not _holds(plan.phase.slots, layer_bucket):
        return "layer"
    if plan.targeting and not targets(plan.targeting, context):
        return "targeting"
    if not _holds((plan.phase.exposure,), encoded_bucket(unit, plan.ramp_salt)):
        return "ramp"
    return "assigned" if plan.running else "not_running"


def _holds(ranges: Iterable[BucketRange], wanted: int) -> bool:
    for held in ranges:  # noqa: SIM110 -- a decision asks this thrice; any() takes four times longer
        if held.low <= wanted < held.high:
            return True
    return False


def _owner(phase: Phase, variant_bucket: int) -> str:
    for variant, ranges in phase.variants.items():
        if _holds(ranges, variant_bucket):
            return variant
    message = f"phase {phase.number} leaves bucket {variant_bucket} without a variant"
    raise ValueError(message)
