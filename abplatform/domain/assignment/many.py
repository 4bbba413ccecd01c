"""Many units' variants at once, the same as each alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from abplatform.domain.assignment.hashing import BUCKETS, buckets
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
from abplatform.domain.assignment.ranges import share_range
from abplatform.domain.experiment import BucketRange
from abplatform.domain.targeting import Context, targets

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

__all__ = ["assign_many"]


def assign_many(
    plan: AssignmentPlan,
    unit_ids: Sequence[str] | pl.Series,
    context: Context | None = None,
) -> npt.NDArray[np.int16]:
    """Return many units' variants, equal to :func:`~abplatform.domain.assignment.assign` for each.

    Args:
        plan: The allocation in force.
        unit_ids: n ids.
        context: One context for all; None leaves targeting out.

    Returns:
        Shape (n,): an index into ``tuple(plan.phase.variants)``, or -1 when not exposed.

    Raises:
        ValueError: As for :func:`buckets`.
    """
    import numpy as np
    import polars as pl

    series = unit_ids if isinstance(unit_ids, pl.Series) else pl.Series(unit_ids, dtype=pl.String)
    owners = _lookup(buckets(series, plan.variant_salt), plan.phase.variants.values())
    if not plan.running:
        return np.full(len(series), -1, dtype=np.int16)
    if not targets(plan.targeting, context):
        return _with_forced(plan, series, np.full(len(series), -1, dtype=np.int16))
    held_out = share_range(plan.holdout)
    gates = (
        (HOLDOUT_SALT, (BucketRange(held_out.high, BUCKETS),)),
        (plan.layer_salt, plan.phase.slots),
        (plan.ramp_salt, (plan.phase.exposure,)),
    )
    for salt, admitted in gates:
        if BucketRange(0, BUCKETS) not in admitted:
            # -1 is all ones: or-ing it in is twenty times faster than a boolean mask.
            owners |= -(_lookup(buckets(series, salt), [admitted]) < 0).astype(np.int16)
    return _with_forced(plan, series, owners)


def _with_forced(
    plan: AssignmentPlan, units: pl.Series, owners: npt.NDArray[np.int16]
) -> npt.NDArray[np.int16]:
    """Put the units that are forced into a variant there."""
    import polars as pl

    if not plan.forced:
        return owners
    index = {name: number for number, name in enumerate(plan.phase.variants)}
    forced = {unit: index[variant] for unit, variant in plan.forced.items() if variant in index}
    places = units.is_in(pl.Series(list(forced), dtype=pl.String).implode()).arg_true()
    owners = owners.copy()
    for place in places:
        owners[place] = forced[units[place]]
    return owners


def _lookup(
    values: npt.NDArray[np.uint32], owners: Iterable[tuple[BucketRange, ...]]
) -> npt.NDArray[np.int16]:
    """Return for each bucket the index of the owner whose ranges hold it, or -1."""
    import numpy as np

    found = np.full(len(values), -1, dtype=np.int16)
    held = -1
    # found changes by the difference of owners at every bound that a bucket has passed: for the
    # few ranges that experiments have, comparing is several times faster than a binary search.
    for bound, owner in _changes(owners):
        found += (values >= np.uint32(bound)).astype(np.int16) * np.int16(owner - held)
        held = owner
    return found


def _changes(owners: Iterable[tuple[BucketRange, ...]]) -> list[tuple[int, int]]:
    """Return from which bucket on which owner holds, -1 where nobody does, from the low end."""
    starts: dict[int, int] = {}
    ranges = [(owned, index) for index, ranges in enumerate(owners) for owned in ranges]
    for owned, index in sorted(ranges):
        if owned.low < owned.high:
            starts[owned.low] = index
            starts[owned.high] = -1
    return [(bound, owner) for bound, owner in starts.items() if bound < BUCKETS]
