"""Every picture is looked at before it may be shown, and every refusal has its reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from PIL import Image

from abplatform.creatives import is_near, perceptual_hash
from generators.arrays import rgb_to_lab
from generators.inspector.fit import colour_scores, fit_score
from generators.inspector.lettering import lettering
from generators.inspector.nudity import can_see_nudity, nudity
from generators.inspector.outline import (
    COARSER,
    edge_difference,
    find_zones,
    kept_share,
    longest_share,
    margin_share,
    seen_share,
)
from generators.inspector.places import background_features, known_places
from generators.inspector.taste import Taste
from generators.intake import ReadyProduct
from generators.renderers.placing import Rendered

__all__ = ["NEAR_DUPLICATE", "Inspection", "inspect", "inspector_name"]

LEAST_KEPT = 0.98
"""Share of the product's solid pixels that the master must show unchanged."""
LEAST_SEEN = 0.8
"""Share of its blocks that must look as in the product's photograph."""
LEAST_EDGE = 7.0
"""Mean colour difference (CIE76) along the product's outline below which it drowns."""
LEAST_COVER = 0.06
MOST_COVER = 0.72
LEAST_MARGIN = 0.015
MOST_LETTERS = 4
"""Marks in a row, outside of the product, that may be chance; more look like writing."""
MOST_NUDITY = 0.8
"""What Open-NSFW's authors call high."""
NEAR_DUPLICATE = "near_duplicate"
"""Why a picture is refused that looks like another one of its product."""
LEAST_COLOURS = 0.56
"""How well colours must go together for a picture to match (lineage's ``inspector.match``)."""
LEAST_PLACE = 0.25
"""How likely the place must be one for such products; below, another one is nearly sure."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the inspector found.

    Args:
        usable: The picture may be shown.
        match: Product and background go together.
        scores: ``kept``, ``seen``, ``edge``, ``cover``, ``margin``, ``letters``, ``fit`` and its
            parts (``colours`` with its own, ``place``), ``nudity`` where it can be told.
        reasons: Why it is not usable, or does not match; stable words.
    """

    usable: bool
    match: bool
    scores: dict[str, float]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return what lineage keeps."""
        return {
            "usable": self.usable,
            "match": self.match,
            "scores": {name: round(score, 4) for name, score in self.scores.items()},
            "reasons": list(self.reasons),
        }


def inspector_name() -> str:
    """Return name and version; what one version refused, another one may let through."""
    return "inspector/3+nsfw" if can_see_nudity() else "inspector/3"


def inspect(
    rendered: Rendered,
    product: ReadyProduct,
    *,
    shown: Collection[str] = (),
    taste: Taste | None = None,
) -> Inspection:
    """Inspect a rendered creative by its pixels alone.

    Args:
        rendered: The master, the cut-out that should be in it and where.
        product: The product that it advertises; its own cut-out is compared as well, so that
            a picture of something else is refused.
        shown: Perceptual hashes of the product's other pictures, which it must not look like.
        taste: What people rejected before; None: nothing was learned.

    Returns:
        The verdict with every score and reason.

    Raises:
        CheckpointError: Weights that are looked with are not those that are known.
    """
    zones = find_zones(rendered)
    lab = rgb_to_lab(np.asarray(Image.fromarray(rendered.pixels).reduce(COARSER)))
    scores = {
        "kept": kept_share(rendered),
        "seen": seen_share(rendered, product.cutout),
        "edge": edge_difference(lab, zones),
        "cover": float(zones.solid.mean()),
        "margin": margin_share(rendered),
        "letters": float(lettering(lab, zones.touched)),
        **colour_scores(lab, zones),
        "place": known_places().suits(
            background_features(rendered.pixels, zones.touched), product.product
        ),
    }
    scores["fit"] = fit_score(scores["colours"], scores["place"])
    if can_see_nudity():
        scores["nudity"] = nudity(rendered.pixels)
    faults = {
        "product_occluded": scores["kept"] < LEAST_KEPT,
        "other_product": scores["seen"] < LEAST_SEEN,
        "product_drowns": scores["edge"] < LEAST_EDGE,
        "product_too_small": scores["cover"] < LEAST_COVER and longest_share(rendered) < 0.5,
        "product_too_large": scores["cover"] > MOST_COVER,
        "product_at_the_border": scores["margin"] < LEAST_MARGIN,
        "writing": scores["letters"] > MOST_LETTERS,
        "nudity": scores.get("nudity", 0.0) > MOST_NUDITY,
        NEAR_DUPLICATE: _is_known(rendered, shown),
    }
    reasons = [word for word, true in faults.items() if true]
    reasons += () if taste is None else taste.refuse(rendered.pixels)
    usable = not reasons
    unfit = {
        "background_clashes": scores["colours"] < LEAST_COLOURS,
        "place_does_not_suit": scores["place"] < LEAST_PLACE,
    }
    reasons += [word for word, true in unfit.items() if true]
    return Inspection(usable, not any(unfit.values()), scores, tuple(reasons))


def _is_known(rendered: Rendered, shown: Collection[str]) -> bool:
    if not shown:
        return False
    look = perceptual_hash(rendered.pixels)
    return any(is_near(look, other) for other in shown)
