"""Where a product stands in a picture, and the one way in which it is laid over a background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol, TypeAlias

import numpy as np
from PIL import Image
from scipy import ndimage

from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, Plane, ramp, to_bytes
from generators.intake import ReadyProduct
from generators.scene import Scene

__all__ = [
    "NO_CHECKPOINTS",
    "SQUARE",
    "Order",
    "Rendered",
    "Renderer",
    "Size",
    "Window",
    "compose",
    "fit",
    "open_window",
]

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""

SQUARE: Size = (512, 512)

NO_CHECKPOINTS: Mapping[str, str] = MappingProxyType({})
"""Of a renderer in which no model takes part."""

LARGEST_ENLARGEMENT = 2.0
_ENLARGED = 1.2
"""Scale from which a cut-out's outline is smoothed before it is enlarged."""
_SOLID = 250
"""Alpha from which a pixel counts as opaque."""
_RIM = 2.3
"""Width of the rim, in pixels of the photograph."""


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


@dataclass(frozen=True, slots=True)
class Order:
    """One picture that is asked for.

    Args:
        product: The cut-out to show.
        scene: What to draw around it; None leaves it to the renderer.
        seed: Every random choice comes from it.
        size: Width and height in pixels.
    """

    product: ReadyProduct
    scene: Scene | None
    seed: int
    size: Size = SQUARE


class Renderer(Protocol):
    """Draws creatives; the same arguments always give the same pixels. Can be pickled."""

    @property
    def name(self) -> str:
        """Name and version, as the lineage keeps it: ``studio/2``."""

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """Role to sha256 of the models that take part."""

    @property
    def batch(self) -> int:
        """How many pictures are best drawn together; 1: one by one, in several processes."""

    def render(
        self, product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: Size = SQUARE
    ) -> Rendered:
        """Draw a product in a scene."""

    def render_many(self, orders: Sequence[Order]) -> list[Rendered]:
        """Draw several pictures, each as :meth:`render` would draw it alone."""
        return [
            self.render(order.product, order.scene, seed=order.seed, size=order.size)
            for order in orders
        ]


@dataclass(frozen=True, slots=True)
class Window:
    """What a picture shows of the square that is drawn; the whole of it for square pictures.

    Scenes are drawn as squares whose side is the picture's longer one. A picture of another shape
    is a window onto that square, so one scene and seed look alike at every size.

    Args:
        side: Of the square, in pixels.
        x: The window's left edge in the square.
        y: Its top edge.
        size: Its width and height.
    """

    side: int
    x: int
    y: int
    size: Size

    def room(self, width: float, height: float, *, above: float) -> tuple[float, float]:
        """Return the largest box for a product, as shares of the square.

        Args:
            width: What it may take of a square picture's width.
            height: What it may take of its height.
            above: What there is of the picture above the line on which it stands.
        """
        across, down = self.size[0] / self.side, self.size[1] / self.side
        return min(width, (1 - 2 * _MARGIN) * across), min(height, (above - _MARGIN) * down)

    def cut(self, picture: Plane) -> Plane:
        """Return the part of the square that is seen."""
        return picture[self.y : self.y + self.size[1], self.x : self.x + self.size[0]]

    def see(self, placement: Placement) -> Placement:
        """Return where something in the square is in the picture."""
        return replace(placement, x=placement.x - self.x, y=placement.y - self.y)


_MARGIN = 0.10
"""What a picture that is no square keeps free around its product."""


def open_window(size: Size, *, base: float = 0.5) -> Window:
    """Open a window in which a line keeps its relative height.

    Args:
        size: The picture's width and height.
        base: The line, such as the one on which the product stands, as a share of the height.
    """
    width, height = size
    side = max(size)
    return Window(side, (side - width) // 2, round(base * (side - height)), size)


def fit(
    cutout: Pixels,
    *,
    box: tuple[float, float],
    centre: float,
    base: float,
    size: int,
    clean: bool = False,
) -> tuple[Pixels, Placement]:
    """Resample a cut-out into a box that stands on a line.

    Args:
        cutout: uint8 RGBA of any size.
        box: Largest width and height as shares of the picture.
        centre: x of the box's middle as a share of the picture.
        base: y of the product's lowest point as a share of the picture.
        size: Width and height of the picture in pixels.
        clean: Rid the rim of a cut-out that is enlarged of its old background; on the
            baseline's light sweep it does not show.

    Returns:
        The resampled cut-out and its placement, wholly inside the picture.
    """
    height, width = cutout.shape[:2]
    scale = min(box[0] * size / width, box[1] * size / height, LARGEST_ENLARGEMENT * size / 512)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    if clean and scale > _ENLARGED:
        cutout = _clean_edge(cutout)
    # Pillow weighs colours by alpha while it resamples, so no colour bleeds in from outside
    image = Image.fromarray(cutout).resize((new_width, new_height), Image.Resampling.LANCZOS)
    pixels = np.array(image)
    alpha = pixels[..., 3]
    alpha[alpha >= _SOLID] = 255
    alpha[alpha <= 4] = 0
    x = min(max(round(centre * size - new_width / 2), 0), size - new_width)
    y = min(max(round(base * size - new_height), 0), size - new_height)
    return pixels, Placement(x, y, new_width, new_height)


def _clean_edge(cutout: Pixels) -> Pixels:
    """Smooth the outline of a small cut-out, and rid its rim of the old background's colour.

    Enlarged, the steps of its outline and a rim one pixel wide would be plain to see. Only the rim
    changes: its colours come from the nearest pixel inside, up to two pixels away.
    """
    padded = np.pad(cutout, ((2, 2), (2, 2), (0, 0)))
    alpha = padded[..., 3]
    inside = ndimage.binary_erosion(alpha >= _SOLID, np.ones((3, 3), dtype=bool))
    if not inside.any():
        return cutout
    far, nearest = ndimage.distance_transform_edt(~inside, return_indices=True)
    rim = (far > 0) & (far <= _RIM)
    result = padded.copy()
    result[rim, :3] = padded[nearest[0][rim], nearest[1][rim], :3]
    soft = ndimage.gaussian_filter(alpha.astype(np.float32) / 255.0, 0.8)
    result[..., 3] = to_bytes(np.where(far > 0, ramp(0.35, 0.95, soft), soft > 0))
    return np.asarray(result[2:-2, 2:-2])


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
