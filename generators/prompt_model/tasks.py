"""What the prompt model is pre-trained on: seven tasks in CAIG's three groups, as endless samples.

Image understanding: describe a product, describe a background, name selling points. Multimodal
understanding: a title from picture and attributes, a background from product information. Prompt
generation: propose a background for a picture and title, rewrite a given one. The groups follow
arXiv 2502.06823, section 3; the questions and answers are this project's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from abplatform.domain.catalog import Category, Product
from generators.arrays import Pixels
from generators.families import FAMILIES, TASTES, draw_scene
from generators.intake import ReadyProduct
from generators.prompt_model.colours import name_colour
from generators.prompt_model.pictures import SceneShelf, recolour, show_product
from generators.prompt_model.questions import ask, tell_product
from generators.prompt_model.selling import selling_points
from generators.propose import suited_families
from generators.scene import VOCABULARY, Scene

__all__ = ["GROUPS", "Sample", "Samples", "kind_of"]

GROUPS: dict[str, tuple[str, ...]] = {
    "image understanding": ("describe product", "describe background", "selling points"),
    "multimodal understanding": ("title", "background from information"),
    "prompt generation": ("propose", "rewrite"),
}
"""Task groups to their tasks."""

SMALL = 96
"""Cut-outs are kept at this longest side: what the model sees is smaller."""


_DRAWN_NAMES = 0.5
"""How often a product keeps the name under which it was drawn."""
_SHELVES = ("accessories", "groceries", "packages", "women", "men", "new", "sale", "household")
"""Upper categories that say nothing of what suits."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about a picture, and its answer.

    Args:
        task: Its name in ``GROUPS``.
        picture: uint8, side x side x 3.
        question: What is asked, in words.
        answer: What should be said.
    """

    task: str
    picture: Pixels
    question: str
    answer: str


class Samples:
    """Draws samples without end from products and scenes.

    Args:
        products: What there is to advertise.
        shelf: Pictures of scenes, drawn with these products.
        families: The families that may be proposed.
    """

    def __init__(
        self, products: Sequence[ReadyProduct], shelf: SceneShelf, *, families: Sequence[str]
    ) -> None:
        self._products = [replace(product, cutout=_small(product.cutout)) for product in products]
        self._shelf = shelf
        self._families = frozenset(families)
        self._makers: Mapping[str, Callable[[np.random.Generator], Sample]] = {
            "describe product": self._describe_product,
            "describe background": self._describe_background,
            "selling points": self._selling_points,
            "title": self._title,
            "background from information": self._from_information,
            "propose": self._propose,
            "rewrite": self._rewrite,
        }

    def draw(self, task: str, rng: np.random.Generator) -> Sample:
        """Draw one sample of a task."""
        return self._makers[task](rng)

    def _product(self, rng: np.random.Generator) -> tuple[ReadyProduct, str]:
        """A product in a colour of its own or another one, and that colour's name."""
        product = self._products[int(rng.integers(len(self._products)))]
        if rng.random() < 0.7:
            product = replace(product, cutout=recolour(product.cutout, rng))
        return product, name_colour(product.cutout)

    def _describe_product(self, rng: np.random.Generator) -> Sample:
        product, colour = self._product(rng)
        answer = f"a {colour} {kind_of(product.product)}"
        return self._sample("describe product", show_product(product.cutout, rng), answer, rng)

    def _describe_background(self, rng: np.random.Generator) -> Sample:
        number = int(rng.integers(len(self._shelf)))
        picture = _jitter(self._shelf.pictures[number], rng)
        answer = self._shelf.scenes[number].to_text()
        return self._sample("describe background", picture, answer, rng)

    def _selling_points(self, rng: np.random.Generator) -> Sample:
        product, colour = self._product(rng)
        points = selling_points(product.product)
        chosen = rng.choice(len(points), 2, replace=False)
        answer = f"{colour}; {points[chosen[0]]}; {points[chosen[1]]}"
        return self._sample("selling points", show_product(product.cutout, rng), answer, rng)

    def _title(self, rng: np.random.Generator) -> Sample:
        product, colour = self._product(rng)
        name = product.product.title.split(",")[0].lower()
        told = replace(product.product, title="", attributes={"colour": colour})
        question = ask("title", rng, product=tell_product(told))
        picture = show_product(product.cutout, rng)
        return Sample("title", picture, question, f"{name}, {colour}")

    def _from_information(self, rng: np.random.Generator) -> Sample:
        product, _ = self._product(rng)
        told = _renamed(product.product, rng)
        question = ask("background from information", rng, product=tell_product(told))
        paper = np.full_like(show_product(product.cutout), 255)
        answer = self._suited_scene(told, rng).to_text()
        return Sample("background from information", paper, question, answer)

    def _propose(self, rng: np.random.Generator) -> Sample:
        product, _ = self._product(rng)
        told = _renamed(product.product, rng)
        question = ask("propose", rng, product=tell_product(told))
        answer = self._suited_scene(told, rng).to_text()
        return Sample("propose", show_product(product.cutout, rng), question, answer)

    def _rewrite(self, rng: np.random.Generator) -> Sample:
        product, _ = self._product(rng)
        scene = self._suited_scene(product.product, rng)
        part = tuple(VOCABULARY)[int(rng.integers(len(VOCABULARY)))]
        word = VOCABULARY[part][int(rng.integers(len(VOCABULARY[part])))]
        question = ask("rewrite", rng, scene=scene.to_text(), part=part, word=word)
        answer = replace(scene, **{part: word}).to_text()
        return Sample("rewrite", show_product(product.cutout, rng), question, answer)

    def _suited_scene(self, product: Product, rng: np.random.Generator) -> Scene:
        suited = [name for name in suited_families(product) if name in self._families]
        return draw_scene(FAMILIES[suited[int(rng.integers(len(suited)))]], rng)

    def _sample(self, task: str, picture: Pixels, answer: str, rng: np.random.Generator) -> Sample:
        return Sample(task, picture, ask(task, rng), answer)


