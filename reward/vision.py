"""Encoders of pictures that were pre-trained elsewhere, on photographs.

``efficientnet-lite0`` is carried by a package; any transformer of pictures (CLIP, SigLIP, ViT,
DINOv2) is found by folder or hub id. A trained reward model holds its own copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from abplatform.checkpoints.carried import CARRIED, carried_file, how_to_install
from abplatform.checkpoints.pretrained import UNREADABLE, find_checkpoint
from abplatform.checkpoints.quiet import quietly
from abplatform.errors import CheckpointError
from reward.efficientnet import BLOCKS, EfficientNetLite0, fold

__all__ = ["EFFICIENTNET", "PretrainedVision", "VisionEncoder", "open_pretrained_vision"]

EFFICIENTNET: Final = "efficientnet-lite0"
"""The carried encoder: 3.4 million weights without its classifier (Apache-2.0)."""

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Where the colours stand: alone, or since transformers 5 beside what prepares texts."""

_EFFICIENTNET_SIZE = 128
_EFFICIENTNET_MEAN = 127 / 255
_EFFICIENTNET_DEVIATION = 128 / 255


@dataclass(frozen=True, slots=True, eq=False)
class PretrainedVision:
    """An encoder as it was published.

    Args:
        name: What it was opened by.
        sha256: Of its folder or file.
        config: As ``VisionEncoder`` takes it.
        weights: Its tensors, float32.
    """

    name: str
    sha256: str
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]


class VisionEncoder(nn.Module):
    """Pictures (N, 3, H, W) in 0 … 1 → tokens (N, T, width).

    Args:
        config: ``kind``: ``efficientnet-lite0`` or a model type of transformers; ``size``: side of
            the pictures that it was made for; ``mean`` and ``std``: of each channel; ``settings``:
            its transformers configuration, or how many ``blocks`` are kept.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        for name in ("mean", "std"):
            value = torch.tensor(config[name], dtype=torch.float32).reshape(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self.is_convolutional = config["kind"] == EFFICIENTNET
        if self.is_convolutional:
            convolutional = EfficientNetLite0(**config["settings"])
            self.width: int = convolutional.width
            self.body: nn.Module = convolutional
        else:
            transformer = _transformer(config["settings"])
            self.width = transformer.config.hidden_size
            self.body = transformer

    def forward(self, pictures: Tensor) -> Tensor:
        """Return a token for each place of the picture, and those that stand for all of it."""
        seen = (pictures - self.mean) / self.std
        if self.is_convolutional:
            tokens: Tensor = self.body(seen).flatten(2).transpose(1, 2)
        else:
            tokens = self.body(pixel_values=seen).last_hidden_state
        return tokens


def open_pretrained_vision(named: str) -> PretrainedVision:
    """Open an encoder by the name it is carried under, by folder or by hub id.

    Args:
        named: ``efficientnet-lite0``, a folder that ``save_pretrained`` wrote, or a hub id;
            ``@<sha256>`` at its end pins a folder's or a hub model's bytes.

    Raises:
        CheckpointError: There is none, or it is refused, or it is no encoder of pictures.
    """
    if named == EFFICIENTNET:
        return _open_efficientnet()
    found = find_checkpoint(named, kind="encoder of pictures")
    settings, weights = _read(found.folder)
    config = {"kind": settings["model_type"], "size": settings["image_size"], "settings": settings}
    config |= _colours(found.folder)
    opened = PretrainedVision(named, found.sha256, config, weights)
    _try_out(opened, found.folder)
    return opened


def _open_efficientnet() -> PretrainedVision:
    path = carried_file(EFFICIENTNET)
    if path is None:
        raise CheckpointError(
            f"{EFFICIENTNET} is not installed", remedy=how_to_install(EFFICIENTNET)
        )
    config = {
        "kind": EFFICIENTNET,
        "size": _EFFICIENTNET_SIZE,
        "mean": [_EFFICIENTNET_MEAN] * 3,
        "std": [_EFFICIENTNET_DEVIATION] * 3,
        "settings": {"blocks": BLOCKS},
    }
    # A pickle, but of bytes that are known, and read as tensors only.
    published = torch.load(path, map_location="cpu", weights_only=True)
    weights = fold(published, blocks=BLOCKS)
    return PretrainedVision(EFFICIENTNET, CARRIED[EFFICIENTNET].sha256, config, weights)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the configuration and the weights of what sees, also of a model that reads beside."""
    try:
        with quietly():
            model, told = AutoModel.from_pretrained(
                folder,
                output_loading_info=True,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
            )
    except UNREADABLE as error:
        raise _not_one(folder, str(error).splitlines()[0]) from error
    body = getattr(model, "vision_model", model)
    settings: dict[str, Any] = body.config.to_dict()
    if not (isinstance(settings.get("image_size"), int) and "hidden_size" in settings):
        raise _not_one(folder, f"{settings['model_type']} has no square pictures or no tokens")
    wanted = _transformer(settings).state_dict()
    weights = {name: value for name, value in body.state_dict().items() if name in wanted}
    drawn = {name.removeprefix("vision_model.") for name in told["missing_keys"]}
    if lacking := sorted((wanted.keys() - weights.keys()) | (wanted.keys() & drawn)):
        raise _not_one(folder, f"{lacking[0]} is missing")
    return settings, weights


def _transformer(settings: Mapping[str, Any]) -> Any:
    """Return a transformer of pictures without what only sums them up."""
    made = AutoModel.from_config(AutoConfig.for_model(**settings))  # type: ignore[no-untyped-call]  # no annotation
    if hasattr(made, "pooler"):
        made.pooler = None
    return made


@torch.no_grad()
def _try_out(opened: PretrainedVision, folder: Path) -> None:
    """Look at one picture twice: an encoder answers with tokens, and each time the same ones."""
    encoder = VisionEncoder(opened.config)
    encoder.body.load_state_dict(opened.weights)
    encoder.train(mode=False)
    side = opened.config["size"]
    picture = torch.linspace(0, 1, 3 * side * side).reshape(1, 3, side, side)
    try:
        once, again = encoder(picture), encoder(picture)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        why = f"{opened.config['kind']} sees no single picture: {str(error).splitlines()[0]}"
        raise _not_one(folder, why) from error
    if once.dim() != 3 or once.shape[2] != encoder.width or not once.isfinite().all():
        raise _not_one(folder, f"{opened.config['kind']} makes no tokens of a picture")
    if not torch.equal(once, again):
        raise _not_one(folder, f"{opened.config['kind']} sees another thing each time it looks")


def _colours(folder: Path) -> dict[str, list[float]]:
    """Return mean and deviation of channels from the processor's file; 0.5 where there is none."""
    told: dict[str, Any] = {}
    for name in _PROCESSORS:
        if (folder / name).is_file():
            whole = json.loads((folder / name).read_text("utf-8"))
            told = whole.get("image_processor", whole)
            break
    colours = {
        "mean": told.get("image_mean", [0.5] * 3),
        "std": told.get("image_std", [0.5] * 3),
    }
    for name, value in colours.items():
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 3 or not all(isinstance(one, int | float) for one in numbers):
            raise _not_one(folder, f"image_{name} must be three numbers, not {value!r}")
    return colours


def _not_one(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"this is no encoder of pictures: {why}",
        path=folder,
        remedy="name a folder of CLIP, SigLIP, ViT or DINOv2 that `save_pretrained` wrote",
    )
