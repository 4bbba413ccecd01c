"""What a product does to the surface under it: contact, cast shadow, reflection."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from abplatform.domain.catalog import Placement
from generators.arrays import Pixels, Plane, blend, blur, ramp, resize, shrink

__all__ = ["cast_shadow", "contact_shadow", "darken", "drop_shadow", "reflect"]

HALF = 2
"""Shadows are soft: they are drawn at half the picture's size."""


def _silhouette(cutout: Pixels, placement: Placement, size: int) -> Plane:
    """The product's coverage in the whole picture, at half size."""
    half = size // HALF
    picture = Image.new("L", (half, half))
    small = Image.fromarray(cutout[..., 3]).resize(
        (max(1, placement.width // HALF), max(1, placement.height // HALF)),
        Image.Resampling.BOX,
    )
    picture.paste(small, (placement.x // HALF, placement.y // HALF))
    return np.asarray(picture, dtype=np.float32) / 255.0


def _foot_line(cutout: Pixels) -> tuple[Plane, Plane]:
    """Lowest solid row of every column, and how surely that column touches the ground.

    Returns:
        Row per column (0 where the column is empty), and contact per column, 0 … 1.
    """
    solid = cutout[..., 3] >= 128
    height = solid.shape[0]
    filled = solid.any(axis=0)
    lowest = np.where(filled, height - 1 - solid[::-1].argmax(axis=0), 0).astype(np.float32)
    gap = (height - 1 - lowest) / height
    return lowest, np.where(filled, np.clip(1.0 - gap / 0.14, 0.0, 1.0), 0.0).astype(np.float32)


def contact_shadow(cutout: Pixels, placement: Placement, size: int, *, softness: float) -> Plane:
    """Darkness where the product meets the surface: a tight core inside a wide soft one.

    Args:
        cutout: uint8 RGBA.
        placement: Where it stands.
        size: The picture's width and height.
        softness: 0 (hard light) … 1 (very soft light).

    Returns:
        size x size, 0 (none) … 1 (black).
    """
    lowest, contact = _foot_line(cutout)
    half = size // HALF
    print_ = np.zeros((half, half), dtype=np.float32)
    thick = max(1.0, 0.035 * placement.width / HALF)
    for x in range(0, placement.width, HALF):
        if contact[x] <= 0:
            continue
        column = (placement.x + x) // HALF
        row = (placement.y + lowest[x]) / HALF
        top, bottom = int(row - thick), int(row + 0.6 * thick) + 1
        print_[max(top, 0) : min(bottom, half), min(column, half - 1)] = contact[x]
    unit = placement.width / HALF
    tight = ndimage.gaussian_filter(print_, (0.010 * unit + 0.8, 0.016 * unit + 0.8))
    wide = _spread(print_, 0.035 * unit + 1.5, 0.075 * unit + 2.0)
    peak = max(float(wide.max()), 1e-3)
    shadow = 0.66 * np.clip(tight, 0, 1) + (0.44 + 0.1 * softness) * np.clip(wide / peak, 0, 1)
    return np.clip(resize(shadow, size, size), 0.0, 0.92)


def _spread(plane: Plane, down: float, across: float) -> Plane:
    """A wide blur, different along the two axes, on a quarter-size copy."""
    small = ndimage.gaussian_filter(shrink(plane, 4), (down / 4, across / 4), truncate=3.0)
    return resize(np.asarray(small), *plane.shape)


def _soften(layer: Plane, sigma: float) -> Plane:
    """Blur a layer (h x w x 4) where it holds anything."""
    rows = np.flatnonzero(layer[..., 3].any(axis=1))
    if sigma <= 0 or not len(rows):
        return layer
    part = slice(max(rows[0] - 6, 0), rows[-1] + 7)
    layer[part] = ndimage.gaussian_filter(layer[part], (sigma, 0.6 * sigma, 0), truncate=2.5)
    return layer


def cast_shadow(
    cutout: Pixels,
    placement: Placement,
    size: int,
    *,
    direction: float,
    length: float,
    softness: float,
) -> Plane:
    """The shadow that falls along the surface, away from the light and softer with distance.

    Args:
        cutout: uint8 RGBA.
        placement: Where it stands.
        size: The picture's width and height.
        direction: Shift to the right for each unit of length; negative falls to the left.
        length: Share of the product's height that the shadow is long; rises up the picture.
        softness: 0 (hard light) … 1 (very soft light).

    Returns:
        size x size, 0 … 1.
    """
    half = size // HALF
    upright = Image.fromarray((_silhouette(cutout, placement, size) * 255).astype(np.uint8))
    base = (placement.y + placement.height * 0.985) / HALF
    # picture (x, y) looks up where the silhouette was: h = height above the base
    stretch = 1.0 / max(length, 1e-3)
    lay = (
        1.0,
        direction * stretch,
        -direction * stretch * base,
        0.0,
        stretch,
        base - base * stretch,
    )
    laid = np.asarray(
        upright.transform((half, half), Image.Transform.AFFINE, lay, Image.Resampling.BILINEAR),
        dtype=np.float32,
    )
    laid /= 255.0
    unit = placement.height / HALF
    near = blur(laid, 0.008 * unit + 0.8 + 2.0 * softness)
    far = blur(laid, (0.03 + 0.05 * softness) * unit + 1.5)
    away = np.clip((base - np.arange(half, dtype=np.float32)) / max(length * unit, 1.0), 0, 1)
    mix = near + (far - near) * away[:, None]
    return np.clip(resize(mix * (1.0 - 0.45 * away[:, None]), size, size), 0.0, 1.0)


def drop_shadow(
    cutout: Pixels, placement: Placement, size: int, *, shift: tuple[float, float], softness: float
) -> Plane:
    """The shadow of something that lies flat, seen from above.

    Args:
        cutout: uint8 RGBA.
        placement: Where it lies.
        size: The picture's width and height.
        shift: How far the shadow moves, as shares of the picture.
        softness: 0 … 1.

    Returns:
        size x size, 0 … 1.
    """
    flat = _silhouette(cutout, placement, size)
    half = size // HALF
    dark = np.zeros_like(flat)
    for part, reach, strength in ((0.35, 0.006, 0.45), (1.0, 0.018, 0.4), (1.9, 0.045, 0.3)):
        moved = ndimage.shift(flat, (shift[1] * part * half, shift[0] * part * half), order=1)
        soft = blur(moved, reach * half * (0.6 + softness))
        dark = 1.0 - (1.0 - dark) * (1.0 - strength * soft)
    return np.clip(resize(dark, size, size), 0.0, 1.0)


def reflect(
    background: Plane, cutout: Pixels, placement: Placement, *, strength: float, softness: float
) -> Plane:
    """Mirror the product in the surface below it.

    Args:
        background: Height x width x 3; not changed.
        cutout: uint8 RGBA.
        placement: Where it stands.
        strength: 0 (matte) … 1 (mirror) at the foot; it fades with depth.
        softness: Blur in pixels.

    Returns:
        The background with the reflection.
    """
    size = background.shape[0]
    lowest, contact = _foot_line(cutout)
    # a foot that bends a little follows the ground in perspective; what bends away is round, and
    # mirrors about its lowest point
    gap = (placement.height - 1 - lowest) / placement.height
    bent = np.where(contact > 0, ramp(0.02, 0.06, gap), 1.0)
    level = lowest + (placement.height - 1 - lowest) * bent
    level = ndimage.gaussian_filter1d(ndimage.maximum_filter1d(level, 9), 6)
    room = min(size - placement.y - int(level.min()), placement.height)
    if room <= 2:
        return background
    depth = np.arange(room, dtype=np.float32)[:, None]
    source = np.clip(level[None, :] - depth, 0, placement.height - 1).astype(np.intp)
    columns = np.arange(placement.width)[None, :]
    mirrored = cutout[source, columns].astype(np.float32) / 255.0
    fade = strength * np.clip(1.0 - depth / (0.42 * placement.height + 1), 0, 1) ** 1.6
    layer = np.zeros((size, placement.width, 4), dtype=np.float32)
    rows = np.clip(placement.y + level[None, :] + 1 + depth, 0, size - 1).astype(np.intp)
    premultiplied = mirrored[..., :3] * mirrored[..., 3:]
    layer[rows, columns, :3] = premultiplied * fade[..., None]
    layer[rows, columns, 3] = mirrored[..., 3] * fade
    layer = _soften(layer, softness)
    result = background.copy()
    columns_out = slice(placement.x, placement.x + placement.width)
    result[:, columns_out] = result[:, columns_out] * (1 - layer[..., 3:]) + layer[..., :3]
    return result


def darken(background: Plane, shadow: Plane, tint: Plane, strength: float) -> Plane:
    """Lay a shadow over a background.

    Args:
        background: Height x width x 3.
        shadow: Height x width, 0 … 1.
        tint: The colour of full shadow, 3.
        strength: How much of it, 0 … 1.
    """
    return blend(background, background * tint, shadow * strength)
