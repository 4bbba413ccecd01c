"""The brush of the drawn catalogue: shapes with normals, lit by one photographic studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from generators.arrays import Pixels, Plane, ramp

__all__ = [
    "MATERIALS",
    "SIDE",
    "Canvas",
    "Colour",
    "Material",
    "Shape",
    "band",
    "colour",
    "curve",
    "disc",
    "grid",
    "lathe",
    "light",
    "mix",
    "polygon",
    "puff",
    "stroke",
    "text_mask",
]

SIDE = 512
"""Width and height of a drawn product in pixels; coordinates run from 0 to 1."""

FINER = 3
"""Outlines are filled at this many times the size and then averaged."""

Colour = tuple[float, float, float]
Point = tuple[float, float]
Window = tuple[slice, slice]

_Y, _X = (np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) + 0.5) / SIDE


class Material(NamedTuple):
    """How a surface answers light: all from 0 to 1."""

    diffuse: float
    gloss: float
    metal: float
    wrap: float


MATERIALS = {
    "matte": Material(1.0, 0.03, 0.0, 0.5),
    "satin": Material(0.97, 0.16, 0.0, 0.4),
    "gloss": Material(0.92, 0.42, 0.0, 0.35),
    "metal": Material(0.28, 0.25, 0.85, 0.3),
    "glass": Material(0.8, 0.65, 0.0, 0.8),
    "fabric": Material(1.0, 0.0, 0.0, 0.65),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of a product.

    Args:
        cover: SIDE x SIDE coverage, 0 … 1.
        normal: SIDE x SIDE x 3, x to the right, y down, z to the viewer; of length 1.
        u: Around the part, -1 (left edge) … 1; for patterns and labels.
        v: Down the part, 0 … 1.
    """

    cover: Plane
    normal: Plane
    u: Plane
    v: Plane


