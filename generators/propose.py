"""Which scenes are worth drawing for a product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abplatform.domain.catalog import Product
from generators.scene import VOCABULARY, Scene

__all__ = ["propose_scenes"]


def propose_scenes(
    product: Product,
    count: int,
    rng: np.random.Generator,
    scorer: Callable[[Scene], float] | None = None,
) -> list[Scene]:
    """Propose different scenes for a product."""
    del product
    scenes = [
        Scene(**{name: str(rng.choice(words)) for name, words in VOCABULARY.items()})
        for _ in range(count if scorer is None else 3 * count)
    ]
    if scorer is not None:
        scenes = sorted(scenes, key=scorer, reverse=True)
    return scenes[:count]
