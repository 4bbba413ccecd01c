"""Thompson sampling with exact probabilities: each creative as likely as it is to be the best.

Every creative's click rate has a Beta posterior: its category's prior plus the clicks and misses it
was seen with. A drawn sample of the posteriors would hide the probability with which its maximum
falls on a creative; here that probability is computed, and the platform draws from it once.

References:
    Thompson, W. R. (1933). On the likelihood that one unknown probability exceeds another in view
    of the evidence of two samples. Biometrika 25, 285-294.
    Chapelle, O., Li, L. (2011). An empirical evaluation of Thompson sampling. NeurIPS 24.
"""

from __future__ import annotations

from abplatform.domain.targeting import Context
from abplatform.stats.best import best_probabilities
from abplatform.traffic.policies.remembering import remembered
from abplatform.traffic.policies.snapshots import Prior, Snapshot, prior_of

__all__ = ["Thompson"]


class Thompson:
    """Chooses a creative with the probability that it has the highest click rate.

    Args:
        snapshot: What is known.
        sha256: The snapshot's name, None where there is none yet: then all are equally likely.
    """

    name = "thompson"

    def __init__(self, snapshot: Snapshot, sha256: str | None) -> None:
        self.snapshot = sha256
        self._known = snapshot
        self._cached = remembered(self._probabilities)
        # What computes is loaded now, while a config is built, and not while somebody waits.
        best_probabilities([1.0, 1.0], [1.0, 1.0])

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return each creative's probability to be the best; unknown ones have their prior."""
        category = context.get("category")
        unknown = prior_of(self._known, category if isinstance(category, str) else None)
        return self._cached(eligible, unknown)

    def _probabilities(self, eligible: tuple[str, ...], unknown: Prior) -> tuple[float, ...]:
        # Sorted, so that the same creatives in another order have the same bits.
        names = sorted(eligible)
        posteriors = [self._posterior(name, unknown) for name in names]
        found = best_probabilities(*zip(*posteriors, strict=True)).tolist()
        chances = dict(zip(names, found, strict=True))
        return tuple(chances[name] for name in eligible)

    def _posterior(self, creative_id: str, unknown: Prior) -> tuple[float, float]:
        seen = self._known.creatives.get(creative_id)
        if seen is None:
            return unknown.clicks, unknown.misses
        prior = prior_of(self._known, seen.category)
        return prior.clicks + seen.k, prior.misses + seen.n - seen.k
