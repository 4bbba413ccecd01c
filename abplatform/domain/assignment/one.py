"""One unit's variant, or the first rule that excludes it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from xxhash import xxh3_64_intdigest

from abplatform.domain.assignment.hashing import salt_seed
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
from abplatform.domain.targeting import Context, targets

__all__ = ["Assignment", "Reason", "assign"]

Reason = Literal["assigned", "forced", "holdout", "layer", "targeting", "ramp", "not_running"]

_HOLDOUT_SEED: Final = salt_seed(HOLDOUT_SALT)
_tuple: Final = tuple.__new__  # half the time of NamedTuple's own constructor


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
        ValueError: As for :func:`unit_hash`; or the phase leaves a bucket to no variant.
    """
    unit, worked = unit_id.encode(), plan.worked
    layer_bucket = xxh3_64_intdigest(unit, worked.layer_seed) >> 32
    bucket = xxh3_64_intdigest(unit, worked.variant_seed) >> 32
    variant: str | None = None
    reason: Reason = "forced"
    if plan.forced and plan.running:
        variant = plan.forced.get(unit_id)
    if variant is None or variant not in worked.names:
        variant = None
        reason = _first_exclusion(plan, unit, layer_bucket, context)
        if reason == "assigned":
            variant = _owner(plan, bucket)
    return _tuple(Assignment, (unit_id, variant, reason, bucket, layer_bucket, plan.phase.number))


def _first_exclusion(
    plan: AssignmentPlan, unit: bytes, layer_bucket: int, context: Context | None
) -> Reason:
    worked = plan.worked
    if worked.holdout_below and (
        xxh3_64_intdigest(unit, _HOLDOUT_SEED) >> 32 < worked.holdout_below
    ):
        return "holdout"
    if worked.slots.of(layer_bucket) < 0:
        return "layer"
    if plan.targeting and not targets(plan.targeting, context):
        return "targeting"
    if xxh3_64_intdigest(unit, worked.ramp_seed) >> 32 not in plan.phase.exposure:
        return "ramp"
    return "assigned" if plan.running else "not_running"


def _owner(plan: AssignmentPlan, bucket: int) -> str:
    owner = plan.worked.variants.of(bucket)
    if owner < 0:
        message = f"phase {plan.phase.number} leaves bucket {bucket} without a variant"
        raise ValueError(message)
    return plan.worked.names[owner]
