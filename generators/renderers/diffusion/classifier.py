"""A scene classifier: tells the family of a small picture, to judge what a renderer painted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from generators.arrays import Pixels
from generators.renderers.diffusion.pictures import LearningPictures

__all__ = ["SceneClassifier", "load_classifier", "save_classifier", "train_classifier"]

_WIDTHS = (32, 64, 96, 128)
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


class SceneClassifier(nn.Module):
    """Convolutions over 64 x 64 pixels, averaged over a picture's cells, then one layer.

    Args:
        families: Names of the scene families, in the order of its answers.
    """

    def __init__(self, families: tuple[str, ...]) -> None:
        super().__init__()
        self.families = families
        layers: list[nn.Module] = []
        before = 3
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
            ]
            before = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * before, len(families))

    def forward(self, light: Tensor) -> Tensor:
        """Return a score for each family (n x families) for light -1 … 1 (n x 3 x 64 x 64)."""
        scores: Tensor = self.head(self.body(light))
        return scores

    def tell(self, pixels: Pixels) -> NDArray[np.int64]:
        """Return the number of the likeliest family for pictures (uint8, n x 64 x 64 x 3)."""
        with torch.inference_mode():
            return np.asarray(self(_to_light(pixels)).argmax(1).numpy(), dtype=np.int64)


def train_classifier(
    pictures: LearningPictures,
    families: tuple[str, ...],
    *,
    epochs: int = 8,
    seed: int = 11,
    advance: Callable[[int, int], None] | None = None,
) -> SceneClassifier:
    """Learn families from studio pictures, each also slightly moved and tinted.

    Args:
        pictures: Pictures with their families.
        families: The families' names.
        epochs: Passes over the pictures.
        seed: Decides weights, order and changes.
        advance: Told how many steps are done, of how many.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = SceneClassifier(families)
    batch = 64
    steps = epochs * (len(pictures.pixels) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        chosen = rng.integers(len(pictures.pixels), size=batch)
        light = _vary(_to_light(pictures.pixels[chosen]), rng)
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(light)
        loss = functional.cross_entropy(
            scores.float(), torch.from_numpy(pictures.families[chosen]), label_smoothing=0.05
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        optimizer.step()
        rates.step()
        if advance is not None:
            advance(step + 1, steps)
    return model.eval()


def save_classifier(model: SceneClassifier, folder: Path) -> None:
    """Write a classifier in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: part.half().contiguous() for name, part in model.state_dict().items()},
        folder / _WEIGHTS,
    )
    text = json.dumps({"families": model.families}, indent=2) + "\n"
    (folder / _CONFIG).write_text(text, encoding="utf-8")


def load_classifier(folder: Path) -> SceneClassifier:
    """Read a classifier from a checked folder."""
    families = json.loads((folder / _CONFIG).read_text("utf-8"))["families"]
    model = SceneClassifier(tuple(families))
    model.load_state_dict(
        {name: part.float() for name, part in load_file(folder / _WEIGHTS).items()}
    )
    return model.eval()


def _to_light(pixels: Pixels) -> Tensor:
    light = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    return light / 127.5 - 1.0


def _vary(light: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur half of the pictures a little, move them and tint them: what painters get wrong."""
    down, across = rng.integers(-3, 4, size=2)
    light = torch.roll(light, (int(down), int(across)), (2, 3))
    if rng.random() < 0.5:
        light = functional.avg_pool2d(light, 3, stride=1, padding=1, count_include_pad=False)
    count = len(light)
    gain = torch.from_numpy(rng.normal(1.0, 0.06, (count, 3, 1, 1)).astype(np.float32))
    grain = torch.from_numpy(rng.normal(0.0, 0.03, tuple(light.shape)).astype(np.float32))
    return light * gain + grain
