"""How well product and background go together: by their colours, and by what the place is."""

from __future__ import annotations

import numpy as np

from generators.arrays import Plane
from generators.inspector.outline import Zones

__all__ = ["colour_scores", "fit_score"]

_COLOURS_ALONE = 0.4
"""What is left of the fit where the colours go together and the place is wrong."""


def fit_score(colours: float, place: float) -> float:
    """Return the fit of product and background, 0 … 1.

    Args:
        colours: How well their colours go together, 0 … 1.
        place: How likely such products belong there, 0 … 1.
    """
    return colours * (_COLOURS_ALONE + (1.0 - _COLOURS_ALONE) * place)


def colour_scores(lab: Plane, zones: Zones) -> dict[str, float]:
    """Score colour harmony, contrast of lightness and calm of the background, each 0 … 1.

    Args:
        lab: The picture's colours in CIELAB.
        zones: Masks of the same size.

    Returns:
        ``harmony``, ``contrast``, ``calm`` and their weighted mean ``colours``.
    """
    product, background = lab[zones.solid], lab[~zones.solid]
    if not len(product) or not len(background):
        return {"harmony": 0.0, "contrast": 0.0, "calm": 0.0, "colours": 0.0}
    harmony = _harmony(product, background)
    gap = abs(float(np.median(product[:, 0]) - np.median(background[:, 0])))
    chroma_gap = float(np.linalg.norm(product[:, 1:].mean(axis=0) - background[:, 1:].mean(axis=0)))
    contrast = float(1.0 - np.exp(-np.hypot(gap, 0.6 * chroma_gap) / 18.0))
    detail = np.abs(np.diff(lab[..., 0], axis=1))[~zones.solid[:, 1:]].mean()
    calm = float(np.exp(-max(0.0, float(detail) - 0.6) / 4.0))
    return {
        "harmony": harmony,
        "contrast": contrast,
        "calm": calm,
        "colours": 0.45 * harmony + 0.35 * contrast + 0.2 * calm,
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
