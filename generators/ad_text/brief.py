"""What a text may say of a product: its facts, and the prompt that tells a model of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from abplatform.creatives.texts import price_text
from abplatform.domain.catalog import Product

__all__ = ["CHINESE", "Brief", "brief_of", "free_prompt"]

_LONGEST_VALUE = 60
_MARKS = re.compile(r"<\|?[^<>]{0,40}\|?>|[\[\]{}|\r\n]")
CHINESE = re.compile("[\u3400-\u9fff]")
"""A Chinese character."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What is told of a product.

    Args:
        title: Its title, as data.
        category: The last name of its category.
        facts: Attributes, name to value.
        price: Amount and currency as one writes them, or None.
        rating: Such as ``4.6``, or None.
        segment: Whom the text is for, in free words; None: everybody.
    """

    title: str
    category: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    price: str | None = None
    rating: str | None = None
    segment: str | None = None

    @property
    def language(self) -> str:
        """``zh`` where the title has Chinese characters, else ``en``."""
        return "zh" if CHINESE.search(self.title) else "en"

    def prompt(self) -> str:
        """Return the prompt that the embedded model has learned; it ends where the text begins."""
        told = {
            "product": self.title,
            "kind": self.category,
            **dict(list(self.facts.items())[:2]),
            "price": self.price,
            "rating": self.rating,
            "for": self.segment,
        }
        words = (f"{name}: {clean(value)}" for name, value in told.items() if value)
        return f"{'; '.join(words)}\nad:"

    @property
    def told(self) -> str:
        """Everything that it says, for whoever looks for numbers and words in it."""
        parts = (self.title, self.category, *self.facts.values(), self.price, self.rating)
        return " ".join(part for part in (*parts, self.segment) if part)


def brief_of(product: Product, *, segment: str | None = None, prices: bool = True) -> Brief:
    """Return a product's brief.

    Args:
        product: What the catalogue says.
        segment: Whom the text is for, in free words.
        prices: Whether the price may be told.
    """
    return Brief(
        product.title,
        product.category.names[-1],
        {name: value for name, value in product.attributes.items() if name != "url"},
        price_text(product) if prices else None,
        None if product.rating is None else f"{product.rating:g}",
        segment,
    )


def free_prompt(prompt: str) -> str:
    """Return a free prompt as one line of data, without the marks of any model's template."""
    return clean(prompt, longest=300)


def clean(text: str, *, longest: int = _LONGEST_VALUE) -> str:
    """Return data as one line that cannot end a field or open a role."""
    return " ".join(_MARKS.sub(" ", text).split())[:longest]
