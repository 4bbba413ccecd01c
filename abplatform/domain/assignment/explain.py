"""Why a unit has its variant, or none: every step of the walk with its numbers, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from abplatform.domain.assignment.hashing import BUCKETS, bucket
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
from abplatform.domain.experiment import BucketRange
from abplatform.domain.targeting import Condition, Context, NumberRange, admits

__all__ = ["Outcome", "Step", "explain"]

Outcome = Literal["passes", "excludes", "decides"]

_ALL: Final = BucketRange(0, BUCKETS)


@dataclass(frozen=True, slots=True)
class Step:
    """One question of the walk.

    Args:
        name: ``forced``, ``holdout``, ``layer``, ``targeting``, ``ramp``, ``running`` or
            ``variant``, in this order.
        outcome: Whether the unit goes on, is excluded, or has its variant.
        asked: False where an earlier step has ended the walk; the outcome then says what would be.
        why: The outcome in words.
        salt: What the unit is hashed with here; None for steps without a hash.
        bucket: The unit's bucket under the salt, 0 … 2³²-1.
        ranges: The buckets that the step is about: those held out, admitted, or the variant's own.
        variant: The variant, where the step decides on one.
    """

    name: str
    outcome: Outcome
    why: str
    asked: bool = True
    salt: str | None = None
    bucket: int | None = None
    ranges: tuple[BucketRange, ...] = ()
    variant: str | None = None


def explain(plan: AssignmentPlan, unit_id: str, context: Context | None = None) -> tuple[Step, ...]:
    """Walk through all steps for one unit; the first that does not pass is the answer.

    This is the definition, written out step by step;
    :func:`~abplatform.domain.assignment.assign` is the same, made for speed.

    Args:
        plan: The allocation in force.
        unit_id: The unit.
        context: What is known about the request; None leaves targeting out.

    Raises:
        ValueError: As for :func:`unit_hash`; or the phase leaves a bucket to no variant.
    """
    return tuple(_marked(ask(plan, unit_id, context) for ask in _WALK))


def _marked(steps: Iterator[Step]) -> Iterator[Step]:
    """Mark the steps behind the first that ends the walk."""
    asked = True
    for step in steps:
        yield replace(step, asked=asked)
        asked = asked and step.outcome == "passes"


def _forced(plan: AssignmentPlan, unit_id: str, _: Context | None) -> Step:
    variant = plan.forced.get(unit_id)
    if variant is None:
        return Step("forced", "passes", "`forced` does not name the unit")
    if variant not in plan.phase.variants:
        why = f"`forced` names it for {variant}, which the phase does not have"
        return Step("forced", "passes", why)
    if not plan.running:
        why = f"`forced` names it for {variant}, which shows nothing: the experiment does not run"
        return Step("forced", "passes", why)
    return Step("forced", "decides", f"`forced` names it for {variant}", variant=variant)


def _holdout(plan: AssignmentPlan, unit_id: str, _: Context | None) -> Step:
    held_out = BucketRange(0, plan.worked.holdout_below)
    if held_out.high == 0:
        return Step("holdout", "passes", "there is no holdout", salt=HOLDOUT_SALT)
    found = bucket(unit_id, HOLDOUT_SALT)
    excluded = found in held_out
    return Step(
        "holdout",
        "excludes" if excluded else "passes",
        _placed(found, HOLDOUT_SALT, (held_out,), inside=excluded),
        salt=HOLDOUT_SALT,
        bucket=found,
        ranges=(held_out,),
    )


def _layer(plan: AssignmentPlan, unit_id: str, _: Context | None) -> Step:
    return _gate("layer", unit_id, plan.layer_salt, plan.phase.slots)


def _ramp(plan: AssignmentPlan, unit_id: str, _: Context | None) -> Step:
    return _gate("ramp", unit_id, plan.ramp_salt, (plan.phase.exposure,))


def _gate(name: str, unit_id: str, salt: str, admitted: tuple[BucketRange, ...]) -> Step:
    found = bucket(unit_id, salt)
    inside = any(found in held for held in admitted)
    return Step(
        name,
        "passes" if inside else "excludes",
        _placed(found, salt, admitted, inside=inside),
        salt=salt,
        bucket=found,
        ranges=admitted,
    )


def _targeting(plan: AssignmentPlan, _: str, context: Context | None) -> Step:
    if not plan.targeting:
        return Step("targeting", "passes", "the experiment is meant for everybody")
    if context is None:
        return Step("targeting", "passes", "not judged: no context was given")
    for name, condition in plan.targeting.items():
        if not admits(condition, context.get(name)):
            given = f"is {context[name]!r}" if name in context else "is not known"
            return Step("targeting", "excludes", f"{name} {given}, wanted is {_written(condition)}")
    return Step("targeting", "passes", f"{', '.join(plan.targeting)} as wanted")


def _running(plan: AssignmentPlan, _: str, __: Context | None) -> Step:
    if plan.running:
        return Step("running", "passes", f"the experiment runs, in phase {plan.phase.number}")
    return Step("running", "excludes", "the experiment does not run")


def _variant(plan: AssignmentPlan, unit_id: str, _: Context | None) -> Step:
    found = bucket(unit_id, plan.variant_salt)
    for name, ranges in plan.phase.variants.items():
        if any(found in owned for owned in ranges):
            return Step(
                "variant",
                "decides",
                f"{name}: {_placed(found, plan.variant_salt, ranges, inside=True)}",
                salt=plan.variant_salt,
                bucket=found,
                ranges=ranges,
                variant=name,
            )
    message = f"phase {plan.phase.number} leaves bucket {found} without a variant"
    raise ValueError(message)


_WALK: Final[tuple[Callable[[AssignmentPlan, str, Context | None], Step], ...]] = (
    _forced,
    _holdout,
    _layer,
    _targeting,
    _ramp,
    _running,
    _variant,
)


def _placed(found: int, salt: str, ranges: tuple[BucketRange, ...], *, inside: bool) -> str:
    percent = 100 * sum(held.high - held.low for held in ranges) / BUCKETS
    where = "all buckets" if ranges == (_ALL,) else " and ".join(map(_bounds, ranges)) or "none"
    return f"bucket {found} of {salt} is {'in' if inside else 'not in'} {where} ({percent:.4g} %)"


def _bounds(held: BucketRange) -> str:
    return f"[{held.low}, {held.high})"


def _written(condition: Condition) -> str:
    if isinstance(condition, NumberRange):
        low = "" if condition.min is None else f"at least {condition.min:g}"
        high = "" if condition.below is None else f"below {condition.below:g}"
        return " and ".join(filter(None, (low, high)))
    if isinstance(condition, tuple):
        return " or ".join(map(repr, condition))
    return str(condition)
