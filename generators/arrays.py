"""What arrays of pixels are called, and the few operations that every drawing shares."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = [
    "Pixels",
    "Plane",
    "blend",
    "blur",
    "ramp",
    "resize",
    "rgb_to_lab",
    "shrink",
    "to_bytes",
]

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3 or 4, 0 … 255."""

Plane: TypeAlias = NDArray[Any]
"""Height x width, or height x width x 3; light or coverage, 0 … 1."""


def ramp(low: float | Plane, high: float | Plane, x: Plane) -> Plane:
    """Rise smoothly from 0 at ``low`` to 1 at ``high`` (3t² - 2t³); bounds may vary by pixel."""
    t = np.asarray(np.clip((x - low) / (high - low), 0.0, 1.0))
    smooth: Plane = t * t * (3.0 - 2.0 * t)
    return smooth


def blend(below: Plane, above: Plane, coverage: Plane) -> Plane:
    """Lay ``above`` (h x w x 3) over ``below`` by its coverage (h x w)."""
    mixed: Plane = below + (above - below) * coverage[..., None]
    return mixed


def resize(plane: Plane, height: int, width: int) -> Plane:
    """Resample a float plane (h x w or h x w x 3) smoothly to another size."""
    planes = [plane] if plane.ndim == 2 else [plane[..., i] for i in range(plane.shape[2])]
    bigger = [
        np.asarray(
            Image.fromarray(part.astype(np.float32)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        for part in planes
    ]
    return bigger[0] if plane.ndim == 2 else np.dstack(bigger)


def blur(plane: Plane, sigma: float) -> Plane:
    """Blur by a Gaussian; wide ones on a smaller copy, where they cost little.

    Args:
        plane: h x w or h x w x 3.
        sigma: In pixels.
    """
    if sigma < 0.3:
        return plane
    factor = int(2 ** np.clip(np.floor(np.log2(max(sigma, 1.0) / 1.4)), 0, 3))
    height, width = plane.shape[:2]
    small = plane if factor == 1 else shrink(plane, factor)
    # averaging over a block has already spread by its own standard deviation
    rest = np.sqrt(max((sigma / factor) ** 2 - (factor**2 - 1) / (12.0 * factor**2), 0.1))
    spread = (rest, rest, 0.0)[: plane.ndim]
    soft = ndimage.gaussian_filter(small, spread, truncate=3.0, mode="nearest")
    return np.asarray(soft) if factor == 1 else resize(soft, height, width)


def shrink(plane: Plane, factor: int) -> Plane:
    """Average blocks of ``factor`` x ``factor`` pixels; a rest at the border counts as a block."""
    planes = [plane] if plane.ndim == 2 else [plane[..., i] for i in range(plane.shape[2])]
    parts = [
        np.asarray(Image.fromarray(np.ascontiguousarray(part, np.float32)).reduce(factor))
        for part in planes
    ]
    return parts[0] if plane.ndim == 2 else np.dstack(parts)


def to_bytes(light: Plane) -> Pixels:
    """Round light of 0 … 1 to bytes."""
    return (np.clip(light, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def rgb_to_lab(pixels: Pixels) -> Plane:
    """Convert sRGB bytes to CIE L*a*b* (D65); height x width x 3."""
    light = _LINEAR[pixels]
    xyz = light @ _TO_XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])],
        axis=-1,
    ).astype(np.float32)


_CODES = np.arange(256) / 255.0
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
) / np.array([[0.9505], [1.0], [1.089]], np.float32)
