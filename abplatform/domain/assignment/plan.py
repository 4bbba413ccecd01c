"""What decides about units at one moment, and whom it is meant for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from abplatform.domain.experiment import Phase

__all__ = ["HOLDOUT_SALT", "AssignmentPlan", "targets"]

HOLDOUT_SALT = "holdout:global"


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """All that decides which variant a unit gets at one moment.

    Args:
        experiment_key: The experiment.
        layer_name: The layer in which it has its slots.
        phase: The allocation in force.
        running: False while the experiment is paused, stopped or decided.
        holdout: Share of all units that no experiment touches, 0 … 1.
        targeting: Allowed values by dimension; empty admits everyone.
    """

    experiment_key: str
    layer_name: str
    phase: Phase
    running: bool = True
    holdout: float = 0.0
    targeting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def layer_salt(self) -> str:
        """What the layer's slot is hashed with."""
        return f"layer:{self.layer_name}"

    @property
    def ramp_salt(self) -> str:
        """What exposure is hashed with."""
        return f"ramp:{self.experiment_key}"

    @property
    def variant_salt(self) -> str:
        """What the variant is hashed with."""
        return f"experiment:{self.experiment_key}"


def targets(targeting: Mapping[str, tuple[str, ...]], context: Mapping[str, str] | None) -> bool:
    """Tell whether a context is one that the experiment is meant for.

    Args:
        targeting: Allowed values by dimension; ``beauty`` admits ``beauty/lip`` too.
        context: What is known about the request; None when nothing was asked about it, which
            admits. A dimension that the context leaves out does not admit.
    """
    if context is None:
        return True
    return all(
        any(_within(context.get(dimension), value) for value in allowed)
        for dimension, allowed in targeting.items()
    )


def _within(given: str | None, allowed: str) -> bool:
    return given is not None and (given == allowed or given.startswith(f"{allowed}/"))
