"""The small pictures that the prompt model learns from: products alone and products in scenes."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from generators.arrays import Pixels
from generators.families import FAMILIES, draw_scene
from generators.intake import ReadyProduct
from generators.renderers.studio import Studio
from generators.scene import Scene

__all__ = ["SIDE", "SceneShelf", "draw_scenes", "recolour", "show_product"]

SIDE = 64
"""Width and height in pixels of what the embedded model sees."""

_FINER = 2
"""Scenes are drawn so many times larger and then averaged, as a camera does."""


@dataclass(frozen=True, slots=True)
class SceneShelf:
    """Pictures of scenes, drawn once and looked at many times.

    Args:
        pictures: uint8, N x SIDE x SIDE x 3.
        scenes: What each shows.
        families: The family that each was drawn from.
        products: Index of the product in each.
    """

    pictures: Pixels
    scenes: tuple[Scene, ...]
    families: tuple[str, ...]
    products: tuple[int, ...]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.scenes)


def draw_scenes(
    products: Sequence[ReadyProduct],
    count: int,
    *,
    families: Sequence[str],
    seed: int,
    advance: Callable[[int, int], None] | None = None,
) -> SceneShelf:
    """Draw products in scenes, the families by turns.

    Args:
        products: What may stand in them.
        count: How many pictures.
        families: Names of scene families.
        seed: Every random choice comes from it.
        advance: Told how many are done, and of how many.
    """
    pictures = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    scenes, shown = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(FAMILIES[families[number % len(families)]], rng)
        index = int(rng.integers(len(products)))
        size = (_FINER * SIDE, _FINER * SIDE)
        rendered = Studio().render(
            products[index], scene, seed=int(rng.integers(1 << 31)), size=size
        )
        pictures[number] = np.asarray(Image.fromarray(rendered.pixels).reduce(_FINER))
        scenes.append(scene)
        shown.append(index)
        if advance is not None:
            advance(number + 1, count)
    names = tuple(families[number % len(families)] for number in range(count))
    return SceneShelf(pictures, tuple(scenes), names, tuple(shown))


def recolour(cutout: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn a product's hues, and its saturation and lightness a little; greys stay grey.

    Args:
        cutout: uint8 RGBA.
        rng: Draws the turn.
    """
    turn, fullness = float(rng.uniform(0, 1)), float(rng.uniform(0.5, 1.4))
    brightness = float(rng.uniform(0.75, 1.15))
    hsv = np.asarray(Image.fromarray(cutout[..., :3]).convert("HSV")).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + round(turn * 255)) % 256
    hsv[..., 1] = np.clip(hsv[..., 1] * fullness, 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * brightness, 0, 255)
    rgb = Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")
    return np.dstack([np.asarray(rgb), cutout[..., 3]])


def show_product(
    cutout: Pixels, rng: np.random.Generator | None = None, *, side: int = SIDE
) -> Pixels:
    """Lay a product on plain paper, as the model sees a product that is to be advertised.

    Args:
        cutout: uint8 RGBA.
        rng: Varies place, size, direction and paper; without it the product is in the middle on
            white.
        side: Width and height of the picture.

    Returns:
        uint8, side x side x 3.
    """
    share, paper, shift, flipped = 0.86, (255, 255, 255), (0.0, 0.0), False
    if rng is not None:
        share = float(rng.uniform(0.55, 0.95))
        flipped = bool(rng.random() < 0.5)
        room = (1 - share) / 2
        shift = (float(rng.uniform(-room, room)), float(rng.uniform(-room, room)))
        if rng.random() < 0.4:
            tint = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.7, 1))
            paper = (round(255 * tint[0]), round(255 * tint[1]), round(255 * tint[2]))
    image = Image.fromarray(cutout[:, ::-1] if flipped else cutout)
    scale = share * side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    sheet = Image.new("RGBA", (side, side), (*paper, 255))
    corner = [
        round((side - part) / 2 + side * move) for part, move in zip(size, shift, strict=True)
    ]
    sheet.alpha_composite(small, (max(corner[0], 0), max(corner[1], 0)))
    return np.asarray(sheet.convert("RGB"))
