"""Every eligible creative with the same probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Choice", "choose_uniformly"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy chose.

    Args:
        creative_id: The creative.
        propensity: The probability with which the policy chooses it here, above 0.
        explored: Whether it was drawn from the policy's floor.
    """

    creative_id: str
    propensity: float
    explored: bool = False


def choose_uniformly(creative_ids: Sequence[str], rng: np.random.Generator) -> Choice | None:
    """Choose among eligible creatives; None when there is none.

    Args:
        creative_ids: The eligible ones, each once.
        rng: Where the draw comes from.
    """
    if not creative_ids:
        return None
    drawn = int(rng.integers(len(creative_ids)))
    return Choice(creative_ids[drawn], propensity=1 / len(creative_ids))
