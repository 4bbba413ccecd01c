"""Shares and weights → ranges of buckets, with bounds that a person can work out."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from abplatform.domain.assignment.hashing import BUCKETS
from abplatform.domain.experiment import BucketRange

__all__ = ["bucket_ranges", "reweighted_ranges", "share_range"]


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
    bounds = _bounds(weights)
    return {
        name: (BucketRange(low, high),)
        for name, low, high in zip(weights, bounds[:-1], bounds[1:], strict=True)
    }


def reweighted_ranges(
    before: Mapping[str, tuple[BucketRange, ...]], weights: Mapping[str, float]
) -> dict[str, tuple[BucketRange, ...]]:
    """Share the buckets out by other weights and move as few of them as possible.

    A variant that shrinks gives up buckets from its high end, one that is gone gives up all of
    its own; those that grow, and new ones, take the given-up buckets from the low end, in the
    order of ``weights``. Every other bucket stays where it is.

    Args:
        before: Variant to its ranges, which together are all buckets.
        weights: Variant to weight, of any sum above 0; the variants that there are from now on.

    Returns:
        Variant to its ranges; as wide as :func:`bucket_ranges` would make them.

    Raises:
        ValueError: A weight is negative, or all are 0.
    """
    bounds = _bounds(weights)
    wanted = {
        name: high - low for name, low, high in zip(weights, bounds[:-1], bounds[1:], strict=True)
    }
    kept: dict[str, list[BucketRange]] = {}
    free: list[BucketRange] = []
    for name, ranges in before.items():
        kept[name], given_up = _cut(sorted(ranges), wanted.get(name, 0))
        free += given_up
    free.sort()
    found = {}
    for name, size in wanted.items():
        own = kept.get(name, [])
        taken, free = _cut(free, size - sum(held.high - held.low for held in own))
        found[name] = _merged([*own, *taken])
    return found


def _cut(ranges: list[BucketRange], size: int) -> tuple[list[BucketRange], list[BucketRange]]:
    """Part ascending ranges in those that hold the lowest ``size`` buckets, and the rest."""
    low, high = [], []
    for held in ranges:
        middle = min(held.low + max(size, 0), held.high)
        size -= middle - held.low
        low.append(BucketRange(held.low, middle))
        high.append(BucketRange(middle, held.high))
    return (
        [held for held in low if held.low < held.high],
        [held for held in high if held.low < held.high],
    )


def _merged(ranges: list[BucketRange]) -> tuple[BucketRange, ...]:
    """Join ranges that touch; a variant without buckets has one empty range."""
    joined: list[BucketRange] = []
    for held in sorted(ranges):
        if joined and joined[-1].high == held.low:
            joined[-1] = BucketRange(joined[-1].low, held.high)
        else:
            joined.append(held)
    return tuple(joined) or (BucketRange(0, 0),)


def _bounds(weights: Mapping[str, float]) -> list[int]:
    """Return floor(2³²·cumulative share), from 0 to 2³²."""
    exact = [Fraction(str(weight)) for weight in weights.values()]
    total = sum(exact, Fraction(0))
    if total <= 0 or min(exact) < 0:
        message = f"weights must not be negative and must not all be 0: {dict(weights)}"
        raise ValueError(message)
    return [_bound(cumulative / total) for cumulative in accumulate(exact, initial=Fraction(0))]
