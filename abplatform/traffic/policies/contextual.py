"""A contextual policy by inverse gap weighting (SquareCB): the further behind, the rarer.

A regression predicts each creative's click rate f in the context of the request. The one that it
predicts best, b, gets what the others leave, and the others

    p_i = 1 / (K + g (f_b - f_i) / f_b),   g = 2 √(K · clicks of the eligible)

The gap is relative to the best rate, since rates of a few in a thousand differ by little else;
the relative error of a rate goes down with the root of its clicks, so the greed g grows with it:
with no click at all every creative is equally likely, with 400 clicks on four creatives (g = 80)
one that is 20 % behind is chosen once in 20 times. Nothing is ever certain, so every creative keeps
a known probability.

References:
    Foster, D. J., Rakhlin, A. (2020). Beyond UCB: optimal and efficient contextual bandits with
    regression oracles. ICML 2020.
    Abe, N., Long, P. M. (1999). Associative reinforcement learning using linear probabilistic
    concepts. ICML 1999.
"""

from __future__ import annotations

import math
from typing import Final

from abplatform.domain.targeting import Context
from abplatform.traffic.policies.remembering import remembered
from abplatform.traffic.policies.snapshots import Snapshot

__all__ = ["CONTEXT_DIMENSIONS", "Contextual"]

CONTEXT_DIMENSIONS: Final = ("channel", "country", "segment")
"""What the regression knows of a request besides category and creative."""

_GREED = 2.0


class Contextual:
    """Chooses by predicted click rates; see the module.

    Args:
        snapshot: What is known.
        sha256: The snapshot's name, None where there is none yet: then all are equally likely.
    """

    name = "contextual"

    def __init__(self, snapshot: Snapshot, sha256: str | None) -> None:
        self.snapshot = sha256
        self._known = snapshot
        self._cached = remembered(self._probabilities)

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return the probabilities by the predicted rates in this context."""
        return self._cached(eligible, self._told(context))

    def predict(self, context: Context, creative_id: str) -> float:
        """Return a creative's predicted click rate, 0 … 1."""
        return self._rate(creative_id, self._told(context))

    def _told(self, context: Context) -> tuple[str | None, ...]:
        """Return category and dimensions as far as the regression knows them.

        Whatever else a caller sends is not remembered.
        """
        model = self._known.model
        values = [context.get(name) for name in _ASKED]
        known = [model.categories, *(model.contexts.get(name, {}) for name in CONTEXT_DIMENSIONS)]
        return tuple(
            value if isinstance(value, str) and value in words else None
            for value, words in zip(values, known, strict=True)
        )

    def _probabilities(
        self, eligible: tuple[str, ...], told: tuple[str | None, ...]
    ) -> tuple[float, ...]:
        rates = {name: self._rate(name, told) for name in eligible}
        best = min(eligible, key=lambda name: (-rates[name], name))
        seen = self._known.creatives
        clicks = sum(seen[name].k for name in eligible if name in seen)
        greed = _GREED * math.sqrt(len(eligible) * clicks)
        chances = {
            name: 1 / (len(eligible) + greed * (rates[best] - rates[name]) / rates[best])
            for name in eligible
            if name != best
        }
        chances[best] = 1 - math.fsum(chances.values())  # whatever their order
        return tuple(chances[name] for name in eligible)

    def _rate(self, creative_id: str, told: tuple[str | None, ...]) -> float:
        model, seen = self._known.model, self._known.creatives.get(creative_id)
        category, *values = told
        odds = [
            model.intercept,
            model.categories.get((seen.category if seen else category) or "", 0.0),
            model.creatives.get(creative_id, 0.0),
        ]
        own = model.crossed.get(creative_id, {})
        for dimension, value in zip(CONTEXT_DIMENSIONS, values, strict=True):
            if value is not None:
                odds.append(model.contexts.get(dimension, {}).get(value, 0.0))
                odds.append(own.get(dimension, {}).get(value, 0.0))
        return 1 / (1 + math.exp(-math.fsum(odds)))


_ASKED: Final = ("category", *CONTEXT_DIMENSIONS)
