"""How alike two pictures look: 64 bits of a picture's coarse light and shade.

The picture is reduced to 32 x 32 values of luma; of their two-dimensional cosine transform the 64
lowest frequencies without the constant are compared with their median (Zauner, Implementation and
Benchmarking of Perceptual Image Hash Functions, 2010). Another size, compression, brightness or a
little noise flips few of these bits; another scene flips about half of them.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["NEAR_BITS", "count_differing_bits", "perceptual_hash"]

_SIDE = 32
_KEPT = 8

NEAR_BITS = 8
"""Up to so many differing bits two pictures of one product count as the same."""


def perceptual_hash(pixels: np.ndarray) -> int:
    """Return the 64 bits of a picture, as a number from 0 to 2⁶⁴ - 1.

    Args:
        pixels: uint8, height x width x 3, of any size.
    """
    from scipy.fft import dctn

    luma = Image.fromarray(pixels).convert("L")
    small = luma.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    waves = dctn(np.asarray(small, dtype=np.float64), norm="ortho")
    # Left of the first column and above the first row there is nothing but the constant.
    low = waves[: _KEPT + 1, : _KEPT + 1].ravel()[1 : _KEPT * _KEPT + 1]
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def count_differing_bits(first: int, second: int) -> int:
    """Return in how many of 64 bits two hashes differ."""
    return (first ^ second).bit_count()
