"""Light over a whole scene: its fall-off, the patterns it throws, and the final grade."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from generators.arrays import Plane, blur, ramp, resize
from generators.renderers.palettes import tone
from generators.renderers.stage import Stage

__all__ = ["grade", "light_field"]


def light_field(stage: Stage, rng: np.random.Generator) -> Plane:
    """How much light reaches every pixel of the background.

    Args:
        stage: The scene.
        rng: Places the pattern.

    Returns:
        size x size x 3, around 1.
    """
    x, y = stage.grid()
    light = stage.light
    if light.side == 0:
        pool = np.exp(-(((x - 0.5) / 0.36) ** 2 + ((y - 0.50) / 0.42) ** 2))
        field = light.ambient + (1.12 - light.ambient) * pool
    else:
        far = np.hypot((x - (0.5 + 0.42 * light.side)) * 0.9, (y - 0.18) * 0.75)
        field = light.ambient + (1.14 - light.ambient) * np.exp(-((far / 0.62) ** 2))
    if light.pattern:
        field = field * _PATTERNS[light.pattern](stage, rng)
    return np.asarray(field[..., None] * tone(light.tint), dtype=np.float32)


def _blank(stage: Stage) -> tuple[Image.Image, int]:
    side = stage.size // 2
    return Image.new("L", (side, side)), side


def _finish(stage: Stage, sheet: Image.Image, spread: float) -> Plane:
    mask = np.asarray(sheet, dtype=np.float32) / 255.0
    return resize(blur(mask, spread * mask.shape[0]), stage.size, stage.size)


def _window_pattern(stage: Stage, rng: np.random.Generator) -> Plane:
    """Panes of sunlight, leaning with the light; brighter inside, darker outside."""
    sheet, side = _blank(stage)
    pen = ImageDraw.Draw(sheet)
    lean = -0.55 * (stage.light.side or 1.0)
    left = float(rng.uniform(0.02, 0.20)) if stage.light.side < 0 else float(rng.uniform(0.3, 0.45))
    width, tall, gap = 0.235, 0.36, 0.03
    for column in range(2):
        for row in range(2):
            x, y = left + column * (width + gap), 0.06 + row * (tall + gap)
            corners = [(x, y), (x + width, y), (x + width, y + tall), (x, y + tall)]
            pen.polygon(
                [
                    ((px + lean * (py - 0.4) * 0.5) * side, (py + 0.16 * (px - x)) * side)
                    for px, py in corners
                ],
                fill=255,
            )
    return 0.84 + 0.30 * _finish(stage, sheet, 0.009)


def _leaf_pattern(stage: Stage, rng: np.random.Generator) -> Plane:
    """The shadow of palm fronds."""
    sheet, side = _blank(stage)
    pen = ImageDraw.Draw(sheet)
    for _ in range(3):
        corner = np.array([rng.choice([-0.05, 1.05]), rng.uniform(-0.10, 0.45)])
        aim = np.arctan2(0.45 - corner[1], 0.5 - corner[0]) + rng.normal(0, 0.25)
        length = float(rng.uniform(0.55, 0.85))
        for step in np.linspace(0.1, 1.0, 17):
            bend = aim + 0.35 * step**2
            root = corner + length * step * np.array([np.cos(bend), np.sin(bend)])
            blade = 0.30 * np.sin(np.pi * (0.12 + 0.83 * step))
            for turn in (-1, 1):
                angle = bend + turn * (0.95 - 0.4 * step)
                tip = root + blade * np.array([np.cos(angle), np.sin(angle)])
                middle = (root + tip) / 2
                across = 0.016 * np.array([-np.sin(angle), np.cos(angle)])
                outline = [root, middle + across, tip, middle - across]
                pen.polygon([(float(p[0]) * side, float(p[1]) * side) for p in outline], fill=255)
    return 1.08 - 0.34 * _finish(stage, sheet, 0.008)


_PATTERNS: dict[str, Callable[[Stage, np.random.Generator], Plane]] = {
    "window": _window_pattern,
    "leaves": _leaf_pattern,
}

_MOODS: dict[str, tuple[float, float, tuple[float, float, float]]] = {
    "calm": (0.96, 0.96, (1.0, 1.0, 1.0)),
    "fresh": (1.03, 1.08, (0.985, 1.005, 1.01)),
    "warm": (1.02, 1.05, (1.035, 1.0, 0.955)),
    "bold": (1.14, 1.20, (1.0, 1.0, 1.0)),
    "elegant": (1.08, 0.88, (1.0, 0.995, 0.985)),
    "playful": (1.05, 1.22, (1.01, 1.0, 1.0)),
}
"""Contrast, saturation and tint."""


def grade(picture: Plane, stage: Stage, rng: np.random.Generator) -> Plane:
    """Give the background its mood: contrast, colour, a vignette and fine grain.

    Args:
        picture: size x size x 3.
        stage: The scene.
        rng: Draws the grain.
    """
    contrast, saturation, tint = _MOODS[stage.scene.mood]
    grey = (picture @ np.full(3, 1.0 / 3.0, np.float32))[..., None]
    toned = grey + (picture - grey) * saturation
    toned = 0.5 + (toned * tone(tint) - 0.5) * contrast
    x, y = stage.grid()
    corner = ramp(0.45, 0.95, np.hypot((x - 0.5) * 1.02, (y - 0.48)))
    toned *= (1.0 - 0.20 * corner)[..., None]
    grain = rng.standard_normal((stage.size, stage.size), dtype=np.float32)
    # a soft shoulder keeps bright walls from burning out
    toned = np.where(toned > 0.88, 0.88 + 0.12 * np.tanh((toned - 0.88) / 0.12), toned)
    return np.asarray(np.clip(toned + (0.006 * grain)[..., None], 0.0, 1.0), dtype=np.float32)
