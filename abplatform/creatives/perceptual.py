"""How alike two pictures look: 64 bits of a picture's coarse light and shade.

The picture is reduced to 32 x 32 values of luma; of their two-dimensional cosine transform the 64
lowest frequencies in both directions are compared with their median (Zauner, Implementation and
Benchmarking of Perceptual Image Hash Functions, 2010). Unlike Zauner's there is no blur before:
reducing averages already.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

__all__ = ["NEAR_BITS", "differing_bits", "is_near", "perceptual_hash"]

_SIDE: Final = 32
_KEPT: Final = 8

NEAR_BITS: Final = 8
"""Up to so many differing bits two pictures of one product count as the same.

Measured on 520 pictures of 40 drawn products: of 1,560 copies that were compressed, resized,
cropped, shifted, lightened, darkened or noised, 0.5 % differ by more; of 2,080 pairs of pictures
of one product in different scenes, 0.7 % differ by so little (at 6 bits 2.1 % and 0.3 %, at 10
bits 0.2 % and 1.2 %), of 880 pairs of a baseline and a scene none. Between products it says
nothing: the baselines of one category are like each other in a quarter of the pairs.
"""


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return how a picture looks, as 16 hex digits.

    Args:
        pixels: uint8, height x width x 3, of any size.
    """
    from scipy.fft import dctn

    luma = Image.fromarray(pixels).convert("L")
    small = luma.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    waves = dctn(np.asarray(small, dtype=np.float64), norm="ortho")
    low = waves[1 : _KEPT + 1, 1 : _KEPT + 1].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def differing_bits(first: str, second: str) -> int:
    """Return in how many of 64 bits two hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def is_near(first: str, second: str) -> bool:
    """Tell whether two pictures of one product count as the same."""
    return differing_bits(first, second) <= NEAR_BITS
