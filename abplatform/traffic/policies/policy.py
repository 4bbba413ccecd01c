"""What a policy is, and how one of its probabilities becomes a choice.

A policy only says how likely each eligible creative is; it never draws. The draws come from the
decision's id, so that whoever has the record can repeat the choice bit for bit, and the logged
propensity is the exact probability with which the creative was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from abplatform.domain.targeting import Context
from abplatform.traffic.policies.draw import unit_draw

__all__ = ["Choice", "Policy", "choose", "mixed_with_floor"]


class Policy(Protocol):
    """Chooses within a variant.

    Attributes:
        name: Its name in the YAML, such as ``thompson``.
        snapshot: sha256 of the snapshot that it rests on, or None when it rests on nothing.
    """

    @property
    def name(self) -> str:
        """Its name in the YAML."""

    @property
    def snapshot(self) -> str | None:
        """The sha256 of the snapshot that it rests on, or None."""

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return how likely each creative is to be chosen, before the floor.

        Pure: the same question has the same answer, bit for bit.

        Args:
            context: What is known about the request.
            eligible: At least one creative id, each once.

        Returns:
            As many probabilities in the same order; they sum to 1.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, with everything that repeats it.

    Args:
        creative_id: The creative.
        probabilities: Of every eligible creative in its order, floor included.
        propensity: The chosen one's, above 0.
        explored: Whether it came from the floor.
        draw: What walked the probabilities, 0 … 1.
        floor_draw: What decided between floor and policy, 0 … 1; None without a floor.
    """

    creative_id: str
    probabilities: tuple[float, ...]
    propensity: float
    explored: bool
    draw: float
    floor_draw: float | None


def choose(
    policy: Policy, context: Context, eligible: tuple[str, ...], *, floor: float, decision_id: str
) -> Choice | None:
    """Choose one of the eligible creatives; None when there is none.

    The floor is a first draw of its own: with probability ``floor`` the creative is drawn
    uniformly. The propensity is the mixture's, whichever of the two it was.

    Args:
        policy: How likely each creative is.
        context: What is known about the request.
        eligible: Creative ids, each once.
        floor: The share that is drawn uniformly, 0 … 1.
        decision_id: Where both draws come from.
    """
    if not eligible:
        return None
    chances = policy.distribution(context, eligible)
    explored, floor_draw = False, None
    if floor > 0:
        floor_draw = unit_draw("floor", decision_id)
        explored = floor_draw < floor
    draw = unit_draw("choice", decision_id)
    size = len(eligible)
    index = min(int(draw * size), size - 1) if explored else _walk(chances, draw)
    mixture = mixed_with_floor(chances, floor)
    return Choice(eligible[index], mixture, mixture[index], explored, draw, floor_draw)


def mixed_with_floor(chances: tuple[float, ...], floor: float) -> tuple[float, ...]:
    """Return what a policy's probabilities are once a share is drawn uniformly."""
    if floor <= 0:
        return chances
    share, rest = floor / len(chances), 1.0 - floor
    return tuple(share + rest * chance for chance in chances)


def _walk(chances: tuple[float, ...], draw: float) -> int:
    """Return the first place at which the cumulative probability passes the draw."""
    passed = 0.0
    for index, chance in enumerate(chances):
        passed += chance
        if draw < passed:
            return index
    # The sum fell short of 1 by rounding: the last one that can be chosen at all.
    return max(index for index, chance in enumerate(chances) if chance > 0)
