"""The hash: a unit and a salt → 64 bits, a bucket, a slice.

One unit is hashed with xxhash, many with polars-hash (imported only then); numpy likewise. The
hash is XXH3 (Y. Collet, xxHash specification 0.1, 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

__all__ = [
    "BUCKETS",
    "SLICES",
    "bucket",
    "buckets",
    "salt_seed",
    "unit_hash",
    "unit_hashes",
    "unit_slice",
    "unit_slices",
]

BUCKETS = 2**32
"""How many buckets there are."""

SLICES = 4096
"""How many slices the loader spreads units over, so that analysis never hashes."""

SLICE_SALT = "slice"


@lru_cache(maxsize=4096)
def salt_seed(salt: str) -> int:
    """Return the seed that a salt stands for: its own hash at seed 0."""
    return xxhash.xxh3_64_intdigest(salt.encode())


def unit_hash(unit_id: str, salt: str) -> int:
    """Hash one unit to 64 bits.

    Raises:
        ValueError: The id holds a lone surrogate, so it has no UTF-8 form.
    """
    return xxhash.xxh3_64_intdigest(unit_id.encode(), salt_seed(salt))


def bucket(unit_id: str, salt: str) -> int:
    """Return one unit's bucket, 0 … 2³²-1; ValueError as for :func:`unit_hash`."""
    return unit_hash(unit_id, salt) >> 32


def unit_slice(unit_id: str) -> int:
    """Return one unit's slice, 0 … 4095; ValueError as for :func:`unit_hash`."""
    return unit_hash(unit_id, SLICE_SALT) % SLICES


def unit_hashes(unit_ids: Sequence[str] | pl.Series, salt: str) -> npt.NDArray[np.uint64]:
    """Return many units' 64-bit hashes, shape (n,); ValueError as for :func:`buckets`."""
    import polars as pl
    import polars_hash  # noqa: F401 -- importing it registers Series.nchash

    series = unit_ids if isinstance(unit_ids, pl.Series) else pl.Series(unit_ids, dtype=pl.String)
    if series.null_count():
        message = f"{series.null_count()} of {len(series)} unit ids are null"
        raise ValueError(message)
    column = series.cast(pl.String).alias("unit_id").to_frame()
    # The namespace is registered at run time, so its type is unknown.
    hashed = column.select(pl.col("unit_id").nchash.xxh3_64(seed=salt_seed(salt)))  # type: ignore[attr-defined]
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
    words = unit_hashes(unit_ids, salt).astype("<u8", copy=False).view("<u4")
    return words[1::2].astype(np.uint32)


def unit_slices(unit_ids: Sequence[str] | pl.Series) -> npt.NDArray[np.uint16]:
    """Return many units' slices, shape (n,); ValueError as for :func:`buckets`."""
    import numpy as np

    return (unit_hashes(unit_ids, SLICE_SALT) % np.uint64(SLICES)).astype(np.uint16)
