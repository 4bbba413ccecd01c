"""Cuts out what stands out in a photograph (``abplatform.checkpoints.salient``).

Without its weights, or without onnxruntime, photographs on a busy background are refused as before.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from abplatform.checkpoints.carried import how_to_install
from abplatform.checkpoints.salient import can_find_salient, salient_mask
from generators.arrays import Pixels, Plane, ramp
from generators.intake.decoding import PhotographRefused

__all__ = ["find_salient"]

_UNSURE = 0.30
"""Share of half-salient pixels, of all that are salient, from which nothing stands out clearly."""
_CUT_OFF = 0.25
"""Share of the photograph's rim that a product may touch before it counts as cut off."""


def find_salient(rgb: Pixels, name: str) -> Pixels:
    """Cut out what stands out.

    Args:
        rgb: uint8, height x width x 3.
        name: What to call the photograph in messages.

    Returns:
        uint8, height x width x 4; colours at the rim are those of the product's inside, so that
        nothing of the old background comes along.

    Raises:
        PhotographRefused: The model is not there, or nothing whole stands out clearly.
    """
    if not can_find_salient():
        raise PhotographRefused(
            "no_cutout",
            f"{name!r} has neither transparency nor a white background; cut the product out, or "
            f"{how_to_install('u2netp')} and `pip install onnxruntime`",
        )
    mask = salient_mask(rgb)
    unsure = ((mask > 0.2) & (mask < 0.8)).sum() / max((mask >= 0.2).sum(), 1)
    if unsure > _UNSURE or not (mask >= 0.5).any():
        raise PhotographRefused(
            "no_cutout", f"nothing stands out clearly in {name!r}; cut the product out"
        )
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if (rim > 0.5).mean() > _CUT_OFF:
        raise PhotographRefused(
            "cut_off", f"the product in {name!r} reaches beyond the picture; show all of it"
        )
    solid = _largest_parts(mask >= 0.5)
    near = ndimage.binary_dilation(solid, iterations=3)
    alpha = np.where(near, ramp(0.25, 0.85, mask), 0.0)
    return np.dstack([_inner_colours(rgb, alpha), (alpha * 255 + 0.5).astype(np.uint8)])


def _largest_parts(solid: Plane) -> Plane:
    """The largest connected part and those of at least a tenth of it: a pair of shoes is two."""
    parts, count = ndimage.label(solid)
    if count <= 1:
        return solid
    sizes = np.bincount(parts.ravel())[1:]
    kept = 1 + np.flatnonzero(sizes >= 0.1 * sizes.max())
    return np.isin(parts, kept)


def _inner_colours(rgb: Pixels, alpha: Plane) -> Pixels:
    """Give half-transparent pixels the colour of the nearest opaque one."""
    opaque = ndimage.binary_erosion(alpha >= 0.98, iterations=1)
    if not opaque.any():
        return rgb
    rows, columns = ndimage.distance_transform_edt(
        ~opaque, return_distances=False, return_indices=True
    )
    inner = rgb[rows, columns]
    return np.where((alpha >= 0.98)[..., None], rgb, inner)
