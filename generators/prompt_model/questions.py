"""The questions that are put to the prompt model, and how a product is told to it.

Titles and attributes are data: whatever in them could be read as an instruction, an image or a
turn of the conversation is taken apart before a model sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from abplatform.creatives import clean_title
from abplatform.domain.catalog import Product
from generators.scene import phrase

__all__ = ["QUESTIONS", "ask", "explain", "neutralise", "tell_product"]

MOST_TITLE = 120
"""Characters of a title that a model is told; what sells stands at its beginning."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "describe product": (
        "What is shown?",
        "Describe the product.",
        "Name this product and its colour.",
    ),
    "describe background": (
        "Describe the background.",
        "What is the scene around the product?",
        "Which setting is this?",
    ),
    "selling points": (
        "Name its selling points.",
        "What speaks for this product?",
    ),
    "title": (
        "Write a title. {product}",
        "{product} How should it be called?",
    ),
    "background from information": (
        "Which background suits it? {product}",
        "{product} Describe a fitting scene.",
    ),
    "propose": (
        "Propose a background that gets clicks. {product}",
        "{product} Write a scene for its advertisement.",
    ),
    "rewrite": (
        "Rewrite this background with {word} as {part}: {scene}",
        "{scene}. Change its {part} to {word}.",
    ),
}
"""Task to the ways in which it is asked; the first one is asked at work."""

_MARKUP = re.compile(r"<[^<>]{0,80}>|\[/?[A-Z]{2,12}\]|\{\{|\}\}|#{2,}|<\||\|>")
"""What chat templates and processors are made of: <image>, <|im_start|>, [INST], {{ … }}, ###."""


def ask(task: str, rng: np.random.Generator | None = None, **parts: str) -> str:
    """Return a question.

    Args:
        task: One of ``QUESTIONS``.
        rng: Chooses among the ways to ask; without it the first one is taken.
        **parts: What the question is about, already neutralised.
    """
    ways = QUESTIONS[task]
    way = ways[0 if rng is None else int(rng.integers(len(ways)))]
    return way.format(**parts)


def explain(vocabulary: Mapping[str, Sequence[str]]) -> str:
    """Tell a model that was not pre-trained here which words make a scene."""
    parts = "; ".join(f"{part}: {' or '.join(words)}" for part, words in vocabulary.items())
    example = ", ".join(phrase(part, words[0]) for part, words in vocabulary.items())
    return f"Choose what suits and sells it. {parts}. Answer in this form only: {example}"


def tell_product(product: Product) -> str:
    """Return what a model is told of a product: title, category and colour, each as data."""
    told = [
        f"title: {neutralise(product.title)[:MOST_TITLE]}" if product.title else "",
        f"category: {neutralise(product.category.path)[:MOST_TITLE]}",
        f"colour: {neutralise(product.attributes['colour'])[:40]}"
        if "colour" in product.attributes
        else "",
    ]
    return "; ".join(part for part in told if part) + "."


def neutralise(text: str) -> str:
    """Take out of a text what a model could take for markup.

    Args:
        text: Data, such as a title.

    Returns:
        One line of visible characters without markup; the same again if neutralised again.
    """
    before = None
    while text != before:
        before = text
        text = clean_title(_MARKUP.sub(" ", text))
    return text
