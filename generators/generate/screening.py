"""Which scenes look promising before they ask for traffic, by a scorer's word on small previews.

A scorer's numbers are logits: the sigmoid of the difference of two pictures' scores is the
predicted probability that the first one is clicked more. So each preview is compared with the
preview of the product's own baseline, and only what is likelier than not to win goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from abplatform.domain.catalog import Product
from generators.arrays import Pixels
from generators.generate.slots import Slot
from generators.renderers.baseline import Baseline
from generators.scene import Scene

__all__ = ["LEAST_WIN", "NOT_PROMISING", "PREVIEW", "Scorer", "Screen", "is_screened"]

LEAST_WIN: Final = 0.5
"""The predicted chance to win over the baseline from which a scene is worth traffic."""
NOT_PROMISING: Final = "not_promising"
"""Why a slot stays empty none of whose scenes reaches it."""
PREVIEW: Final = (160, 160)
_UNSCREENED_ONE_IN: Final = 10


class Scorer(Protocol):
    """What can say how promising a picture is; a reward model happens to fit."""

    def score(self, pixels: Pixels, product: Product) -> float:
        """Return a logit that is higher for a more promising picture.

        Args:
            pixels: uint8, height x width x 3, of any size.
            product: What the picture advertises.
        """


def is_screened(slot: Slot) -> bool:
    """Tell whether a scorer may choose what fills a slot; by chance it may not in one of ten.

    What is drawn without it, in the same week and for the same products, shows what screening
    is worth. A slot's seed decides, so that nobody can choose which.
    """
    return slot.generator != "baseline" and slot.seeds[0] % _UNSCREENED_ONE_IN != 0


class Screen:
    """Predicts by previews which scenes win over a product's baseline.

    Args:
        scorer: Scores previews.
        least: The chance to win from which a scene is worth drawing, 0 … 1.
    """

    def __init__(self, scorer: Scorer, *, least: float = LEAST_WIN) -> None:
        self.least = least
        self._scorer = scorer
        self._baselines: dict[str, float] = {}

    def judge(self, slot: Slot) -> Callable[[Scene], float]:
        """Return what predicts a scene's chance to win in a slot; each scene is seen once."""
        wins: dict[Scene, float] = {}

        def win(scene: Scene) -> float:
            if scene not in wins:
                wins[scene] = self._win(slot, scene)
            return wins[scene]

        return win

    def _win(self, slot: Slot, scene: Scene) -> float:
        product = slot.product
        preview = slot.renderer.render(product, scene, seed=slot.seeds[0], size=PREVIEW)
        ahead = self._scorer.score(preview.pixels, product.product) - self._baseline(slot)
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, ahead))))

    def _baseline(self, slot: Slot) -> float:
        product = slot.product
        if product.image_sha256 not in self._baselines:
            plain = Baseline().render(product, seed=0, size=PREVIEW)
            self._baselines[product.image_sha256] = self._scorer.score(
                plain.pixels, product.product
            )
        return self._baselines[product.image_sha256]
