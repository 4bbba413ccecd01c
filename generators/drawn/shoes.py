"""Drawn shoes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from generators.arrays import Pixels, Plane, ramp
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    band,
    curve,
    grid,
    mix,
    polygon,
    puff,
    stroke,
)

__all__ = ["boot", "sneaker", "soft_below", "stitches"]

BLACK: Colour = (0.07, 0.07, 0.08)
WHITE: Colour = (0.97, 0.97, 0.95)
GOLD: Colour = (0.90, 0.73, 0.44)
STEEL: Colour = (0.80, 0.82, 0.85)


def stitches(canvas: Canvas, path: list[tuple[float, float]], paint: Colour, within: Plane) -> None:
    """Short stitches along a line."""
    for first, second in zip(path[::3], path[1::3], strict=False):
        canvas.tint(stroke([first, second], 0.005) * within, paint, 0.8)


def sneaker(main: Colour, accent: Colour) -> Pixels:
    """A low sneaker from the side, toe to the right."""
    canvas = Canvas()
    upper_line = curve(
        [
            (0.055, 0.36),
            (0.10, 0.315),
            (0.17, 0.325),
            (0.24, 0.385),
            (0.33, 0.395),
            (0.41, 0.335),
            (0.455, 0.285),
            (0.50, 0.30),
            (0.60, 0.42),
            (0.70, 0.49),
            (0.83, 0.525),
            (0.925, 0.58),
            (0.955, 0.66),
            (0.90, 0.70),
            (0.5, 0.70),
            (0.09, 0.70),
            (0.055, 0.60),
            (0.07, 0.48),
        ]
    )
    opening = polygon(
        curve(
            [
                (0.09, 0.345),
                (0.17, 0.345),
                (0.26, 0.40),
                (0.35, 0.40),
                (0.45, 0.30),
                (0.42, 0.28),
                (0.30, 0.34),
                (0.18, 0.30),
            ]
        )
    )
    canvas.lay(opening, mix(accent, BLACK, 0.55))
    upper = polygon(upper_line)
    body = puff(upper, depth=0.13, bulge=0.75)
    canvas.add(body, main, "satin")
    _sneaker_parts(canvas, upper, body, main, accent)
    sole = polygon(
        curve(
            [
                (0.045, 0.66),
                (0.30, 0.672),
                (0.60, 0.668),
                (0.94, 0.635),
                (0.972, 0.68),
                (0.95, 0.755),
                (0.85, 0.775),
                (0.5, 0.778),
                (0.10, 0.775),
                (0.05, 0.745),
            ]
        )
    )
    canvas.darken(soft_below(sole, 0.020) * upper, 0.35)
    tread = puff(sole, depth=0.045, bulge=0.8)
    canvas.add(tread, WHITE, "satin")
    x, y = grid()
    canvas.tint(sole * band(0.700, 0.712, y + 0.03 * x), accent, 0.9)
    canvas.darken(sole * ramp(0.758, 0.775, y) * (np.sin(x * 260) > 0), 0.35)
    return canvas.pixels()


def _sneaker_parts(canvas: Canvas, upper: Plane, body: Shape, main: Colour, accent: Colour) -> None:
    pale = mix(main, WHITE, 0.75)
    toe = (
        polygon(
            curve(
                [(0.74, 0.48), (0.86, 0.52), (0.97, 0.60), (0.98, 0.72), (0.72, 0.72), (0.70, 0.60)]
            )
        )
        * upper
    )
    heel = (
        polygon(
            curve(
                [
                    (0.02, 0.30),
                    (0.13, 0.30),
                    (0.155, 0.45),
                    (0.19, 0.58),
                    (0.17, 0.72),
                    (0.02, 0.72),
                ]
            )
        )
        * upper
    )
    for part, paint in ((toe, pale), (heel, accent)):
        canvas.add(Shape(part, body.normal, body.u, body.v), paint, "satin")
    swoosh = (
        polygon(
            curve(
                [
                    (0.22, 0.60),
                    (0.34, 0.60),
                    (0.52, 0.52),
                    (0.60, 0.47),
                    (0.56, 0.56),
                    (0.42, 0.655),
                    (0.26, 0.665),
                ]
            )
        )
        * upper
    )
    canvas.add(Shape(swoosh, body.normal, body.u, body.v), accent, "satin")
    tongue = polygon(
        curve([(0.405, 0.335), (0.46, 0.245), (0.515, 0.265), (0.70, 0.475), (0.66, 0.50)])
    )
    canvas.add(puff(tongue, depth=0.05, bulge=0.6), pale, "fabric")
    for step in np.linspace(0.06, 0.86, 6):
        x, y = 0.455 + 0.215 * step, 0.325 + 0.155 * step
        lace = stroke([(x - 0.035, y + 0.045), (x + 0.035, y - 0.035)], 0.021)
        canvas.darken(soft_below(lace, 0.008), 0.25)
        canvas.add(puff(lace, depth=0.012), WHITE, "fabric")
    collar = stroke(
        curve(
            [
                (0.065, 0.365),
                (0.11, 0.325),
                (0.17, 0.332),
                (0.24, 0.388),
                (0.33, 0.398),
                (0.41, 0.345),
            ],
            closed=False,
        ),
        0.028,
    )
    canvas.add(puff(collar, depth=0.016), mix(main, BLACK, 0.25), "fabric")
    stitches(canvas, curve([(0.17, 0.46), (0.21, 0.58), (0.19, 0.69)], closed=False), pale, upper)
    stitches(canvas, curve([(0.72, 0.50), (0.69, 0.60), (0.71, 0.70)], closed=False), main, upper)


def soft_below(cover: Plane, drop: float) -> Plane:
    """The shadow that a part throws just below itself."""
    moved = np.roll(cover, round(drop * cover.shape[0] * 0.5), axis=0)
    return np.asarray(ndimage.gaussian_filter(moved, drop * cover.shape[0] * 0.5))


def boot(main: Colour, accent: Colour) -> Pixels:
    """An ankle boot from the side."""
    canvas = Canvas()
    outline = curve(
        [
            (0.20, 0.10),
            (0.32, 0.085),
            (0.47, 0.10),
            (0.485, 0.25),
            (0.50, 0.42),
            (0.58, 0.54),
            (0.72, 0.60),
            (0.86, 0.655),
            (0.905, 0.74),
            (0.88, 0.80),
            (0.5, 0.81),
            (0.19, 0.81),
            (0.165, 0.70),
            (0.185, 0.50),
            (0.195, 0.28),
        ]
    )
    upper = polygon(outline)
    canvas.lay(
        polygon(curve([(0.20, 0.10), (0.33, 0.07), (0.47, 0.10), (0.33, 0.12)])),
        mix(main, BLACK, 0.6),
    )
    body = puff(upper, depth=0.15, bulge=0.8)
    canvas.add(body, main, "gloss")
    elastic = polygon(
        curve(
            [(0.285, 0.11), (0.40, 0.11), (0.405, 0.30), (0.375, 0.50), (0.33, 0.50), (0.285, 0.30)]
        )
    )
    x, y = grid()
    canvas.add(Shape(elastic * upper, body.normal, body.u, body.v), accent, "fabric")
    canvas.darken(elastic * (0.5 + 0.5 * np.sin(x * 420)), 0.28)
    loop = stroke(
        curve([(0.205, 0.13), (0.19, 0.045), (0.235, 0.045), (0.235, 0.13)], closed=False), 0.016
    )
    canvas.add(puff(loop, depth=0.008), accent, "fabric")
    stitches(
        canvas,
        curve([(0.50, 0.50), (0.47, 0.60), (0.40, 0.68), (0.20, 0.70)], closed=False),
        mix(main, WHITE, 0.4),
        upper,
    )
    sole = polygon(
        [
            (0.165, 0.80),
            (0.90, 0.785),
            (0.905, 0.825),
            (0.86, 0.84),
            (0.47, 0.84),
            (0.42, 0.84),
            (0.415, 0.91),
            (0.17, 0.91),
        ]
    )
    canvas.darken(soft_below(sole, 0.02) * upper, 0.3)
    canvas.add(puff(sole, depth=0.03, bulge=0.7), (0.20, 0.15, 0.12), "satin")
    canvas.tint(sole * band(0.795, 0.806, y), mix(main, WHITE, 0.35), 0.7)
    return canvas.pixels()
