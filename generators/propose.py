"""Which scenes are worth drawing for a product: by its category, with chance, or screened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from abplatform.domain.catalog import Product
from generators.families import FAMILIES, FLAT, STANDING, TASTES, draw_scene
from generators.intake import ReadyProduct
from generators.scene import Scene

__all__ = ["FamilyScenes", "PromptModel", "propose_scenes", "suited_families"]

TASTE_SHARE = 0.72
"""How often a family is drawn from those that suit; the rest explores the others."""

SCREENED = 2
"""Scenes that a scorer sees for each one that it picks."""


class PromptModel(Protocol):
    """What writes scenes for a product; a multimodal language model, or rules. Can be pickled."""

    @property
    def name(self) -> str:
        """Name and version, as the lineage keeps it: ``families/1``."""

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """Role to sha256 of the models that take part."""

    def propose(self, product: ReadyProduct, count: int, rng: np.random.Generator) -> list[Scene]:
        """Return ``count`` scenes; they may repeat each other."""


@dataclass(frozen=True, slots=True)
class FamilyScenes(PromptModel):
    """Writes scenes by rules: families that suit the category, and sometimes another one."""

    name = "families/1"
    checkpoints = MappingProxyType[str, str]({})

    def propose(self, product: ReadyProduct, count: int, rng: np.random.Generator) -> list[Scene]:
        """Draw scenes of the families that suit the product's category, else its title."""
        suited = suited_families(product.product)
        other = _others(suited)
        scenes = []
        for _ in range(count):
            pool = suited if not other or rng.random() < TASTE_SHARE else other
            scenes.append(draw_scene(FAMILIES[pool[int(rng.integers(len(pool)))]], rng))
        return scenes


def propose_scenes(
    product: ReadyProduct,
    count: int,
    rng: np.random.Generator,
    scorer: Callable[[Scene], float] | None = None,
    *,
    writer: PromptModel | None = None,
    taken: Collection[Scene] = (),
    refused: Callable[[Scene], bool] | None = None,
) -> list[Scene]:
    """Propose different scenes for a product.

    Args:
        product: What the scenes are for.
        count: How many scenes.
        rng: Draws them.
        scorer: Higher is more promising; then twice as many are drawn and the best kept.
        writer: Writes the scenes; rules by category if None.
        taken: Scenes that the product has already; others with their backdrop on their surface
            are left out while there is anything else.
        refused: Tells which scenes must not be drawn.

    Returns:
        Distinct scenes, the most promising first when there is a scorer; fewer than ``count``
        where nearly everything is refused.
    """
    wanted = count if scorer is None else SCREENED * count
    writer = writer or FamilyScenes()
    places = {_place(scene) for scene in taken}
    scenes: dict[Scene, None] = {}
    seen = 0
    while len(scenes) < wanted and seen < 40 * wanted:
        # the last tries also take what resembles a scene that is there
        lenient = seen >= 20 * wanted
        proposed = writer.propose(product, wanted, rng)
        seen += wanted
        for scene in proposed:
            if (refused is None or not refused(scene)) and (lenient or _place(scene) not in places):
                scenes[scene] = None
    ordered = list(scenes)[:wanted]
    if scorer is not None:
        ordered.sort(key=scorer, reverse=True)
    return ordered[:count]


def _place(scene: Scene) -> tuple[str, str]:
    """What makes two pictures of one product look alike."""
    return scene.surface, scene.backdrop


def suited_families(product: Product) -> tuple[str, ...]:
    """Return the names of the families that suit a product: by its category, else its title."""
    names = reversed(product.category.path.lower().split("/"))
    for where in (*names, product.title.lower()):
        for words, families in TASTES:
            if any(word in where for word in words):
                return families
    return STANDING


def _others(suited: tuple[str, ...]) -> tuple[str, ...]:
    """What else may be tried: nothing for clothes, else whatever lets a product stand."""
    return () if set(suited) <= set(FLAT) else STANDING
