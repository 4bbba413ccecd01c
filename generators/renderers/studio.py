"""The studio: an untouched product in a scene made of surface, backdrop, light and props."""

from __future__ import annotations

import numpy as np

from generators.arrays import blend, ramp
from generators.intake import ReadyProduct
from generators.renderers.placing import Rendered, compose, fit
from generators.renderers.shadows import cast_shadow, contact_shadow, darken, reflect
from generators.scene import Scene

__all__ = ["NAME", "render"]

NAME = "studio/1"

_COLOURS = {
    "cream": "f3e6d0",
    "blush": "f4cfc9",
    "sage": "b9c9b0",
    "sky blue": "b5d6ef",
    "lilac": "cfc0e8",
    "terracotta": "c9714f",
    "lemon": "f6df7a",
    "mint": "bfe6d2",
    "coral": "f68f76",
    "sand": "d9bd93",
    "ink": "2b3a5e",
    "graphite": "3b3d42",
    "emerald": "1f6a55",
    "burgundy": "6e2338",
    "white": "f4f4f2",
}


def render(
    product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: int = 512
) -> Rendered:
    """Draw a product in a scene."""
    scene = scene or Scene()
    rng = np.random.default_rng([seed, 7])
    cutout, placement = fit(product.cutout, box=(0.62, 0.62), centre=0.5, base=0.82, size=size)
    wall = np.array(
        [int(_COLOURS[scene.palette][i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32
    )
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    side = -1.0 if "right" in scene.light else 1.0
    light = 1.08 - 0.35 * np.hypot(x - (0.5 - 0.3 * side), y - 0.25)
    picture = wall * light[..., None]
    floor = np.clip(wall * 1.08, 0, 1) * (1.0 - 0.1 * (y - 0.62))[..., None]
    picture = blend(picture, floor, ramp(0.6, 0.64, y))
    picture = np.clip(picture + rng.normal(0, 0.004, (size, size, 1)).astype(np.float32), 0, 1)
    shadow = cast_shadow(cutout, placement, size, direction=0.9 * side, length=0.35, softness=0.6)
    picture = darken(picture, shadow, np.array([0.4, 0.38, 0.42], np.float32), 0.5)
    picture = reflect(picture, cutout, placement, strength=0.1, blur=2.0)
    picture = darken(
        picture,
        contact_shadow(cutout, placement, size, softness=0.5),
        np.array([0.2, 0.2, 0.22], np.float32),
        0.8,
    )
    return compose(picture, cutout, placement)
