"""What every part of a scene needs to know of the whole: size, camera, light, colours, chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.arrays import Plane
from generators.renderers.palettes import PALETTES, Palette
from generators.scene import Scene

__all__ = ["BLUR", "LIGHTS", "Light", "Stage", "set_stage"]

BLUR = {"deep": 0.0015, "medium": 0.007, "shallow": 0.016}
"""Depth of field to the blur of what is far behind, as a share of the picture."""


@dataclass(frozen=True, slots=True)
class Light:
    """Where the light comes from and what it is like.

    Args:
        side: -1 from the left, 1 from the right, 0 from above.
        softness: 0 (sun) ... 1 (overcast).
        tint: Colour of the light.
        ambient: Brightness far from the light, 0 ... 1.
        shadow: How dark cast shadows are, 0 ... 1.
        length: How long they are, as a share of the product's height.
        pattern: What stands in its way: ``window``, ``leaves`` or nothing.
    """

    side: float
    softness: float
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ambient: float = 0.82
    shadow: float = 0.42
    length: float = 0.32
    pattern: str = ""


_GOLD = (1.07, 1.0, 0.88)
LIGHTS = {
    "soft left": Light(-1, 0.85),
    "soft right": Light(1, 0.85),
    "golden left": Light(-1, 0.35, _GOLD, 0.74, 0.52, 0.55),
    "golden right": Light(1, 0.35, _GOLD, 0.74, 0.52, 0.55),
    "window left": Light(-1, 0.30, (1.03, 1.0, 0.95), 0.76, 0.50, 0.45, "window"),
    "window right": Light(1, 0.30, (1.03, 1.0, 0.95), 0.76, 0.50, 0.45, "window"),
    "leaf shade": Light(-1, 0.35, (1.04, 1.01, 0.94), 0.80, 0.50, 0.45, "leaves"),
    "spot": Light(0, 0.55, (1.02, 1.0, 0.97), 0.42, 0.50, 0.18),
    "neon": Light(-1, 0.6, (0.96, 0.95, 1.06), 0.60, 0.45, 0.30),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One scene being drawn.

    Args:
        scene: Its words.
        size: Width and height in pixels.
        horizon: Where the surface ends, as a share of the height; 0 when seen from above.
        base: Where the product stands.
        light: Its light.
        palette: Its colours.
        variety: A small number that picks among ready textures.
    """

    scene: Scene
    size: int
    horizon: float
    base: float
    light: Light
    palette: Palette
    variety: int

    @property
    def overhead(self) -> bool:
        """Whether the camera looks straight down."""
        return self.scene.backdrop == "overhead"

    @property
    def blur(self) -> float:
        """Blur of what is far behind, in pixels."""
        return BLUR[self.scene.depth] * self.size

    def grid(self) -> tuple[Plane, Plane]:
        """X and y of every pixel's middle as shares of the picture; each broadcasts."""
        line = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        return line[None, :], line[:, None]


def set_stage(scene: Scene, *, size: int, rng: np.random.Generator) -> Stage:
    """Choose camera and textures for a scene."""
    raised = scene.props in {"podium", "steps"}
    horizon = 0.0 if scene.backdrop == "overhead" else float(rng.uniform(0.60, 0.66))
    base = float(rng.uniform(0.70, 0.73) if raised else rng.uniform(0.82, 0.85))
    if scene.backdrop == "overhead":
        base = 0.82
    return Stage(
        scene,
        size,
        horizon,
        base,
        LIGHTS[scene.light],
        PALETTES[scene.palette],
        int(rng.integers(4)),
    )
