"""From what a YAML file says of a policy to the policy."""

from __future__ import annotations

from collections.abc import Mapping

from abplatform.domain import experiment as words
from abplatform.domain.catalog import Lineage
from abplatform.traffic.policies.contextual import Contextual
from abplatform.traffic.policies.policy import Policy
from abplatform.traffic.policies.reward import Reward
from abplatform.traffic.policies.rules import Rules
from abplatform.traffic.policies.snapshots import EMPTY_SNAPSHOT, Snapshot
from abplatform.traffic.policies.thompson import Thompson
from abplatform.traffic.policies.uniform import Uniform

__all__ = ["make_policy"]


def make_policy(
    asked: words.Policy,
    snapshot: tuple[str, Snapshot] | None,
    creatives: Mapping[str, Lineage],
) -> Policy:
    """Return what chooses within a variant.

    Args:
        asked: What the YAML says; its floor is mixed in by :func:`~.policy.choose`.
        snapshot: The one in force and its sha256, or None before the first one.
        creatives: Creative to how it was made.
    """
    sha256, known = snapshot or (None, EMPTY_SNAPSHOT)
    match asked.choose:
        case "thompson":
            return Thompson(known, sha256)
        case "contextual":
            return Contextual(known, sha256)
        case "reward":
            return Reward(known, sha256)
        case "rules":
            return Rules(asked.rules, creatives)
        case "uniform":
            return Uniform()
