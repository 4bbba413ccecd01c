"""What products stand on: wood, stone, cloth, sand, water; laid flat under the camera."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from generators.arrays import Plane, ramp, resize, shrink
from generators.paint import Colour, colour, mix
from generators.renderers.noise import TILE, cloud
from generators.renderers.palettes import Palette, tone
from generators.renderers.stage import Stage

__all__ = ["GLOSS", "lay_surface"]

GLOSS = {
    "plaster": 0.05,
    "oak": 0.14,
    "walnut": 0.18,
    "marble": 0.26,
    "black marble": 0.42,
    "terrazzo": 0.16,
    "concrete": 0.06,
    "slate": 0.10,
    "water": 0.55,
    "acrylic": 0.55,
}
"""How strongly a surface mirrors what stands on it; what is missing does not."""

_FAR = 0.16
"""Camera constant: the surface's far edge is 1/_FAR times as far away as its near edge."""


def lay_surface(stage: Stage) -> Plane:
    """Return the surface as the camera sees it.

    Args:
        stage: The scene.

    Returns:
        rows x size x 3: the rows from the horizon down; the whole picture from above.
    """
    if stage.overhead:
        texture = _texture(stage.scene.surface, stage.palette, stage.variety)
        turned = np.roll(texture, (37 * stage.variety, 91 * stage.variety), axis=(0, 1))
        return resize(turned, stage.size, stage.size)
    return _in_perspective(stage)


def _in_perspective(stage: Stage) -> Plane:
    first = round(stage.horizon * stage.size)
    rows = stage.size - first
    down = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    depth = 1.0 / (down + _FAR)
    zoom = 0.95 * TILE
    across = (np.arange(stage.size, dtype=np.float32) + 0.5) / stage.size - 0.5
    v = depth * zoom * 0.55 + 83.0 * stage.variety
    step = np.sqrt(np.abs(np.gradient(v)) * depth * zoom / stage.size)
    levels = np.clip(np.round(np.log2(np.maximum(step, 1.0)) + 0.2), 0, 4).astype(int)
    result = np.empty((rows, stage.size, 3), dtype=np.float32)
    for level in np.unique(levels):
        chosen = levels == level
        small = _pyramid(stage.scene.surface, stage.palette, stage.variety, int(level))
        shrink = 2.0**level
        y = np.broadcast_to((v[chosen] / shrink)[:, None], (int(chosen.sum()), stage.size))
        x = (0.5 * TILE + across[None, :] * depth[chosen][:, None] * zoom) / shrink
        for channel in range(3):
            result[chosen, :, channel] = ndimage.map_coordinates(
                small[..., channel], [y, x], order=1, mode="grid-wrap"
            )
    return result


@lru_cache(maxsize=128)
def _pyramid(surface: str, palette: Palette, variety: int, level: int) -> Plane:
    texture = _texture(surface, palette, variety)
    return texture if level == 0 else shrink(texture, 2**level)


@lru_cache(maxsize=64)
def _texture(surface: str, palette: Palette, variety: int) -> Plane:
    texture = np.clip(_MAKERS[surface](palette, variety), 0.0, 1.0).astype(np.float32)
    texture.flags.writeable = False
    return texture


def _wood(dark: Colour, pale: Colour, variety: int) -> Plane:
    grain = cloud(variety, smooth=1.5, along_x=14.0)
    rings = cloud(variety + 10, smooth=2.3, along_x=7.0)
    pores = cloud(variety + 20, smooth=0.7, along_x=26.0)
    share = 0.52 + 0.13 * grain + 0.10 * np.sin(7.0 * rings + 1.5 * grain) + 0.05 * pores
    wide = TILE // 4
    board = np.arange(TILE) // wide
    order = np.random.default_rng(variety)
    share = share + np.array([*order.uniform(-0.10, 0.10, 4)])[board][:, None]
    moved = np.concatenate(
        [np.roll(share[board == number], int(order.integers(TILE)), axis=1) for number in range(4)]
    )
    seam = np.minimum(np.arange(TILE) % wide, wide - np.arange(TILE) % wide)
    paint = tone(dark) + (tone(pale) - tone(dark)) * np.clip(moved, 0, 1.2)[..., None]
    groove = 1.0 - 0.55 * np.exp(-((seam / 1.3) ** 2)) - 0.10 * np.exp(-((seam / 5.0) ** 2))
    return np.asarray(paint * groove[:, None, None])


