"""Hand features: what can be counted in a picture or a headline without learning anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reward.dataset import Item

__all__ = ["picture_looks", "text_looks"]

Floats = NDArray[np.float64]

_MARKS = "?!.,:'\""
_LITTLE = re.split(
    " ", "this these you your i he she we they what why how who here watch just never"
)
_WORD = re.compile(r"[\w']+")


def text_looks(items: Sequence[Item]) -> Floats:
    """Return length, punctuation and little words of M ad texts, M x 28."""
    return np.array([_text(item.text) for item in items], dtype=np.float64).reshape(len(items), -1)


def picture_looks(pictures: NDArray[np.uint8]) -> Floats:
    """Return light, colour, contrast, edges and where they are, M x 18.

    Args:
        pictures: M x H x W x 3.
    """
    return np.array([_picture(one / 255.0) for one in pictures]).reshape(len(pictures), -1)


def _text(text: str) -> list[float]:
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words)) / max(1, len(words))
    capitals = sum(letter.isupper() for letter in text) / max(1, len(text))
    digits = sum(letter.isdigit() for letter in text)
    marks = [text.count(mark) for mark in _MARKS]
    return [
        len(text),
        len(words),
        letters,
        capitals,
        digits,
        *marks,
        *(w in words for w in _LITTLE),
    ]


def _picture(pixels: Floats) -> list[float]:
    """Colourfulness is that of Hasler & Süsstrunk (2003); the middle, a quarter of the area."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    one, two = red - green, (red + green) / 2 - blue
    colourful = np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean())
    saturation = pixels.max(-1) - pixels.min(-1)
    edges = np.abs(np.diff(light, axis=0))[:, :-1] + np.abs(np.diff(light, axis=1))[:-1]
    height, width = light.shape
    middle = (slice(height // 4, -(height // 4)), slice(width // 4, -(width // 4)))
    ring = np.ones_like(light, dtype=np.bool_)
    ring[middle] = False
    shares = np.histogram(light, bins=16, range=(0, 1))[0] / light.size
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    mirrored = np.abs(light - light[:, ::-1]).mean()
    around = [channel[ring].mean() for channel in (red, green, blue)]
    inside = [channel[middle].mean() for channel in (red, green, blue)]
    distance = float(np.linalg.norm(np.subtract(inside, around)))
    low, high = np.quantile(light, [0.05, 0.95])
    told = [light.mean(), light.std(), *around, *inside, distance, colourful, saturation.mean()]
    told += [saturation[ring].mean(), edges.mean(), edges[middle].mean(), light[ring].std()]
    return [float(value) for value in (*told, entropy, mirrored, high - low)]
