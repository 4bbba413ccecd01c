"""The colour of a product in one word, from its pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generators.arrays import Pixels, rgb_to_lab

__all__ = ["COLOURS", "name_colour"]

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (28, 28, 30),
    "white": (240, 240, 238),
    "grey": (140, 140, 142),
    "red": (196, 36, 44),
    "orange": (240, 130, 40),
    "yellow": (242, 208, 60),
    "green": (60, 140, 70),
    "teal": (40, 140, 140),
    "blue": (50, 100, 190),
    "navy": (32, 44, 90),
    "purple": (120, 66, 150),
    "pink": (236, 140, 170),
    "brown": (110, 72, 46),
    "beige": (222, 200, 168),
}
"""Basic colour terms and two that shops use much, each by one sRGB example."""

_SIDE = 48
_LIGHTNESS = 0.6
"""Lightness counts less than hue and chroma: shade and shine change it most."""


def name_colour(cutout: Pixels) -> str:
    """Return the basic colour that most of a product has.

    Every opaque pixel votes for the example that is nearest in CIE L*a*b*; colourful pixels have
    more votes, because print and shadow are mostly grey.

    Args:
        cutout: uint8 RGBA.
    """
    image = Image.fromarray(cutout)
    image.thumbnail((_SIDE, _SIDE))
    small = np.asarray(image)
    solid = small[small[..., 3] >= 128][:, :3]
    if not len(solid):
        return "grey"
    lab = rgb_to_lab(solid[None])[0]
    weights = 1.0 + np.hypot(lab[:, 1], lab[:, 2]) / 20.0
    scale = np.array([_LIGHTNESS, 1.0, 1.0], np.float32)
    near = np.linalg.norm((lab[:, None] - _EXAMPLES[None]) * scale, axis=2).argmin(axis=1)
    votes = np.bincount(near, weights=weights, minlength=len(COLOURS))
    return tuple(COLOURS)[int(votes.argmax())]


_EXAMPLES = rgb_to_lab(np.array([list(COLOURS.values())], dtype=np.uint8))[0]
