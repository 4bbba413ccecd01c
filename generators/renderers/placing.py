"""Where a product stands in a picture, and the one way in which it is laid over a background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, Plane, to_bytes
from generators.intake import ReadyProduct
from generators.scene import Scene

__all__ = ["Rendered", "Renderer", "compose", "fit"]

LARGEST_ENLARGEMENT = 2.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """One creative's pixels.

    Args:
        pixels: uint8, height x width x 3: the master.
        cutout: uint8, height x width x 4: the resampled cut-out. Where its alpha is 255 the
            master has exactly its pixels.
        placement: Where the cut-out sits in the master.
    """

    pixels: Pixels
    cutout: Pixels
    placement: Placement


class Renderer(Protocol):
    """Draws one creative; the same arguments always give the same pixels."""

    def __call__(
        self, product: ReadyProduct, scene: Scene | None, *, seed: int, size: int = 512
    ) -> Rendered:
        """Draw a product in a scene, ``size`` x ``size`` pixels."""


def fit(
    cutout: Pixels, *, box: tuple[float, float], centre: float, base: float, size: int
) -> tuple[Pixels, Placement]:
    """Resample a cut-out into a box that stands on a line.

    Args:
        cutout: uint8 RGBA of any size.
        box: Largest width and height as shares of the picture.
        centre: x of the box's middle as a share of the picture.
        base: y of the product's lowest point as a share of the picture.
        size: Width and height of the picture in pixels.

    Returns:
        The resampled cut-out and its placement, wholly inside the picture.
    """
    height, width = cutout.shape[:2]
    scale = min(box[0] * size / width, box[1] * size / height, LARGEST_ENLARGEMENT * size / 512)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    # Pillow weighs colours by alpha while it resamples, so no colour bleeds in from outside
    image = Image.fromarray(cutout).resize((new_width, new_height), Image.Resampling.LANCZOS)
    pixels = np.array(image)
    alpha = pixels[..., 3]
    alpha[alpha >= 250] = 255
    alpha[alpha <= 4] = 0
    x = min(max(round(centre * size - new_width / 2), 0), size - new_width)
    y = min(max(round(base * size - new_height), 0), size - new_height)
    return pixels, Placement(x, y, new_width, new_height)


def compose(background: Plane, cutout: Pixels, placement: Placement) -> Rendered:
    """Lay a cut-out over a finished background; nothing may touch the pixels afterwards.

    Args:
        background: Height x width x 3, 0 … 1.
        cutout: uint8 RGBA, of the placement's size.
        placement: Where it goes.
    """
    pixels = to_bytes(background)
    rows = slice(placement.y, placement.y + placement.height)
    columns = slice(placement.x, placement.x + placement.width)
    alpha = cutout[..., 3:].astype(np.float32) / 255.0
    below = background[rows, columns] * 255.0
    mixed = below + (cutout[..., :3] - below) * alpha
    solid = cutout[..., 3:] == 255
    pixels[rows, columns] = np.where(
        solid, cutout[..., :3], np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    )
    return Rendered(pixels, cutout, placement)
