"""Drawn drinks."""

from __future__ import annotations

import numpy as np

from generators.arrays import Pixels, Plane, ramp
from generators.paint import (
    Canvas,
    Colour,
    Shape,
    band,
    disc,
    lathe,
    mix,
    text_mask,
)

__all__ = ["can", "coffee_cup", "juice_bottle", "thermos"]

BLACK: Colour = (0.09, 0.09, 0.1)
WHITE: Colour = (0.97, 0.97, 0.96)
STEEL: Colour = (0.80, 0.82, 0.85)


def juice_bottle(main: Colour, accent: Colour) -> Pixels:
    """A bottle of juice with a printed fruit."""
    canvas = Canvas()
    bottle = lathe(
        [
            (0.13, 0.068),
            (0.20, 0.070),
            (0.27, 0.105),
            (0.36, 0.158),
            (0.44, 0.165),
            (0.90, 0.165),
            (0.945, 0.160),
            (0.965, 0.135),
        ],
        tilt=0.11,
        smooth=True,
    )
    canvas.add(bottle, main, "glass")
    canvas.tint(bottle.cover * ramp(0.16, 0.10, bottle.v), mix(main, WHITE, 0.72), 0.8)
    label = bottle.cover * band(0.40, 0.86, bottle.v)
    canvas.add(Shape(label, bottle.normal, bottle.u, bottle.v), WHITE, "satin")
    fruit = _round_fruit(bottle, v=0.70)
    canvas.tint(fruit, main, 0.96)
    canvas.tint(
        _round_fruit(bottle, v=0.70, size=0.76) * _segments(bottle, 0.70),
        mix(main, WHITE, 0.5),
        0.8,
    )
    canvas.tint(text_mask(bottle, "SUNNY", v=0.485, height=0.075, width=0.74), accent, 0.95)
    canvas.tint(text_mask(bottle, "100 % juice", v=0.555, height=0.035, width=0.46), accent, 0.7)
    canvas.add(disc(0.5, 0.045, 0.080, tilt=0.11), mix(accent, WHITE, 0.1), "satin")
    canvas.add(lathe([(0.045, 0.080), (0.135, 0.084)], tilt=0.11), accent, "gloss")
    return canvas.pixels()


def _round_fruit(shape: Shape, *, v: float, size: float = 1.0) -> Plane:
    far = np.hypot(shape.u / (0.40 * size), (shape.v - v) / (0.125 * size))
    return ramp(1.03, 0.97, far) * shape.cover


def _segments(shape: Shape, v: float) -> Plane:
    angle = np.arctan2((shape.v - v) / 0.125, shape.u / 0.40)
    return ramp(0.10, 0.22, np.abs(np.sin(angle * 4)))


def can(main: Colour, accent: Colour) -> Pixels:
    """A can of soda with waves."""
    canvas = Canvas()
    body = lathe(
        [(0.06, 0.195), (0.085, 0.205), (0.13, 0.245), (0.86, 0.245), (0.92, 0.215), (0.945, 0.19)],
        tilt=0.13,
        smooth=True,
    )
    wave = 0.52 + 0.09 * np.sin(body.u * 3.3 + 0.6)
    paint = np.where(
        (ramp(-0.006, 0.006, body.v - wave) > 0.5)[..., None], _tone(accent), _tone(main)
    ).astype(np.float32)
    stripe = band(0.0, 0.035, body.v - wave - 0.03)[..., None]
    paint = paint * (1 - stripe) + _tone(WHITE) * stripe
    metal = (ramp(0.045, 0.035, body.v) + ramp(0.955, 0.965, body.v))[..., None]
    paint = paint * (1 - metal) + _tone(STEEL) * metal
    canvas.add(body, paint, "gloss")
    canvas.tint(text_mask(body, "FIZZ", v=0.33, height=0.19, width=0.70), WHITE, 0.97)
    canvas.tint(text_mask(body, "sparkling", v=0.78, height=0.06, width=0.46), WHITE, 0.9)
    canvas.add(disc(0.5, 0.06, 0.197, tilt=0.13), STEEL, "metal")
    canvas.add(disc(0.5, 0.062, 0.172, tilt=0.13), mix(STEEL, BLACK, 0.35), "metal")
    canvas.add(disc(0.5, 0.067, 0.055, tilt=0.16), STEEL, "metal", shade=0.8)
    return canvas.pixels()


def coffee_cup(main: Colour, accent: Colour) -> Pixels:
    """A cup of coffee to go, with a sleeve."""
    canvas = Canvas()
    cup = lathe([(0.17, 0.225), (0.96, 0.160)], tilt=0.12)
    canvas.add(cup, WHITE, "satin")
    sleeve = cup.cover * band(0.28, 0.72, cup.v)
    canvas.add(Shape(sleeve, cup.normal, cup.u, cup.v), main, "matte")
    canvas.darken(sleeve * ramp(0.3, 0.28, cup.v), 0.2)
    canvas.darken(cup.cover * band(0.72, 0.74, cup.v), 0.18)
    ring = np.hypot(cup.u / 0.36, (cup.v - 0.5) / 0.155)
    canvas.tint(ramp(1.02, 0.98, ring) * cup.cover, WHITE, 0.96)
    canvas.tint(text_mask(cup, "BREW", v=0.5, height=0.085, width=0.46), main, 0.95)
    canvas.add(lathe([(0.115, 0.235), (0.135, 0.247), (0.185, 0.247)], tilt=0.12), accent, "satin")
    canvas.add(disc(0.5, 0.115, 0.235, tilt=0.12), mix(accent, BLACK, 0.12), "satin")
    canvas.add(lathe([(0.055, 0.190), (0.07, 0.205), (0.125, 0.215)], tilt=0.12), accent, "satin")
    canvas.add(disc(0.5, 0.055, 0.190, tilt=0.12), mix(accent, WHITE, 0.06), "satin")
    canvas.add(disc(0.56, 0.058, 0.03, tilt=0.14), BLACK, "matte")
    return canvas.pixels()


def thermos(main: Colour, accent: Colour) -> Pixels:
    """An insulated bottle."""
    canvas = Canvas()
    body = lathe(
        [(0.19, 0.085), (0.23, 0.10), (0.30, 0.150), (0.34, 0.158), (0.93, 0.158), (0.96, 0.145)],
        tilt=0.11,
        smooth=True,
    )
    canvas.add(body, main, "satin")
    canvas.tint(text_mask(body, "trail", v=0.55, height=0.085, width=0.50), WHITE, 0.9)
    canvas.add(lathe([(0.17, 0.090), (0.205, 0.092)], tilt=0.11), STEEL, "metal")
    canvas.add(lathe([(0.055, 0.094), (0.175, 0.097)], tilt=0.11), accent, "satin")
    canvas.add(disc(0.5, 0.055, 0.094, tilt=0.11), mix(accent, WHITE, 0.1), "satin")
    return canvas.pixels()


def _tone(paint: Colour) -> Plane:
    return np.asarray(paint, dtype=np.float32)
