"""Which experiments exist, their state, phases and slots; every change goes into the journal."""

from abplatform.traffic.registry.aliases import resolve_aliases
from abplatform.traffic.registry.edits import Difference, Edit
from abplatform.traffic.registry.register import plan_of
from abplatform.traffic.registry.registry import Registry
from abplatform.traffic.registry.replay import RegisteredExperiment, Review
from abplatform.traffic.registry.withdrawals import Withdrawal

__all__ = [
    "Difference",
    "Edit",
    "RegisteredExperiment",
    "Registry",
    "Review",
    "Withdrawal",
    "plan_of",
    "resolve_aliases",
]
