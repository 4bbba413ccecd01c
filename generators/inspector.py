"""The first inspector: is the product really in the picture, visible, and at home there?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from generators.arrays import Pixels, Plane, rgb_to_lab
from generators.intake import ReadyProduct
from generators.renderers.placing import Rendered

__all__ = ["INSPECTOR", "Inspection", "inspect"]

INSPECTOR = "inspector/1"
"""Name and version; what one version refused, another one may let through."""

COARSER = 2
"""Colours are compared on a copy this many times smaller."""
LEAST_KEPT = 0.98
"""Share of the product's solid pixels that the master must show unchanged."""
LEAST_EDGE = 7.0
"""Mean colour difference (CIE76) along the product's outline below which it drowns."""
LEAST_COVER = 0.06
MOST_COVER = 0.72
LEAST_MARGIN = 0.015
LEAST_FIT = 0.56
"""Fit from which a picture counts as matching its product (lineage's ``inspector.match``)."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the inspector found.

    Args:
        usable: The picture may be shown.
        match: Product and background go together.
        scores: ``kept``, ``edge``, ``cover``, ``margin``, ``fit`` and the fit's parts.
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


def inspect(rendered: Rendered, product: ReadyProduct) -> Inspection:
    """Inspect a rendered creative by its pixels alone.

    Args:
        rendered: The master, the cut-out that should be in it and where.
        product: The product that it advertises; its own cut-out is compared as well, so that
            a picture of something else is refused.

    Returns:
        The verdict with every score and reason.
    """
    solid, outline_inside, outline_outside = _zones(rendered)
    lab = rgb_to_lab(np.asarray(Image.fromarray(rendered.pixels).reduce(COARSER)))
    scores = {
        "kept": _kept(rendered),
        "same": _same_product(rendered.cutout, product.cutout),
        "edge": _edge_difference(lab, outline_inside, outline_outside),
        "cover": float(solid.mean()),
        "margin": _margin(rendered),
        **_fit(lab, solid),
    }
    faults = [
        ("product_occluded", scores["kept"] < LEAST_KEPT),
        ("other_product", scores["same"] < 0.8),
        ("product_drowns", scores["edge"] < LEAST_EDGE),
        ("product_too_small", scores["cover"] < LEAST_COVER and _longest(rendered) < 0.5),
        ("product_too_large", scores["cover"] > MOST_COVER),
        ("product_at_the_border", scores["margin"] < LEAST_MARGIN),
    ]
    reasons = [word for word, true in faults if true]
    match = scores["fit"] >= LEAST_FIT
    if not match:
        reasons.append("background_clashes")
    return Inspection(not any(true for _, true in faults), match, scores, tuple(reasons))


def _zones(rendered: Rendered) -> tuple[Plane, Plane, Plane]:
    """The product in the whole picture, and the rings just inside and outside its outline."""
    size = rendered.pixels.shape[:2]
    place = rendered.placement
    alpha = np.zeros(size, dtype=np.uint8)
    rows = slice(place.y, place.y + place.height)
    columns = slice(place.x, place.x + place.width)
    alpha[rows, columns] = rendered.cutout[..., 3]
    alpha = np.asarray(Image.fromarray(alpha).reduce(COARSER))
    solid = alpha >= 250
    touched = alpha > 2
    reach = max(1, size[0] // 256)
    inside = solid & ~ndimage.binary_erosion(solid, iterations=reach)
    outside = ndimage.binary_dilation(touched, iterations=reach + 1) & ~touched
    return solid, inside, outside


def _kept(rendered: Rendered) -> float:
    place = rendered.placement
    shown = rendered.pixels[place.y : place.y + place.height, place.x : place.x + place.width]
    solid = rendered.cutout[..., 3] == 255
    if not solid.any() or shown.shape[:2] != solid.shape:
        return 0.0
    same = shown[solid] == rendered.cutout[..., :3][solid]
    return float((same[:, 0] & same[:, 1] & same[:, 2]).mean())


def _same_product(placed: Pixels, original: Pixels) -> float:
    """How alike the placed cut-out and the product's own are, on a coarse grid, 0 … 1."""
    first, second = _thumbnail(placed), _thumbnail(original)
    return float(1.0 - np.abs(first - second).mean() / 0.25)


