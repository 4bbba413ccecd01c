"""Ranges of several owners side by side, for finding the owner of a bucket fast."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from abplatform.domain.assignment.hashing import BUCKETS
from abplatform.domain.experiment import BucketRange

__all__ = ["Owners", "owners_of"]


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns which bucket, flat: from ``bounds[i]`` on it is ``owners[i]``, before them nobody.

    Args:
        bounds: Ascending buckets at which the owner changes, the first of them 0.
        owners: As long: an index from 0 on, or -1 for nobody.
    """

    bounds: tuple[int, ...]
    owners: tuple[int, ...]

    def of(self, bucket: int) -> int:
        """Return whose a bucket is, 0 … 2³²-1: an index, or -1."""
        return self.owners[bisect_right(self.bounds, bucket) - 1]


def owners_of(ranges_by_owner: Iterable[Iterable[BucketRange]]) -> Owners:
    """Lay the ranges of several owners side by side.

    Args:
        ranges_by_owner: Each owner's ranges; no bucket has two owners.
    """
    starts = {0: -1}
    owned = [(one, index) for index, ranges in enumerate(ranges_by_owner) for one in ranges]
    for one, index in sorted(owned):
        if one.low < one.high:
            starts[one.low] = index
            starts[one.high] = -1
    changes = [(bound, owner) for bound, owner in starts.items() if bound < BUCKETS]
    bounds, owners = zip(*changes, strict=True)
    return Owners(bounds, owners)
