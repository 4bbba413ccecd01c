"""Categories, products, creatives and where each creative comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

__all__ = [
    "UNKNOWN",
    "Category",
    "Creative",
    "CreativeSource",
    "Lineage",
    "Placement",
    "Product",
    "Taxonomy",
]

CreativeSource = Literal["baseline", "generated"]

UNKNOWN = "unknown/"
"""What stands before the path of a category that nobody knows."""


@dataclass(frozen=True, slots=True, order=True)
class Category:
    """A path in the taxonomy, written ``beauty/lip``.

    Args:
        path: Its names from the top, joined by ``/``.
    """

    path: str

    def __post_init__(self) -> None:
        """Refuse empty names."""
        if not self.path or any(not name.strip() for name in self.path.split("/")):
            message = f"a category is a path like 'beauty/lip', not {self.path!r}"
            raise ValueError(message)

    @property
    def names(self) -> tuple[str, ...]:
        """The names from the top."""
        return tuple(self.path.split("/"))

    @property
    def parent(self) -> Category | None:
        """The category above, or None at the top."""
        return Category("/".join(self.names[:-1])) if len(self.names) > 1 else None

    def at_level(self, level: int) -> Category:
        """The ancestor at a level: 1 is the top. A shallower category is its own ancestor."""
        return Category("/".join(self.names[:level]))

    def __str__(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Which categories there are, and what earlier names of them mean today.

    Args:
        known: Paths that are known; None: every path is. Those above a known one are known too.
        renames: Former path to today's; what lies below it moves along.
        version: Counts up with every change of the list; None where there is no list.
    """

    known: frozenset[str] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    version: int | None = None

    def today(self, path: str) -> str:
        """Return what a path is called today, known or not; the longest former name counts."""
        names = path.split("/")
        for depth in range(len(names), 0, -1):
            renamed = self.renames.get("/".join(names[:depth]))
            if renamed is not None:
                return "/".join([renamed, *names[depth:]])
        return path

    def name(self, path: str) -> str:
        """Return today's path, or ``unknown/<path>`` of one that nobody knows."""
        today = self.today(path)
        if self.known is None or today.startswith(UNKNOWN) or today in self.known:
            return today
        return UNKNOWN + today

    def with_known(self, paths: Iterable[str]) -> Taxonomy:
        """Know some more paths, by their names of today, and every path above them."""
        found = set(self.known or ())
        for path in paths:
            names = self.today(path).split("/")
            found |= {"/".join(names[:depth]) for depth in range(1, len(names) + 1)}
        return replace(self, known=frozenset(found))


@dataclass(frozen=True, slots=True)
class Product:
    """One advertised product.

    Args:
        product_id: Unique in its catalogue.
        title: Data for people and models, never an instruction.
        category: Where it stands in the taxonomy.
        image: The photograph's path relative to the catalogue file, or absolute.
        attributes: Free facts, name to value.
        price: In units of ``currency``; None if unknown.
        currency: ISO 4217 code of ``price``.
        rating: Mean of buyers' ratings, 0 … 5.
        orders: How often it has been bought.
        language: BCP 47 tag of the title.
    """

    product_id: str
    title: str
    category: Category
    image: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None
    currency: str | None = None
    rating: float | None = None
    orders: int | None = None
    language: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What models read beside title and category: the attributes, and how buyers rate it."""
        rated = {} if self.rating is None else {"rating": f"{self.rating:.1f}"}
        return {**rated, **self.attributes}


@dataclass(frozen=True, slots=True)
class Creative:
    """One picture that can be shown for one product.

    Args:
        creative_id: sha256 of the lossless master's bytes.
        product_id: The product it advertises.
        source: ``baseline`` or ``generated``.
    """

    creative_id: str
    product_id: str
    source: CreativeSource


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the resampled cut-out sits in the master, in pixels from the top left."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a creative came to be: from product photograph to pixels.

    Args:
        creative_id: sha256 of the master.
        product_id: The product it advertises.
        source: ``baseline`` or ``generated``.
        image_sha256: The product's source photograph.
        cutout_sha256: The resampled cut-out, kept beside the master.
        placement: Where that cut-out sits.
        scene: The scene description, name to value; empty for a baseline.
        prompt: The scene in words.
        seed: What the renderer drew its randomness from.
        renderer: Name and version, such as ``studio/1``.
        checkpoints: Role to sha256 of every model that took part.
        inspector: ``usable``, ``match``, scores and reasons.
        text: The ad text, or None.
        week: ISO week in which it was made, such as ``2026-W48``.
        perceptual_hash: How it looks, in 16 hex digits; None of one made by an earlier version.
        prompt_model: Name and version of what wrote the scene; None for a baseline.
        screening: ``predicted_win``, the chance to win over the baseline that a reward model
            predicted, and ``screened``, whether that decided; empty where no model was asked.
        brand: ``brand``, ``country`` and ``sha256`` of the brand's kit that it was dressed by;
            empty where there was none.
    """

    creative_id: str
    product_id: str
    source: CreativeSource
    image_sha256: str
    cutout_sha256: str
    placement: Placement
    scene: Mapping[str, str]
    prompt: str
    seed: int
    renderer: str
    checkpoints: Mapping[str, str]
    inspector: Mapping[str, object]
    text: str | None = None
    week: str | None = None
    perceptual_hash: str | None = None
    prompt_model: str | None = None
    screening: Mapping[str, object] = field(default_factory=dict)
    brand: Mapping[str, str] = field(default_factory=dict)
