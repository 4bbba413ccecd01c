"""What else is in a picture, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, ramp
from generators.paint import Colour, colour, mix
from generators.renderers import sprites
from generators.renderers.items import Item
from generators.renderers.stage import Stage

__all__ = ["items_of"]


def items_of(stage: Stage, placement: Placement, rng: np.random.Generator) -> list[Item]:
    """Choose and place a scene's props around its product.

    Args:
        stage: The scene.
        placement: Where the product is; props keep clear of its middle.
        rng: Places them.

    Returns:
        From far to near.
    """
    left = placement.x / stage.size
    right = (placement.x + placement.width) / stage.size
    maker = _MAKERS.get(stage.scene.props)
    if maker is None:
        return []
    return sorted(maker(_Room(stage, left, right, rng)), key=lambda item: (item.in_front, item.y))


@dataclass(frozen=True, slots=True)
class _Room:
    stage: Stage
    left: float
    right: float
    rng: np.random.Generator

    def beside(self, side: float, width: float) -> float:
        """An x beside the product on one side, partly behind or cut by the frame."""
        edge = self.left if side < 0 else self.right
        room = edge if side < 0 else 1.0 - edge
        reach = max(0.25 * width, min(0.62 * room, 0.75 * width))
        x = edge + side * (reach + float(self.rng.uniform(-0.02, 0.03)))
        return float(np.clip(x, 0.02, 0.98))

    def ground(self, low: float = -0.06, high: float = 0.05) -> float:
        """A y on the ground near the product's foot."""
        if self.stage.overhead:
            return float(self.rng.uniform(0.12, 0.9))
        return float(
            np.clip(self.stage.base + self.rng.uniform(low, high), self.stage.horizon + 0.05, 0.97)
        )

    def anywhere(self) -> tuple[float, float]:
        """A place on the surface that keeps clear of the product."""
        for _ in range(12):
            x = float(self.rng.uniform(0.02, 0.98))
            top = 0.04 if self.stage.overhead else self.stage.horizon + 0.06
            y = float(self.rng.uniform(top, 0.97))
            if x < self.left - 0.01 or x > self.right + 0.01 or y > self.stage.base + 0.05:
                return x, y
        return (0.06, 0.92)


