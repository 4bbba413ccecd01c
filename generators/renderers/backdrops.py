"""What is behind a product: walls, openings, lights far away, sky."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from generators.arrays import Plane, blend, blur, ramp, resize
from generators.paint import Colour, colour, mix
from generators.renderers.noise import cloud
from generators.renderers.palettes import tone
from generators.renderers.stage import Stage

__all__ = ["draw_backdrop"]


def draw_backdrop(stage: Stage, rng: np.random.Generator) -> Plane:
    """Draw the whole picture as if there were no surface.

    Args:
        stage: The scene.
        rng: Places whatever is scattered.

    Returns:
        size x size x 3.
    """
    return np.asarray(_MAKERS[stage.scene.backdrop](stage, rng), dtype=np.float32)


def _flat(stage: Stage, paint: Colour) -> Plane:
    return np.broadcast_to(tone(paint), (stage.size, stage.size, 3)).copy()


def _vertical(stage: Stage, top: Colour, bottom: Colour, *, middle: float = 0.5) -> Plane:
    _, y = stage.grid()
    share = ramp(middle - 0.5, middle + 0.5, y)[..., None]
    gradient = tone(top) + (tone(bottom) - tone(top)) * share
    return np.repeat(gradient, stage.size, axis=1)


def _noise(stage: Stage, seed: int, smooth: float) -> Plane:
    plane = cloud(seed + 7 * stage.variety, smooth=smooth)
    return plane if plane.shape[0] == stage.size else resize(plane, stage.size, stage.size)


def _seamless(stage: Stage, _rng: np.random.Generator) -> Plane:
    return _vertical(stage, mix(stage.palette.wall, stage.palette.accent, 0.10), stage.palette.wall)


def _plaster(stage: Stage, _rng: np.random.Generator) -> Plane:
    bumps = _noise(stage, 100, 1.35)
    relief = np.roll(bumps, 2, axis=1) - np.roll(bumps, -2, axis=1)
    grey = 1.0 + 0.028 * np.clip(relief * 1.4, -2, 2) + 0.022 * _noise(stage, 101, 2.0)
    return np.asarray(_flat(stage, stage.palette.wall) * grey[..., None])


def _arch_inside(stage: Stage, middle: float, half: float, top: float) -> Plane:
    """Signed distance to an arch, positive inside, in shares of the picture."""
    x, y = stage.grid()
    across = np.abs(x - middle)
    round_part = half - np.hypot(across, y - (top + half))
    straight = half - across + 0 * y
    return np.where(y < top + half, round_part, straight)


def _arch(stage: Stage, rng: np.random.Generator) -> Plane:
    wall = _plaster(stage, rng)
    middle = 0.5 + float(rng.uniform(-0.06, 0.06))
    half = float(rng.uniform(0.27, 0.33))
    top = float(rng.uniform(0.07, 0.13))
    inside = _arch_inside(stage, middle, half, top)
    opening = np.clip(inside * stage.size + 0.5, 0, 1)
    side = stage.light.side or -1.0
    reach = 0.075
    shifted = _arch_inside(stage, middle - side * reach * 0.8, half, top + 0.02)
    shade = opening * ramp(0.035, -0.035, shifted)
    niche = _flat(stage, mix(stage.palette.accent, stage.palette.wall, 0.35))
    niche *= (1.0 + 0.02 * _noise(stage, 102, 1.6))[..., None]
    picture = blend(wall, niche, opening)
    picture *= (1.0 - 0.34 * shade)[..., None]
    lip = np.exp(-((inside * stage.size / (0.006 * stage.size)) ** 2))
    return np.asarray(picture * (1.0 + 0.07 * lip * (1 - opening))[..., None])


def _sun_disc(stage: Stage, rng: np.random.Generator) -> Plane:
    x, y = stage.grid()
    wall = _seamless(stage, rng) * (1.0 + 0.012 * _noise(stage, 103, 1.4))[..., None]
    centre = (0.5 + float(rng.uniform(-0.08, 0.08)), float(rng.uniform(0.36, 0.42)))
    radius = float(rng.uniform(0.28, 0.34))
    side = stage.light.side or -1.0
    far = np.hypot(x - centre[0] + 0.018 * side, y - centre[1] - 0.02)
    wall *= (1.0 - 0.20 * ramp(radius + 0.045, radius - 0.02, far))[..., None]
    distance = np.hypot(x - centre[0], y - centre[1])
    disc = np.clip((radius - distance) * stage.size + 0.5, 0, 1)
    face = tone(mix(stage.palette.accent, stage.palette.wall, 0.15))
    lit = 1.04 - 0.16 * (y - centre[1] + radius)
    return blend(wall, face * lit[..., None], disc)


def _window(stage: Stage, rng: np.random.Generator) -> Plane:
    room = mix(stage.palette.wall, (0.95, 0.93, 0.9), 0.35)
    sheet = Image.new("RGB", (256, 256), _code(mix(room, stage.palette.deep, 0.24)))
    pen = ImageDraw.Draw(sheet)
    left = int(rng.integers(96, 128)) if stage.light.side > 0 else int(rng.integers(10, 36))
    for column in range(2):
        for row in range(2):
            x, y = left + column * 58, 8 + row * 74
            pen.rectangle((x, y, x + 52, y + 68), fill=_code((1.0, 0.995, 0.97)))
            pen.rectangle((x, y + 44, x + 52, y + 68), fill=_code((0.86, 0.93, 0.86)))
    drape = left - 26 if stage.light.side > 0 else left + 122
    for fold in range(5):
        pale = mix((0.98, 0.97, 0.95), room, 0.25 * (fold % 2))
        pen.rectangle((drape + fold * 9, 0, drape + fold * 9 + 8, 190), fill=_code(pale))
    return _far_away(stage, sheet, spread=0.014, glow=0.22)


def _far_away(stage: Stage, sheet: Image.Image, *, spread: float, glow: float) -> Plane:
    small = np.asarray(sheet, dtype=np.float32) / 255.0
    sigma = spread * small.shape[0] + 0.35 * stage.blur * small.shape[0] / stage.size
    soft = blur(small, sigma)
    halo = blur(np.clip(small - 0.75, 0, 1), 6 * sigma)
    return resize(soft + glow * halo, stage.size, stage.size)


def _bokeh(ground: Plane, lights: list[tuple[float, float, float, Colour, float]]) -> Plane:
    """Add discs of light: (x, y, radius, colour, strength), all as shares of the picture."""
    half = ground.shape[0]
    picture = ground.copy()
    for x, y, radius, paint, strength in lights:
        reach = int(radius * half * 1.15) + 2
        column, row = int(x * half), int(y * half)
        rows = slice(max(row - reach, 0), min(row + reach, half))
        columns = slice(max(column - reach, 0), min(column + reach, half))
        if rows.stop <= rows.start or columns.stop <= columns.start:
            continue
        down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - y * half
        across = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - x * half
        far = np.hypot(down, across) / (radius * half)
        disc = ramp(1.06, 0.94, far) * (0.72 + 0.28 * ramp(0.55, 0.95, far))
        share = (disc * strength)[..., None]
        part = picture[rows, columns]
        picture[rows, columns] = 1.0 - (1.0 - part) * (1.0 - tone(paint) * share)
    return picture


def _city_lights(stage: Stage, rng: np.random.Generator) -> Plane:
    half = stage.size // 2
    dusk = resize(
        _vertical(
            stage,
            mix(stage.palette.deep, (0.05, 0.06, 0.13), 0.55),
            mix(stage.palette.deep, (0.20, 0.13, 0.17), 0.5),
            middle=0.4,
        ),
        half,
        half,
    )
    warm = [colour("ffcf87"), colour("ff9f5a"), colour("ffe6bd"), colour("ff7a6b")]
    cool = [colour("8fc7ff"), colour("c3a5ff"), stage.palette.accent]
    scale = {"deep": 0.6, "medium": 0.85, "shallow": 1.15}[stage.scene.depth]
    lights = []
    for _ in range(64):
        y = float(np.clip(rng.normal(0.43, 0.16), 0.0, 0.72))
        tints = warm if rng.random() < 0.68 else cool
        radius = scale * float(rng.uniform(0.012, 0.05)) * (0.75 + 0.5 * rng.random())
        lights.append(
            (
                float(rng.uniform(-0.03, 1.03)),
                y,
                radius,
                tints[int(rng.integers(len(tints)))],
                float(rng.uniform(0.12, 0.62)),
            )
        )
    return resize(_bokeh(dusk, lights), stage.size, stage.size)


def _garden(stage: Stage, rng: np.random.Generator) -> Plane:
    half = stage.size // 2
    greens = {
        "autumn": ("5a4a1f", "c98a35", "e8b04a", "b5552a"),
        "winter": ("6d8794", "b4cbd6", "eef5f8", "93b0c0"),
        "spring": ("5d8a4a", "a9cf79", "e9f3c4", "f3bfd0"),
    }.get(stage.scene.season, ("2f5a33", "6f9f4d", "c4dd86", "3d7a4b"))
    dark, middle, pale, extra = (colour(code) for code in greens)
    depth = ndimage.zoom(_noise(stage, 110, 2.1)[::16, ::16], half / (stage.size / 16), order=1)
    depth = depth[:half, :half]
    share = ramp(-1.5, 1.7, depth)
    ground = blend(np.broadcast_to(tone(dark), (half, half, 3)), tone(middle), share)
    _, y = stage.grid()
    sun = ramp(0.7, 0.0, y[::2])
    ground = blend(ground, tone(pale), 0.45 * sun + 0 * share)
    lights = []
    for _ in range(72):
        tints = (pale, middle, extra, (1.0, 1.0, 0.9))
        radius = float(rng.uniform(0.018, 0.062)) * (1.2 if stage.scene.depth == "shallow" else 0.8)
        lights.append(
            (
                float(rng.uniform(0, 1)),
                float(rng.beta(1.4, 2.0)) * 0.8,
                radius,
                tints[int(rng.integers(4))],
                float(rng.uniform(0.08, 0.34)),
            )
        )
    picture = _bokeh(ground, lights)
    picture = blur(picture, 1.6)
    return resize(picture, stage.size, stage.size)


def _sky(stage: Stage, _rng: np.random.Generator) -> Plane:
    warm = "golden" in stage.scene.light
    top, low = (
        (colour("7fa3d6"), colour("ffd9b0")) if warm else (colour("5fa4e3"), colour("dff0fb"))
    )
    sky = _vertical(stage, mix(top, stage.palette.wall, 0.18), low, middle=0.32)
    puffs = _noise(stage, 120, 1.75) + 0.25 * _noise(stage, 121, 1.0)
    cover = ramp(0.25, 1.7, puffs) * 0.85
    shade = np.clip(1.0 - 0.06 * np.roll(puffs, 12, axis=0), 0.8, 1.02)
    white = tone((1.0, 0.985, 0.96) if warm else (1.0, 1.0, 1.0)) * shade[..., None]
    sky = blend(sky, white, cover)
    sigma = 1.2 + 0.5 * stage.blur
    return blur(sky, sigma)


def _sea(stage: Stage, rng: np.random.Generator) -> Plane:
    sky = _sky(stage, rng)
    _, y = stage.grid()
    line = stage.horizon - 0.14
    deep, shore = colour("1f7fa8"), colour("7fd0cf")
    share = ramp(line, stage.horizon + 0.06, y)[..., None]
    water = tone(deep) + (tone(shore) - tone(deep)) * share
    waves = cloud(130 + stage.variety, smooth=1.2, along_x=7.0)
    waves = waves if waves.shape[0] == stage.size else resize(waves, stage.size, stage.size)
    glitter = ramp(1.3, 2.6, waves)
    water = water * (1.0 + 0.07 * waves)[..., None] + 0.5 * glitter[..., None]
    below = np.broadcast_to(ramp(line - 0.003, line + 0.003, y), sky.shape[:2])
    return _softly(stage, blend(sky, water, below), 0.8)


def _softly(stage: Stage, picture: Plane, share: float) -> Plane:
    sigma = share * stage.blur
    return blur(picture, sigma)


def _drapery(stage: Stage, rng: np.random.Generator) -> Plane:
    x, y = stage.grid()
    phase = float(rng.uniform(0, 6))
    sway = 0.02 * np.sin(3.0 * y + phase) + 0.035 * (1 - y) * np.sin(5 * x + phase)
    turn = 2 * np.pi * (x + sway) * float(rng.uniform(7.5, 10.0))
    height = np.sin(turn + 1.2 * np.sin(0.37 * turn + phase)) + 0.35 * np.sin(2.3 * turn + phase)
    slope = np.gradient(height, axis=1) * stage.size / 60.0
    side = stage.light.side or -1.0
    grey = 0.90 + 0.13 * np.tanh(-side * slope * 0.9) * -1 + 0.07 * height
    return np.asarray(_flat(stage, stage.palette.wall) * np.clip(grey, 0.5, 1.12)[..., None])


def _tiles(stage: Stage, rng: np.random.Generator) -> Plane:
    x, y = stage.grid()
    wide = 1.0 / 7.0
    row = np.floor(y / wide)
    column = np.floor(x / wide + 0 * row)
    within_x, within_y = x / wide - column, y / wide - row
    edge = np.minimum(np.minimum(within_x, 1 - within_x), np.minimum(within_y, 1 - within_y))
    tones = rng.normal(0, 1, (12, 12)).astype(np.float32)
    leans = rng.normal(0, 1, (2, 12, 12)).astype(np.float32)
    picked = (row.astype(int) + 0 * column.astype(int), column.astype(int))
    grey = (
        1.0
        + 0.05 * tones[picked]
        + 0.05 * (leans[0][picked] * (within_x - 0.5) + leans[1][picked] * (within_y - 0.5))
    )
    grey = grey + 0.05 * ramp(0.10, 0.03, edge) * (within_y < 0.5)
    tile = _flat(stage, mix(stage.palette.wall, stage.palette.accent, 0.22)) * grey[..., None]
    grout = ramp(0.028, 0.016, edge)
    return blend(tile, tone(mix(stage.palette.wall, (0.94, 0.93, 0.91), 0.6)), grout)


def _dark_studio(stage: Stage, rng: np.random.Generator) -> Plane:
    x, y = stage.grid()
    night = mix(stage.palette.deep, (0.03, 0.03, 0.04), 0.45)
    glow = mix(stage.palette.accent, stage.palette.wall, 0.5)
    other = mix(stage.palette.wall, (0.35, 0.45, 0.9), 0.35)
    first = np.exp(-(((x - 0.5) / 0.33) ** 2 + ((y - 0.40) / 0.30) ** 2))
    second = np.exp(-(((x - rng.uniform(0.85, 1.0)) / 0.28) ** 2 + ((y - 0.3) / 0.45) ** 2))
    return np.asarray(
        tone(night) + first[..., None] * tone(glow) * 0.50 + second[..., None] * tone(other) * 0.28
    )


def _overhead(stage: Stage, _rng: np.random.Generator) -> Plane:
    return _flat(stage, stage.palette.floor)


def _code(paint: Colour) -> tuple[int, int, int]:
    red, green, blue = (min(255, round(255 * part)) for part in paint)
    return red, green, blue


_MAKERS: dict[str, Callable[[Stage, np.random.Generator], Plane]] = {
    "seamless": _seamless,
    "plaster wall": _plaster,
    "arch": _arch,
    "sun disc": _sun_disc,
    "window": _window,
    "city lights": _city_lights,
    "garden": _garden,
    "sky": _sky,
    "sea": _sea,
    "drapery": _drapery,
    "tiled wall": _tiles,
    "dark studio": _dark_studio,
    "overhead": _overhead,
}
