"""The creative that the reward model scores highest."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abplatform.domain.targeting import Context
from abplatform.traffic.policies.snapshots import Snapshot

__all__ = ["Reward"]


@dataclass(frozen=True, slots=True)
class Reward:
    """Shows the highest score; creatives that share it are equally likely.

    A creative without a score counts as below all others, and where none has one, all are equally
    likely.

    Args:
        known: Holds the scores.
        snapshot: Its sha256, None where there is none yet.
    """

    known: Snapshot
    snapshot: str | None
    name: str = "reward"

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return 1/M for the M creatives of the highest score, 0 for the others."""
        scores = [self.known.rewards.get(name, -math.inf) for name in eligible]
        highest = max(scores)
        winners = scores.count(highest)
        return tuple(1 / winners if score == highest else 0.0 for score in scores)
