"""Unit → Variant by salted hash: for one unit and for many, always the same answer.

``h = xxh3_64(utf8(unit_id), seed = xxh3_64(utf8(salt)))``; the bucket is the high 32 bits of h.
Salts are ``holdout:global``, ``layer:<name>``, ``ramp:<key>`` and ``experiment:<key>``, so that
these four choices are independent of each other and of every other experiment's. A variant owns
ranges of buckets; ramp and holdout take the low end, so that a unit that is in stays in.

One unit is hashed with xxhash, many with polars-hash (imported only then); numpy likewise. The
hash is XXH3 (Y. Collet, xxHash specification 0.1, 2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import xxhash

from abplatform.domain.experiment import BucketRange, Phase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

__all__ = [
    "BUCKETS",
    "HOLDOUT_SALT",
    "SLICES",
    "Assignment",
    "AssignmentPlan",
    "Reason",
    "assign",
    "assign_many",
    "bucket",
    "bucket_ranges",
    "buckets",
    "share_range",
    "targets",
    "unit_hash",
    "unit_slice",
    "unit_slices",
]

BUCKETS = 2**32
"""How many buckets there are."""

SLICES = 4096
"""How many slices the loader spreads units over, so that analysis never hashes."""

HOLDOUT_SALT = "holdout:global"
SLICE_SALT = "slice"

Reason = Literal["assigned", "holdout", "layer", "targeting", "ramp", "not_running"]


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """All that decides which variant a unit gets at one moment.

    Args:
        experiment_key: The experiment.
        layer_name: The layer in which it has its slots.
        phase: The allocation in force.
        running: False while the experiment is paused, stopped or decided.
        holdout: Share of all units that no experiment touches, 0 … 1.
        targeting: Allowed values by dimension; empty admits everyone.
    """

    experiment_key: str
    layer_name: str
    phase: Phase
    running: bool = True
    holdout: float = 0.0
    targeting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def layer_salt(self) -> str:
        """What the layer's slot is hashed with."""
        return f"layer:{self.layer_name}"

    @property
    def ramp_salt(self) -> str:
        """What exposure is hashed with."""
        return f"ramp:{self.experiment_key}"

    @property
    def variant_salt(self) -> str:
        """What the variant is hashed with."""
        return f"experiment:{self.experiment_key}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one unit gets.

    Args:
        unit_id: The unit.
        variant: Its variant, or None when it is not exposed.
        reason: ``assigned``, or the first rule that excludes the unit.
        bucket: Its bucket in the experiment, 0 … 2³²-1.
        layer_bucket: Its bucket in the layer, 0 … 2³²-1.
        phase: The number of the phase that was asked.
    """

    unit_id: str
    variant: str | None
    reason: Reason
    bucket: int
    layer_bucket: int
    phase: int


@lru_cache(maxsize=4096)
def _seed(salt: str) -> int:
    return xxhash.xxh3_64_intdigest(salt.encode())


def unit_hash(unit_id: str, salt: str) -> int:
    """Hash one unit to 64 bits.

    Raises:
        ValueError: The id holds a lone surrogate, so it has no UTF-8 form.
    """
    return xxhash.xxh3_64_intdigest(unit_id.encode(), _seed(salt))


def bucket(unit_id: str, salt: str) -> int:
    """Return one unit's bucket, 0 … 2³²-1; ValueError as for :func:`unit_hash`."""
    return unit_hash(unit_id, salt) >> 32


def unit_slice(unit_id: str) -> int:
    """Return one unit's slice, 0 … 4095; ValueError as for :func:`unit_hash`."""
    return unit_hash(unit_id, SLICE_SALT) % SLICES


def _hashes(unit_ids: Sequence[str] | pl.Series, salt: str) -> npt.NDArray[np.uint64]:
    import polars as pl
    import polars_hash  # noqa: F401 -- importing it registers Series.nchash

    series = unit_ids if isinstance(unit_ids, pl.Series) else pl.Series(unit_ids, dtype=pl.String)
    if series.null_count():
        message = f"{series.null_count()} of {len(series)} unit ids are null"
        raise ValueError(message)
    column = series.cast(pl.String).alias("unit_id").to_frame()
    # The namespace is registered at run time, so its type is unknown.
    hashed = column.select(pl.col("unit_id").nchash.xxh3_64(seed=_seed(salt)))  # type: ignore[attr-defined]
    values: npt.NDArray[np.uint64] = hashed.to_series().to_numpy()
    return values


