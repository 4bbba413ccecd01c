"""Pictures as they might also have looked, for training: other light, seen from a little further.

Nothing is mirrored, for that would turn letters round, and nothing is cut away: a picture only
becomes smaller, its rim continued around it. All pictures of a product change alike, so that what
sets one apart from another stays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["vary"]

_LIGHT = 0.15
_TINT = 0.08
_SMALLEST = 0.8


def vary(pictures: Tensor, product: Tensor) -> Tensor:
    """Change light, tint and distance of pictures, by torch's random numbers.

    Args:
        pictures: (N, 3, H, W) in 0 … 1.
        product: A number from 0 for the product of each, N; its pictures change alike.

    Returns:
        As ``pictures``.
    """
    products = int(product.max()) + 1
    light = 1 + _LIGHT * (2 * torch.rand(products, 1, 1, 1) - 1)
    tint = 1 + _TINT * (2 * torch.rand(products, 3, 1, 1) - 1)
    zoom = 1 / (_SMALLEST + (1 - _SMALLEST) * torch.rand(products))
    changes = torch.zeros(products, 2, 3)
    changes[:, 0, 0] = changes[:, 1, 1] = zoom
    where = functional.affine_grid(
        changes[product.cpu()].to(pictures.device), list(pictures.shape), align_corners=False
    )
    smaller = functional.grid_sample(
        pictures, where, mode="bilinear", padding_mode="border", align_corners=False
    )
    gain = (light * tint)[product.cpu()].to(pictures.device)
    return (smaller * gain).clamp(0, 1)
