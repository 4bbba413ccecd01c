"""The colours of everything in a scene that has no colour of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generators.arrays import Plane
from generators.paint import Colour, colour

__all__ = ["PALETTES", "Palette", "tone"]


class Palette(NamedTuple):
    """Four colours that go together, sRGB 0 ... 1."""

    wall: Colour
    floor: Colour
    accent: Colour
    deep: Colour


_CODES = {
    "cream": "f4ead9 efe1c9 d9a878 8a6a4c",
    "blush": "f6d9d3 f3cbc4 d98c8c 8e4b55",
    "sage": "c8d4bd b6c6a9 7f9a74 3f5941",
    "sky blue": "c3dff4 abd0ed 5f9fd6 2a527f",
    "lilac": "dccff1 ccbde8 9a80cc 534079",
    "terracotta": "d98e6c cf7d58 f0c6a3 7e3b26",
    "lemon": "f9e794 f6dc70 f2a93b a86e14",
    "mint": "c8ecdb b0e0ca 5fb997 24715a",
    "coral": "f9a390 f58d77 fcd3b8 b0443a",
    "sand": "e5d0ad d8bd92 b88a55 75542f",
    "ink": "3a4d7c 2c3c62 cfa25c 131b33",
    "graphite": "54565d 404248 c7a26a 17181b",
    "emerald": "2f8269 246b55 d8b36a 0e3a2e",
    "burgundy": "86334a 70273d e0a58a 3a0f1d",
    "white": "f7f6f3 f0efeb cfc6b8 9a948a",
}

PALETTES: dict[str, Palette] = {
    name: Palette(*(colour(code) for code in codes.split())) for name, codes in _CODES.items()
}


def tone(paint: Colour) -> Plane:
    """A colour as an array that broadcasts over pixels."""
    return np.asarray(paint, dtype=np.float32)
