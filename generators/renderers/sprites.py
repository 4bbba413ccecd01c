"""Small things drawn once: leaves, stones, flowers, fruit, balls."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from generators.arrays import Pixels, Plane, ramp
from generators.paint import (
    SIDE,
    Canvas,
    Colour,
    Shape,
    colour,
    curve,
    grid,
    mix,
    polygon,
    puff,
    stroke,
)
from generators.renderers.noise import cloud

__all__ = ["ball", "block", "blossom", "branch", "citrus", "leaf", "pebble", "petal"]

WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.05, 0.05, 0.05)


@lru_cache(maxsize=64)
def ball(paint: Colour, material: str) -> Pixels:
    """A ball."""
    x, y = grid()
    across, down = (x - 0.5) / 0.47, (y - 0.5) / 0.47
    far = np.sqrt(across**2 + down**2)
    up = np.sqrt(np.clip(1 - far**2, 0, 1))
    normal = np.dstack([across, down, up]).astype(np.float32)
    canvas = Canvas()
    canvas.add(
        Shape(np.clip((1 - far) * 0.47 * SIDE + 0.5, 0, 1), normal, across, down), paint, material
    )
    canvas.darken(ramp(0.1, 1.0, down) * ramp(0.6, 1.0, far), 0.35)
    return canvas.pixels()


@lru_cache(maxsize=64)
def pebble(paint: Colour, number: int) -> Pixels:
    """A river stone."""
    rng = np.random.default_rng(number + 300)
    angles = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    radii = 0.44 * (1 + rng.uniform(-0.10, 0.10, 11))
    points = [
        (0.5 + r * np.cos(a), 0.5 + 0.58 * r * np.sin(a))
        for r, a in zip(radii, angles, strict=True)
    ]
    canvas = Canvas()
    stone = puff(polygon(curve(points)), depth=0.24, bulge=0.9)
    grey = 1.0 + 0.05 * cloud(number + 301, smooth=1.0) + 0.03 * cloud(number, smooth=0.1)
    canvas.add(stone, np.asarray(paint, np.float32) * grey[..., None], "satin")
    return canvas.pixels()


@lru_cache(maxsize=64)
def block(paint: Colour, tall: float) -> Pixels:
    """A box turned a little, so that two sides and the top show."""
    canvas = Canvas()
    x, y = grid()
    top, low, rise = 0.90 - 0.62 * tall, 0.90, 0.09
    corners = {
        "front": [(0.04, top), (0.62, top + rise), (0.62, low + 0.06), (0.04, low - 0.02)],
        "side": [(0.62, top + rise), (0.96, top - 0.01), (0.96, low - 0.04), (0.62, low + 0.06)],
        "top": [(0.04, top), (0.38, top - rise), (0.96, top - 0.01), (0.62, top + rise)],
    }
    for name, bright in (("side", 0.74), ("front", 0.97), ("top", 1.12)):
        fade = 1.0 - 0.12 * y + 0.05 * (x - 0.5)
        face = np.clip(np.asarray(paint, np.float32) * bright * fade[..., None], 0, 1)
        canvas.lay(polygon(corners[name]), face.astype(np.float32))
    edge = stroke([(0.04, top), (0.62, top + rise), (0.96, top - 0.01)], 0.006)
    canvas.tint(edge, WHITE, 0.35)
    return canvas.pixels()


def _leaf_outline(width: float) -> list[tuple[float, float]]:
    half = [(0.03, 0.0), (0.12, 0.45), (0.30, 0.92), (0.50, 1.0), (0.72, 0.72), (0.88, 0.34)]
    upper = [(x, 0.5 - width * y) for x, y in half]
    lower = [(x, 0.5 + width * y) for x, y in reversed(half[1:])]
    return [*upper, (0.985, 0.5), *lower]


@lru_cache(maxsize=64)
def leaf(paint: Colour, width: float) -> Pixels:
    """One leaf pointing to the right, with its veins."""
    canvas = Canvas()
    cover = polygon(curve(_leaf_outline(width)))
    body = puff(cover, depth=0.10, bulge=0.45)
    x, y = grid()
    side = np.where(y < 0.5, 1.06, 0.90)
    canvas.add(body, np.asarray(paint, np.float32) * side[..., None], "satin")
    canvas.darken(cover * ramp(0.35, 0.0, x), 0.25)
    pale = mix(paint, WHITE, 0.35)
    canvas.tint(stroke([(0.03, 0.5), (0.96, 0.5)], 0.010) * cover, pale, 0.75)
    for root in np.linspace(0.14, 0.80, 8):
        reach = width * 1.0
        for turn in (-1, 1):
            line = stroke([(root, 0.5), (root + 0.12, 0.5 + turn * reach)], 0.004)
            canvas.tint(line * cover, pale, 0.30)
    return canvas.pixels()


@lru_cache(maxsize=32)
def petal(paint: Colour) -> Pixels:
    """One curled petal."""
    canvas = Canvas()
    outline = curve(
        [
            (0.08, 0.52),
            (0.30, 0.24),
            (0.68, 0.20),
            (0.93, 0.42),
            (0.86, 0.66),
            (0.55, 0.80),
            (0.24, 0.72),
        ]
    )
    body = puff(polygon(outline), depth=0.20, bulge=0.8)
    x, _ = grid()
    shade = (0.86 + 0.2 * x)[..., None]
    canvas.add(body, np.asarray(mix(paint, WHITE, 0.2), np.float32) * shade, "matte")
    return canvas.pixels()


@lru_cache(maxsize=32)
def blossom(paint: Colour) -> Pixels:
    """A flower of five petals, from the front."""
    canvas = Canvas()
    x, y = grid()
    far = np.hypot(x - 0.5, y - 0.5)
    for number in range(5):
        turn = 2 * np.pi * number / 5 - 0.3
        across, along = (
            np.array([-np.sin(turn), np.cos(turn)]),
            np.array([np.cos(turn), np.sin(turn)]),
        )
        outline = []
        for forward, sideways in (
            (0.02, 0.02),
            (0.17, 0.13),
            (0.34, 0.155),
            (0.44, 0.07),
            (0.425, 0.0),
            (0.44, -0.07),
            (0.34, -0.155),
            (0.17, -0.13),
        ):
            point = 0.5 + forward * along + sideways * across
            outline.append((float(point[0]), float(point[1])))
        cover = polygon(curve(outline))
        canvas.darken(_soft_seam(cover), 0.18)
        share = ramp(0.0, 0.42, far)[..., None]
        tint = np.asarray(mix(paint, (0.72, 0.12, 0.32), 0.28), np.float32)
        ground = tint * (1 - share) + np.asarray(mix(paint, WHITE, 0.45), np.float32) * share
        canvas.add(puff(cover, depth=0.12, bulge=0.5), ground, "matte")
    for number in range(11):
        turn = 2 * np.pi * number / 11 + 0.2
        reach = 0.075 + 0.035 * (number % 3)
        tip = (0.5 + reach * np.cos(turn), 0.5 + reach * np.sin(turn))
        canvas.lay(stroke([(0.5, 0.5), tip], 0.006), (0.97, 0.86, 0.62))
        canvas.lay(stroke([tip, tip], 0.020), (0.96, 0.73, 0.22))
    return canvas.pixels()


def _soft_seam(cover: Plane) -> Plane:
    """The soft dark seam that an upper petal leaves on a lower one."""
    return np.asarray(ndimage.gaussian_filter(cover, 5))


@lru_cache(maxsize=16)
def citrus(paint: Colour, cut: bool) -> Pixels:  # noqa: FBT001 - a cache key
    """A citrus fruit, whole or cut open."""
    canvas = Canvas()
    x, y = grid()
    across, down = (x - 0.5) / 0.47, (y - 0.5) / 0.47
    far = np.hypot(across, down)
    up = np.sqrt(np.clip(1 - far**2, 0, 1))
    cover = np.clip((1 - far) * 0.47 * SIDE + 0.5, 0, 1)
    flat = np.zeros_like(far)
    if not cut:
        bumps = cloud(310, smooth=0.6)
        normal = np.dstack([across, down, up]).astype(np.float32)
        normal[..., 0] += 0.05 * bumps * up
        canvas.add(Shape(cover, normal, across, down), paint, "satin")
        canvas.darken(ramp(0.1, 1.0, down) * ramp(0.6, 1.0, far), 0.30)
        return canvas.pixels()
    face = np.dstack([across * 0.1, flat - 0.25, flat + 0.96]).astype(np.float32)
    canvas.add(Shape(cover, face, across, down), paint, "satin")
    canvas.tint(ramp(0.95, 0.93, far), (1.0, 0.97, 0.88))
    angle = np.arctan2(down, across)
    spokes = np.abs(np.sin(angle * 5)) * far
    flesh = ramp(0.87, 0.85, far) * ramp(0.035, 0.075, spokes) * ramp(0.06, 0.10, far)
    canvas.tint(flesh, mix(paint, WHITE, 0.12))
    fibres = np.sin(angle * 90 + 4 * cloud(311, smooth=1.2)) * 0.5 + 0.5
    canvas.tint(flesh * fibres * ramp(0.1, 0.8, far), mix(paint, WHITE, 0.5), 0.35)
    return canvas.pixels()


@lru_cache(maxsize=32)
def branch(kind: str, number: int) -> Pixels:
    """A twig that enters from the left: ``leaves``, ``blossoms``, ``autumn`` or ``fir``."""
    rng = np.random.default_rng(number + 320)
    canvas = Canvas()
    spine = curve(
        [(0.0, 0.62), (0.25, 0.54), (0.5, 0.50), (0.75, 0.40), (0.97, 0.36)], closed=False
    )
    bark = puff(stroke(spine, 0.014), depth=0.01)
    canvas.add(bark, colour("6b4a33"), "matte")
    _DRESS[kind](canvas, spine, rng)
    return canvas.pixels()


def _leafy(
    canvas: Canvas,
    spine: list[tuple[float, float]],
    rng: np.random.Generator,
    paints: tuple[str, ...],
    width: float,
) -> None:
    for number, place in enumerate(np.linspace(3, len(spine) - 2, 13).astype(int)):
        root = np.array(spine[place])
        turn = (-1) ** number * float(rng.uniform(0.6, 1.1)) - 0.2
        reach = float(rng.uniform(0.15, 0.22))
        along = np.array([np.cos(turn), np.sin(turn)])
        across = np.array([-along[1], along[0]])
        outline = []
        for forward, sideways in (
            (0, 0),
            (0.2, 0.6),
            (0.5, 1),
            (0.8, 0.6),
            (1, 0),
            (0.8, -0.6),
            (0.5, -1),
            (0.2, -0.6),
        ):
            point = root + reach * forward * along + width * reach * sideways * across
            outline.append((float(point[0]), float(point[1])))
        cover = polygon(curve(outline, steps=6))
        paint = colour(paints[int(rng.integers(len(paints)))])
        canvas.add(puff(cover, depth=0.05, bulge=0.6), paint, "satin")
        tip = root + reach * 0.94 * along
        vein = stroke([(float(root[0]), float(root[1])), (float(tip[0]), float(tip[1]))], 0.004)
        canvas.tint(vein, mix(paint, WHITE, 0.4), 0.6)


def _green(canvas: Canvas, spine: list[tuple[float, float]], rng: np.random.Generator) -> None:
    _leafy(canvas, spine, rng, ("5f8f5a", "7faa6c", "4c7a52", "8db58a"), 0.30)


def _eucalyptus(canvas: Canvas, spine: list[tuple[float, float]], rng: np.random.Generator) -> None:
    _leafy(canvas, spine, rng, ("8fae9d", "a7c2b0", "7c9d8e"), 0.46)


def _autumn(canvas: Canvas, spine: list[tuple[float, float]], rng: np.random.Generator) -> None:
    _leafy(canvas, spine, rng, ("c8642a", "d98b33", "a8432a", "e0ab4e"), 0.36)


def _flowering(canvas: Canvas, spine: list[tuple[float, float]], rng: np.random.Generator) -> None:
    for place in np.linspace(4, len(spine) - 1, 11).astype(int):
        middle = np.array(spine[place]) + rng.normal(0, 0.028, 2)
        size = float(rng.uniform(0.034, 0.056))
        for number in range(5):
            turn = 2 * np.pi * number / 5 + float(rng.uniform(0, 1))
            point = middle + size * 0.8 * np.array([np.cos(turn), np.sin(turn)])
            cover = stroke([(float(point[0]), float(point[1]))] * 2, size * 1.15)
            canvas.add(
                puff(cover, depth=0.025, bulge=0.7),
                colour(("f9d3dd", "f6bccb", "fde6ea")[number % 3]),
                "matte",
            )
        spot = (float(middle[0]), float(middle[1]))
        canvas.lay(stroke([spot, spot], size * 0.42), colour("d8617f"))


def _fir(canvas: Canvas, spine: list[tuple[float, float]], rng: np.random.Generator) -> None:
    greens = ("2f5a3f", "3f7350", "264a35", "568a63")
    for place in range(2, len(spine)):
        root = np.array(spine[place])
        for turn in (-1, 1):
            angle = turn * float(rng.uniform(0.5, 0.9)) - 0.15
            tip = root + float(rng.uniform(0.09, 0.13)) * np.array([np.cos(angle), np.sin(angle)])
            line = [(float(root[0]), float(root[1])), (float(tip[0]), float(tip[1]))]
            canvas.lay(stroke(line, 0.0085), colour(greens[int(rng.integers(4))]))


_DRESS = {
    "leaves": _green,
    "eucalyptus": _eucalyptus,
    "blossoms": _flowering,
    "autumn": _autumn,
    "fir": _fir,
}
