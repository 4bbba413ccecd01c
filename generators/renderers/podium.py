"""Podiums and blocks: the set that a product is staged on."""

from __future__ import annotations

import numpy as np

from generators.arrays import Plane, blend, ramp, resize
from generators.paint import MATERIALS, SIDE, Colour, disc, lathe, light, mix
from generators.renderers.palettes import tone
from generators.renderers.stage import Stage

__all__ = ["draw_podium"]

TILT = 0.20


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
    middle = stage.base - 0.012
    result = picture
    lower = middle + 0.075
    if stage.scene.props == "steps":
        side = stage.light.side or -1.0
        x = 0.5 - side * 0.6 * radius
        result, _ = _cylinder(
            result,
            stage,
            (x, lower + 0.005),
            radius * 0.98,
            0.10,
            mix(stage.palette.accent, stage.palette.wall, 0.35),
        )
        return _cylinder(
            result,
            stage,
            (0.5, middle),
            radius * 0.9,
            0.17,
            mix(stage.palette.floor, (1, 1, 1), 0.22),
        )
    result, _ = _cylinder(
        result,
        stage,
        (0.5, lower),
        radius * 1.18,
        0.06,
        mix(stage.palette.floor, stage.palette.accent, 0.22),
    )
    return _cylinder(
        result, stage, (0.5, middle), radius, 0.085, mix(stage.palette.floor, (1, 1, 1), 0.28)
    )


def _cylinder(
    picture: Plane,
    stage: Stage,
    top: tuple[float, float],
    radius: float,
    tall: float,
    paint: Colour,
) -> tuple[Plane, Plane]:
    x, y = top
    x_of, y_of = stage.grid()
    side = stage.light.side
    foot = ((x_of - x + 0.16 * side * radius) / (1.16 * radius)) ** 2
    foot = foot + ((y_of - y - tall + 0.01) / (1.3 * TILT * radius + 0.012)) ** 2
    result = picture * (1.0 - 0.42 * ramp(1.55, 0.55, np.sqrt(foot)))[..., None]
    body = lathe([(y, radius), (y + 0.004, radius), (y + tall, radius)], x=x, tilt=TILT)
    normal = body.normal if side <= 0 else body.normal * np.array([-1, 1, 1], np.float32)
    lit = light(normal, tone(paint), MATERIALS["matte"])
    lit *= (1.0 - 0.18 * ramp(0.2, 1.0, body.v))[..., None]
    result = _over(result, lit * 0.93, body.cover, stage)
    face = disc(x, y, radius, tilt=TILT)
    grid_x = (np.arange(SIDE, dtype=np.float32)[None, :] + 0.5) / SIDE
    glow = 1.06 + 0.08 * side * (grid_x - x) / radius
    pale = np.clip(tone(paint) * 1.04, 0, 1) * glow[..., None]
    result = _over(result, np.broadcast_to(pale, (SIDE, SIDE, 3)), face.cover, stage)
    rim = ramp(0.93, 0.995, face.v) * face.cover
    rim = rim * ((np.arange(SIDE)[:, None] + 0.5) / SIDE > y)
    result = blend(result, np.ones(3, np.float32), 0.35 * _sized(rim, stage))
    return result, _sized(face.cover, stage)


def _over(picture: Plane, lit: Plane, cover: Plane, stage: Stage) -> Plane:
    return blend(
        picture, _sized(np.asarray(lit), stage) * tone(stage.light.tint), _sized(cover, stage)
    )


def _sized(plane: Plane, stage: Stage) -> Plane:
    return plane if plane.shape[0] == stage.size else resize(plane, stage.size, stage.size)
