"""Which buckets of a layer are taken, and the lowest free ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from abplatform.domain.assignment import BUCKETS, share_range
from abplatform.domain.experiment import BucketRange, Layer
from abplatform.errors import RegistryError

__all__ = ["free_ranges", "take_slots", "width"]


def width(ranges: Iterable[BucketRange]) -> int:
    """Return how many buckets the ranges hold together."""
    return sum(held.high - held.low for held in ranges)


def free_ranges(taken: Iterable[BucketRange]) -> list[BucketRange]:
    """Return what is left of 0 … 2³², lowest first."""
    free = []
    low = 0
    for held in sorted(taken):
        if low < held.low:
            free.append(BucketRange(low, held.low))
        low = max(low, held.high)
    if low < BUCKETS:
        free.append(BucketRange(low, BUCKETS))
    return free


def take_slots(
    layer: Layer, holders: Mapping[str, tuple[BucketRange, ...]]
) -> tuple[BucketRange, ...]:
    """Take the lowest free buckets of a layer for one more experiment, split if need be.

    Args:
        layer: The layer and the share that is asked for.
        holders: Who else holds which of its buckets; their shares are named when there is no room.

    Raises:
        RegistryError: Fewer buckets are free than the share needs.
    """
    wanted = width([share_range(layer.share)])
    free = free_ranges(held for ranges in holders.values() for held in ranges)
    if width(free) < wanted:
        shares = ", ".join(f"{key} {_percent(width(held))}" for key, held in holders.items())
        left = _percent(width(free))
        raise RegistryError(
            f"layer {layer.name!r} is over-booked: {_percent(wanted)} is asked for and {left} is "
            f"free (held by {shares})",
            remedy=f"lower layer.share to at most {left}, or stop one of these experiments",
        )
    taken = []
    for gap in free:
        if not wanted:
            break
        part = BucketRange(gap.low, min(gap.high, gap.low + wanted))
        taken.append(part)
        wanted -= part.high - part.low
    return tuple(taken)


def _percent(held: int) -> str:
    return f"{100 * held / BUCKETS:.4g} %"
