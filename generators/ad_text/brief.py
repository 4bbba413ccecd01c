"""What a text may say of a product: its facts, and the prompt that tells a model of them.

A small model cannot copy a name that it never saw, so the embedded one writes placeholders where
facts stand, and the facts are put in afterwards ("delexicalised"; Wen et al., arXiv 1508.01745).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from abplatform.creatives.texts import price_text
from abplatform.domain.catalog import Product

__all__ = [
    "CHINESE",
    "COLOUR",
    "NAME",
    "PLACEHOLDERS",
    "PRICE",
    "RATING",
    "SEGMENT",
    "Brief",
    "brief_of",
    "brief_of_prompt",
    "mask",
    "name_in",
]

NAME, PRICE, RATING = "<|product|>", "<|price|>", "<|rating|>"
COLOUR, SEGMENT = "<|colour|>", "<|segment|>"
PLACEHOLDERS = (NAME, PRICE, RATING, COLOUR, SEGMENT)
"""What the embedded model writes in place of facts; no data can hold them."""

_LONGEST_VALUE = 60
_ROOMS = {"en": ((19, "none"), (26, "little")), "zh": ((7, "none"), (10, "little"))}
"""Language to the characters beside the name, below which a model is told that there is less."""
_NAME_ENDS = re.compile(r"[,，;；:：(（\[/|。]| [-–—] ")  # noqa: RUF001 - titles have such dashes
_KEYS = re.compile(r"(?:^|_|\b)(?:id|url|sku|ean|gtin)$", re.IGNORECASE)
"""Attributes that name a product to machines."""
_ASKED_FOR = re.compile(
    r"[一这][款种个盒瓶件双台](.+?)(?:[，,：:。；]|$)|为(.+?)写"  # noqa: RUF001 - Chinese marks
    r"|\b(?:an?|the|our) (.+?)(?:[.,:;]|$)",
    re.IGNORECASE,
)
"""What a free prompt is about."""
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
        free: The free prompt that it was read from.
    """

    title: str
    category: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    price: str | None = None
    rating: str | None = None
    segment: str | None = None
    free: str | None = None

    @property
    def language(self) -> str:
        """``zh`` where the title has Chinese characters, else ``en``."""
        return "zh" if CHINESE.search(self.title) else "en"

    def prompt(self, *, instead_of: str | None = None) -> str:
        """Return the prompt for models that copy facts; it ends where the text begins.

        Args:
            instead_of: A text to say in other words.
        """
        told = {
            "product": self.title,
            "kind": self.category,
            "text": instead_of,
            **dict(list(self.facts.items())[:2]),
            "price": self.price,
            "rating": self.rating,
            "for": self.segment,
        }
        return _prompt(told)

    def masked_prompt(self, *, instead_of: str | None = None, max_length: int = 50) -> str:
        """Return the prompt of the embedded model, with placeholders where facts stand.

        Args:
            instead_of: A text to say in other words.
            max_length: Of the text, in characters: a long name leaves room for few words.
        """
        values = self.values(max_length)
        left = max_length - len(values.get(NAME, ""))
        rooms = (room for below, room in _ROOMS[self.language] if left < below)
        told = {
            "in": self.language,
            "room": next(rooms, "much"),
            "product": NAME,
            "kind": clean(self.category.replace("-", " "), longest=24),
            "price": PRICE if PRICE in values else None,
            "rating": RATING if RATING in values else None,
            "colour": COLOUR if COLOUR in values else None,
            "for": SEGMENT if SEGMENT in values else None,
            "text": None if instead_of is None else mask(clean(instead_of), values),
        }
        return _prompt(told, masked=True)

    def values(self, max_length: int = 50) -> dict[str, str]:
        """Return placeholder to what is put in its place, for the facts that are told.

        Args:
            max_length: Of a whole text; a name takes at most two thirds of it.
        """
        facts = {name.casefold(): value for name, value in self.facts.items()}
        name = name_in(self.title, longest=max(4, max_length * 2 // 3))
        told = {
            NAME: name if any(map(str.isalnum, name)) else None,
            PRICE: self.price,
            RATING: self.rating,
            COLOUR: facts.get("colour") or facts.get("color") or facts.get("颜色"),
            SEGMENT: self.segment,
        }
        return {place: clean(value) for place, value in told.items() if value}

    @property
    def told(self) -> str:
        """Everything that it says, for whoever looks for numbers and words in it."""
        parts = (self.title, self.category, *self.facts.values(), self.price, self.rating)
        return " ".join(part for part in (*parts, self.segment, self.free) if part)


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
        {name: value for name, value in product.attributes.items() if not _KEYS.search(name)},
        price_text(product) if prices else None,
        None if product.rating is None else f"{product.rating:g}",
        segment,
    )


def brief_of_prompt(prompt: str) -> Brief:
    """Return what a free prompt is about, such as ``我们有一款牛奶，广告如下：``, as a brief.

    What it names is taken for the product's name and for its kind.
    """
    line = clean(prompt, longest=300)
    asked = _ASKED_FOR.search(line)
    name = name_in(next(filter(None, asked.groups())) if asked else line)
    return Brief(name, name, free=line)


def name_in(title: str, *, longest: int = _LONGEST_VALUE) -> str:
    """Return the product's name in its title, as a text says it.

    What follows a comma or a dash describes the product; a name that is too long ends with the
    last word that fits (with the last character, in Chinese).

    Args:
        title: A title.
        longest: In characters.
    """
    whole = clean(title, longest=300)
    name = _NAME_ENDS.split(whole)[0].strip(" .!?。！？\"'“”") or whole  # noqa: RUF001 - Chinese marks
    if len(name) <= longest:
        return name
    cut = name[: longest + 1].rpartition(" ")[0]
    return cut.strip() or name[:longest]


def mask(text: str, values: Mapping[str, str]) -> str:
    """Return a text with placeholders where it says the values, each once."""
    for place, value in values.items():
        text = text.replace(value, place, 1)
    return text


def _prompt(told: Mapping[str, str | None], *, masked: bool = False) -> str:
    words = (
        f"{name}: {value if masked else clean(value)}" for name, value in told.items() if value
    )
    return f"{'; '.join(words)}\nad:"


def clean(text: str, *, longest: int = _LONGEST_VALUE) -> str:
    """Return data as one line that cannot end a field or open a role."""
    return " ".join(_MARKS.sub(" ", text).split())[:longest]
