"""Drawn things for the home."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, ramp
from generators.paint import (
    Canvas,
    Colour,
    band,
    curve,
    disc,
    grid,
    lathe,
    mix,
    puff,
    stroke,
    text_mask,
)

__all__ = ["candle", "mug", "mushroom_lamp", "table_lamp", "vase"]

BLACK: Colour = (0.09, 0.09, 0.1)
WHITE: Colour = (0.97, 0.96, 0.94)
GLOW: Colour = (1.0, 0.93, 0.74)
BRASS: Colour = (0.86, 0.68, 0.40)


def table_lamp(main: Colour, accent: Colour) -> Pixels:
    """A lit lamp with a fabric shade on a turned foot."""
    canvas = Canvas()
    canvas.add(disc(0.5, 0.94, 0.17, tilt=0.16), accent, "satin")
    canvas.add(lathe([(0.93, 0.17), (0.95, 0.17)], tilt=0.16), accent, "satin")
    foot = lathe(
        [
            (0.42, 0.025),
            (0.50, 0.03),
            (0.58, 0.085),
            (0.70, 0.125),
            (0.82, 0.085),
            (0.90, 0.05),
            (0.935, 0.075),
        ],
        tilt=0.12,
        smooth=True,
    )
    canvas.add(foot, accent, "gloss")
    canvas.add(lathe([(0.37, 0.02), (0.44, 0.02)], tilt=0.1), BRASS, "metal")
    canvas.add(disc(0.5, 0.055, 0.17, tilt=0.13), mix(main, GLOW, 0.75), "fabric")
    shade = lathe([(0.055, 0.17), (0.40, 0.285)], tilt=0.13)
    canvas.add(shade, main, "fabric")
    glow = np.exp(-((shade.u / 0.62) ** 2) - (((shade.v - 0.72) / 0.42) ** 2)) * shade.cover
    canvas.tint(glow, mix(main, GLOW, 0.8), 0.72)
    weave = 0.5 + 0.5 * np.sin(shade.u * 190)
    canvas.darken(shade.cover * weave, 0.035)
    canvas.darken(shade.cover * (band(0.0, 0.035, shade.v) + band(0.965, 1.0, shade.v)), 0.16)
    return canvas.pixels()


def mushroom_lamp(main: Colour, accent: Colour) -> Pixels:
    """A lamp with a domed glass head."""
    canvas = Canvas()
    canvas.add(disc(0.5, 0.92, 0.19, tilt=0.15), accent, "satin")
    canvas.add(lathe([(0.92, 0.19), (0.945, 0.19)], tilt=0.15), accent, "satin")
    stem = lathe([(0.42, 0.10), (0.60, 0.052), (0.80, 0.052), (0.93, 0.10)], tilt=0.12, smooth=True)
    canvas.add(stem, accent, "gloss")
    head = lathe(
        [
            (0.075, 0.008),
            (0.085, 0.09),
            (0.12, 0.20),
            (0.20, 0.305),
            (0.32, 0.365),
            (0.42, 0.375),
            (0.46, 0.36),
        ],
        tilt=0.10,
        smooth=True,
    )
    canvas.add(head, main, "gloss")
    glow = np.exp(-((head.u / 0.55) ** 2) - (((head.v - 0.85) / 0.40) ** 2)) * head.cover
    canvas.tint(glow, mix(main, GLOW, 0.85), 0.62)
    return canvas.pixels()


def vase(main: Colour, accent: Colour) -> Pixels:
    """A speckled ceramic vase."""
    canvas = Canvas()
    body = lathe(
        [
            (0.08, 0.105),
            (0.11, 0.092),
            (0.22, 0.085),
            (0.34, 0.17),
            (0.54, 0.275),
            (0.72, 0.265),
            (0.88, 0.18),
            (0.95, 0.145),
        ],
        tilt=0.13,
        smooth=True,
    )
    canvas.add(body, main, "satin")
    dip = 0.40 + 0.05 * np.sin(body.u * 4.2) + 0.025 * np.sin(body.u * 9 + 1)
    glaze = body.cover * ramp(0.012, -0.012, body.v - dip)
    canvas.tint(glaze, accent, 0.55)
    speckle = np.random.default_rng(5).random((128, 128))
    rows = (body.v * 127).astype(int).clip(0, 127)
    columns = ((body.u + 1) * 63).astype(int).clip(0, 127)
    canvas.darken((speckle[rows, columns] > 0.985) * body.cover, 0.35)
    canvas.add(disc(0.5, 0.08, 0.105, tilt=0.16), mix(main, WHITE, 0.3), "satin")
    canvas.lay(disc(0.5, 0.083, 0.086, tilt=0.16).cover, mix(main, BLACK, 0.72))
    return canvas.pixels()


def candle(main: Colour, accent: Colour) -> Pixels:
    """A burning candle in a glass."""
    canvas = Canvas()
    glass = lathe([(0.30, 0.27), (0.90, 0.27), (0.94, 0.25)], tilt=0.14)
    canvas.add(disc(0.5, 0.30, 0.27, tilt=0.14), mix(main, WHITE, 0.65), "satin")
    canvas.add(disc(0.5, 0.325, 0.245, tilt=0.14), mix(GLOW, main, 0.15), "matte")
    canvas.add(glass, main, "glass")
    x, y = grid()
    halo = np.exp(-(((x - 0.5) / 0.20) ** 2) - (((y - 0.36) / 0.15) ** 2)) * glass.cover
    canvas.tint(halo, GLOW, 0.55)
    label = glass.cover * band(0.34, 0.80, glass.v) * ramp(0.46, 0.45, np.abs(glass.u))
    canvas.tint(label, WHITE, 0.93)
    canvas.tint(text_mask(glass, "cedar", v=0.50, height=0.11, width=0.42), accent, 0.95)
    canvas.tint(text_mask(glass, "& fig", v=0.65, height=0.085, width=0.26), accent, 0.8)
    canvas.lay(stroke([(0.5, 0.335), (0.502, 0.285)], 0.009), BLACK)
    tall = np.clip((0.295 - y) / 0.15, 0, 1)
    width = 0.036 * np.sqrt(np.clip(tall, 0, 1)) * (1 - tall) * 2.2
    flame = ramp(1.0, 0.75, np.abs(x - 0.5) / np.maximum(width, 1e-4)) * (y < 0.295) * (y > 0.145)
    canvas.lay(flame, (1.0, 0.72, 0.25))
    core = ramp(0.75, 0.2, np.abs(x - 0.5) / np.maximum(width, 1e-4)) * (y < 0.28) * (y > 0.18)
    canvas.tint(core * flame, (1.0, 0.97, 0.82), 0.95)
    return canvas.pixels()


def mug(main: Colour, accent: Colour) -> Pixels:
    """A stoneware mug."""
    canvas = Canvas()
    ear = stroke(
        curve(
            [(0.64, 0.34), (0.80, 0.31), (0.875, 0.45), (0.82, 0.62), (0.64, 0.68)], closed=False
        ),
        0.062,
    )
    canvas.add(puff(ear, depth=0.031), main, "gloss")
    body = lathe(
        [(0.22, 0.272), (0.80, 0.272), (0.86, 0.255), (0.885, 0.22)], x=0.42, tilt=0.15, smooth=True
    )
    canvas.add(body, main, "gloss")
    canvas.tint(body.cover * ramp(0.70, 0.73, body.v + 0.012 * np.sin(body.u * 5)), accent, 0.92)
    canvas.add(disc(0.42, 0.22, 0.272, tilt=0.15), mix(main, WHITE, 0.35), "gloss")
    canvas.lay(disc(0.42, 0.225, 0.247, tilt=0.15).cover, mix(main, BLACK, 0.45))
    canvas.lay(disc(0.42, 0.237, 0.232, tilt=0.125).cover, (0.29, 0.16, 0.08))
    canvas.tint(disc(0.36, 0.232, 0.09, tilt=0.10).cover, (0.55, 0.36, 0.2), 0.5)
    return canvas.pixels()
