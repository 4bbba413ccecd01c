"""Drawn bags, watches and sunglasses."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, Plane, ramp
from generators.drawn.shoes import soft_below, stitches
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    curve,
    grid,
    mix,
    polygon,
    puff,
    stroke,
)

__all__ = ["backpack", "handbag", "sunglasses", "watch"]

BLACK: Colour = (0.07, 0.07, 0.08)
WHITE: Colour = (0.97, 0.97, 0.95)
GOLD: Colour = (0.90, 0.73, 0.44)
STEEL: Colour = (0.80, 0.82, 0.85)


def handbag(main: Colour, accent: Colour) -> Pixels:
    """A structured handbag with one handle and a flap."""
    canvas = Canvas()
    handle = stroke(
        curve(
            [
                (0.30, 0.43),
                (0.31, 0.22),
                (0.40, 0.115),
                (0.50, 0.09),
                (0.60, 0.115),
                (0.69, 0.22),
                (0.70, 0.43),
            ],
            closed=False,
        ),
        0.036,
    )
    canvas.add(puff(handle, depth=0.020), mix(main, BLACK, 0.12), "gloss")
    case = polygon(
        curve(
            [
                (0.17, 0.40),
                (0.5, 0.375),
                (0.83, 0.40),
                (0.875, 0.62),
                (0.905, 0.86),
                (0.87, 0.905),
                (0.5, 0.915),
                (0.13, 0.905),
                (0.095, 0.86),
                (0.125, 0.62),
            ]
        )
    )
    body = puff(case, depth=0.10, bulge=0.55)
    canvas.add(body, main, "satin")
    flap = polygon(
        curve(
            [
                (0.165, 0.39),
                (0.5, 0.365),
                (0.835, 0.39),
                (0.855, 0.52),
                (0.80, 0.615),
                (0.5, 0.665),
                (0.20, 0.615),
                (0.145, 0.52),
            ]
        )
    )
    canvas.darken(soft_below(flap, 0.030) * case, 0.45)
    canvas.add(puff(flap, depth=0.07, bulge=0.5), mix(main, WHITE, 0.05), "satin")
    seam = curve(
        [
            (0.185, 0.42),
            (0.165, 0.52),
            (0.215, 0.595),
            (0.5, 0.643),
            (0.785, 0.595),
            (0.835, 0.52),
            (0.815, 0.42),
        ],
        closed=False,
    )
    stitches(canvas, seam, mix(main, WHITE, 0.5), flap)
    lock = polygon([(0.455, 0.60), (0.545, 0.60), (0.55, 0.695), (0.45, 0.695)])
    canvas.darken(soft_below(lock, 0.015), 0.35)
    canvas.add(puff(lock, depth=0.022, bulge=0.9), accent, "metal")
    canvas.lay(stroke([(0.5, 0.63), (0.5, 0.665)], 0.012), mix(accent, BLACK, 0.6))
    for x in (0.30, 0.70):
        ring = np.clip(stroke([(x, 0.435)] * 2, 0.066) - stroke([(x, 0.435)] * 2, 0.038), 0, 1)
        canvas.add(puff(ring, depth=0.012), accent, "metal")
    return canvas.pixels()


def backpack(main: Colour, accent: Colour) -> Pixels:
    """A backpack with a front pocket."""
    canvas = Canvas()
    for side in (-1, 1):
        strap = stroke(
            curve(
                [
                    (0.5 + side * 0.25, 0.20),
                    (0.5 + side * 0.36, 0.34),
                    (0.5 + side * 0.38, 0.60),
                    (0.5 + side * 0.30, 0.82),
                ],
                closed=False,
            ),
            0.058,
        )
        canvas.add(puff(strap, depth=0.03), mix(main, BLACK, 0.35), "fabric")
    loop = stroke(
        curve([(0.42, 0.12), (0.43, 0.05), (0.57, 0.05), (0.58, 0.12)], closed=False), 0.026
    )
    canvas.add(puff(loop, depth=0.014), mix(main, BLACK, 0.4), "fabric")
    case = polygon(
        curve(
            [
                (0.32, 0.11),
                (0.5, 0.085),
                (0.68, 0.11),
                (0.775, 0.24),
                (0.80, 0.50),
                (0.815, 0.84),
                (0.76, 0.925),
                (0.5, 0.94),
                (0.24, 0.925),
                (0.185, 0.84),
                (0.20, 0.50),
                (0.225, 0.24),
            ]
        )
    )
    canvas.add(puff(case, depth=0.15, bulge=0.65), main, "fabric")
    zip_line = curve(
        [
            (0.225, 0.47),
            (0.25, 0.25),
            (0.35, 0.155),
            (0.5, 0.14),
            (0.65, 0.155),
            (0.75, 0.25),
            (0.775, 0.47),
        ],
        closed=False,
    )
    canvas.lay(stroke(zip_line, 0.012), mix(main, BLACK, 0.6))
    pocket = polygon(
        curve(
            [
                (0.265, 0.54),
                (0.5, 0.52),
                (0.735, 0.54),
                (0.765, 0.72),
                (0.745, 0.87),
                (0.5, 0.895),
                (0.255, 0.87),
                (0.235, 0.72),
            ]
        )
    )
    canvas.darken(soft_below(pocket, 0.03) * case, 0.30)
    canvas.add(puff(pocket, depth=0.08, bulge=0.6), mix(main, WHITE, 0.07), "fabric")
    canvas.lay(
        stroke(curve([(0.27, 0.60), (0.5, 0.585), (0.73, 0.60)], closed=False), 0.010),
        mix(main, BLACK, 0.6),
    )
    patch = polygon([(0.44, 0.66), (0.56, 0.66), (0.56, 0.76), (0.44, 0.76)])
    canvas.add(puff(patch, depth=0.012, bulge=0.5), accent, "satin")
    for x, y in ((0.775, 0.47), (0.73, 0.60)):
        canvas.add(
            puff(stroke([(x, y), (x + 0.005, y + 0.07)], 0.017), depth=0.01), accent, "satin"
        )
    return canvas.pixels()


def watch(main: Colour, accent: Colour) -> Pixels:
    """A wrist watch from the front."""
    canvas = Canvas()
    for points in (
        [(0.385, 0.30), (0.40, 0.03), (0.60, 0.03), (0.615, 0.30)],
        [(0.385, 0.70), (0.40, 0.97), (0.60, 0.97), (0.615, 0.70)],
    ):
        strap = polygon(points)
        canvas.add(puff(strap, depth=0.05, bulge=0.7), main, "satin")
        for seam in (0.412, 0.588):
            line = [
                (seam + (0.5 - seam) * 0.08 * t, points[0][1] + t * (points[1][1] - points[0][1]))
                for t in np.linspace(0.05, 0.95, 34)
            ]
            stitches(canvas, line, mix(main, WHITE, 0.45), strap)
    crown = stroke([(0.755, 0.5), (0.785, 0.5)], 0.05)
    canvas.add(puff(crown, depth=0.02), accent, "metal")
    x, y = grid()
    far = np.hypot(x - 0.5, y - 0.5)
    rim = Shape(*_ring(x - 0.5, y - 0.5, 0.255, 0.035))
    canvas.add(rim, accent, "metal")
    face = np.clip((0.232 - far) * 512 + 0.5, 0, 1)
    dial = mix(WHITE, main, 0.06)
    canvas.lay(face, np.asarray(dial, np.float32) * (1.02 - 0.22 * (y - 0.27))[..., None])
    canvas.darken(face * ramp(0.205, 0.232, far), 0.28)
    for hour in range(12):
        turn = np.pi * hour / 6
        inner, outer = (0.172 if hour % 3 == 0 else 0.188), 0.208
        line = [(0.5 + r * np.sin(turn), 0.5 - r * np.cos(turn)) for r in (inner, outer)]
        canvas.lay(stroke(line, 0.011 if hour % 3 == 0 else 0.006), BLACK)
    for turn, reach, width in ((-1.02, 0.115, 0.014), (1.08, 0.165, 0.010)):
        tip = (0.5 + reach * np.sin(turn), 0.5 - reach * np.cos(turn))
        canvas.darken(stroke([(0.505, 0.51), (tip[0] + 0.005, tip[1] + 0.01)], width) * face, 0.18)
        canvas.lay(stroke([(0.5, 0.5), tip], width), BLACK)
    canvas.lay(stroke([(0.5, 0.5), (0.44, 0.64)], 0.004), (0.8, 0.2, 0.15))
    canvas.lay(stroke([(0.5, 0.5)] * 2, 0.026), accent)
    glare = polygon([(0.30, 0.36), (0.44, 0.25), (0.70, 0.60), (0.60, 0.72)]) * face
    canvas.tint(glare, WHITE, 0.10)
    return canvas.pixels()


def _ring(x: Plane, y: Plane, radius: float, thick: float) -> tuple[Plane, Plane, Plane, Plane]:
    """A torus from the front: coverage, normal, u, v."""
    far = np.hypot(x, y)
    across = np.clip((far - radius + thick / 2) / (thick * 0.72), -1, 1)
    cover = np.clip((thick * 0.72 - np.abs(far - radius + thick / 2)) * 512 + 0.5, 0, 1)
    up = np.sqrt(np.clip(1 - across**2, 0.05, 1))
    normal = np.dstack([across * x / (far + 1e-6), across * y / (far + 1e-6), up])
    return cover, normal.astype(np.float32), across, across


def sunglasses(main: Colour, accent: Colour) -> Pixels:
    """Sunglasses from the front."""
    canvas = Canvas()
    for side in (-1, 1):
        temple = polygon(
            [
                (0.5 + side * 0.455, 0.40),
                (0.5 + side * 0.478, 0.42),
                (0.5 + side * 0.462, 0.60),
                (0.5 + side * 0.44, 0.55),
            ]
        )
        canvas.add(puff(temple, depth=0.015), mix(main, BLACK, 0.3), "gloss")
    bridge = stroke(
        curve([(0.40, 0.455), (0.46, 0.425), (0.54, 0.425), (0.60, 0.455)], closed=False), 0.032
    )
    canvas.add(puff(bridge, depth=0.016), main, "gloss")
    _, y = grid()
    for side in (-1, 1):
        middle = 0.5 + side * 0.235
        frame = [
            (middle + dx * side, 0.5 + dy)
            for dx, dy in (
                (-0.185, -0.09),
                (-0.09, -0.15),
                (0.06, -0.155),
                (0.205, -0.145),
                (0.225, -0.09),
                (0.20, 0.04),
                (0.13, 0.14),
                (0.0, 0.17),
                (-0.12, 0.13),
                (-0.18, 0.03),
            )
        ]
        outer = polygon(curve(frame))
        inner_line = [
            (middle + (px - middle) * 0.83, 0.505 + (py - 0.505) * 0.80) for px, py in frame
        ]
        inner = polygon(curve(inner_line))
        canvas.add(puff(outer, depth=0.030, bulge=0.8), main, "gloss")
        share = ramp(0.36, 0.66, y)[..., None]
        deep, pale = mix(accent, BLACK, 0.62), mix(accent, WHITE, 0.12)
        lens = np.asarray(deep, np.float32) * (1 - share) + np.asarray(pale, np.float32) * share
        canvas.lay(inner, lens)
        glare = (
            polygon(
                [
                    (middle - 0.13, 0.52),
                    (middle - 0.02, 0.36),
                    (middle + 0.05, 0.36),
                    (middle - 0.08, 0.60),
                ]
            )
            * inner
        )
        canvas.tint(glare, WHITE, 0.22)
        canvas.darken(inner * ramp(0.39, 0.355, y), 0.4)
    return canvas.pixels()