def _renamed(product: Product, rng: np.random.Generator) -> Product:
    """Call a product something else, half of the time: the drawn catalogue holds few kinds.

    Catalogues name things their own way, so a model has to know what suits a "tees" or a
    "home/vases", not only the categories that happen to be drawn.
    """
    if rng.random() < _DRAWN_NAMES:
        return product
    words = [word for kinds, _ in TASTES for word in kinds]
    word = words[int(rng.integers(len(words)))]
    plural = word if word.endswith("s") or rng.random() < 0.4 else f"{word}s"
    upper = (
        product.category.path.split("/")[0]
        if rng.random() < 0.3
        else _SHELVES[int(rng.integers(len(_SHELVES)))]
    )
    colour = product.title.rpartition(",")[2].strip()
    title = f"{colour} {word}" if rng.random() < 0.7 else colour
    path = plural if rng.random() < 0.2 else f"{upper}/{plural}"
    return replace(product, title=title, category=Category(path))


def kind_of(product: Product) -> str:
    """Return what a product is, in one word: the last one of its title before a comma."""
    words = product.title.split(",")[0].lower().split()
    return words[-1].strip(".") if words else "product"


def _small(cutout: Pixels) -> Pixels:
    image = Image.fromarray(cutout)
    image.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    return np.asarray(image)


def _jitter(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Shift a picture by up to four pixels and change its brightness a little.

    Never flip it: a flip would turn the light around.
    """
    down, across = rng.integers(-4, 5, 2)
    wide = np.pad(picture, ((4, 4), (4, 4), (0, 0)), mode="edge")
    side = picture.shape[0]
    part = wide[4 + down : 4 + down + side, 4 + across : 4 + across + side]
    brightness = float(rng.uniform(0.92, 1.06))
    return np.asarray(np.clip(part.astype(np.float32) * brightness, 0, 255), dtype=np.uint8)