def buckets(unit_ids: Sequence[str] | pl.Series, salt: str) -> npt.NDArray[np.uint32]:
    """Return many units' buckets.

    Args:
        unit_ids: n ids.
        salt: One salt for all.

    Returns:
        Shape (n,), equal to ``[bucket(unit_id, salt) for unit_id in unit_ids]``.

    Raises:
        ValueError: An id is null or holds a lone surrogate.
    """
    import numpy as np

    # The high half of a little-endian 64-bit word is its second 32-bit word; this costs a fifth
    # of shifting and casting.
    words = _hashes(unit_ids, salt).astype("<u8", copy=False).view("<u4")
    return words[1::2].astype(np.uint32)


def unit_slices(unit_ids: Sequence[str] | pl.Series) -> npt.NDArray[np.uint16]:
    """Return many units' slices, shape (n,); ValueError as for :func:`buckets`."""
    import numpy as np

    return (_hashes(unit_ids, SLICE_SALT) % np.uint64(SLICES)).astype(np.uint16)


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


def targets(targeting: Mapping[str, tuple[str, ...]], context: Mapping[str, str] | None) -> bool:
    """Tell whether a context is one that the experiment is meant for.

    Args:
        targeting: Allowed values by dimension; ``beauty`` admits ``beauty/lip`` too.
        context: What is known about the request; None when nothing was asked about it, which
            admits. A dimension that the context leaves out does not admit.
    """
    if context is None:
        return True
    return all(
        any(_within(context.get(dimension), value) for value in allowed)
        for dimension, allowed in targeting.items()
    )


def _within(given: str | None, allowed: str) -> bool:
    return given is not None and (given == allowed or given.startswith(f"{allowed}/"))


def assign(
    plan: AssignmentPlan, unit_id: str, context: Mapping[str, str] | None = None
) -> Assignment:
    """Return one unit's variant, or why it has none.

    Args:
        plan: The allocation in force.
        unit_id: The unit.
        context: What is known about the request; None leaves targeting out.

    Raises:
        ValueError: As for :func:`unit_hash`.
    """
    unit = unit_id.encode()
    layer_bucket = _bucket(unit, plan.layer_salt)
    variant_bucket = _bucket(unit, plan.variant_salt)
    reason = _first_exclusion(plan, unit, layer_bucket, context)
    variant = _owner(plan.phase, variant_bucket) if reason == "assigned" else None
    return Assignment(
        unit_id=unit_id,
        variant=variant,
        reason=reason,
        bucket=variant_bucket,
        layer_bucket=layer_bucket,
        phase=plan.phase.number,
    )


def _first_exclusion(
    plan: AssignmentPlan, unit: bytes, layer_bucket: int, context: Mapping[str, str] | None
) -> Reason:
    if plan.holdout and _bucket(unit, HOLDOUT_SALT) in share_range(plan.holdout):
        return "holdout"
    if not _holds(plan.phase.slots, layer_bucket):
        return "layer"
    if plan.targeting and not targets(plan.targeting, context):
        return "targeting"
    if not _holds((plan.phase.exposure,), _bucket(unit, plan.ramp_salt)):
        return "ramp"
    return "assigned" if plan.running else "not_running"


def _bucket(unit: bytes, salt: str) -> int:
    return xxhash.xxh3_64_intdigest(unit, _seed(salt)) >> 32


def _holds(ranges: Iterable[BucketRange], wanted: int) -> bool:
    for held in ranges:  # noqa: SIM110 -- a decision asks this thrice; any() takes four times longer
        if held.low <= wanted < held.high:
            return True
    return False


def _owner(phase: Phase, variant_bucket: int) -> str:
    for variant, ranges in phase.variants.items():
        if _holds(ranges, variant_bucket):
            return variant
    message = f"phase {phase.number} leaves bucket {variant_bucket} without a variant"
    raise ValueError(message)


def assign_many(
    plan: AssignmentPlan,
    unit_ids: Sequence[str] | pl.Series,
    context: Mapping[str, str] | None = None,
) -> npt.NDArray[np.int16]:
    """Return many units' variants, equal to :func:`assign` for each.

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
    if not plan.running or not targets(plan.targeting, context):
        return np.full(len(series), -1, dtype=np.int16)
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
