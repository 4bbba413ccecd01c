"""Are the logged probabilities those that the policies of the log give when asked again?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from abplatform.analysis.off_policy.gates import Gate
from abplatform.logs.decided import Situation
from abplatform.traffic.policies import Policy, mixed_with_floor

__all__ = ["replay_gate"]


def replay_gate(
    situations: Sequence[Situation],
    counts: Sequence[int],
    make: Callable[[Situation], Policy | None],
    *,
    otherwise: int = 0,
) -> Gate:
    """Ask every policy of the log again; not a bit of a probability may differ.

    Args:
        situations: What decisions rested on.
        counts: How many impressions each of them led to, of those that tell its probability.
        make: Gives the policy as it was, or None where what it rested on is gone.
        otherwise: How many impressions tell another probability than their decision's record.
    """
    equal, different, gone = 0, otherwise, 0
    for situation, count in zip(situations, counts, strict=True):
        if not count:
            continue
        policy = make(situation)
        if policy is None:
            gone += count
        elif _again(policy, situation) == situation.probabilities:
            equal += count
        else:
            different += count
    asked = equal + different
    missing = f"; {gone:,} more rest on what is gone" if gone else ""
    if otherwise:
        missing += f"; {otherwise:,} impressions tell another probability than their record"
    return Gate(
        "replay",
        None if asked == 0 else different == 0,
        None if asked == 0 else equal / asked,
        1.0,
        f"{equal:,} of {asked:,} decisions with a record have the same probabilities when their "
        f"policies are asked again{missing}"
        if asked or gone
        else "no decision records: the logged probabilities cannot be asked for again",
    )


def _again(policy: Policy, situation: Situation) -> tuple[float, ...]:
    chances = policy.distribution(situation.context, situation.eligible)
    return mixed_with_floor(chances, situation.floor)
