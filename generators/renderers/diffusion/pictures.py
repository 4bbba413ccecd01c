"""What the embedded model learns from: studio pictures of drawn products, small, with words."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generators.arrays import Pixels
from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.intake import read_products
from generators.renderers.placing import Rendered
from generators.renderers.studio import Studio
from generators.scene import Scene, scene_from_text

__all__ = ["LearningPictures", "alpha_of", "draw_pictures"]

_SHRINK = 2
"""Pictures are drawn at twice the size and averaged."""


@dataclass(frozen=True, slots=True)
class LearningPictures:
    """Studio pictures in memory.

    Args:
        pixels: uint8, count x side x side x 3.
        alphas: uint8, count x side x side: how much of the product covers each pixel.
        texts: The scenes' text forms.
        families: Number of each picture's scene family, in the order of ``FAMILIES``.
    """

    pixels: Pixels
    alphas: Pixels
    texts: tuple[str, ...]
    families: NDArray[np.int64]

    def scenes(self) -> tuple[Scene, ...]:
        """Return the scenes behind the texts."""
        return tuple(scene_from_text(text) for text in self.texts)

    def first(self, count: int) -> LearningPictures:
        """Return the first of them."""
        return LearningPictures(
            self.pixels[:count], self.alphas[:count], self.texts[:count], self.families[:count]
        )


def draw_pictures(
    count: int,
    *,
    side: int,
    seed: int,
    products: int = 72,
    keep: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> LearningPictures:
    """Draw pictures of all scene families in turn.

    Args:
        count: How many.
        side: Their width and height in pixels.
        seed: Decides scenes, products and all chance in the pictures.
        products: How many products are drawn to stand in them.
        keep: A file (``.npz``) to read them from, or to write them to if it is not there.
        advance: Told how many are done, of how many.
    """
    if keep is not None and keep.is_file():
        with np.load(keep) as kept:
            return LearningPictures(
                kept["pixels"], kept["alphas"], tuple(kept["texts"].tolist()), kept["families"]
            )
    pixels = np.empty((count, side, side, 3), np.uint8)
    alphas = np.empty((count, side, side), np.uint8)
    texts = []
    families = np.arange(count, dtype=np.int64) % len(FAMILIES)
    kinds = list(FAMILIES.values())
    with tempfile.TemporaryDirectory() as folder:
        ready = read_products(draw_catalogue(Path(folder), products=products, seed=seed)).ready
    studio, large = Studio(), (side * _SHRINK, side * _SHRINK)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(kinds[families[number]], rng)
        product = ready[int(rng.integers(len(ready)))]
        drawn = studio.render(product, scene, seed=int(rng.integers(2**31)), size=large)
        pixels[number] = np.asarray(Image.fromarray(drawn.pixels).reduce(_SHRINK))
        alphas[number] = np.asarray(Image.fromarray(alpha_of(drawn)).reduce(_SHRINK))
        texts.append(scene.to_text())
        if advance is not None:
            advance(number + 1, count)
    drawn_all = LearningPictures(pixels, alphas, tuple(texts), families)
    if keep is not None:
        np.savez(keep, pixels=pixels, alphas=alphas, texts=np.array(texts), families=families)
    return drawn_all


def alpha_of(drawn: Rendered) -> Pixels:
    """Return how much of the product covers each pixel of a picture (uint8, h x w)."""
    alpha = np.zeros(drawn.pixels.shape[:2], np.uint8)
    place = drawn.placement
    rows = slice(place.y, place.y + place.height)
    alpha[rows, place.x : place.x + place.width] = drawn.cutout[..., 3]
    return alpha
