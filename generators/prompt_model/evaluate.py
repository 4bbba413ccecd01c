"""What the prompt model has learned: each task on scenes and photographs that it never saw.

Every row stands beside two others: *chance* answers with what the training data say most often, or
draws without looking; *blind* is the same model that is shown a blank picture. A row where the
model is no better than blind has learned nothing from pictures. Captions of the own renderer's
pictures are templates, so only held-out families of scenes and real photographs are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abplatform.domain.catalog import Product
from generators.arrays import Pixels
from generators.families import FAMILIES, draw_scene
from generators.intake import ReadyProduct
from generators.prompt_model.colours import COLOURS
from generators.prompt_model.llava import LlavaPromptModel
from generators.prompt_model.pictures import SceneShelf, show_product
from generators.prompt_model.questions import ask, tell_product
from generators.prompt_model.selling import SELLING, selling_group
from generators.prompt_model.tasks import GROUPS
from generators.propose import suited_families
from generators.scene import VOCABULARY, Scene, scene_from_text

__all__ = [
    "LabelledPhotograph",
    "TaskScore",
    "evaluate_photographs",
    "evaluate_products",
    "evaluate_scenes",
    "suits",
]

_PAPER = 255


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One row of the table.

    Args:
        task: Its name.
        data: What it was measured on.
        measure: What is counted, in words.
        rows: How many questions.
        accuracy: Share of right answers.
        blind: The same, shown a blank picture; None where there is no picture.
        chance: The same, without a model.
    """

    task: str
    data: str
    measure: str
    rows: int
    accuracy: float
    blind: float | None
    chance: float

    @property
    def group(self) -> str:
        """The task group of the paper that it belongs to."""
        return next(group for group, tasks in GROUPS.items() if self.task in tasks)


@dataclass(frozen=True, slots=True)
class LabelledPhotograph:
    """A photograph of a place and what a person sees in it.

    Args:
        picture: uint8, height x width x 3.
        words: Part of a scene to every word that would be right.
    """

    picture: Pixels
    words: Mapping[str, frozenset[str]]


def evaluate_scenes(model: LlavaPromptModel, shelf: SceneShelf, learned: SceneShelf) -> TaskScore:
    """Measure how many words of unseen scenes are read from their pictures.

    Args:
        model: What is measured.
        shelf: Pictures of families that were held out.
        learned: What it learned from: its most frequent words are the chance row.
    """
    usual = {part: _usual(learned, part) for part in VOCABULARY}
    told = [_read_scene(model, picture) for picture in shelf.pictures]
    blind = _read_scene(model, np.full_like(shelf.pictures[0], _PAPER))
    return TaskScore(
        "describe background",
        "held-out scene families",
        "words of the scene that are right",
        len(shelf),
        _mean(_shared(a, b) for a, b in zip(told, shelf.scenes, strict=True)),
        _mean(_shared(blind, scene) for scene in shelf.scenes),
        _mean(_shared(Scene(**usual), scene) for scene in shelf.scenes),
    )


def evaluate_photographs(
    model: LlavaPromptModel, photographs: Sequence[LabelledPhotograph], learned: SceneShelf
) -> TaskScore:
    """Measure how many words of real places are read from their photographs."""
    usual = {part: _usual(learned, part) for part in VOCABULARY}
    rows = [(photo, part) for photo in photographs for part in photo.words]
    blind = _read_scene(model, np.full((64, 64, 3), _PAPER, np.uint8))
    told = {id(photo): _read_scene(model, photo.picture) for photo in photographs}
    return TaskScore(
        "describe background",
        "real photographs",
        "labelled words that are right",
        len(rows),
        _mean(getattr(told[id(photo)], part) in photo.words[part] for photo, part in rows),
        _mean(getattr(blind, part) in photo.words[part] for photo, part in rows),
        _mean(usual[part] in photo.words[part] for photo, part in rows),
    )


def evaluate_products(
    model: LlavaPromptModel, products: Sequence[ReadyProduct], *, data: str, seed: int
) -> list[TaskScore]:
    """Measure all tasks that look at products or are told of them.

    Args:
        model: What is measured.
        products: That it never saw.
        data: What they are, for the table.
        seed: Draws proposals and the instructions of rewriting.
    """
    told = [(product, _title_colours(product.product)) for product in products]
    coloured = [product for product, colours in told if len(colours) == 1]
    grouped = [product for product in products if selling_group(product.product) is not None]
    return [
        *([_describe(model, coloured, data)] if coloured else []),
        *([_selling(model, grouped, data)] if grouped else []),
        _title(model, products, data),
        _proposals(model, products, data, seed, task="background from information"),
        _proposals(model, products, data, seed, task="propose"),
        _rewrites(model, products, data, seed),
    ]


def suits(scene: Scene, product: Product) -> bool:
    """Tell whether a family that suits a product could have drawn a scene's place."""
    return any(
        scene.surface in family.surface.split("|")
        and scene.backdrop in family.backdrop.split("|")
        and scene.palette in family.palette.split("|")
        for family in (FAMILIES[name] for name in suited_families(product))
    )


