"""The studio: an untouched product in a scene made of surface, backdrop, light and props."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, Plane, blend, blur, ramp
from generators.intake import ReadyProduct
from generators.renderers.backdrops import draw_backdrop
from generators.renderers.items import draw_items
from generators.renderers.lighting import grade, light_field
from generators.renderers.noise import cloud
from generators.renderers.placing import (
    NO_CHECKPOINTS,
    SQUARE,
    Rendered,
    Renderer,
    Size,
    Window,
    compose,
    fit,
    open_window,
)
from generators.renderers.podium import draw_podium
from generators.renderers.props import items_of
from generators.renderers.shadows import (
    cast_shadow,
    contact_shadow,
    darken,
    drop_shadow,
    reflect,
)
from generators.renderers.stage import Stage, set_stage
from generators.renderers.surfaces import GLOSS, lay_surface
from generators.scene import Scene

__all__ = ["Studio", "furnish", "light_set", "place_product"]

_WALLS = frozenset({"seamless", "plaster wall", "arch", "sun disc", "drapery", "tiled wall"})
"""Backdrops that stand close behind the product and blur less."""

_SHADE = np.array([0.30, 0.28, 0.32], dtype=np.float32)
"""What a full shadow leaves of the light; a little blue, as skylight fills it."""


@dataclass(frozen=True, slots=True)
class Studio(Renderer):
    """Draws scenes by hand-made rules; needs no model."""

    name = "studio/2"
    checkpoints = NO_CHECKPOINTS
    batch = 1

    def render(
        self, product: ReadyProduct, scene: Scene | None = None, *, seed: int, size: Size = SQUARE
    ) -> Rendered:
        """Draw a product in a scene.

        Args:
            product: The cut-out to show; its pixels are kept.
            scene: What to draw around it; the vocabulary's defaults if None.
            seed: Every random choice comes from it.
            size: Width and height in pixels.

        Returns:
            The master, the resampled cut-out and its placement.
        """
        rng = np.random.default_rng([seed, 0x57D10])
        stage = set_stage(scene or Scene(), size=max(size), rng=rng)
        window = open_window(size, base=0.5 if stage.overhead else stage.base)
        picture = light_set(draw_backdrop(stage, rng), stage, rng)
        return furnish(picture, product, stage, window, rng)


def furnish(
    picture: Plane, product: ReadyProduct, stage: Stage, window: Window, rng: np.random.Generator
) -> Rendered:
    """Put props, shadows and the product into a picture that holds backdrop and surface.

    Args:
        picture: size x size x 3.
        product: The cut-out to show; its pixels are kept.
        stage: The scene.
        window: What of the picture is seen.
        rng: Places the props and draws the grain.
    """
    cutout, placement = place_product(product.cutout, stage, window)
    items = items_of(stage, placement, rng)
    picture = draw_items(picture, [item for item in items if not item.in_front], stage)
    top = None
    if stage.scene.props in {"podium", "steps"} and not stage.overhead:
        picture, top = draw_podium(picture, stage, width=placement.width / stage.size)
    picture = _ground(picture, stage, cutout, placement, top)
    picture = draw_items(picture, [item for item in items if item.in_front], stage)
    picture = grade(picture, stage, rng)
    return compose(window.cut(picture), cutout, window.see(placement))


def place_product(cutout: Pixels, stage: Stage, window: Window) -> tuple[Pixels, Placement]:
    """Resample a cut-out to where it stands or lies in a scene.

    Args:
        cutout: uint8 RGBA of any size.
        stage: The scene.
        window: What of the scene's square is seen.

    Returns:
        The resampled cut-out and its place in the square.
    """
    if stage.overhead:
        box = window.room(0.62, 0.66, above=0.9)
        tall = min(1.0, cutout.shape[0] / cutout.shape[1])
        base = 0.5 + min(0.31, 0.47 * box[1]) * tall + 0.02
        return fit(cutout, box=box, centre=0.5, base=base, size=stage.size, clean=True)
    raised = stage.scene.props in {"podium", "steps"}
    most = (0.52, 0.54) if raised else (0.62, 0.62)
    box = window.room(*most, above=stage.base)
    return fit(cutout, box=box, centre=0.5, base=stage.base, size=stage.size, clean=True)


def light_set(backdrop: Plane, stage: Stage, rng: np.random.Generator) -> Plane:
    """Light a backdrop and lay the surface before it.

    Args:
        backdrop: size x size x 3, as if there were no surface.
        stage: The scene.
        rng: Places what the light falls through.

    Returns:
        size x size x 3.
    """
    light = light_field(stage, rng)
    if stage.overhead:
        return lay_surface(stage) * light
    wall = stage.scene.backdrop in _WALLS
    sigma = stage.blur * (0.35 if wall else 0.25)
    if sigma > 0.4:
        backdrop = blur(backdrop, sigma)
    glowing = stage.scene.backdrop in {"city lights", "dark studio", "window"}
    picture = backdrop * (0.5 + 0.5 * light if glowing else light)
    first = round(stage.horizon * stage.size)
    surface = lay_surface(stage) * light[first:]
    surface = _mirror(surface, picture, stage)
    _, y = stage.grid()
    edge = 0.5 + 0.25 * stage.blur
    if stage.scene.backdrop == "seamless" and stage.scene.surface == "plaster":
        edge = 0.05 * stage.size
    full = np.concatenate([np.repeat(surface[:1], first, axis=0), surface])
    if stage.scene.depth != "deep":
        full = _far_blur(full, stage)
    joined = blend(
        picture,
        full,
        np.repeat(ramp(first - edge, first + edge, y * stage.size), stage.size, axis=1),
    )
    seam = np.exp(-(((y - stage.horizon) / 0.022) ** 2)) * (0.02 if edge > 9 else 0.16)
    return np.asarray(joined * (1.0 - seam)[..., None])


def _mirror(surface: Plane, picture: Plane, stage: Stage) -> Plane:
    """Let a shiny surface show the backdrop upside down."""
    gloss = GLOSS.get(stage.scene.surface, 0.0)
    if gloss < 0.12:
        return surface
    rows = surface.shape[0]
    first = stage.size - rows
    source = np.clip(first - 1 - np.arange(rows), 0, stage.size - 1)
    mirrored = picture[source]
    if stage.scene.surface == "water":
        mirrored = _rippled(mirrored, stage)
        surface = surface * np.array([0.62, 0.80, 0.88], np.float32)
    else:
        mirrored = blur(mirrored, 0.010 * stage.size)
    down = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) / rows
    share = np.clip(gloss * (1.35 - 0.75 * down), 0, 0.92)
    return blend(surface, mirrored, np.repeat(share, stage.size, axis=1))


def _rippled(mirrored: Plane, stage: Stage) -> Plane:
    rows, columns = mirrored.shape[:2]
    waves = cloud(140 + stage.variety, smooth=1.7, along_x=3.0)
    depth = 1.0 / ((np.arange(rows, dtype=np.float32) + 1) / rows + 0.16)
    y = (np.arange(rows) * 0 + depth * 190.0)[:, None]
    x = (np.arange(columns)[None, :] / columns - 0.5) * depth[:, None] * 210.0
    height = ndimage.map_coordinates(waves, [y + 0 * x, x], order=1, mode="grid-wrap")
    push = height * stage.size * 0.020 / depth[:, None]
    at_y = np.clip(np.arange(rows)[:, None] + push, 0, rows - 1).astype(np.intp)
    at_x = np.clip(np.arange(columns)[None, :] + 0.6 * push, 0, columns - 1).astype(np.intp)
    crest = 0.10 * ramp(0.8, 2.2, height)
    return np.asarray(mirrored[at_y, at_x] * (1.0 + 0.05 * height)[..., None] + crest[..., None])


def _far_blur(full: Plane, stage: Stage) -> Plane:
    """Blur the surface towards its far edge, and a little at the near one."""
    sigma = 0.55 * stage.blur
    soft = blur(full, sigma)
    _, y = stage.grid()
    far = ramp(stage.base - 0.06, stage.horizon, y)
    near = 0.7 * ramp(stage.base + 0.08, 1.02, y)
    return blend(full, soft, np.repeat(np.maximum(far, near), stage.size, axis=1))


def _ground(
    picture: Plane, stage: Stage, cutout: Pixels, placement: Placement, top: Plane | None
) -> Plane:
    """Join the product to what it stands on: cast shadow, reflection, contact."""
    light = stage.light
    if stage.overhead:
        shift = (-0.022 * (light.side or 0.4), 0.020)
        shadow = drop_shadow(cutout, placement, stage.size, shift=shift, softness=light.softness)
        return darken(picture, shadow, _SHADE, 0.85)
    cast = cast_shadow(
        cutout,
        placement,
        stage.size,
        direction=-1.15 * light.side,
        length=light.length,
        softness=light.softness,
    )
    if top is not None:
        cast = cast * top
    _, y = stage.grid()
    cast = cast * ramp(stage.horizon - 0.01, stage.horizon + 0.05, y)
    picture = darken(picture, cast, _SHADE, light.shadow)
    gloss = 0.04 if top is not None else GLOSS.get(stage.scene.surface, 0.0)
    if gloss > 0.03:
        picture = reflect(
            picture,
            cutout,
            placement,
            strength=min(0.75, 1.5 * gloss),
            softness=(2.4 if gloss < 0.4 else 1.2) * stage.size / 512,
        )
    contact = contact_shadow(cutout, placement, stage.size, softness=light.softness)
    return darken(picture, contact, _SHADE * 0.5, 0.85)