def _oak(_palette: Palette, variety: int) -> Plane:
    return _wood(colour("a97c4c"), colour("e3c196"), variety)


def _walnut(_palette: Palette, variety: int) -> Plane:
    return _wood(colour("3d2517"), colour("8a5b38"), variety + 4)


def _veins(variety: int, width: float) -> Plane:
    warp = cloud(variety + 30, smooth=2.4)
    first = np.abs(cloud(variety + 31, smooth=2.2) + 0.35 * warp)
    second = np.abs(cloud(variety + 32, smooth=1.9) + 0.25 * warp)
    fade = ramp(-0.6, 1.3, cloud(variety + 33, smooth=2.0))
    return np.asarray(
        np.exp(-((first / width) ** 2)) * fade
        + 0.45 * np.exp(-((second / (0.6 * width)) ** 2)) * ramp(-0.2, 1.6, -warp)
    )


def _marble(_palette: Palette, variety: int) -> Plane:
    mist = 0.022 * cloud(variety + 34, smooth=2.2)
    vein = _veins(variety, 0.085)
    soft = ndimage.gaussian_filter(vein, 6, mode="wrap")
    grey = 0.945 + mist - 0.26 * vein - 0.16 * soft
    return np.asarray(grey[..., None] * tone((1.0, 0.995, 0.985)))


def _black_marble(_palette: Palette, variety: int) -> Plane:
    mist = 0.012 * cloud(variety + 35, smooth=2.0)
    vein = _veins(variety + 5, 0.05)[..., None]
    return np.asarray(
        (0.085 + mist)[..., None] * tone((1.0, 1.0, 1.05)) + vein * tone((0.72, 0.60, 0.40)) * 0.75
    )


def _terrazzo(palette: Palette, variety: int) -> Plane:
    rng = np.random.default_rng(variety + 50)
    ground = mix(palette.floor, (0.97, 0.96, 0.94), 0.65)
    chips = [
        palette.accent,
        palette.deep,
        mix(palette.wall, (1, 1, 1), 0.4),
        mix(palette.accent, palette.deep, 0.5),
        (0.55, 0.54, 0.53),
    ]
    sheet = Image.new("RGB", (2 * TILE, 2 * TILE), _code(ground))
    pen = ImageDraw.Draw(sheet)
    for _ in range(420):
        x, y = rng.uniform(0, 2 * TILE, 2)
        reach = float(rng.gamma(2.2, 5.0)) + 4
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 7))))
        radii = reach * rng.uniform(0.6, 1.0, len(angles))
        chip = _code(chips[int(rng.integers(len(chips)))])
        for shift_x in (-2 * TILE, 0, 2 * TILE):
            for shift_y in (-2 * TILE, 0, 2 * TILE):
                px = x + shift_x + radii * np.cos(angles)
                py = y + shift_y + radii * np.sin(angles)
                pen.polygon([*zip(px.tolist(), py.tolist(), strict=True)], fill=chip)
    paint = np.asarray(sheet.reduce(2), dtype=np.float32) / 255.0
    return np.asarray(paint * (1.0 + 0.012 * cloud(variety, smooth=0.5))[..., None])


def _concrete(palette: Palette, variety: int) -> Plane:
    ground = mix((0.72, 0.715, 0.70), palette.floor, 0.22)
    pits = (cloud(variety + 60, smooth=0.6) < -2.9).astype(np.float32)
    pits = ndimage.gaussian_filter(pits, 0.9, mode="wrap")
    grey = (
        1.0
        + 0.045 * cloud(variety + 61, smooth=1.9)
        + 0.016 * cloud(variety + 62, smooth=0.4)
        - 0.30 * pits
    )
    return np.asarray(tone(ground) * grey[..., None])


def _slate(_palette: Palette, variety: int) -> Plane:
    height = cloud(variety + 63, smooth=1.45, along_x=2.0)
    slope = np.roll(height, 1, axis=0) - np.roll(height, -1, axis=0)
    grey = 0.235 + 0.10 * np.clip(slope, -1.6, 1.6) + 0.018 * height
    return np.asarray(grey[..., None] * tone((0.96, 1.0, 1.06)))


