"""Shares and weights → ranges of buckets, with bounds that a person can work out."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from abplatform.domain.assignment.hashing import BUCKETS
from abplatform.domain.experiment import BucketRange

__all__ = ["bucket_ranges", "share_range"]


def _bound(share: Fraction) -> int:
    return int(BUCKETS * share)


@lru_cache(maxsize=4096)
def share_range(share: float) -> BucketRange:
    """Return the buckets at the low end that make up a share, 0 … 1: ``[0, floor(2³²·share))``."""
    return BucketRange(0, _bound(Fraction(str(share))))


def bucket_ranges(weights: Mapping[str, float]) -> dict[str, tuple[BucketRange, ...]]:
    """Cut the buckets by weight, in the order given.

    Args:
        weights: Variant to weight, of any sum above 0.

    Returns:
        Variant to its one range; bounds are floor(2³²·cumulative share), reckoned with the weights
        as they are written (so 33.3 is 333/10), and the last bound is always 2³².

    Raises:
        ValueError: A weight is negative, or all are 0.
    """
    exact = [Fraction(str(weight)) for weight in weights.values()]
    total = sum(exact, Fraction(0))
    if total <= 0 or min(exact) < 0:
        message = f"weights must not be negative and must not all be 0: {dict(weights)}"
        raise ValueError(message)
    bounds = [_bound(cumulative / total) for cumulative in accumulate(exact, initial=Fraction(0))]
    return {
        name: (BucketRange(low, high),)
        for name, low, high in zip(weights, bounds[:-1], bounds[1:], strict=True)
    }
