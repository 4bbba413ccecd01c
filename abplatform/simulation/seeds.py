"""Independent random streams, each named by what it is for."""

from __future__ import annotations

import numpy as np
import xxhash

__all__ = ["stream"]


def stream(seed: int, *labels: str) -> np.random.Generator:
    """Return the generator that belongs to a seed and a purpose.

    Streams of different labels are independent, so that a change in one part of the market
    leaves every other part as it was.

    Args:
        seed: The market's seed.
        labels: What the numbers are for.
    """
    return np.random.default_rng(
        [seed, *(xxhash.xxh3_64_intdigest(label.encode()) for label in labels)]
    )