def _linen(palette: Palette, variety: int) -> Plane:
    line = np.arange(TILE) * (2 * np.pi / 4.0)
    weave = np.sin(line)[None, :] * np.cos(line)[:, None]
    threads = cloud(variety + 64, smooth=0.35, along_x=24.0) + cloud(
        variety + 65, smooth=0.35, along_y=24.0
    )
    folds = cloud(variety + 66, smooth=2.6, along_x=1.6)
    shade = 4.0 * (np.roll(folds, 1, axis=1) - np.roll(folds, -1, axis=1))
    grey = 1.0 + 0.035 * weave + 0.022 * threads + 0.16 * np.clip(shade, -1, 1)
    return np.asarray(tone(mix(palette.floor, (0.96, 0.94, 0.9), 0.35)) * grey[..., None])


def _satin(palette: Palette, variety: int) -> Plane:
    height = cloud(variety + 67, smooth=3.1, along_x=1.5)
    height = height + 0.22 * cloud(variety + 68, smooth=2.8)
    down = 21.0 * (np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0))
    across = 21.0 * (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1))
    length = np.sqrt(across**2 + down**2 + 1.0)
    diffuse = np.clip((0.55 * across + 0.30 * down + 0.78) / length, 0, 1)
    shine = np.clip((0.42 * across + 0.2 * down + 0.89) / length, 0, 1) ** 26
    paint = tone(palette.floor) * (0.42 + 0.68 * diffuse)[..., None]
    return np.asarray(paint + (1.0 - paint) * (0.50 * shine)[..., None])


def _sand(palette: Palette, variety: int) -> Plane:
    ground = mix(colour("e6cda2"), palette.floor, 0.25)
    warp = cloud(variety + 70, smooth=2.4)
    line = np.arange(TILE) * (2 * np.pi / TILE)
    ripple = np.sin(13 * line[:, None] + 2.1 * warp)
    ripple = np.where(ripple > 0, ripple, 0.55 * ripple)
    grains = cloud(variety + 71, smooth=0.05)
    grey = 1.0 + 0.075 * ripple + 0.035 * grains + 0.02 * warp
    return np.asarray(tone(ground) * grey[..., None])


def _snow(_palette: Palette, variety: int) -> Plane:
    height = cloud(variety + 72, smooth=1.9)
    shade = 2.0 * (np.roll(height, 1, axis=1) - np.roll(height, -1, axis=1))
    sparkle = (cloud(variety + 73, smooth=0.0) > 3.0).astype(np.float32)
    grey = 0.925 + 0.07 * np.clip(shade, -1, 1) + 0.5 * sparkle
    return np.asarray(grey[..., None] * tone((0.965, 0.985, 1.02)))


def _moss(_palette: Palette, variety: int) -> Plane:
    clumps = cloud(variety + 74, smooth=1.25)
    tips = cloud(variety + 75, smooth=0.35)
    slope = np.roll(clumps, 2, axis=1) - np.roll(clumps, -2, axis=1)
    share = np.clip(0.46 + 0.17 * clumps + 0.12 * tips + 0.10 * slope, 0, 1)[..., None]
    return np.asarray(tone(colour("23391a")) * (1 - share) + tone(colour("9dbb4e")) * share)


def _plain(palette: Palette, variety: int) -> Plane:
    grey = 1.0 + 0.008 * cloud(variety + 76, smooth=1.2) + 0.006 * cloud(variety, smooth=0.2)
    return np.asarray(tone(palette.floor) * grey[..., None])


def _code(paint: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in paint)
    return red, green, blue


_MAKERS: dict[str, Callable[[Palette, int], Plane]] = {
    "plaster": _plain,
    "oak": _oak,
    "walnut": _walnut,
    "marble": _marble,
    "black marble": _black_marble,
    "terrazzo": _terrazzo,
    "concrete": _concrete,
    "slate": _slate,
    "linen": _linen,
    "satin": _satin,
    "sand": _sand,
    "water": _plain,
    "acrylic": _plain,
    "snow": _snow,
    "moss": _moss,
}
