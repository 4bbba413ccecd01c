"""Which scenes are worth drawing for a product: by its category, with chance, or screened."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from abplatform.domain.catalog import Product
from generators.families import FAMILIES, FLAT, STANDING, TASTES, Family
from generators.scene import Scene

__all__ = ["propose_scenes"]

TASTE_SHARE = 0.72
"""How often a family is drawn from those that suit; the rest explores the others."""

SCREENED = 2
"""Scenes that a scorer sees for each one that it picks."""


def propose_scenes(
    product: Product,
    count: int,
    rng: np.random.Generator,
    scorer: Callable[[Scene], float] | None = None,
    *,
    taken: Collection[Scene] = (),
    refused: Callable[[Scene], bool] | None = None,
) -> list[Scene]:
    """Propose different scenes for a product.

    Args:
        product: Its category and title decide which families are likely.
        count: How many scenes.
        rng: Draws them.
        scorer: Higher is more promising; then twice as many are drawn and the best kept.
        taken: Scenes that the product has already; others with their backdrop on their surface
            are left out while there is anything else.
        refused: Tells which scenes must not be drawn.

    Returns:
        Distinct scenes, the most promising first when there is a scorer; fewer than ``count``
        where nearly everything is refused.
    """
    wanted = count if scorer is None else SCREENED * count
    suited = _suited(product)
    other = _others(suited)
    places = {_place(scene) for scene in taken}
    scenes: dict[Scene, None] = {}
    for attempt in range(40 * wanted):
        if len(scenes) == wanted:
            break
        pool = suited if not other or rng.random() < TASTE_SHARE else other
        scene = _draw(FAMILIES[pool[int(rng.integers(len(pool)))]], rng)
        if refused is not None and refused(scene):
            continue
        if _place(scene) not in places or attempt >= 20 * wanted:
            scenes[scene] = None
    ordered = list(scenes)
    if scorer is not None:
        ordered.sort(key=scorer, reverse=True)
    return ordered[:count]


def _place(scene: Scene) -> tuple[str, str]:
    """What makes two pictures of one product look alike."""
    return scene.surface, scene.backdrop


def _suited(product: Product) -> tuple[str, ...]:
    names = reversed(product.category.path.lower().split("/"))
    for where in (*names, product.title.lower()):
        for words, families in TASTES:
            if any(word in where for word in words):
                return families
    return STANDING


def _others(suited: tuple[str, ...]) -> tuple[str, ...]:
    """What else may be tried: nothing for clothes, else whatever lets a product stand."""
    return () if set(suited) <= set(FLAT) else STANDING


def _draw(family: Family, rng: np.random.Generator) -> Scene:
    def one(words: str) -> str:
        choices = words.split("|")
        return choices[int(rng.integers(len(choices)))]

    return Scene(
        surface=one(family.surface),
        backdrop=one(family.backdrop),
        light=one(family.light),
        palette=one(family.palette),
        props=one(family.props),
        depth=one(family.depth),
        season=one(family.season),
        mood=one(family.mood),
    )