def _thumbnail(cutout: Pixels) -> Plane:
    height, width = cutout.shape[:2]
    rows = np.minimum(np.arange(17) * height // 16, height)
    columns = np.minimum(np.arange(17) * width // 16, width)
    weighted = cutout.astype(np.float32) / 255.0
    weighted[..., :3] *= weighted[..., 3:]
    sums = weighted.cumsum(axis=0).cumsum(axis=1)
    padded = np.pad(sums, ((1, 0), (1, 0), (0, 0)))
    corner = padded[rows][:, columns]
    area = np.outer(np.maximum(np.diff(rows), 1), np.maximum(np.diff(columns), 1))[..., None]
    blocks = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
    return np.asarray(blocks / area)


def _edge_difference(lab: Plane, inside: Plane, outside: Plane) -> float:
    """Mean over outline stretches of how far product and background differ there (CIE76)."""
    if not inside.any() or not outside.any():
        return 0.0
    sigma = max(1.5, lab.shape[0] / 100)
    difference = np.zeros(lab.shape[:2], dtype=np.float32)
    weight_in = ndimage.gaussian_filter(inside.astype(np.float32), sigma) + 1e-6
    weight_out = ndimage.gaussian_filter(outside.astype(np.float32), sigma) + 1e-6
    for channel in range(3):
        mean_in = ndimage.gaussian_filter(lab[..., channel] * inside, sigma) / weight_in
        mean_out = ndimage.gaussian_filter(lab[..., channel] * outside, sigma) / weight_out
        difference += (mean_in - mean_out) ** 2
    return float(np.sqrt(difference[inside]).mean())


def _margin(rendered: Rendered) -> float:
    place, (height, width) = rendered.placement, rendered.pixels.shape[:2]
    return float(
        min(
            place.x / width,
            place.y / height,
            (width - place.x - place.width) / width,
            (height - place.y - place.height) / height,
        )
    )


def _longest(rendered: Rendered) -> float:
    place = rendered.placement
    return float(max(place.width, place.height) / rendered.pixels.shape[0])


def _fit(lab: Plane, solid: Plane) -> dict[str, float]:
    """Colour harmony, contrast of lightness and calm of the background, each 0 … 1."""
    product, background = lab[solid], lab[~solid]
    if not len(product) or not len(background):
        return {"harmony": 0.0, "contrast": 0.0, "calm": 0.0, "fit": 0.0}
    harmony = _harmony(product, background)
    gap = abs(float(np.median(product[:, 0]) - np.median(background[:, 0])))
    chroma_gap = float(np.linalg.norm(product[:, 1:].mean(axis=0) - background[:, 1:].mean(axis=0)))
    contrast = float(1.0 - np.exp(-np.hypot(gap, 0.6 * chroma_gap) / 18.0))
    detail = np.abs(np.diff(lab[..., 0], axis=1))[:, :][~solid[:, 1:]].mean()
    calm = float(np.exp(-max(0.0, float(detail) - 0.6) / 4.0))
    return {
        "harmony": harmony,
        "contrast": contrast,
        "calm": calm,
        "fit": 0.45 * harmony + 0.35 * contrast + 0.2 * calm,
    }


def _harmony(product: Plane, background: Plane) -> float:
    """How well the main hues go together: same, neighbouring or opposite hues score high.

    Neutral colours go with everything. The bumps at 0°, 30° and 180° follow the harmonic
    templates of Cohen-Or et al., Color Harmonization (2006).
    """
    first, second = _mean_hue(product), _mean_hue(background)
    strength = min(first[1], second[1])
    angle = abs((first[0] - second[0] + np.pi) % (2 * np.pi) - np.pi)
    near = np.exp(-((angle / np.radians(38)) ** 2))
    opposite = 0.9 * np.exp(-(((np.pi - angle) / np.radians(34)) ** 2))
    chromatic = float(max(near, opposite))
    weight = float(1.0 - np.exp(-strength / 14.0))
    return float(weight * chromatic + (1.0 - weight) * 0.85)


def _mean_hue(colours: Plane) -> tuple[float, float]:
    """Chroma-weighted mean hue in radians, and the mean chroma along it."""
    a, b = colours[:, 1].mean(), colours[:, 2].mean()
    return float(np.arctan2(b, a)), float(np.hypot(a, b))
