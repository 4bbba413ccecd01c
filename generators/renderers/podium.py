"""Podiums and steps: the set that a product is staged on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generators.arrays import Plane, blend, ramp, resize
from generators.paint import MATERIALS, SIDE, Colour, disc, lathe, light, mix
from generators.renderers.palettes import tone
from generators.renderers.stage import Stage

__all__ = ["draw_podium"]

TILT = 0.20


class _Drum(NamedTuple):
    """A short cylinder: the middle of its top, radius and height as shares of the picture."""

    x: float
    y: float
    radius: float
    tall: float
    paint: Colour


def draw_podium(picture: Plane, stage: Stage, *, width: float) -> tuple[Plane, Plane]:
    """Draw the podium under a product.

    Args:
        picture: size x size x 3; not changed.
        stage: The scene; its base is the middle of the podium's top.
        width: The product's width as a share of the picture.

    Returns:
        The picture with the podium, and the coverage of the top on which shadows fall.
    """
    radius = float(np.clip(0.62 * width + 0.05, 0.17, 0.44))
    top = stage.base - 0.012
    palette = stage.palette
    if stage.scene.props == "steps":
        x = 0.5 - 0.6 * (stage.light.side or -1.0) * radius
        low = _Drum(x, top + 0.08, 0.98 * radius, 0.10, mix(palette.accent, palette.wall, 0.35))
        high = _Drum(0.5, top, 0.9 * radius, 0.17, mix(palette.floor, (1, 1, 1), 0.22))
    else:
        paint = mix(palette.floor, palette.accent, 0.22)
        low = _Drum(0.5, top + 0.075, 1.18 * radius, 0.06, paint)
        high = _Drum(0.5, top, radius, 0.085, mix(palette.floor, (1, 1, 1), 0.28))
    result, _ = _draw(picture, stage, low)
    return _draw(result, stage, high)


def _draw(picture: Plane, stage: Stage, drum: _Drum) -> tuple[Plane, Plane]:
    result = picture * (1.0 - 0.42 * _foot_shadow(stage, drum))[..., None]
    end = drum.y + drum.tall
    profile = [(drum.y, drum.radius), (drum.y + 0.004, drum.radius), (end, drum.radius)]
    body = lathe(profile, x=drum.x, tilt=TILT)
    result = _lay(result, _side(stage, drum, body.normal, body.v), body.cover, stage)
    face = disc(drum.x, drum.y, drum.radius, tilt=TILT)
    line = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    glow = 1.06 + 0.08 * stage.light.side * (line[None, :] - drum.x) / drum.radius
    pale = np.clip(tone(drum.paint) * 1.04, 0, 1) * glow[..., None]
    result = _lay(result, np.broadcast_to(pale, (SIDE, SIDE, 3)), face.cover, stage)
    front_rim = ramp(0.93, 0.995, face.v) * face.cover * (line[:, None] > drum.y)
    result = blend(result, np.ones(3, np.float32), 0.35 * _sized(front_rim, stage))
    return result, _sized(face.cover, stage)


def _foot_shadow(stage: Stage, drum: _Drum) -> Plane:
    """Darkness on the ground around the drum's foot, longer away from the light."""
    x, y = stage.grid()
    across = (x - drum.x + 0.16 * stage.light.side * drum.radius) / (1.16 * drum.radius)
    down = (y - drum.y - drum.tall + 0.01) / (1.3 * TILT * drum.radius + 0.012)
    return ramp(1.55, 0.55, np.hypot(across, down))


def _side(stage: Stage, drum: _Drum, normal: Plane, v: Plane) -> Plane:
    """The lit wall of the drum; computed only in the rows that it covers."""
    first = max(int((drum.y - 0.01) * SIDE), 0)
    last = int((drum.y + drum.tall + TILT * drum.radius + 0.02) * SIDE)
    rows = slice(first, min(last, SIDE))
    faced = normal[rows]
    if stage.light.side > 0:
        faced = faced * np.array([-1, 1, 1], np.float32)
    whole = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    lit = light(faced, tone(drum.paint), MATERIALS["matte"])
    whole[rows] = lit * (0.93 - 0.17 * ramp(0.2, 1.0, v[rows]))[..., None]
    return whole


def _lay(picture: Plane, lit: Plane, cover: Plane, stage: Stage) -> Plane:
    return blend(picture, _sized(lit, stage) * tone(stage.light.tint), _sized(cover, stage))


def _sized(plane: Plane, stage: Stage) -> Plane:
    return plane if plane.shape[0] == stage.size else resize(plane, stage.size, stage.size)
