"""Drawn cosmetics."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, ramp
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    band,
    disc,
    grid,
    lathe,
    mix,
    text_mask,
)

__all__ = ["cream_jar", "dropper", "lip_gloss", "lipstick"]

BLACK: Colour = (0.09, 0.09, 0.1)
WHITE: Colour = (0.96, 0.96, 0.95)
GOLD: Colour = (0.93, 0.76, 0.48)


def lipstick(main: Colour, accent: Colour) -> Pixels:
    """An open lipstick: slanted bullet, golden inner tube, dark case."""
    canvas = Canvas()
    x, y = grid()
    bullet = lathe([(0.04, 0.070), (0.12, 0.082), (0.44, 0.086)], tilt=0.12, smooth=True)
    cut = 0.115 - 0.85 * (x - 0.5) - 0.25 * np.sqrt(np.clip(0.0072 - (x - 0.5) ** 2, 0, 1))
    kept = np.clip((y - cut) * 512 + 0.5, 0, 1)
    canvas.add(Shape(bullet.cover * kept, bullet.normal, bullet.u, bullet.v), main, "satin")
    face_y = 0.115 - 0.85 * (x - 0.5)
    face = ((x - 0.5) / 0.08) ** 2 + ((y - face_y) / 0.047) ** 2
    canvas.lay(
        np.clip((1 - face) * 14, 0, 1)
        * np.clip(bullet.cover + 1, 0, 1)
        * ramp(0.088, 0.078, np.abs(x - 0.5)),
        mix(main, WHITE, 0.28),
    )
    canvas.add(lathe([(0.40, 0.094), (0.60, 0.094)], tilt=0.12), GOLD, "metal")
    canvas.add(disc(0.5, 0.58, 0.128, tilt=0.12), mix(GOLD, BLACK, 0.35), "metal")
    case = lathe([(0.58, 0.128), (0.96, 0.128)], tilt=0.12)
    canvas.add(case, accent, "gloss")
    canvas.tint(case.cover * band(0.0, 0.05, case.v), GOLD, 0.85)
    canvas.tint(text_mask(case, "VELVET", v=0.55, height=0.13, width=0.62), GOLD, 0.9)
    return canvas.pixels()


def lip_gloss(main: Colour, accent: Colour) -> Pixels:
    """A tube of lip gloss with a tall cap."""
    canvas = Canvas()
    tube = lathe([(0.40, 0.098), (0.46, 0.104), (0.93, 0.104), (0.96, 0.098)], tilt=0.1)
    canvas.add(tube, mix(main, WHITE, 0.30), "glass")
    core = lathe([(0.43, 0.078), (0.91, 0.078)], tilt=0.1)
    canvas.add(core, main, "gloss", opacity=0.92)
    canvas.tint(text_mask(tube, "GLAZE", v=0.5, height=0.085, width=0.66), WHITE, 0.95)
    canvas.add(lathe([(0.36, 0.074), (0.41, 0.074)], tilt=0.1), GOLD, "metal")
    canvas.add(disc(0.5, 0.04, 0.094, tilt=0.1), accent, "satin")
    canvas.add(lathe([(0.04, 0.094), (0.37, 0.104)], tilt=0.1), accent, "gloss")
    return canvas.pixels()


def cream_jar(main: Colour, accent: Colour) -> Pixels:
    """A jar of cream with a metal lid."""
    canvas = Canvas()
    jar = lathe(
        [(0.46, 0.38), (0.50, 0.40), (0.78, 0.40), (0.84, 0.385), (0.86, 0.35)],
        tilt=0.16,
        smooth=True,
    )
    canvas.add(jar, main, "gloss")
    canvas.tint(jar.cover * band(0.0, 0.03, jar.v), mix(main, BLACK, 0.5), 0.7)
    ink = mix(main, BLACK, 0.72) if sum(main) > 1.4 else WHITE
    canvas.tint(text_mask(jar, "HALO", v=0.44, height=0.17, width=0.42), ink, 0.85)
    canvas.tint(text_mask(jar, "day cream", v=0.66, height=0.085, width=0.40), ink, 0.7)
    canvas.add(disc(0.5, 0.27, 0.392, tilt=0.16), mix(accent, WHITE, 0.12), "metal")
    canvas.add(lathe([(0.27, 0.392), (0.28, 0.40), (0.45, 0.40)], tilt=0.16), accent, "metal")
    return canvas.pixels()


def dropper(main: Colour, accent: Colour) -> Pixels:
    """A serum bottle with a dropper."""
    canvas = Canvas()
    bottle = lathe(
        [(0.34, 0.07), (0.37, 0.08), (0.42, 0.17), (0.46, 0.19), (0.93, 0.19), (0.96, 0.17)],
        tilt=0.12,
        smooth=True,
    )
    canvas.add(bottle, main, "glass")
    label = bottle.cover * band(0.34, 0.84, bottle.v) * ramp(0.86, 0.84, np.abs(bottle.u))
    canvas.add(Shape(label, bottle.normal, bottle.u, bottle.v), WHITE, "matte")
    canvas.tint(
        text_mask(bottle, "SERUM", v=0.50, height=0.075, width=0.66), mix(main, BLACK, 0.6), 0.95
    )
    canvas.tint(
        text_mask(bottle, "vitamin  C", v=0.60, height=0.045, width=0.5), mix(main, BLACK, 0.4), 0.8
    )
    canvas.tint(
        bottle.cover * band(0.69, 0.705, bottle.v) * ramp(0.42, 0.40, np.abs(bottle.u)), main, 0.9
    )
    canvas.add(lathe([(0.235, 0.098), (0.36, 0.098)], tilt=0.12), accent, "metal")
    canvas.add(disc(0.5, 0.235, 0.098, tilt=0.12), accent, "metal")
    bulb = lathe(
        [(0.03, 0.03), (0.05, 0.05), (0.10, 0.062), (0.20, 0.058), (0.245, 0.075)],
        tilt=0.05,
        smooth=True,
    )
    canvas.add(bulb, BLACK if sum(accent) > 1.5 else WHITE, "satin")
    return canvas.pixels()