def colour(code: str) -> Colour:
    """Read a colour written as six hex digits; sRGB, 0 … 1."""
    red, green, blue = (int(code[place : place + 2], 16) / 255.0 for place in (0, 2, 4))
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; ``share`` 1 is wholly the second."""
    a, b, c = (one + (two - one) * share for one, two in zip(first, second, strict=True))
    return a, b, c


class Canvas:
    """A transparent sheet on which parts are laid one over the other."""

    def __init__(self) -> None:
        self._light = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
        self._alpha = np.zeros((SIDE, SIDE), dtype=np.float32)

    def add(
        self,
        shape: Shape,
        paint: Colour | Plane,
        material: str = "satin",
        *,
        opacity: float = 1.0,
        shade: float = 1.0,
    ) -> None:
        """Lay a lit part over what is there.

        Args:
            shape: Where it is and how it faces the light.
            paint: One colour, or SIDE x SIDE x 3 for a pattern.
            material: A key of ``MATERIALS``.
            opacity: Below 1 what is under it shines through.
            shade: Scales its light; for parts in shadow.
        """
        window = _window(shape.cover)
        tone = np.asarray(paint, dtype=np.float32)
        tone = tone[window] if tone.ndim == 3 else tone
        lit = light(shape.normal[window], tone, MATERIALS[material]) * shade
        self._lay(window, shape.cover[window] * opacity, lit)

    def lay(self, cover: Plane, paint: Colour | Plane) -> None:
        """Lay an unlit colour over what is there."""
        window = _window(cover)
        tone = np.asarray(paint, dtype=np.float32)
        self._lay(window, cover[window], tone[window] if tone.ndim == 3 else tone)

    def _lay(self, window: Window, cover: Plane, tone: Plane) -> None:
        light, alpha = self._light[window], self._alpha[window]
        after = alpha + (1.0 - alpha) * cover
        # colours are kept unmixed with the transparent ground: "over" for straight alpha
        share = np.divide(cover, after, out=np.zeros_like(after), where=after > 0)
        light += (tone - light) * share[..., None]
        alpha[...] = after

    def tint(self, cover: Plane, paint: Colour, strength: float = 1.0) -> None:
        """Colour only what is painted already, such as a shadow of one part on another."""
        window = _window(cover)
        light = self._light[window]
        light += (np.asarray(paint, dtype=np.float32) - light) * (cover[window] * strength)[
            ..., None
        ]

    def darken(self, cover: Plane, strength: float) -> None:
        """Darken what is painted already."""
        window = _window(cover)
        self._light[window] *= 1.0 - (cover[window] * strength)[..., None]

    def pixels(self) -> Pixels:
        """Return uint8 RGBA, cropped to what is painted."""
        alpha = np.where(self._alpha > 0.985, 1.0, self._alpha)
        sheet = np.dstack([np.clip(self._light, 0, 1), alpha])
        data = (sheet * 255.0 + 0.5).astype(np.uint8)
        rows = np.flatnonzero((data[..., 3] > 0).any(axis=1))
        columns = np.flatnonzero((data[..., 3] > 0).any(axis=0))
        return data[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def light(normal: Plane, paint: Plane, material: Material) -> Plane:
    """Light a surface in a studio: a large softbox left above, a strip right, a bright floor.

    Args:
        normal: SIDE x SIDE x 3.
        paint: The surface's own colour, 3 or SIDE x SIDE x 3.
        material: How it answers.

    Returns:
        SIDE x SIDE x 3, about 0 … 1.
    """
    nx, ny, nz = normal[..., 0], normal[..., 1], normal[..., 2]
    key = nx * -0.50 + ny * -0.52 + nz * 0.69
    fill = nx * 0.72 + ny * -0.10 + nz * 0.68
    wrap = material.wrap
    diffuse = 0.28 + 0.72 * np.clip((key + wrap) / (1 + wrap), 0, 1)
    diffuse += 0.20 * np.clip(fill, 0, 1) + 0.07 * np.clip(ny, 0, 1)
    rx, ry = 2 * nz * nx, 2 * nz * ny
    rz = 2 * nz * nz - 1
    turn = np.arctan2(rx, rz + 1e-6)
    rise = -ry
    left = ramp(-1.35, -1.12, turn) * ramp(-0.55, -0.75, turn) * ramp(-0.5, -0.3, rise)
    left *= ramp(0.85, 0.6, rise)
    right = ramp(1.25, 1.38, turn) * ramp(1.75, 1.6, turn) * ramp(-0.6, -0.4, rise)
    right *= ramp(0.8, 0.6, rise)
    above = ramp(0.55, 0.9, rise)
    rim = (1.0 - np.clip(nz, 0, 1)) ** 4
    boxes = left + 0.75 * right + 0.55 * above + 0.22 * rim
    room = 0.20 + 0.32 * ramp(-1.0, 1.0, rise) + 1.05 * left + 0.95 * right + 0.55 * above
    room += 0.34 * ramp(2.0, 2.6, np.abs(turn)) + 0.25 * ramp(0.35, 0.0, np.abs(turn - 0.25))
    body = paint * (diffuse * material.diffuse)[..., None]
    mirrored = paint * (room * material.metal)[..., None]
    shine = (boxes * material.gloss)[..., None]
    lit = body + mirrored
    return np.asarray(lit + (1.0 - np.clip(lit, 0, 1)) * shine, dtype=np.float32)


def lathe(
    profile: Sequence[Point], *, x: float = 0.5, tilt: float = 0.10, smooth: bool = False
) -> Shape:
    """Turn a profile around an upright axis, seen slightly from above.

    Args:
        profile: (y, radius) from top to bottom.
        x: Where the axis is.
        tilt: Sine of the view's elevation: how round the edges look.
        smooth: Join the points by a smooth curve that does not overshoot.
    """
    heights = np.array([point[0] for point in profile])
    radii = np.array([point[1] for point in profile])
    lattice = np.linspace(heights[0], heights[-1], 4 * SIDE)
    fine = (
        PchipInterpolator(heights, radii)(lattice) if smooth else np.interp(lattice, heights, radii)
    )
    slope = ndimage.gaussian_filter1d(np.gradient(fine, lattice), 6)
    widest = float(radii.max())
    window = _around(x - widest, heights[0] - 0.01, x + widest, heights[-1] + tilt * widest + 0.01)
    across, ring = _X[window] - x, _Y[window]
    radius = np.interp(ring, lattice, fine)
    for _ in range(2):
        inside = np.clip(1.0 - (across / np.maximum(radius, 1e-4)) ** 2, 0, 1)
        ring = _Y[window] - tilt * radius * np.sqrt(inside)
        radius = np.interp(ring, lattice, fine)
    sine = np.clip(across / np.maximum(radius, 1e-4), -1, 1)
    lean = -np.interp(ring, lattice, slope)
    edge = np.minimum(radius - np.abs(across), np.minimum(heights[-1] - ring, ring - heights[0]))
    return Shape(
        _spread(window, np.clip(edge * SIDE + 0.5, 0, 1) * (radius > 1e-3)),
        _spread(window, _unit(sine, lean + tilt * -0.3, np.sqrt(1.0 - sine * sine))),
        _spread(window, np.arcsin(sine) * (2.0 / np.pi)),
        _spread(window, (ring - heights[0]) / (heights[-1] - heights[0])),
    )


def disc(x: float, y: float, radius: float, *, tilt: float = 0.10) -> Shape:
    """A flat round top or opening, seen slightly from above."""
    across, down = (_X - x) / radius, (_Y - y) / max(radius * tilt, 1e-4)
    far = np.sqrt(across * across + down * down)
    cover = np.clip((1.0 - far) * radius * max(tilt, 0.02) * SIDE + 0.5, 0, 1)
    flat = np.zeros_like(_X)
    return Shape(cover, _unit(across * 0.12, flat - 0.75, flat + 0.66), across, np.clip(far, 0, 1))


def polygon(points: Sequence[Point]) -> Plane:
    """Fill an outline; coverage SIDE x SIDE."""
    sheet = Image.new("L", (SIDE * FINER, SIDE * FINER))
    scaled = [(px * SIDE * FINER, py * SIDE * FINER) for px, py in points]
    ImageDraw.Draw(sheet).polygon(scaled, fill=255)
    return np.asarray(sheet.reduce(FINER), dtype=np.float32) / 255.0


def curve(points: Sequence[Point], *, closed: bool = True, steps: int = 14) -> list[Point]:
    """Join points by a smooth curve through all of them (centripetal-like Catmull-Rom)."""
    nodes = list(points)
    padded = [nodes[-1], *nodes, nodes[0], nodes[1]] if closed else [nodes[0], *nodes, nodes[-1]]
    corners = np.array(padded)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    path: list[Point] = []
    for a, b, c, d in zip(corners, corners[1:], corners[2:], corners[3:], strict=False):
        piece = 0.5 * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        path += [(float(px), float(py)) for px, py in piece]
    return path if closed else [*path, nodes[-1]]


def stroke(points: Sequence[Point], width: float) -> Plane:
    """Draw a line of even width with round ends; coverage SIDE x SIDE."""
    sheet = Image.new("L", (SIDE * FINER, SIDE * FINER))
    pen = ImageDraw.Draw(sheet)
    scaled = [(px * SIDE * FINER, py * SIDE * FINER) for px, py in points]
    thick = max(1, round(width * SIDE * FINER))
    pen.line(scaled, fill=255, width=thick, joint="curve")
    for px, py in (scaled[0], scaled[-1]):
        pen.ellipse((px - thick / 2, py - thick / 2, px + thick / 2, py + thick / 2), fill=255)
    return np.asarray(sheet.reduce(FINER), dtype=np.float32) / 255.0


def puff(cover: Plane, *, depth: float = 0.06, bulge: float = 1.0) -> Shape:
    """Give a flat silhouette a rounded body: its height grows with the distance to its edge.

    Args:
        cover: SIDE x SIDE coverage.
        depth: How far from the edge the rounding reaches.
        bulge: How steep it is.
    """
    half = cover[::2, ::2] > 0.5
    reach = depth * SIDE / 2
    near = np.clip(ndimage.distance_transform_edt(half) / reach, 0, 1)
    height = np.sqrt(1.0 - (1.0 - near) ** 2) * reach
    height = ndimage.gaussian_filter(height, max(1.0, reach * 0.16))
    down, across = np.gradient(height.astype(np.float32))
    grown = [
        np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for plane in (across, down)
    ]
    normal = _unit(-grown[0] * bulge, -grown[1] * bulge, np.ones_like(_X))
    return Shape(cover, normal, *_box_coordinates(cover))


def band(low: float, high: float, v: Plane, *, soft: float = 0.004) -> Plane:
    """1 where ``v`` lies between two values, with a soft edge."""
    return ramp(low - soft, low + soft, v) * ramp(high + soft, high - soft, v)


def text_mask(shape: Shape, words: str, *, v: float, height: float, width: float = 0.5) -> Plane:
    """Letters printed on a part, following its roundness.

    Args:
        shape: The part.
        words: What is printed.
        v: Where the middle of the line is, down the part.
        height: Height of the line as a share of the part.
        width: Width of the line in ``u``.
    """
    font = ImageFont.load_default(size=72)
    box = font.getbbox(words)
    strip = Image.new("L", (round(box[2] - box[0]) + 4, round(box[3] - box[1]) + 4))
    ImageDraw.Draw(strip).text((2 - box[0], 2 - box[1]), words, fill=255, font=font)
    letters = ndimage.gaussian_filter(np.asarray(strip, dtype=np.float32) / 255.0, 1.2)
    window = _window(shape.cover)
    rows = ((shape.v[window] - v) / height + 0.5) * (letters.shape[0] - 1)
    columns = (shape.u[window] / width + 0.5) * (letters.shape[1] - 1)
    printed = ndimage.map_coordinates(letters, [rows, columns], order=1, cval=0.0)
    return _spread(window, printed * shape.cover[window])


def grid() -> tuple[Plane, Plane]:
    """X and y of every pixel's middle."""
    return _X, _Y


