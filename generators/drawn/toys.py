"""Drawn toys."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, ramp
from generators.drawn.electronics import round_part, rounded
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    curve,
    lathe,
    mix,
    polygon,
    puff,
    stroke,
)

__all__ = ["duck", "rings", "robot", "rocket"]

BLACK: Colour = (0.07, 0.07, 0.08)
WHITE: Colour = (0.98, 0.98, 0.96)
STEEL: Colour = (0.80, 0.82, 0.85)
WOOD: Colour = (0.86, 0.70, 0.48)


def duck(main: Colour, accent: Colour) -> Pixels:
    """A rubber duck."""
    canvas = Canvas()
    body = polygon(
        curve(
            [
                (0.06, 0.50),
                (0.13, 0.58),
                (0.27, 0.60),
                (0.42, 0.55),
                (0.56, 0.50),
                (0.74, 0.50),
                (0.88, 0.58),
                (0.915, 0.72),
                (0.82, 0.87),
                (0.60, 0.925),
                (0.36, 0.92),
                (0.17, 0.83),
                (0.07, 0.66),
            ]
        )
    )
    canvas.add(puff(body, depth=0.22, bulge=0.95), main, "gloss")
    wing = polygon(
        curve(
            [
                (0.24, 0.66),
                (0.36, 0.62),
                (0.52, 0.655),
                (0.58, 0.74),
                (0.50, 0.81),
                (0.36, 0.80),
                (0.27, 0.745),
            ]
        )
    )
    canvas.darken(np.roll(wing, 8, axis=0), 0.16)
    canvas.add(puff(wing, depth=0.09, bulge=0.8), mix(main, WHITE, 0.06), "gloss")
    beak = polygon(
        curve(
            [
                (0.80, 0.30),
                (0.90, 0.285),
                (0.975, 0.33),
                (0.93, 0.375),
                (0.975, 0.41),
                (0.88, 0.435),
                (0.80, 0.41),
            ]
        )
    )
    canvas.add(puff(beak, depth=0.05), accent, "gloss")
    head = round_part(0.665, 0.315, 0.218)
    canvas.darken(np.roll(head, 12, axis=0) * body, 0.14)
    canvas.add(puff(head, depth=0.22, bulge=1.0), main, "gloss")
    tuft = polygon(curve([(0.60, 0.12), (0.56, 0.055), (0.64, 0.075), (0.70, 0.045), (0.70, 0.12)]))
    canvas.add(puff(tuft, depth=0.03), main, "gloss")
    canvas.lay(round_part(0.745, 0.27, 0.036), WHITE)
    canvas.lay(round_part(0.752, 0.272, 0.026), BLACK)
    canvas.lay(round_part(0.744, 0.262, 0.009), WHITE)
    return canvas.pixels()


def rings(main: Colour, accent: Colour) -> Pixels:
    """Stacking rings on a wooden stand."""
    canvas = Canvas()
    canvas.add(
        lathe([(0.87, 0.25), (0.90, 0.27), (0.95, 0.26)], tilt=0.13, smooth=True), WOOD, "satin"
    )
    paints = (
        main,
        mix(main, accent, 0.35),
        mix(accent, WHITE, 0.25),
        accent,
        mix(main, WHITE, 0.5),
    )
    for number, radius in enumerate((0.335, 0.295, 0.255, 0.215, 0.175)):
        top = 0.745 - 0.125 * number
        profile = [
            (top, radius - 0.062),
            (top + 0.012, radius - 0.026),
            (top + 0.035, radius - 0.006),
            (top + 0.064, radius),
            (top + 0.093, radius - 0.006),
            (top + 0.116, radius - 0.026),
            (top + 0.130, radius - 0.060),
        ]
        ring = lathe(profile, tilt=0.09, smooth=True)
        canvas.darken(np.roll(ring.cover, 6, axis=0), 0.16)
        canvas.add(ring, paints[number], "gloss")
    canvas.add(puff(round_part(0.5, 0.155, 0.098), depth=0.098, bulge=1.0), main, "gloss")
    return canvas.pixels()


def rocket(main: Colour, accent: Colour) -> Pixels:
    """A toy rocket."""
    canvas = Canvas()
    for side in (-1, 1):
        fin = polygon(
            curve(
                [
                    (0.5 + side * 0.13, 0.56),
                    (0.5 + side * 0.25, 0.66),
                    (0.5 + side * 0.315, 0.80),
                    (0.5 + side * 0.315, 0.955),
                    (0.5 + side * 0.22, 0.87),
                    (0.5 + side * 0.12, 0.83),
                ]
            )
        )
        canvas.add(puff(fin, depth=0.06, bulge=0.8), accent, "gloss")
    canvas.add(lathe([(0.82, 0.10), (0.89, 0.125)], tilt=0.13), STEEL, "metal")
    hull = lathe(
        [
            (0.03, 0.006),
            (0.06, 0.035),
            (0.13, 0.082),
            (0.25, 0.140),
            (0.42, 0.180),
            (0.58, 0.185),
            (0.74, 0.160),
            (0.84, 0.125),
        ],
        tilt=0.07,
        smooth=True,
    )
    canvas.add(hull, main, "gloss")
    nose = hull.cover * ramp(0.275, 0.265, hull.v)
    canvas.add(Shape(nose, hull.normal, hull.u, hull.v), accent, "gloss")
    stripe = hull.cover * ramp(0.80, 0.81, hull.v) * ramp(0.88, 0.87, hull.v)
    canvas.add(Shape(stripe, hull.normal, hull.u, hull.v), accent, "gloss")
    canvas.add(puff(round_part(0.5, 0.44, 0.098), depth=0.030), STEEL, "metal")
    canvas.lay(round_part(0.5, 0.44, 0.074), (0.23, 0.48, 0.72))
    canvas.tint(round_part(0.482, 0.42, 0.045), (0.62, 0.84, 0.98), 0.7)
    canvas.tint(round_part(0.47, 0.41, 0.016), WHITE, 0.95)
    middle = polygon(
        curve(
            [
                (0.48, 0.66),
                (0.52, 0.66),
                (0.535, 0.80),
                (0.525, 0.955),
                (0.475, 0.955),
                (0.465, 0.80),
            ]
        )
    )
    canvas.add(puff(middle, depth=0.03), mix(accent, BLACK, 0.12), "gloss")
    return canvas.pixels()


def robot(main: Colour, accent: Colour) -> Pixels:
    """A tin robot."""
    canvas = Canvas()
    canvas.add(puff(stroke([(0.5, 0.13), (0.5, 0.055)], 0.014), depth=0.008), STEEL, "metal")
    canvas.add(puff(round_part(0.5, 0.05, 0.030), depth=0.03), accent, "gloss")
    for side in (-1, 1):
        x = 0.5 + side * 0.30
        arm = stroke(
            curve([(0.5 + side * 0.22, 0.49), (x, 0.54), (x + side * 0.01, 0.67)], closed=False),
            0.052,
        )
        canvas.add(puff(arm, depth=0.026), STEEL, "metal")
        hand = np.clip(
            round_part(x + side * 0.01, 0.715, 0.055) - round_part(x + side * 0.01, 0.735, 0.026),
            0,
            1,
        )
        canvas.add(puff(hand, depth=0.02), accent, "gloss")
        leg = rounded(0.5 + side * 0.115 - 0.045, 0.74, 0.5 + side * 0.115 + 0.045, 0.90, 0.02)
        canvas.add(puff(leg, depth=0.03), STEEL, "metal")
        foot = rounded(0.5 + side * 0.13 - 0.085, 0.875, 0.5 + side * 0.13 + 0.085, 0.955, 0.035)
        canvas.add(puff(foot, depth=0.04), accent, "gloss")
        ear = rounded(
            min(0.5 + side * 0.19, 0.5 + side * 0.235),
            0.21,
            max(0.5 + side * 0.19, 0.5 + side * 0.235),
            0.30,
            0.015,
        )
        canvas.add(puff(ear, depth=0.02), accent, "gloss")
    canvas.add(puff(rounded(0.45, 0.38, 0.55, 0.44, 0.01), depth=0.03), STEEL, "metal")
    canvas.add(
        puff(rounded(0.30, 0.125, 0.70, 0.395, 0.055), depth=0.055, bulge=0.8), main, "gloss"
    )
    canvas.add(
        puff(rounded(0.265, 0.425, 0.735, 0.78, 0.05), depth=0.055, bulge=0.8), main, "gloss"
    )
    for x in (0.415, 0.585):
        canvas.add(puff(round_part(x, 0.235, 0.052), depth=0.02), STEEL, "metal")
        canvas.lay(round_part(x, 0.235, 0.037), (0.10, 0.13, 0.18))
        canvas.lay(round_part(x, 0.235, 0.024), (0.45, 0.92, 0.95))
        canvas.lay(round_part(x - 0.01, 0.225, 0.008), WHITE)
    canvas.lay(rounded(0.42, 0.325, 0.58, 0.352, 0.012), mix(main, BLACK, 0.6))
    panel = rounded(0.345, 0.50, 0.655, 0.70, 0.025)
    canvas.add(puff(panel, depth=0.015, bulge=0.6), mix(WHITE, main, 0.12), "satin")
    for number, paint in enumerate(((0.93, 0.35, 0.30), (0.97, 0.78, 0.28), (0.35, 0.72, 0.45))):
        canvas.add(
            puff(round_part(0.42 + 0.08 * number, 0.555, 0.024), depth=0.022), paint, "gloss"
        )
    for number in range(5):
        height = 0.02 + 0.012 * ((number * 7) % 5)
        canvas.lay(
            rounded(0.40 + 0.045 * number, 0.665 - height, 0.42 + 0.045 * number, 0.665, 0.004),
            accent,
        )
    return canvas.pixels()
