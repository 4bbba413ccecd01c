"""The product without what is around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from generators.arrays import Pixels, Plane
from generators.intake.decoding import PhotographRefused, decode
from generators.intake.saliency import find_salient

__all__ = ["cut_out"]

SMALLEST_SHARE = 0.004
"""Share of the photograph that a product must cover, else its mask counts as empty."""


def cut_out(data: bytes, *, name: str = "the image") -> tuple[Pixels, str]:
    """Cut a product out of its photograph.

    Args:
        data: The bytes of an image file in any mode that Pillow reads.
        name: What to call it in messages.

    Returns:
        uint8 RGBA cropped to the product, and how the mask was found.

    Raises:
        PhotographRefused: It is unreadable, too large, or no product can be told from it.
    """
    image = decode(data, name)
    pixels = np.asarray(image.convert("RGBA"))
    if pixels[..., 3].min() < 250:
        mask = "alpha"
        pixels = _without_shadow(pixels)
    elif _is_on_white(pixels[..., :3]):
        mask = "white background"
        pixels = _from_white(pixels[..., :3])
    else:
        mask = "salient object"
        pixels = find_salient(pixels[..., :3], name)
    return _crop(pixels, name), mask


def _without_shadow(pixels: Pixels) -> Pixels:
    """Take out a soft dark shadow that the photograph carries under its product."""
    alpha = pixels[..., 3]
    solid = alpha >= 200
    if not solid.any():
        return pixels
    near = ndimage.binary_dilation(solid, iterations=3)
    brightness = pixels[..., :3].max(axis=2)
    shadow = ~near & (alpha < 200) & (brightness < 90)
    cleaned = pixels.copy()
    cleaned[shadow, 3] = 0
    return cleaned


def _border(colours: Plane) -> Plane:
    return np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])


def _is_on_white(rgb: Pixels) -> bool:
    """Whether most of the photograph's border is one nearly white colour."""
    border = _border(rgb.astype(np.float32))
    paper = np.median(border, axis=0)
    even = float((np.abs(border - paper).max(axis=1) < 24).mean())
    return bool(paper.min() >= 215 and even >= 0.6)


def _from_white(rgb: Pixels) -> Pixels:
    colours = rgb.astype(np.float32)
    border = _border(colours)
    paper = np.median(border, axis=0)
    distance: Plane = np.abs(colours - paper).max(axis=2)
    outside = _flood(colours, distance, noise=float(np.median(np.abs(border - paper))))
    inside = ndimage.binary_opening(~outside, iterations=1)
    rim = inside & ndimage.binary_dilation(~inside, iterations=2)
    alpha = inside.astype(np.float32)
    alpha[rim] = np.clip((distance[rim] - 6) / 50, 0, 1)
    # what a rim pixel shows is product mixed with paper: take the paper out
    share = np.maximum(alpha, 0.15)[..., None]
    pure = np.where(rim[..., None], (colours - (1 - share) * paper) / share, colours)
    return np.dstack([np.clip(pure + 0.5, 0, 255), alpha * 255 + 0.5]).astype(np.uint8)


def _flood(colours: Plane, distance: Plane, *, noise: float) -> Pixels:
    """What is paper or its soft grey shadow, and joined to the photograph's border.

    Gaps narrower than five pixels do not let the flood in: a white product on white paper often
    has an outline with holes.
    """
    grey = np.ptp(colours, axis=2) < 14
    paperlike = distance < np.clip(6.0 + 4.0 * noise, 6.0, 18.0)
    paperlike |= grey & (distance < 46) & (_slope(distance) < 2.5)
    wide = ndimage.binary_erosion(paperlike, iterations=2, border_value=True)
    edges = np.zeros(distance.shape, dtype=bool)
    edges[0], edges[-1], edges[:, 0], edges[:, -1] = True, True, True, True
    outside = ndimage.binary_propagation(edges & wide, mask=wide)
    outside = ndimage.binary_dilation(outside, iterations=2) & paperlike
    # compression leaves a fringe of nearly white specks along an outline: take a thin rim more
    fringe = (distance < 30) | (grey & (distance < 60))
    outside = ndimage.binary_dilation(outside, iterations=4, mask=fringe | outside)
    ringing = fringe & (_slope(distance) > 0.4)
    return np.asarray(ndimage.binary_dilation(outside, iterations=6, mask=ringing | outside))


def _slope(plane: Plane) -> Plane:
    smooth = ndimage.uniform_filter(plane, 3)
    return np.hypot(ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)) / 4


def _crop(pixels: Pixels, name: str) -> Pixels:
    alpha = pixels[..., 3]
    solid = alpha >= 128
    if solid.mean() < SMALLEST_SHARE:
        raise PhotographRefused("empty_mask", f"no product can be told from {name!r}")
    rows = np.flatnonzero((alpha > 12).any(axis=1))
    columns = np.flatnonzero((alpha > 12).any(axis=0))
    return np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
