"""Drawn electronics."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, Plane, ramp
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    curve,
    disc,
    grid,
    lathe,
    mix,
    polygon,
    puff,
    stroke,
    text_mask,
)

__all__ = ["camera", "headphones", "phone", "round_part", "rounded", "speaker"]

BLACK: Colour = (0.07, 0.07, 0.08)
WHITE: Colour = (0.97, 0.97, 0.96)
STEEL: Colour = (0.80, 0.82, 0.85)


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> Plane:
    """A rectangle with round corners; coverage."""
    x, y = grid()
    dx = np.maximum(np.abs(x - (left + right) / 2) - (right - left) / 2 + radius, 0)
    dy = np.maximum(np.abs(y - (top + bottom) / 2) - (bottom - top) / 2 + radius, 0)
    return np.asarray(np.clip((radius - np.hypot(dx, dy)) * 512 + 0.5, 0, 1))


def round_part(x: float, y: float, radius: float) -> Plane:
    """A disc facing the viewer; coverage."""
    grid_x, grid_y = grid()
    return np.asarray(np.clip((radius - np.hypot(grid_x - x, grid_y - y)) * 512 + 0.5, 0, 1))


def headphones(main: Colour, accent: Colour) -> Pixels:
    """Over-ear headphones."""
    canvas = Canvas()
    arc = [
        (0.5 + 0.335 * np.sin(t), 0.46 - 0.385 * np.cos(t)) for t in np.linspace(-1.62, 1.62, 40)
    ]
    inner = [
        (0.5 + 0.30 * np.sin(t), 0.47 - 0.36 * np.cos(t)) for t in np.linspace(-0.95, 0.95, 30)
    ]
    canvas.add(puff(stroke(arc, 0.036), depth=0.02), STEEL, "metal")
    top = [(0.5 + 0.335 * np.sin(t), 0.46 - 0.385 * np.cos(t)) for t in np.linspace(-1.0, 1.0, 40)]
    canvas.add(puff(stroke(inner, 0.050), depth=0.025), accent, "fabric")
    canvas.add(puff(stroke(top, 0.062), depth=0.034), main, "satin")
    for side in (-1, 1):
        x = 0.5 + side * 0.335
        yoke = stroke(
            curve([(x, 0.44), (x + side * 0.035, 0.56), (x + side * 0.03, 0.70)], closed=False),
            0.030,
        )
        canvas.add(puff(yoke, depth=0.015), STEEL, "metal")
        pad = rounded(
            min(x - side * 0.115, x - side * 0.01),
            0.505,
            max(x - side * 0.115, x - side * 0.01),
            0.905,
            0.052,
        )
        canvas.add(puff(pad, depth=0.055), accent, "fabric")
        cup = rounded(x - 0.068, 0.515, x + 0.068, 0.895, 0.066)
        cup = np.maximum(
            cup, rounded(min(x, x + side * 0.10), 0.545, max(x, x + side * 0.10), 0.865, 0.095)
        )
        canvas.add(puff(cup, depth=0.075, bulge=0.9), main, "satin")
        line = rounded(x - side * 0.03 - 0.006, 0.56, x - side * 0.03 + 0.006, 0.85, 0.006)
        canvas.tint(line, mix(main, WHITE, 0.45), 0.6)
    return canvas.pixels()


def speaker(main: Colour, accent: Colour) -> Pixels:
    """A cylindrical smart speaker in woven fabric."""
    canvas = Canvas()
    body = lathe(
        [(0.12, 0.25), (0.15, 0.27), (0.88, 0.27), (0.93, 0.255), (0.95, 0.23)],
        tilt=0.14,
        smooth=True,
    )
    canvas.add(body, main, "fabric")
    weave = np.sin(body.u * 88) * np.sin(body.v * 210)
    canvas.darken(body.cover * (0.5 + 0.5 * weave), 0.20)
    base = body.cover * ramp(0.90, 0.91, body.v)
    canvas.add(Shape(base, body.normal, body.u, body.v), accent, "satin")
    canvas.add(disc(0.5, 0.12, 0.252, tilt=0.14), mix(accent, WHITE, 0.06), "gloss")
    x, y = grid()
    far = np.hypot((x - 0.5) / 0.205, (y - 0.12) / (0.205 * 0.14))
    glow = np.exp(-(((far - 1.0) / 0.07) ** 2))
    canvas.tint(glow * disc(0.5, 0.12, 0.25, tilt=0.14).cover, (0.35, 0.80, 1.0), 0.9)
    canvas.tint(text_mask(body, "aria", v=0.80, height=0.075, width=0.22), WHITE, 0.75)
    return canvas.pixels()


def phone(main: Colour, accent: Colour) -> Pixels:
    """A phone from the front, its screen showing a landscape."""
    canvas = Canvas()
    frame = rounded(0.26, 0.03, 0.74, 0.97, 0.075)
    canvas.add(puff(frame, depth=0.016, bulge=0.9), main, "metal")
    canvas.lay(rounded(0.272, 0.042, 0.728, 0.958, 0.064), BLACK)
    screen = rounded(0.286, 0.056, 0.714, 0.944, 0.052)
    x, y = grid()
    share = ramp(0.05, 0.75, y)[..., None]
    sky = np.asarray(mix(accent, (0.20, 0.10, 0.45), 0.45), np.float32)
    low = np.asarray(mix(accent, (1.0, 0.86, 0.62), 0.65), np.float32)
    picture = sky * (1 - share) + low * share
    canvas.lay(screen, picture.astype(np.float32))
    canvas.tint(screen * round_part(0.57, 0.50, 0.085), (1.0, 0.96, 0.82), 0.95)
    for height, wave, dark in ((0.60, 7.0, 0.30), (0.70, 11.0, 0.52), (0.81, 6.0, 0.72)):
        ridge = height + 0.035 * np.sin(x * wave * 2 + height * 30) + 0.015 * np.sin(x * wave * 5)
        hill = mix(mix(accent, (0.25, 0.16, 0.5), 0.6), BLACK, dark - 0.2)
        canvas.tint(screen * ramp(ridge - 0.002, ridge + 0.002, y), hill, 0.97)
    canvas.lay(rounded(0.43, 0.075, 0.57, 0.103, 0.014), BLACK)
    glare = polygon([(0.27, 0.05), (0.50, 0.05), (0.27, 0.62)]) * screen
    canvas.tint(glare, WHITE, 0.09)
    button = rounded(0.738, 0.27, 0.748, 0.39, 0.004)
    canvas.lay(button, mix(main, BLACK, 0.25))
    return canvas.pixels()


def camera(main: Colour, accent: Colour) -> Pixels:
    """A compact camera with a large lens."""
    canvas = Canvas()
    for left, right in ((0.10, 0.20), (0.70, 0.80)):
        dial = rounded(left, 0.215, right, 0.29, 0.014)
        canvas.add(puff(dial, depth=0.02), STEEL, "metal")
    hump = polygon(curve([(0.36, 0.30), (0.41, 0.175), (0.59, 0.175), (0.64, 0.30)]))
    canvas.add(puff(hump, depth=0.04, bulge=0.7), accent, "satin")
    top = rounded(0.04, 0.265, 0.96, 0.50, 0.05)
    canvas.add(puff(top, depth=0.05, bulge=0.7), accent, "satin")
    body = rounded(0.04, 0.375, 0.96, 0.80, 0.045)
    canvas.add(puff(body, depth=0.05, bulge=0.6), main, "matte")
    x, y = grid()
    speckle = np.sin(x * 900) * np.sin(y * 870)
    canvas.darken(body * (0.5 + 0.5 * speckle), 0.10)
    strip = rounded(0.04, 0.735, 0.96, 0.80, 0.03)
    canvas.add(puff(strip, depth=0.03, bulge=0.6), accent, "satin")
    canvas.lay(rounded(0.77, 0.315, 0.87, 0.36, 0.01), (0.16, 0.18, 0.22))
    canvas.lay(round_part(0.16, 0.335, 0.022), (0.95, 0.42, 0.30))
    _lens(canvas, accent)
    return canvas.pixels()


def _lens(canvas: Canvas, accent: Colour) -> None:
    x, y = grid()
    far = np.hypot(x - 0.5, y - 0.545)
    angle = np.arctan2(y - 0.545, x - 0.5)
    canvas.darken(np.exp(-((np.maximum(far - 0.25, 0) / 0.03) ** 2)) * ramp(0.2, 0.9, y), 0.35)
    sheen = 0.5 + 0.5 * np.cos(2 * (angle + 0.9))
    for radius, dark in ((0.262, 0.22), (0.238, 0.12), (0.205, 0.17), (0.178, 0.07)):
        ring = np.clip((radius - far) * 512 + 0.5, 0, 1)
        grey = dark + 0.22 * sheen * (1 if radius > 0.2 else 0.4)
        canvas.lay(ring, (grey[..., None] * np.ones(3)).astype(np.float32))
    knurl = (far > 0.215) * (far < 0.236) * (np.sin(angle * 110) > 0)
    canvas.darken(knurl.astype(np.float32), 0.35)
    canvas.tint(np.exp(-(((far - 0.192) / 0.003) ** 2)), accent, 0.55)
    glass = np.clip((0.150 - far) * 512 + 0.5, 0, 1)
    deep = np.asarray((0.05, 0.06, 0.14), np.float32)
    violet = np.asarray((0.28, 0.20, 0.52), np.float32)
    share = ramp(0.15, 0.03, np.hypot(x - 0.46, y - 0.58))[..., None]
    canvas.lay(glass, deep * (1 - share) + violet * share)
    canvas.lay(np.clip((0.066 - far) * 512 + 0.5, 0, 1) * 0.75, (0.02, 0.02, 0.05))
    canvas.tint(glass * ramp(0.055, 0.02, np.hypot(x - 0.445, y - 0.485)), (0.82, 0.92, 1.0), 0.85)
    canvas.tint(glass * ramp(0.03, 0.008, np.hypot(x - 0.565, y - 0.615)), (0.75, 0.65, 1.0), 0.6)
