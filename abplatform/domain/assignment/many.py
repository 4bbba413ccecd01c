"""Many units' variants at once, the same as each alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from abplatform.domain.assignment.hashing import BUCKETS, unit_hashes
from abplatform.domain.assignment.owners import Owners, owners_of
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
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
    owners = _lookup(unit_hashes(series, plan.variant_salt), plan.worked.variants)
    if not plan.running:
        return np.full(len(series), -1, dtype=np.int16)
    if not targets(plan.targeting, context):
        return _with_forced(plan, series, np.full(len(series), -1, dtype=np.int16))
    gates = (
        (HOLDOUT_SALT, owners_of([(BucketRange(plan.worked.holdout_below, BUCKETS),)])),
        (plan.layer_salt, plan.worked.slots),
        (plan.ramp_salt, plan.worked.exposure),
    )
    for salt, admitted in gates:
        if admitted.owners != (0,):
            # 0 is in and -1, all ones, is out: or-ing is twenty times faster than a boolean mask.
            owners |= _lookup(unit_hashes(series, salt), admitted)
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


def _lookup(hashes: npt.NDArray[np.uint64], owned: Owners) -> npt.NDArray[np.int16]:
    """Return for each hash the index of the owner of its bucket, or -1."""
    import numpy as np

    found = np.full(len(hashes), owned.owners[0], dtype=np.int16)
    # found changes by the difference of owners at every bound that a bucket has passed: for the
    # few ranges that experiments have, comparing is several times faster than a binary search,
    # and comparing hashes, whose high half is the bucket, saves making the buckets.
    for (before, owner), bound in zip(pairwise(owned.owners), owned.bounds[1:], strict=True):
        passed = (hashes >= np.uint64(bound * BUCKETS)).view(np.int8)
        found += passed if owner - before == 1 else passed * np.int16(owner - before)
    return found
