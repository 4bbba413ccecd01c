"""Unit → Variant by salted hash: for one unit and for many, always the same answer.

``h = xxh3_64(utf8(unit_id), seed = xxh3_64(utf8(salt)))``; the bucket is the high 32 bits of h.
Salts are ``holdout:global``, ``layer:<name>``, ``ramp:<key>`` and ``experiment:<key>``, so that
these four choices are independent of each other and of every other experiment's. A variant owns
ranges of buckets; ramp and holdout take the low end, so that a unit that is in stays in.
"""

from abplatform.domain.assignment.explain import Step, explain
from abplatform.domain.assignment.hashing import (
    BUCKETS,
    SLICES,
    bucket,
    buckets,
    unit_hash,
    unit_slice,
    unit_slices,
)
from abplatform.domain.assignment.many import assign_many
from abplatform.domain.assignment.one import Assignment, Reason, assign
from abplatform.domain.assignment.plan import HOLDOUT_SALT, AssignmentPlan
from abplatform.domain.assignment.ranges import bucket_ranges, reweighted_ranges, share_range

__all__ = [
    "BUCKETS",
    "HOLDOUT_SALT",
    "SLICES",
    "Assignment",
    "AssignmentPlan",
    "Reason",
    "Step",
    "assign",
    "assign_many",
    "bucket",
    "bucket_ranges",
    "buckets",
    "explain",
    "reweighted_ranges",
    "share_range",
    "unit_hash",
    "unit_slice",
    "unit_slices",
]
