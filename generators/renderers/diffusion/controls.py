"""What a diffusion model is told of the product: its outlines, and where it may paint."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from generators.arrays import Pixels, Plane

__all__ = ["NEUTRAL", "find_edges", "repaint_mask"]

NEUTRAL = 128
"""The grey on which a product stands before anything is painted around it."""


def find_edges(rgb: Pixels, *, low: float = 0.08, high: float = 0.2) -> Pixels:
    """Find outlines as Canny does: smoothed gradient, thinned across, followed along.

    Args:
        rgb: uint8, height x width x 3.
        low: Gradient (of light 0 … 1 per pixel) at which a line that was begun goes on.
        high: Gradient at which a line begins.

    Returns:
        uint8, height x width x 3: 255 on a line, else 0; three equal channels, as ControlNet's
        canny models read them.

    References:
        J. Canny, "A Computational Approach to Edge Detection", IEEE PAMI 8 (1986).
    """
    grey = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255.0
    smooth = ndimage.gaussian_filter(grey, 0.8, mode="nearest")
    down = ndimage.sobel(smooth, axis=0, mode="nearest") / 4.0
    across = ndimage.sobel(smooth, axis=1, mode="nearest") / 4.0
    strength = np.hypot(down, across)
    thin = np.where(_is_ridge(strength, down, across), strength, 0.0)
    lines, _ = ndimage.label(thin > low, structure=np.ones((3, 3)))
    begun = np.unique(lines[thin > high])
    found = np.isin(lines, begun[begun > 0])
    return np.repeat((found * 255).astype(np.uint8)[..., None], 3, axis=2)


def _is_ridge(strength: Plane, down: Plane, across: Plane) -> Plane:
    """Where the gradient is no smaller than at its two neighbours along its own direction."""
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(np.intp) % 4
    padded = np.pad(strength, 1)
    height, width = strength.shape
    ridge = np.zeros(strength.shape, dtype=bool)
    for number, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        ridge |= (sector == number) & (strength > behind) & (strength >= ahead)
    return ridge


def repaint_mask(alpha: Pixels, *, reach: int) -> Pixels:
    """Where the model paints: everything but the product, and a rim of it.

    Args:
        alpha: uint8, height x width.
        reach: How far the painting reaches into the product, in pixels.

    Returns:
        uint8, height x width: 255 where the model paints, else 0.
    """
    free = alpha < 128
    reached = ndimage.binary_dilation(free, iterations=reach) if reach > 0 else free
    return (reached * 255).astype(np.uint8)
