"""Things placed in a picture: how they are drawn, and the shadows under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from generators.arrays import Pixels, Plane, blur, resize
from generators.renderers.stage import Stage

__all__ = ["Item", "draw_items"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing placed in the picture.

    Args:
        sprite: uint8 RGBA, lit from the left.
        x: Its middle as a share of the picture.
        y: Where it touches the ground (its middle when it lies or hangs).
        width: As a share of the picture.
        turn: Rotation in degrees.
        lies: It lies on the surface: flattened by the camera, little shadow.
        floats: It hangs in the air: no shadow.
        blur: In pixels.
        in_front: It is nearer than the product; never drawn over it.
    """

    sprite: Pixels
    x: float
    y: float
    width: float
    turn: float = 0.0
    lies: bool = False
    floats: bool = False
    blur: float = 0.0
    in_front: bool = False


def draw_items(picture: Plane, items: list[Item], stage: Stage) -> Plane:
    """Draw items and the shadows under them.

    Args:
        picture: size x size x 3; not changed.
        items: From far to near.
        stage: The scene.
    """
    if not items:
        return picture
    standing = [item for item in items if not (item.floats or item.lies or stage.overhead)]
    result = picture * (1.0 - 0.62 * _shadows(standing, stage))[..., None]
    for item in items:
        _draw(result, item, stage)
    return result


def _shadows(items: list[Item], stage: Stage) -> Plane:
    half = stage.size // 2
    core, wide = Image.new("L", (half, half)), Image.new("L", (half, half))
    pens = ImageDraw.Draw(core), ImageDraw.Draw(wide)
    for item in items:
        reach, tall = item.width / 2, 0.30 * item.width / 2
        push = -stage.light.side * item.width * 0.34
        for pen, grow, shift in zip(pens, (0.55, 1.05), (0.15 * push, push), strict=True):
            x, y = item.x + shift, item.y - 0.2 * tall
            pen.ellipse(
                (
                    (x - grow * reach) * half,
                    (y - grow * tall) * half,
                    (x + grow * reach) * half,
                    (y + grow * tall) * half,
                ),
                fill=255,
            )
    sharp = blur(np.asarray(core, np.float32) / 255, 0.006 * half)
    soft = blur(np.asarray(wide, np.float32) / 255, 0.022 * half)
    return resize(np.clip(0.75 * sharp + 0.5 * soft, 0, 1), stage.size, stage.size)


def _draw(picture: Plane, item: Item, stage: Stage) -> None:
    """Draw one item into ``picture``."""
    size = stage.size
    sprite = item.sprite[:, ::-1] if stage.light.side > 0 and not item.floats else item.sprite
    image = Image.fromarray(np.ascontiguousarray(sprite)).convert("RGBa")
    width = max(2, round(item.width * size))
    height = max(2, round(width * sprite.shape[0] / sprite.shape[1]))
    reduce = max(1, min(image.width // (2 * width), image.height // (2 * height)))
    image = image.reduce(reduce) if reduce > 1 else image
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    if item.turn:
        image = image.rotate(item.turn, Image.Resampling.BICUBIC, expand=True)
    if item.lies and not stage.overhead:
        image = image.resize(
            (image.width, max(2, round(image.height * 0.42))), Image.Resampling.BICUBIC
        )
    part = np.asarray(image, dtype=np.float32) / 255.0
    if item.blur > 0.3:
        margin = int(3 * item.blur)
        part = np.pad(part, ((margin, margin), (margin, margin), (0, 0)))
        part = blur(part, item.blur)
    middle = item.lies or item.floats
    top = round(item.y * size - part.shape[0] * (0.5 if middle else 0.93))
    left = round(item.x * size - part.shape[1] / 2)
    if (item.lies or stage.overhead) and not item.floats:
        _lay_shadow(picture, part[..., 3], (left, top), stage)
    rows, columns, seen = _visible(part, (left, top), size)
    light = np.asarray(stage.light.tint, np.float32) * (0.72 + 0.3 * stage.light.ambient)
    below = picture[rows, columns]
    picture[rows, columns] = below * (1 - seen[..., 3:]) + seen[..., :3] * light


def _visible(part: Plane, corner: tuple[int, int], size: int) -> tuple[slice, slice, Plane]:
    """The rows and columns of the picture that a part covers, and what of it is seen there."""
    left, top = corner
    rows = slice(min(max(top, 0), size), max(0, min(top + part.shape[0], size)))
    columns = slice(min(max(left, 0), size), max(0, min(left + part.shape[1], size)))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return slice(0, 0), slice(0, 0), part[:0, :0]
    seen = part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return rows, columns, seen


def _lay_shadow(picture: Plane, cover: Plane, corner: tuple[int, int], stage: Stage) -> None:
    """Darken what is under something flat, a little away from the light."""
    lift = (0.016 if stage.overhead else 0.006) * stage.size
    margin = int(3 * lift)
    dark = np.pad(cover, margin)
    dark = 0.55 * blur(dark, 0.55 * lift)
    left = corner[0] - margin - round((stage.light.side or 0.4) * lift)
    top = corner[1] - margin + round(0.8 * lift)
    rows, columns, seen = _visible(dark, (left, top), stage.size)
    picture[rows, columns] *= 1.0 - seen[..., None]
