"""What the places are learned from: pictures of the studio, of every shape, and plain grounds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from scipy.optimize import minimize
from scipy.special import log_softmax

from generators.arrays import Pixels, Plane
from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.inspector.outline import find_zones
from generators.inspector.places import (
    CLASSES_FILE,
    FEATURES,
    PLAIN,
    WEIGHTS_FILE,
    Places,
    background_features,
)
from generators.intake import ReadyProduct, read_products
from generators.renderers.baseline import Baseline
from generators.renderers.placing import Rendered, Size, compose
from generators.renderers.studio import Studio

__all__ = ["Lessons", "draw_lessons", "fit_places", "learn_places"]

SHAPES: Final[tuple[Size, ...]] = ((192, 192), (192, 192), (256, 144), (144, 256))
"""Width and height, drawn in turn; half of the pictures are square."""
_PLAIN_SHARE = 0.08
_SOFT_SHARE = 0.3
"""How many are as soft as a picture painted at 64 pixels and enlarged."""
_SOFT_SIDE = 64
_PENALTY = 3.0


@dataclass(frozen=True, slots=True)
class Lessons:
    """Backgrounds and what they are.

    Args:
        features: Of ``background_features``, one row each.
        places: Number of each one's name.
        names: Scene families, and ``plain``.
    """

    features: Plane
    places: NDArray[np.int64]
    names: tuple[str, ...]


def learn_places(
    folder: Path,
    *,
    pictures: int = 5400,
    seed: int = 1,
    advance: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw pictures, learn to tell their places and save that (fp16 safetensors).

    Args:
        folder: Where to.
        pictures: How many are drawn.
        seed: Of scenes, products and chance.
        advance: Told how many are drawn, of how many.

    Returns:
        The folder.
    """
    found = fit_places(draw_lessons(pictures, seed=seed, advance=advance))
    folder.mkdir(parents=True, exist_ok=True)
    planes = {
        "weights": found.weights,
        "intercepts": found.intercepts,
        "middle": found.middle,
        "scale": found.scale,
    }
    save_file(
        {name: plane.astype(np.float16) for name, plane in planes.items()}, folder / WEIGHTS_FILE
    )
    note = {"places": list(found.names), "pictures": pictures, "seed": seed}
    (folder / CLASSES_FILE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return folder


def draw_lessons(
    count: int,
    *,
    seed: int,
    products: int = 72,
    advance: Callable[[int, int], None] | None = None,
) -> Lessons:
    """Draw pictures of all scene families in turn, and some plain ones.

    Args:
        count: How many.
        seed: Decides scenes, products and all chance in the pictures.
        products: How many products are drawn to stand in them.
        advance: Told how many are drawn, of how many.
    """
    names = (*FAMILIES, PLAIN)
    features = np.empty((count, FEATURES), np.float32)
    places = np.empty(count, np.int64)
    with tempfile.TemporaryDirectory() as folder:
        ready = read_products(draw_catalogue(Path(folder), products=products, seed=seed)).ready
        for number, (place, drawn) in zip(range(count), _pictures(ready, seed), strict=False):
            features[number] = background_features(drawn.pixels, find_zones(drawn).touched)
            places[number] = names.index(place)
            if advance is not None:
                advance(number + 1, count)
    return Lessons(features, places, names)


def fit_places(lessons: Lessons) -> Places:
    """Fit weights by maximum likelihood with an L2 penalty; the same lessons give the same."""
    middle = lessons.features.mean(axis=0)
    scale = lessons.features.std(axis=0) + 0.05
    standing = ((lessons.features - middle) / scale).astype(np.float64)
    shape = (FEATURES, len(lessons.names))
    right = np.eye(len(lessons.names))[lessons.places]

    def loss(flat: Plane) -> tuple[float, Plane]:
        weights, intercepts = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        log_told = log_softmax(standing @ weights + intercepts, axis=1)
        miss = np.exp(log_told) - right
        value = -float((right * log_told).sum()) + 0.5 * _PENALTY * float((weights**2).sum())
        slope = standing.T @ miss + _PENALTY * weights
        return value, np.concatenate([slope.ravel(), miss.sum(axis=0)])

    start = np.zeros(shape[0] * shape[1] + shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    return Places(
        lessons.names, found[: -shape[1]].reshape(shape), found[-shape[1] :], middle, scale
    )


def _pictures(ready: tuple[ReadyProduct, ...], seed: int) -> Iterator[tuple[str, Rendered]]:
    studio, kinds, number = Studio(), list(FAMILIES.items()), 0
    while True:
        rng = np.random.default_rng([seed, number])
        product = ready[int(rng.integers(len(ready)))]
        size = SHAPES[int(rng.integers(len(SHAPES)))]
        if rng.random() < _PLAIN_SHARE:
            yield PLAIN, _plain(product, size, rng)
        else:
            name, family = kinds[number % len(kinds)]
            scene, chance = draw_scene(family, rng), int(rng.integers(2**31))
            drawn = studio.render(product, scene, seed=chance, size=size)
            yield name, _soften(drawn) if rng.random() < _SOFT_SHARE else drawn
        number += 1


def _plain(product: ReadyProduct, size: Size, rng: np.random.Generator) -> Rendered:
    """A baseline, or the same product on one colour or on a slope between two."""
    drawn = Baseline().render(product, seed=int(rng.integers(2**31)), size=size)
    if rng.random() < 0.4:
        return drawn
    first, second = rng.uniform(0.0, 1.0, (2, 3))
    slope = np.linspace(0.0, 1.0, size[1])[:, None, None] * (rng.random() < 0.5)
    ground = np.broadcast_to(first + (second - first) * slope, (size[1], size[0], 3))
    return compose(ground.astype(np.float32), drawn.cutout, drawn.placement)


def _soften(drawn: Rendered) -> Rendered:
    height, width = drawn.pixels.shape[:2]
    scale = _SOFT_SIDE / max(height, width)
    small = Image.fromarray(drawn.pixels).resize(
        (round(width * scale), round(height * scale)), Image.Resampling.BOX
    )
    soft: Pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return compose(soft.astype(np.float32) / 255.0, drawn.cutout, drawn.placement)
