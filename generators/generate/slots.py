"""Slots: which creative of which product, drawn by what; and what a slot that stayed empty says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from abplatform.creatives import NOTHING_WITHDRAWN, Withdrawn
from abplatform.domain.catalog import Lineage
from generators.brand import NO_BRAND, BrandKit
from generators.inspector.taste import Taste
from generators.intake import ReadyProduct
from generators.renderers.placing import Renderer
from generators.scene import Scene

__all__ = ["CreativeRefused", "Generator", "Key", "Slot", "key_of", "slot_seeds"]

Generator: TypeAlias = Literal["baseline", "caig"]

Key: TypeAlias = tuple[object, ...]
"""What a creative is found by: product, photograph, writer, renderer, seed and models."""

_RULES: Final = "families/1"
"""What wrote the scenes of creatives whose lineage, of an earlier version, does not say."""
_NOTHING: Final = MappingProxyType[str, float]({})


@dataclass(frozen=True, slots=True)
class CreativeRefused:
    """A slot that stayed empty, and why.

    Args:
        product_id: The product.
        slot: Which of its creatives, from 0.
        reasons: The inspector's words for the last attempt, ``withdrawn`` or ``not_promising``.
        scores: The inspector's scores for the last attempt.
    """

    product_id: str
    slot: int
    reasons: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Slot:
    """One creative that is asked for.

    Args:
        product: What it advertises.
        number: Which of the product's creatives, from 0.
        generator: ``baseline`` or ``caig``.
        week: ISO week, or None.
        renderer: What draws it.
        writer: Name and version of what writes its scenes; None for a baseline.
        seeds: One for each attempt.
        checkpoints: Role to sha256 of the models that take part.
        withdrawn: What must not be drawn.
        scenes: What is drawn, one attempt after the other, once that is planned.
        wins: The scenes' predicted chances to win over the baseline; empty without a scorer.
        screened: Whether those chances decided what is drawn.
        unpromising: Whether they left nothing to draw.
        kit: What the product's brand asks for.
        taste: What people rejected before; None: nothing was learned.
    """

    product: ReadyProduct
    number: int
    generator: Generator
    week: str | None
    renderer: Renderer
    writer: str | None
    seeds: tuple[int, ...]
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Withdrawn = NOTHING_WITHDRAWN
    scenes: tuple[Scene | None, ...] = ()
    wins: tuple[float, ...] = ()
    screened: bool = False
    unpromising: bool = False
    kit: BrandKit = NO_BRAND
    taste: Taste | None = None

    @property
    def product_id(self) -> str:
        """The product's id."""
        return self.product.product.product_id

    def key(self, seed: int) -> Key:
        """Return what a creative of this slot is found by."""
        return (
            self.product_id,
            self.product.image_sha256,
            self.writer,
            self.renderer.name,
            seed,
            tuple(sorted(self.checkpoints.items())),
            self.kit.sha256,
        )

    def digest(self, *rules: object) -> str:
        """Name the slot and the rules under which it is tried, in 32 hex digits."""
        told = json.dumps([self.key(self.seeds[0]), *rules], default=str)
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def refuses(self, scene: Scene | None) -> bool:
        """Tell whether what it would draw is withdrawn, or not what the brand allows."""
        words = {} if scene is None else scene.to_words()
        if scene is not None and self.kit.refuses_scene(scene) is not None:
            return True
        return self.withdrawn.refuses_drawing(self.product_id, words, self.checkpoints.values())

    def refuse(
        self, reasons: tuple[str, ...], scores: Mapping[str, float] = _NOTHING
    ) -> CreativeRefused:
        """Say why it stays empty."""
        return CreativeRefused(self.product_id, self.number, reasons, scores)


def key_of(lineage: Lineage) -> Key:
    """Return what a creative is found by; that of its slot."""
    writer = None if lineage.source == "baseline" else lineage.prompt_model or _RULES
    return (
        lineage.product_id,
        lineage.image_sha256,
        writer,
        lineage.renderer,
        lineage.seed,
        tuple(sorted(lineage.checkpoints.items())),
        lineage.brand.get("sha256", ""),
    )


def slot_seeds(
    product_id: str, number: int, generator: Generator, week: str | None, *, seed: int, count: int
) -> tuple[int, ...]:
    """Return one seed for each attempt; 53 bits, so that JSON readers keep them exact."""
    return tuple(
        int.from_bytes(
            blake2b(
                "\x1f".join(
                    (str(seed), generator, week or "", product_id, str(number), str(attempt))
                ).encode(),
                digest_size=8,
            ).digest()
        )
        >> 11
        for attempt in range(count)
    )
