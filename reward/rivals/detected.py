"""Hand features of pictures as they are, from detectors: what is written, where the product stands.

A thumbnail says enough of light and colour, but nothing can be read on it, so these come from the
pictures' own files. Each takes a second or two, once in a process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from abplatform.checkpoints.salient import can_find_salient, salient_mask
from abplatform.errors import TrainingError
from reward.pictures import picture_files, read_picture
from reward.rivals.contest import Part
from reward.rivals.lettering import can_read, lettering

__all__ = ["STANCE", "can_detect", "detected_looks", "stance"]

STANCE: Final = ("share of the area", "middle x", "middle y", "filling of its box", "parts")
"""What ``stance`` returns, by column."""


def can_detect() -> bool:
    """Whether what reads texts or what finds products is installed."""
    return can_read() or can_find_salient()


def detected_looks(
    part: Part, *, advance: Callable[[int, int], None] | None = None
) -> NDArray[np.float64]:
    """Return lettering and stance of M items' pictures, as far as detectors are installed.

    Args:
        part: Pairs with the folder of their pictures.
        advance: Told how many pictures are done of how many.

    Returns:
        M x 7, 5 or 12.

    Raises:
        TrainingError: Pictures are left out, missing, changed or unreadable.
    """
    if part.images is None or not part.table.has_images:
        raise TrainingError(
            "this model reads pictures and there are none", remedy="name their folder with --images"
        )
    names = sorted({item.image for item in part.table.items})
    files = picture_files(part.images, names)
    found = {}
    for number, name in enumerate(names):
        found[name] = _detect(files[name], name)
        if advance:
            advance(number + 1, len(names))
    return np.array([found[item.image] for item in part.table.items])


def stance(pixels: NDArray[np.uint8]) -> list[float]:
    """Return where what stands out is, in the columns of ``STANCE``; places from 0 to 1.

    Parts that are smaller than a tenth of the largest count as dust.

    Args:
        pixels: H x W x 3.
    """
    solid = salient_mask(pixels) >= 0.5
    if not solid.any():
        return [0.0, 0.5, 0.5, 0.0, 0.0]
    height, width = solid.shape
    rows, columns = np.nonzero(solid)
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    labels, _ = ndimage.label(solid)
    sizes = np.bincount(labels.ravel())[1:]
    return [
        float(solid.mean()),
        float((columns.mean() + 0.5) / width),
        float((rows.mean() + 0.5) / height),
        float(len(rows) / box),
        float((sizes >= 0.1 * sizes.max()).sum()),
    ]


@cache
def _detect(path: Path, sha256: str) -> tuple[float, ...]:
    pixels = read_picture(path, sha256)
    written = lettering(pixels) if can_read() else []
    return (*written, *(stance(pixels) if can_find_salient() else []))
