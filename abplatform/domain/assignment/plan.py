"""What decides about units at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from abplatform.domain.assignment.hashing import salt_seed
from abplatform.domain.assignment.owners import Owners, owners_of
from abplatform.domain.assignment.ranges import share_range
from abplatform.domain.experiment import Phase
from abplatform.domain.targeting import Condition

__all__ = ["HOLDOUT_SALT", "AssignmentPlan"]

HOLDOUT_SALT = "holdout:global"


@dataclass(frozen=True, slots=True)
class _Worked:
    """What a plan's words come to, worked out once: seeds of salts, flat bounds of ranges."""

    layer_seed: int
    ramp_seed: int
    variant_seed: int
    holdout_below: int
    slots: Owners
    exposure: Owners
    variants: Owners
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """All that decides which variant a unit gets at one moment.

    Args:
        experiment_key: The experiment.
        layer_name: The layer in which it has its slots.
        phase: The allocation in force.
        running: False while the experiment is paused, stopped or decided.
        holdout: Share of all units that no experiment touches, 0 … 1.
        targeting: Name to condition; empty admits everyone.
        forced: Unit to the variant that it always gets while the experiment runs.
    """

    experiment_key: str
    layer_name: str
    phase: Phase
    running: bool = True
    holdout: float = 0.0
    targeting: Mapping[str, Condition] = field(default_factory=dict)
    forced: Mapping[str, str] = field(default_factory=dict)
    worked: _Worked = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out once what every decision needs."""
        phase = self.phase
        worked = _Worked(
            layer_seed=salt_seed(self.layer_salt),
            ramp_seed=salt_seed(self.ramp_salt),
            variant_seed=salt_seed(self.variant_salt),
            holdout_below=share_range(self.holdout).high,
            slots=owners_of([phase.slots]),
            exposure=owners_of([(phase.exposure,)]),
            variants=owners_of(phase.variants.values()),
            names=tuple(phase.variants),
        )
        object.__setattr__(self, "worked", worked)

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