def _describe(model: LlavaPromptModel, products: Sequence[ReadyProduct], data: str) -> TaskScore:
    truths = [_title_colours(product.product)[0] for product in products]
    question = ask("describe product")

    def right(answer: str, product: ReadyProduct) -> bool:
        return answer.split()[1:2] == _title_colours(product.product)[:1]

    return _asked(
        model,
        [(product, question) for product in products],
        right,
        row=("describe product", data, "colour in the title is named"),
        chance=Counter(truths).most_common(1)[0][1] / len(truths),
    )


def _selling(model: LlavaPromptModel, products: Sequence[ReadyProduct], data: str) -> TaskScore:
    groups = [selling_group(product.product) for product in products]

    def right(answer: str, product: ReadyProduct) -> bool:
        group = selling_group(product.product)
        points = {part.strip() for part in answer.split(";")}
        return group is not None and bool(points & set(SELLING[group][1]))

    return _asked(
        model,
        [(product, ask("selling points")) for product in products],
        right,
        row=("selling points", data, "a point of the right group is named"),
        chance=Counter(groups).most_common(1)[0][1] / len(groups),
    )


def _title(model: LlavaPromptModel, products: Sequence[ReadyProduct], data: str) -> TaskScore:
    def told(product: ReadyProduct) -> str:
        nameless = replace(product.product, title="", attributes={})
        return ask("title", product=tell_product(nameless))

    def recall(answer: str, product: ReadyProduct) -> float:
        words = _words(product.product.title)
        return len(words & _words(answer)) / len(words) if words else 0.0

    titles = [_words(product.product.title) for product in products]
    common = Counter(word for words in titles for word in words).most_common(2)
    usual = {word for word, _ in common}
    chance = _mean(len(words & usual) / len(words) if words else 0.0 for words in titles)
    asked = [(product, told(product)) for product in products]
    row = ("title", data, "words of the title that are said")
    return _asked(model, asked, recall, row=row, chance=chance)


def _proposals(
    model: LlavaPromptModel, products: Sequence[ReadyProduct], data: str, seed: int, *, task: str
) -> TaskScore:
    def share(*, blank: bool) -> float:
        found = []
        for number, product in enumerate(products):
            picture = show_product(product.cutout)
            if blank or task != "propose":
                picture = np.full_like(picture, _PAPER)
            question = ask(task, product=tell_product(product.product))
            texts = model.write_scenes(picture, question, 4, seed + number)
            found += [suits(scene_from_text(text), product.product) for text in texts]
        return _mean(found)

    rng = np.random.default_rng(seed)
    names = list(FAMILIES)
    chance = _mean(
        suits(draw_scene(FAMILIES[names[int(rng.integers(len(names)))]], rng), product.product)
        for product in products
        for _ in range(40)
    )
    return TaskScore(
        task,
        data,
        "proposals of a family that suits",
        4 * len(products),
        share(blank=False),
        share(blank=True) if task == "propose" else None,
        chance,
    )


def _rewrites(
    model: LlavaPromptModel, products: Sequence[ReadyProduct], data: str, seed: int
) -> TaskScore:
    rng = np.random.default_rng([seed, 1])
    right, unchanged = [], []
    for product in products:
        names = suited_families(product.product)
        scene = draw_scene(FAMILIES[names[int(rng.integers(len(names)))]], rng)
        part = tuple(VOCABULARY)[int(rng.integers(len(VOCABULARY)))]
        word = VOCABULARY[part][int(rng.integers(len(VOCABULARY[part])))]
        wanted = replace(scene, **{part: word})
        question = ask("rewrite", scene=scene.to_text(), part=part, word=word)
        text = model.write_scenes(show_product(product.cutout), question, 1, 0, sample=False)[0]
        right.append(scene_from_text(text) == wanted)
        unchanged.append(scene == wanted)
    measure = "scene is right in all its parts"
    return TaskScore("rewrite", data, measure, len(right), _mean(right), None, _mean(unchanged))


def _asked(
    model: LlavaPromptModel,
    asked: Sequence[tuple[ReadyProduct, str]],
    right: Callable[[str, ReadyProduct], float],
    *,
    row: tuple[str, str, str],
    chance: float,
) -> TaskScore:
    seen, blind = [], []
    for product, question in asked:
        picture = show_product(product.cutout)
        seen.append(right(model.answer(picture, question), product))
        blank = np.full_like(picture, _PAPER)
        blind.append(right(model.answer(blank, question), product))
    return TaskScore(*row, len(seen), _mean(seen), _mean(blind), chance)


def _read_scene(model: LlavaPromptModel, picture: Pixels) -> Scene:
    question = ask("describe background")
    return scene_from_text(model.write_scenes(picture, question, 1, 0, sample=False)[0])


def _title_colours(product: Product) -> list[str]:
    words = {"gray": "grey", "golden": "yellow", **{name: name for name in COLOURS}}
    return sorted({words[word] for word in _words(product.title) if word in words})


def _words(text: str) -> set[str]:
    return {word.strip(".,:;!?()\"'") for word in text.lower().split()} - {"a", "the", ""}


def _usual(shelf: SceneShelf, part: str) -> str:
    return str(Counter(getattr(scene, part) for scene in shelf.scenes).most_common(1)[0][0])


def _shared(first: Scene, second: Scene) -> float:
    return _mean(getattr(first, part) == getattr(second, part) for part in VOCABULARY)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean([float(value) for value in values]))
