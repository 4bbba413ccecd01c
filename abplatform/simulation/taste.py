"""What shoppers like about a picture, read from its pixels alone.

A picture is seen at 64 by 64. Nine measurements of it, among them how product and background go
together, pass through a fixed, seeded, non-linear function with one read-out per category. Names
of scenes, renderers and variants never come near this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from abplatform.domain.catalog import Placement
from abplatform.simulation.seeds import stream

__all__ = ["FEATURES", "Picture", "Taste", "Temperament", "look_at"]

Floats = NDArray[np.float64]
Temperament = Literal["atmosphere", "plainness", "closeness", "indifference"]

FEATURES: dict[str, tuple[float, float]] = {
    "warmth": (0.04, 0.16),
    "richness": (0.21, 0.21),
    "brightness": (0.72, 0.21),
    "separation": (0.4, 0.22),
    "clutter": (0.022, 0.011),
    "isolation": (0.89, 0.56),
    "harmony": (0.07, 0.22),
    "grounding": (0.1, 0.12),
    "presence": (0.24, 0.1),
}
"""Measurement to the centre and scale that bring it to about -2 … 2 over advertisements."""

_SIDE = 64
_HIDDEN = 12
_REACH = 0.4
"""The largest effect of a picture on the logarithm of the click rate."""

# What a temperament weighs, by measurement, on top of what everybody likes; the seeded rest of the
# function comes on top of both.
_COMMON = {"harmony": 0.6, "grounding": 0.5, "separation": 0.5}
_LEANINGS: dict[Temperament, dict[str, float]] = {
    "atmosphere": {"warmth": 0.6, "richness": 0.8},
    "plainness": {"brightness": 0.6, "clutter": -0.7, "richness": -0.4},
    "closeness": {"presence": 0.7, "isolation": 0.6},
    "indifference": {},
}
_CYCLE: tuple[Temperament, ...] = (
    "atmosphere",
    "plainness",
    "closeness",
    "indifference",
    "atmosphere",
    "atmosphere",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a shopper sees.

    Args:
        pixels: uint8, shape (height, width, 3).
        placement: Where the product stands in it, in the picture's own pixels.
    """

    pixels: NDArray[np.uint8]
    placement: Placement


def look_at(pictures: Iterable[Picture]) -> Floats:
    """Measure pictures.

    Returns:
        Standardised measurements of shape (pictures, ``len(FEATURES)``), in that order.
    """
    rows = [_measure(picture) for picture in pictures]
    raw = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
    centre, scale = (np.array(column) for column in zip(*FEATURES.values(), strict=True))
    standardised: Floats = np.clip((raw - centre) / scale, -3.0, 3.0)
    return standardised


def _measure(picture: Picture) -> list[float]:
    """Measure one picture: the numbers that ``FEATURES`` names, before standardisation."""
    height, width = picture.pixels.shape[:2]
    small = Image.fromarray(picture.pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    rgb = np.asarray(small, dtype=np.float64) / 255.0
    subject, ring, under, over, outside = _regions(picture.placement, width, height)
    value, low = rgb.max(axis=2), rgb.min(axis=2)
    light = rgb @ np.array([0.299, 0.587, 0.114])
    edges = np.hypot(*np.gradient(light))
    hue = _hue_vectors(rgb, value - low)
    product_hue, scene_hue = hue[subject].mean(), hue[outside].mean()
    strength = np.sqrt(abs(product_hue) * abs(scene_hue))
    turned = np.angle(product_hue) - np.angle(scene_hue)
    return [
        float((rgb[..., 0] - rgb[..., 2])[outside].mean()),
        float(((value - low) / np.maximum(value, 1e-6))[outside].mean()),
        float(light[outside].mean()),
        float(np.linalg.norm(rgb[subject].mean(axis=0) - rgb[ring].mean(axis=0))),
        float(edges[outside].mean()),
        float(np.log((edges[subject].mean() + 0.01) / (edges[outside].mean() + 0.01))),
        float(2.0 * strength * np.cos(2.0 * turned)),
        float(light[over].mean() - light[under].mean()),
        float(subject.mean() * 1.6),
    ]


def _hue_vectors(rgb: Floats, chroma: Floats) -> NDArray[np.complex128]:
    """Hue as a direction in the plane, as long as the colour is strong."""
    red, green, blue = np.moveaxis(rgb, 2, 0)
    across = red - 0.5 * (green + blue) + 1j * (np.sqrt(3.0) / 2.0) * (green - blue)
    length = np.abs(across)
    unit = np.divide(across, length, out=np.zeros_like(across), where=length > 0)
    vectors: NDArray[np.complex128] = unit * chroma
    return vectors


def _regions(placement: Placement, width: int, height: int) -> tuple[NDArray[np.bool_], ...]:
    """Masks at 64 by 64: product, around it, beneath it, above it, everything but its box."""
    across, down = _SIDE / width, _SIDE / height
    half_width = max(placement.width * across / 2.0, 2.0)
    half_height = max(placement.height * down / 2.0, 2.0)
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] + 0.5
    dx = (x - (placement.x + placement.width / 2.0) * across) / half_width
    dy = (y - (placement.y + placement.height / 2.0) * down) / half_height
    box = np.maximum(np.abs(dx), np.abs(dy))
    subject = np.hypot(dx, dy) <= 0.85
    outside = box > 1.0
    ring = outside & (box <= 1.4)
    under = outside & (np.abs(dx) <= 1.2) & (dy > 0) & (dy <= 1.3)
    over = outside & (np.abs(dx) <= 1.2) & (dy < 0) & (dy >= -1.6)
    return tuple(_never_empty(mask, outside) for mask in (subject, ring, under, over, outside))


def _never_empty(mask: NDArray[np.bool_], instead: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A region, or its stand-in where the product fills the picture to the edge."""
    if mask.any():
        return mask
    return instead if instead.any() else np.ones_like(mask)


class Taste:
    """The hidden taste of a market: one fixed function of measurements per category.

    Args:
        seed: The market's seed.
        categories: The market's categories; sorted, they share out the temperaments.
    """

    def __init__(self, seed: int, categories: Sequence[str]) -> None:
        draw = stream(seed, "taste")
        width = len(FEATURES)
        self._mix = draw.normal(0.0, 1.0 / np.sqrt(width), (_HIDDEN, width))
        self._shift = draw.normal(0.0, 0.5, _HIDDEN)
        names = sorted(set(categories))
        kinds = [_CYCLE[index % len(_CYCLE)] for index in range(len(names))]
        draw.shuffle(kinds)
        self.temperaments: dict[str, Temperament] = dict(zip(names, kinds, strict=True))
        self._own = {name: draw.normal(0.0, 0.25, _HIDDEN) for name in names}

    def appeal(self, category: str, measurements: Floats) -> Floats:
        """Return how a picture moves the logarithm of the click rate, within ± 0.4.

        Args:
            category: Whose shoppers look.
            measurements: Shape (pictures, features), from :func:`look_at`.
        """
        temperament = self.temperaments[category]
        if temperament == "indifference":
            return np.zeros(len(measurements))
        common, leaning = (
            np.tanh(measurements @ np.array([weights.get(name, 0.0) for name in FEATURES]))
            for weights in (_COMMON, _LEANINGS[temperament])
        )
        hidden = np.tanh(measurements @ self._mix.T + self._shift)
        score: Floats = 0.6 * common + 0.7 * leaning + hidden @ self._own[category]
        return _REACH * np.tanh(0.7 * score)