def _leaves(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    season = stage.scene.season
    kind = {"autumn": "autumn", "winter": "fir", "spring": "leaves"}.get(
        season, str(rng.choice(["leaves", "eucalyptus"]))
    )
    side = -1.0 if rng.random() < 0.5 else 1.0
    items = []
    for number in range(2):
        turned = side if number == 0 else -side
        sprite = sprites.branch(kind, int(rng.integers(3)))
        sprite = sprite if turned < 0 else sprite[:, ::-1]
        items.append(
            Item(
                sprite,
                0.5 + turned * float(rng.uniform(0.36, 0.42)),
                float(rng.uniform(0.18, 0.34)) if number == 0 else float(rng.uniform(0.88, 0.96)),
                float(rng.uniform(0.44, 0.56)),
                turn=turned * float(rng.uniform(-20, 25)),
                floats=not stage.overhead,
                lies=stage.overhead,
                blur=stage.size * (0.004 if number == 0 else 0.012) * (not stage.overhead),
                in_front=number == 1,
            )
        )
    return items


def _branches(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    kind = {"spring": "blossoms", "autumn": "autumn", "winter": "fir"}.get(
        stage.scene.season, "eucalyptus"
    )
    items = []
    for side in (-1.0, 1.0):
        sprite = sprites.branch(kind, int(rng.integers(3)))
        sprite = sprite if side < 0 else sprite[:, ::-1]
        items.append(
            Item(
                sprite,
                0.5 + side * float(rng.uniform(0.34, 0.42)),
                float(rng.uniform(0.12, 0.26)),
                float(rng.uniform(0.46, 0.60)),
                turn=-side * float(rng.uniform(8, 32)),
                floats=not stage.overhead,
                lies=stage.overhead,
                blur=0.0 if stage.overhead else stage.size * float(rng.uniform(0.002, 0.006)),
            )
        )
    return items


def _pebbles(room: _Room) -> list[Item]:
    rng = room.rng
    greys = ("8d8a86", "6c6a68", "b5afa6", "4b4a4a", "cfc8bc")
    items = []
    for number in range(7):
        width = float(rng.uniform(0.06, 0.17))
        side = -1.0 if number % 2 else 1.0
        x, y = (room.beside(side, 2.2 * width), room.ground(-0.07, 0.08))
        sprite = sprites.pebble(colour(greys[int(rng.integers(5))]), int(rng.integers(6)))
        items.append(Item(sprite, x, y, width))
    return items


def _flower_paint(stage: Stage) -> Colour:
    return mix(stage.palette.accent, (0.98, 0.70, 0.76), 0.55)


def _blossoms(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    sprite = sprites.blossom(_flower_paint(stage))
    items = []
    for _ in range(9):
        x, y = room.anywhere()
        items.append(
            Item(
                sprite,
                x,
                y,
                float(rng.uniform(0.07, 0.15)),
                turn=float(rng.uniform(0, 360)),
                lies=True,
            )
        )
    return items


def _petals(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    paint = {"autumn": colour("cf7a35"), "winter": colour("f4f6fa")}.get(
        stage.scene.season, _flower_paint(stage)
    )
    sprite = sprites.leaf(paint, 0.22) if stage.scene.season == "autumn" else sprites.petal(paint)
    items = []
    for _ in range(20):
        x, y = room.anywhere()
        items.append(
            Item(
                sprite,
                x,
                y,
                float(rng.uniform(0.035, 0.075)),
                turn=float(rng.uniform(0, 360)),
                lies=True,
            )
        )
    items.extend(
        Item(
            sprite,
            float(rng.uniform(0.05, 0.95)),
            float(rng.uniform(0.05, 0.45)),
            float(rng.uniform(0.03, 0.06)),
            turn=float(rng.uniform(0, 360)),
            floats=True,
            blur=0.004 * stage.size,
        )
        for _ in range(4)
    )
    return items


def _citrus(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    fruits = ("f7a531", "f6d23f", "8fc045", "ef6f56")
    paint = colour(fruits[int(rng.integers(4))])
    other = colour(fruits[int(rng.integers(4))])
    side = -1.0 if rng.random() < 0.5 else 1.0
    whole, half = sprites.citrus(paint, False), sprites.citrus(paint, True)
    slice_ = sprites.citrus(other, True)
    return [
        Item(whole, room.beside(side, 0.24), room.ground(-0.06, -0.02), 0.21),
        Item(
            half,
            room.beside(-side, 0.20),
            room.ground(-0.01, 0.04),
            0.18,
            turn=float(rng.uniform(-20, 20)),
        ),
        Item(
            slice_,
            0.5 + side * float(rng.uniform(0.28, 0.40)),
            min(0.95, stage.base + 0.09),
            0.15,
            turn=float(rng.uniform(0, 90)),
            lies=True,
        ),
        Item(
            sprites.leaf(colour("5d9a4b"), 0.26),
            0.5 - side * float(rng.uniform(0.30, 0.40)),
            min(0.95, stage.base + 0.08),
            0.15,
            turn=float(rng.uniform(-40, 220)),
            lies=True,
        ),
    ]


def _spheres(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    palette = stage.palette
    looks = [
        (palette.accent, "satin"),
        (mix(palette.wall, (1, 1, 1), 0.5), "satin"),
        (palette.deep, "gloss"),
        (mix(palette.accent, (1, 1, 1), 0.35), "metal"),
    ]
    items = []
    for number, width in enumerate((0.24, 0.13, 0.17, 0.08, 0.06)):
        paint, material = looks[int(rng.integers(4))]
        side = -1.0 if number % 2 else 1.0
        items.append(
            Item(
                sprites.ball(paint, material),
                room.beside(side, width),
                room.ground(-0.09, 0.07),
                width * float(rng.uniform(0.85, 1.1)),
            )
        )
    return items


def _blocks(room: _Room) -> list[Item]:
    rng, palette = room.rng, room.stage.palette
    pale, middle = mix(palette.wall, (1, 1, 1), 0.45), mix(palette.floor, palette.accent, 0.5)
    paints = (palette.accent, pale, middle)
    items = []
    for number, (width, tall) in enumerate(((0.24, 1.0), (0.20, 0.5), (0.15, 0.9), (0.12, 0.45))):
        side = -1.0 if number % 2 else 1.0
        sprite = sprites.block(paints[int(rng.integers(3))], tall)
        items.append(Item(sprite, room.beside(side, width), room.ground(-0.10, 0.05), width))
    return items


def _baubles(room: _Room) -> list[Item]:
    rng = room.rng
    paints = ("c9a24d", "b23a3f", "d8dadf", "2f6a4f")
    items = []
    for number, width in enumerate((0.15, 0.10, 0.13, 0.08, 0.11, 0.07)):
        side = -1.0 if number % 2 else 1.0
        paint = colour(paints[int(rng.integers(4))])
        items.append(
            Item(
                sprites.ball(paint, "metal" if number % 3 else "gloss"),
                room.beside(side, width),
                room.ground(-0.07, 0.09),
                width,
            )
        )
    side = -1.0 if rng.random() < 0.5 else 1.0
    fir = sprites.branch("fir", int(rng.integers(3)))
    items.append(
        Item(
            fir if side < 0 else fir[:, ::-1],
            0.5 + side * 0.40,
            0.14,
            0.52,
            turn=-side * 18.0,
            floats=True,
            blur=0.003 * room.stage.size,
        )
    )
    return items


def _drops(room: _Room) -> list[Item]:
    rng, stage = room.rng, room.stage
    sprite = _drop_sprite()
    items = []
    for _ in range(46):
        x, y = room.anywhere()
        items.append(
            Item(
                sprite,
                x,
                y,
                float(rng.gamma(3.0, 0.006)) + 0.008,
                lies=not stage.overhead,
                floats=stage.overhead,
            )
        )
    return items


def _drop_sprite() -> Pixels:
    ball = sprites.ball((0.9, 0.95, 1.0), "glass").copy()
    height, width = ball.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    far = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    ball[..., 3] = (ball[..., 3] * (0.16 + 0.55 * ramp(0.62, 1.0, far))).astype(np.uint8)
    shine = ramp(0.26, 0.12, np.hypot(x / width - 0.34, y / height - 0.32))
    ball[..., :3] = np.maximum(ball[..., :3], (255 * shine[..., None]).astype(np.uint8))
    ball[..., 3] = np.maximum(ball[..., 3], (235 * shine).astype(np.uint8))
    return ball


_MAKERS: dict[str, Callable[[_Room], list[Item]]] = {
    "leaves": _leaves,
    "branches": _branches,
    "pebbles": _pebbles,
    "blossoms": _blossoms,
    "petals": _petals,
    "citrus": _citrus,
    "spheres": _spheres,
    "blocks": _blocks,
    "baubles": _baubles,
    "drops": _drops,
}