def _box_coordinates(cover: Plane) -> tuple[Plane, Plane]:
    rows = np.flatnonzero((cover > 0.5).any(axis=1))
    columns = np.flatnonzero((cover > 0.5).any(axis=0))
    if not len(rows):
        return _X * 0, _Y * 0
    left, right = columns[0] / SIDE, (columns[-1] + 1) / SIDE
    top, bottom = rows[0] / SIDE, (rows[-1] + 1) / SIDE
    return (2 * _X - left - right) / (right - left), (_Y - top) / (bottom - top)


def _window(cover: Plane) -> Window:
    """The smallest box that holds everything covered."""
    rows = np.flatnonzero(cover.any(axis=1))
    columns = np.flatnonzero(cover.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _around(left: float, top: float, right: float, bottom: float) -> Window:
    """The box of pixels around a box of coordinates."""
    low = np.floor(np.clip(np.array([top, left]), 0, 1) * SIDE).astype(int)
    high = np.ceil(np.clip(np.array([bottom, right]), 0, 1) * SIDE).astype(int)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _spread(window: Window, part: Plane) -> Plane:
    """Put a computed box back into a whole sheet."""
    whole = np.zeros((SIDE, SIDE, *part.shape[2:]), dtype=np.float32)
    whole[window] = part
    return whole


def _unit(x: Plane, y: Plane, z: Plane) -> Plane:
    length = np.sqrt(x * x + y * y + z * z) + 1e-6
    return np.stack([x / length, y / length, z / length], axis=-1).astype(np.float32)
