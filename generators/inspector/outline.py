"""Where the product is in a picture, and how well it can be seen there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from generators.arrays import Pixels, Plane
from generators.renderers.placing import Rendered

__all__ = [
    "COARSER",
    "Zones",
    "edge_difference",
    "find_zones",
    "kept_share",
    "longest_share",
    "margin_share",
    "seen_share",
]

COARSER = 2
"""Colours are compared on a copy this many times smaller."""
GRID = 16
"""The product is compared with its photograph block by block, so many along each side."""
DIFFERENT = 0.12
"""Mean difference of a block's colour, 0 … 1, from which something else is seen there."""


@dataclass(frozen=True, slots=True)
class Zones:
    """Masks of a picture, ``COARSER`` times smaller than it.

    Args:
        solid: The product's opaque pixels.
        inside: A ring just inside its outline.
        outside: A ring just outside of it.
        touched: Everything that the cut-out covers even a little.
    """

    solid: Plane
    inside: Plane
    outside: Plane
    touched: Plane


def find_zones(rendered: Rendered) -> Zones:
    """Find the product in the whole picture, and the rings on both sides of its outline."""
    height, width = rendered.pixels.shape[:2]
    rows, columns = _box(rendered)
    alpha = np.zeros((height, width), dtype=np.uint8)
    alpha[rows, columns] = rendered.cutout[..., 3]
    alpha = np.asarray(Image.fromarray(alpha).reduce(COARSER))
    solid, touched = alpha >= 250, alpha > 2
    reach = max(1, max(height, width) // 256)
    inside = solid & ~ndimage.binary_erosion(solid, iterations=reach)
    outside = ndimage.binary_dilation(touched, iterations=reach + 1) & ~touched
    return Zones(solid, inside, outside, touched)


def kept_share(rendered: Rendered) -> float:
    """Return the share of the cut-out's opaque pixels that the master shows unchanged."""
    rows, columns = _box(rendered)
    shown = rendered.pixels[rows, columns]
    solid = rendered.cutout[..., 3] == 255
    if not solid.any() or shown.shape[:2] != solid.shape:
        return 0.0
    same = shown[solid] == rendered.cutout[..., :3][solid]
    return float((same[:, 0] & same[:, 1] & same[:, 2]).mean())


def seen_share(rendered: Rendered, original: Pixels) -> float:
    """Return the share of the product's blocks that look as in its photograph.

    It looks at the master through the original's outline, so it also finds what the renderer's
    own cut-out would hide: another product, or something laid over it before it was composed.

    Args:
        rendered: The picture.
        original: uint8 RGBA: the product's cut-out at its own size.
    """
    rows, columns = _box(rendered)
    shown = np.dstack([rendered.pixels[rows, columns], rendered.cutout[..., 3]])
    if shown.shape != rendered.cutout.shape:
        return 0.0
    there, expected = _thumbnail(shown), _thumbnail(original)
    covered = np.maximum(there[..., 3], expected[..., 3]) > 0.5
    if not covered.any():
        return 0.0
    different = np.abs(there - expected).mean(axis=-1) > DIFFERENT
    return float(1.0 - different[covered].mean())


def edge_difference(lab: Plane, zones: Zones) -> float:
    """Return how far product and background differ along the outline, as a mean of CIE76.

    Args:
        lab: The picture's colours in CIELAB, ``COARSER`` times smaller.
        zones: Of the same picture.
    """
    inside, outside = zones.inside, zones.outside
    if not inside.any() or not outside.any():
        return 0.0
    sigma = max(1.5, max(lab.shape[:2]) / 100)
    difference = np.zeros(lab.shape[:2], dtype=np.float32)
    weight_in = ndimage.gaussian_filter(inside.astype(np.float32), sigma) + 1e-6
    weight_out = ndimage.gaussian_filter(outside.astype(np.float32), sigma) + 1e-6
    for channel in range(3):
        mean_in = ndimage.gaussian_filter(lab[..., channel] * inside, sigma) / weight_in
        mean_out = ndimage.gaussian_filter(lab[..., channel] * outside, sigma) / weight_out
        difference += (mean_in - mean_out) ** 2
    return float(np.sqrt(difference[inside]).mean())


def margin_share(rendered: Rendered) -> float:
    """Return the narrowest free border, as a share of the side that it lies along."""
    place, (height, width) = rendered.placement, rendered.pixels.shape[:2]
    return float(
        min(
            place.x / width,
            place.y / height,
            (width - place.x - place.width) / width,
            (height - place.y - place.height) / height,
        )
    )


def longest_share(rendered: Rendered) -> float:
    """Return how much of the picture's width or height the product spans, whichever is more."""
    place, (height, width) = rendered.placement, rendered.pixels.shape[:2]
    return float(max(place.width / width, place.height / height))


def _box(rendered: Rendered) -> tuple[slice, slice]:
    place = rendered.placement
    return slice(place.y, place.y + place.height), slice(place.x, place.x + place.width)


def _thumbnail(cutout: Pixels) -> Plane:
    """Average a cut-out over a grid of blocks: GRID x GRID x 4, colours times alpha, 0 … 1."""
    height, width = cutout.shape[:2]
    rows = np.minimum(np.arange(GRID + 1) * height // GRID, height)
    columns = np.minimum(np.arange(GRID + 1) * width // GRID, width)
    weighted = cutout.astype(np.float32) / 255.0
    weighted[..., :3] *= weighted[..., 3:]
    # sums over whole rows first: a running sum over all pixels would lose digits
    bands = np.add.reduceat(weighted, np.minimum(rows[:-1], height - 1), axis=0)
    blocks = np.add.reduceat(bands, np.minimum(columns[:-1], width - 1), axis=1)
    area = np.outer(np.maximum(np.diff(rows), 1), np.maximum(np.diff(columns), 1))[..., None]
    return np.asarray(blocks / area)
