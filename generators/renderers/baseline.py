"""The plain studio that every product has: a soft light sweep and a contact shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.arrays import Plane, ramp
from generators.intake import ReadyProduct
from generators.renderers.placing import (
    NO_CHECKPOINTS,
    SQUARE,
    Rendered,
    Renderer,
    Size,
    compose,
    fit,
    open_window,
)
from generators.renderers.shadows import contact_shadow, darken
from generators.scene import Scene

__all__ = ["Baseline"]

_BASE = 0.84
_SHADE = np.array([0.42, 0.42, 0.44], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Baseline(Renderer):
    """Draws a product alone on a light sweep, whatever scene is asked for."""

    name = "baseline/1"
    checkpoints = NO_CHECKPOINTS
    batch = 1

    def render(
        self, product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: Size = SQUARE
    ) -> Rendered:
        """Draw a product in the plain studio.

        Args:
            product: The cut-out to show; its pixels are kept.
            scene: Not read: a baseline is always the same plain studio.
            seed: Draws the dither that keeps the sweep free of bands.
            size: Width and height in pixels.
        """
        window = open_window(size, base=_BASE)
        side = window.side
        box = window.room(0.72, 0.70, above=_BASE)
        cutout, placement = fit(product.cutout, box=box, centre=0.5, base=_BASE, size=side)
        background = _sweep(side, np.random.default_rng([seed, side]))
        shadow = contact_shadow(cutout, placement, side, softness=0.8)
        background = darken(background, shadow, _SHADE, 0.75)
        return compose(window.cut(background), cutout, window.see(placement))


def _sweep(size: int, rng: np.random.Generator) -> Plane:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    glow = np.exp(-(((x - 0.5) / 0.62) ** 2 + ((y - 0.42) / 0.6) ** 2))
    floor = ramp(0.66, 0.98, y)
    grey = 0.868 + 0.085 * glow + 0.012 * floor - 0.028 * np.exp(-(((y - 0.7) / 0.06) ** 2))
    dither = rng.uniform(-0.5, 0.5, (size, size)).astype(np.float32) * (1.6 / 255.0)
    tint = np.array([0.995, 0.998, 1.0], np.float32)
    return np.asarray(np.clip(grey + dither, 0, 1)[..., None] * tint)
