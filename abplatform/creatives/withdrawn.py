"""What must not be shown or drawn any more: withdrawn creatives and whatever is like them.

A withdrawal is for good. It names creatives, or it selects them by product, by scene or by the
model that took part; what a selector catches later is withdrawn as soon as it is made, and so is
a picture of the same product that looks like a withdrawn one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from abplatform.creatives.perceptual import is_near
from abplatform.domain.catalog import Lineage

__all__ = ["NOTHING_WITHDRAWN", "Scenes", "Selector", "Withdrawn"]

Scenes: TypeAlias = Mapping[str, tuple[str, ...]]
"""Part of a scene to the words that are meant, such as ``{"light": ("neon",)}``."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which creatives a withdrawal means.

    Args:
        kind: By what it selects.
        names: The creatives, or the one product or checkpoint that it names.
        scene: For ``scene``: a scene is meant when each of these parts has one of its words.
    """

    kind: Literal["creatives", "product", "scene", "checkpoint"]
    names: tuple[str, ...] = ()
    scene: Scenes = field(default_factory=dict)

    def catches(
        self, product_id: str, scene: Mapping[str, str], checkpoints: Iterable[str]
    ) -> bool:
        """Tell whether it also means what is drawn from now on.

        Args:
            product_id: The product that a picture advertises.
            scene: Its scene, part to word; empty for a baseline.
            checkpoints: The sha256s of the models that took part.
        """
        if self.kind == "product":
            return product_id in self.names
        if self.kind == "checkpoint":
            return not set(self.names).isdisjoint(checkpoints)
        if self.kind == "scene":
            return all(scene.get(part) in words for part, words in self.scene.items())
        return False


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """All that was withdrawn so far.

    Args:
        creatives: Ids of the creatives that withdrawals named or found.
        selectors: What else they mean, also of creatives made later.
        looks: Product to the perceptual hashes of its withdrawn creatives.
    """

    creatives: frozenset[str] = frozenset()
    selectors: tuple[Selector, ...] = ()
    looks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def refuses(self, lineage: Lineage) -> bool:
        """Tell whether a creative must not be shown."""
        look = lineage.perceptual_hash
        return (
            lineage.creative_id in self.creatives
            or self.refuses_drawing(lineage.product_id, lineage.scene, lineage.checkpoints.values())
            or (look is not None and self.refuses_look(lineage.product_id, look))
        )

    def refuses_drawing(
        self, product_id: str, scene: Mapping[str, str], checkpoints: Iterable[str]
    ) -> bool:
        """Tell whether a picture need not be drawn at all; arguments as for the selectors."""
        models = tuple(checkpoints)
        return any(one.catches(product_id, scene, models) for one in self.selectors)

    def refuses_look(self, product_id: str, look: str) -> bool:
        """Tell whether a picture of a product looks like a withdrawn one of it.

        Args:
            product_id: The product.
            look: The picture's perceptual hash.
        """
        return any(is_near(look, one) for one in self.looks.get(product_id, ()))

    def among(self, creatives: Iterable[Lineage]) -> frozenset[str]:
        """Return every withdrawn id: those that are known by name, and those that are caught."""
        if not self.selectors and not self.looks:
            return self.creatives
        others = (one for one in creatives if one.creative_id not in self.creatives)
        return self.creatives | {one.creative_id for one in others if self.refuses(one)}


NOTHING_WITHDRAWN = Withdrawn()
