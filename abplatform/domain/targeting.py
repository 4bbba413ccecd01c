"""Whom an experiment is meant for: typed conditions on what is known about a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIMENSIONS", "Condition", "Context", "NumberRange", "admits", "targets"]

DIMENSIONS = ("category", "country", "channel", "placement", "segment")
"""What the platform itself knows of a request; every other name is one of its attributes."""

Context = Mapping[str, str | int | float | bool | None]
"""What is known about a request, flat: dimensions and attributes."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers from ``min`` (included) to ``below`` (excluded); None leaves a side open."""

    min: float | None = None
    below: float | None = None


Condition = tuple[str, ...] | NumberRange | bool
"""Allowed texts, of which ``beauty`` admits ``beauty/lip`` too; or allowed numbers; or a truth."""


def targets(targeting: Mapping[str, Condition], context: Context | None) -> bool:
    """Tell whether a context is one that the experiment is meant for.

    Args:
        targeting: Name to condition; every one of them has to admit.
        context: What is known about the request; None when nothing was asked about it, which
            admits. A name that the context leaves out does not admit.
    """
    if context is None:
        return True
    # A loop, since a decision asks this: all() over a generator takes three times as long.
    for name, condition in targeting.items():  # noqa: SIM110
        if not admits(condition, context.get(name)):
            return False
    return True


def admits(condition: Condition, value: str | float | bool | None) -> bool:  # noqa: FBT001 -- a bool is a value like any other here
    """Tell whether a condition admits a value; one of another type is never admitted.

    Nothing is converted: the text "18" is no number, and true is not 1.
    """
    if isinstance(condition, bool):
        return value is condition
    if isinstance(condition, tuple):
        return isinstance(value, str) and (value in condition or _below(value, condition))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (condition.min is None or value >= condition.min) and (
        condition.below is None or value < condition.below
    )


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    if "/" not in path:
        return False
    for above in allowed:  # noqa: SIM110 -- any() over a generator takes three times as long
        if path.startswith(f"{above}/"):
            return True
    return False
