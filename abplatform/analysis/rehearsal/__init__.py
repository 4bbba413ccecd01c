"""An experiment's own configuration, tried on the workspace's own units before it counts."""

from abplatform.analysis.rehearsal.outcome import Kind, PlanTally, Rehearsal, Tally, rehearse
from abplatform.analysis.rehearsal.terminal import describe_rehearsal, print_rehearsal

__all__ = [
    "Kind",
    "PlanTally",
    "Rehearsal",
    "Tally",
    "describe_rehearsal",
    "print_rehearsal",
    "rehearse",
]
