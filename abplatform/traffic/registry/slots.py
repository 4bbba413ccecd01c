"""Which buckets of a layer are taken, and the lowest free ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from abplatform.domain.assignment import BUCKETS, share_range
from abplatform.domain.experiment import BucketRange, Layer
from abplatform.errors import RegistryError

__all__ = ["free_ranges", "resize_slots", "take_slots", "width"]


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
    return resize_slots(layer, (), holders)


def resize_slots(
    layer: Layer,
    own: tuple[BucketRange, ...],
    holders: Mapping[str, tuple[BucketRange, ...]],
) -> tuple[BucketRange, ...]:
    """Bring an experiment's slots to the layer's share: nobody who stays inside moves.

    One that grows keeps its buckets and takes the lowest free ones, split if need be; one that
    shrinks gives up its highest.

    Args:
        layer: The layer and the share that is asked for.
        own: What the experiment holds already.
        holders: Who else holds which of its buckets; their shares are named when there is no room.

    Raises:
        RegistryError: Fewer buckets are free than the share needs.
    """
    wanted = width([share_range(layer.share)])
    kept = _lowest(own, wanted)
    wanted -= width(kept)
    free = free_ranges([*kept, *(held for ranges in holders.values() for held in ranges)])
    if width(free) < wanted:
        shares = ", ".join(f"{key} {_percent(width(held))}" for key, held in holders.items())
        left = _percent(width(free) + width(kept))
        raise RegistryError(
            f"layer {layer.name!r} is over-booked: {_percent(wanted + width(kept))} is asked for "
            f"and {left} is free (held by {shares})",
            remedy=f"lower layer.share to at most {left}, or stop one of these experiments",
        )
    return tuple(sorted([*kept, *_lowest(free, wanted)]))


def _lowest(ranges: Iterable[BucketRange], wanted: int) -> list[BucketRange]:
    """Return the lowest buckets of some ranges, as many as are wanted or there are."""
    taken = []
    for held in sorted(ranges):
        if wanted <= 0:
            break
        part = BucketRange(held.low, min(held.high, held.low + wanted))
        taken.append(part)
        wanted -= part.high - part.low
    return taken


def _percent(held: int) -> str:
    return f"{100 * held / BUCKETS:.4g} %"
