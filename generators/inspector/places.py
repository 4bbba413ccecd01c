"""Where a product stands, told by its background alone, and whether such products belong there.

A multinomial logistic regression (Hastie, Tibshirani and Friedman, The Elements of Statistical
Learning, 2nd ed., section 4.4) knows the scene families and plain grounds by colours and detail of
a coarse grid; the product's own pixels are left out, so that it cannot guess from what is sold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from safetensors.numpy import load_file
from scipy.special import softmax

from abplatform.domain.catalog import Product
from generators.arrays import Pixels, Plane, rgb_to_lab
from generators.propose import suited_families
from generators.weights import embedded

__all__ = ["FEATURES", "PLAIN", "Places", "background_features", "known_places", "read_places"]

PLAIN: Final = "plain"
"""A ground without a scene; everything may stand there."""
WEIGHTS_FILE: Final = "model.safetensors"
CLASSES_FILE: Final = "config.json"

_SIDE = 96
_GRID = 8
_BLOCK = _SIDE // _GRID
_BINS = 4
FEATURES: Final = 8 * _GRID**2 + _BINS**3
"""Of :func:`background_features`: eight numbers a block, and a histogram of colours."""
_LEAST_GROUND = 0.15
"""Share of a block that must be background to say something of it."""


@dataclass(frozen=True, slots=True)
class Places:
    """What tells places.

    Args:
        names: Scene families, and ``plain``.
        weights: FEATURES x places.
        intercepts: One for each place.
        middle: What is taken off the features.
        scale: By what they are divided then.
    """

    names: tuple[str, ...]
    weights: Plane
    intercepts: Plane
    middle: Plane
    scale: Plane

    def tell(self, features: Plane) -> Plane:
        """Return the probability of each place, in the order of ``names``.

        Args:
            features: Of :func:`background_features`; rows of them give rows.
        """
        standing = (features - self.middle) / self.scale
        return np.asarray(softmax(standing @ self.weights + self.intercepts, axis=-1))

    def suits(self, features: Plane, product: Product) -> float:
        """Return how likely the background is one in which such products belong, 0 … 1."""
        suited = {*suited_families(product), PLAIN}
        told = self.tell(features)
        return float(sum(told[n] for n, name in enumerate(self.names) if name in suited))


def background_features(pixels: Pixels, touched: Plane) -> Plane:
    """Return colour and detail of a picture's background: FEATURES numbers.

    Blocks that the product hides count as the background's mean.

    Args:
        pixels: uint8, height x width x 3, of any shape.
        touched: bool, of the same shape or a coarser one: what the product covers even a little.
    """
    small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    covered = Image.fromarray(touched.astype(np.uint8) * 255)
    ground = np.asarray(covered.resize((_SIDE, _SIDE), Image.Resampling.BOX)) == 0
    if not ground.any():
        ground = np.ones_like(ground)
    lab = rgb_to_lab(np.asarray(small)) / np.array([30.0, 20.0, 20.0], np.float32)
    across, down = (_steps(lab[..., 0], ground, axis) for axis in (1, 0))
    planes = np.dstack([lab, lab**2, across, down])
    share = _blocks(ground[..., None].astype(np.float32))
    means = _blocks(planes * ground[..., None]) / np.maximum(share, 1e-6)
    hidden = share[..., 0] < _LEAST_GROUND
    means[hidden] = planes[ground].mean(axis=0)
    means[..., 3:6] = np.sqrt(np.maximum(means[..., 3:6] - means[..., :3] ** 2, 0.0))
    means[..., 6:] = np.sqrt(means[..., 6:])
    low, high = np.array([0.0, -2.0, -2.0]), np.array([3.34, 2.0, 2.0])
    bins = np.clip((lab[ground] - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
    places = np.ravel_multi_index(tuple(bins.T), (_BINS, _BINS, _BINS))
    counts = np.bincount(places, minlength=_BINS**3)
    return np.concatenate([means.ravel(), np.sqrt(counts / counts.sum())])


def read_places(folder: Path) -> Places:
    """Read what :func:`generators.inspector.place_learning.learn_places` wrote."""
    names: Sequence[str] = json.loads((folder / CLASSES_FILE).read_text("utf-8"))["places"]
    told = {
        name: plane.astype(np.float32) for name, plane in load_file(folder / WEIGHTS_FILE).items()
    }
    return Places(tuple(names), told["weights"], told["intercepts"], told["middle"], told["scale"])


@cache
def known_places() -> Places:
    """Return the embedded model.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    return read_places(embedded("places").folder)


def _steps(plane: Plane, ground: Plane, axis: int) -> Plane:
    """Return how far each pixel is from the one before it; nothing where one is not ground."""
    before, ground_before = np.roll(plane, 1, axis), np.roll(ground, 1, axis)
    first = np.arange(_SIDE) == 0
    is_first = first[:, None] if axis == 0 else first[None, :]
    return np.where(ground & ground_before & ~is_first, np.abs(plane - before), 0.0)


def _blocks(planes: Plane) -> Plane:
    shape = (_GRID, _BLOCK, _GRID, _BLOCK, planes.shape[-1])
    return np.asarray(planes.reshape(shape).mean(axis=(1, 3)))
