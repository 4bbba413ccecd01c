"""A trained reward model at work: scores for pictures, probabilities for pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from abplatform.checkpoints import Checkpoint, read_folder, write_manifest
from abplatform.domain.catalog import Product
from abplatform.durable import replace_durably
from abplatform.errors import CheckpointError
from reward.dataset import Item, PairTable
from reward.evaluate import Forecast
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.onnx_form import OnnxModel
from reward.pictures import shrink
from reward.resume import one_thread
from reward.sentences import open_tokenizer
from reward.train import Trained

__all__ = ["INT8", "KIND", "RewardScorer", "pack", "save_form", "save_model"]

KIND = "reward"
INT8 = "int8"
"""What the metadata of a shrunk model say of its form."""

_WEIGHTS = "model.safetensors"
_ONNX = "model.onnx"
_TOKENIZER = "tokenizer.json"
_BATCH = 256


def save_model(
    folder: Path, trained: Trained, *, metadata: Mapping[str, Any], created_at: datetime
) -> Checkpoint:
    """Write a trained model as model.safetensors and manifest.json.

    Args:
        folder: Made if missing; holds nothing else afterwards that counts.
        trained: The model.
        metadata: What else should be known about it, as JSON data without times.
        created_at: Now, with a time zone.
    """
    model = trained.model
    told = {"model": asdict(model.config), "train": trained.facts, **metadata}
    files = {_WEIGHTS: pack(model), **_tokenizer_file(model)}
    return _seal(folder, files, told, created_at)


def save_form(
    folder: Path,
    form: bytes,
    model: RewardModel,
    *,
    metadata: Mapping[str, Any],
    created_at: datetime,
) -> Checkpoint:
    """Write a model's int8 form as model.onnx and manifest.json.

    Args:
        folder: Made if missing; holds nothing else afterwards that counts.
        form: What :func:`reward.onnx_form.to_int8` made of the model.
        model: It.
        metadata: Of the checkpoint that the model comes from, and what was done to it.
        created_at: Now, with a time zone.
    """
    told = {**metadata, "model": asdict(model.config), "form": INT8}
    return _seal(folder, {_ONNX: form, **_tokenizer_file(model)}, told, created_at)


def pack(model: RewardModel) -> bytes:
    """Return a model's weights as safetensors, a pre-trained encoder's in half precision."""
    return save(
        {
            # rounded at the end of training, so nothing is lost
            name: weight.half() if ".sentences." in name or name.startswith("vision.") else weight
            for name, weight in model.state_dict().items()
        }
    )


def _tokenizer_file(model: RewardModel) -> dict[str, bytes]:
    if model.tokenizer is None:
        return {}
    model.tokenizer.no_truncation()
    return {_TOKENIZER: model.tokenizer.to_str().encode()}


def _seal(
    folder: Path, files: Mapping[str, bytes], metadata: Mapping[str, Any], created_at: datetime
) -> Checkpoint:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        replace_durably(folder / name, content)
    for name in {_WEIGHTS, _ONNX, _TOKENIZER} - files.keys():
        (folder / name).unlink(missing_ok=True)
    return write_manifest(folder, kind=KIND, metadata=metadata, created_at=created_at)


class RewardScorer:
    """Scores creatives with one checkpoint; fits the generators' ``Scorer`` protocol.

    Args:
        model: In evaluation mode, or its int8 form.
        checkpoint: Where it comes from; None for a model that was never saved.
    """

    def __init__(
        self, model: RewardModel | OnnxModel, checkpoint: Checkpoint | None = None
    ) -> None:
        self.model = model
        self.checkpoint = checkpoint

    @classmethod
    def load(cls, folder: Path) -> RewardScorer:
        """Load what `abp reward train`, `abp reward shrink` or the checkpoint store wrote.

        Raises:
            CheckpointError: The folder is missing, corrupt, or holds another kind of model.
        """
        return cls.of(read_folder(folder, kind=KIND))

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> RewardScorer:
        """Load a checkpoint that is known to be intact.

        Raises:
            CheckpointError: Its weights don't fit its configuration.
        """
        try:
            config = RewardConfig(**checkpoint.metadata["model"])
            tokenizer = None
            if config.text_encoder is not None:
                tokenizer = open_tokenizer(checkpoint.file(_TOKENIZER))
            if checkpoint.metadata.get("form") == INT8:
                form = checkpoint.file(_ONNX).read_bytes()
                return cls(OnnxModel(config, tokenizer, form), checkpoint)
            model = RewardModel(config, tokenizer)
            model.load_state_dict(load_file(checkpoint.file(_WEIGHTS)))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"the weights do not fit this version: {str(error).splitlines()[0]}",
                path=checkpoint.folder,
                remedy="train the model again with `abp reward train`",
            ) from error
        return cls(model.eval(), checkpoint)

    @property
    def sha256(self) -> str | None:
        """The checkpoint's name; None for a model that was never saved."""
        return self.checkpoint.sha256 if self.checkpoint else None

    @property
    def image_size(self) -> int:
        """Side of the pictures that the model reads, in pixels."""
        return self.model.config.image_size

    @property
    def reads_images(self) -> bool:
        """Whether the model needs pictures."""
        return self.model.config.images

    @property
    def reads_texts(self) -> bool:
        """Whether the model was trained on ad texts."""
        return self.model.config.texts

    def score_text(self, text: str, product: Product, pixels: NDArray[np.uint8]) -> float:
        """Return s of an ad text beside a picture.

        Args:
            text: What is said.
            product: What it advertises.
            pixels: H x W x 3, uint8; not looked at by a model of texts alone.
        """
        small = shrink(pixels, size=self.image_size)[None] if self.reads_images else None
        return float(self.score_items([_item(product, text)], small)[0])

    def score(self, pixels: NDArray[np.uint8], product: Product) -> float:
        """Return s, a logit: sigmoid of a difference is the probability of winning.

        Args:
            pixels: H x W x 3, uint8.
            product: What the picture advertises.
        """
        return float(self.score_many([pixels], [product])[0])

    def score_many(
        self, pictures: Sequence[NDArray[np.uint8]], products: Sequence[Product]
    ) -> NDArray[np.float64]:
        """Return s of N pictures, each H x W x 3 uint8, of N products."""
        size = self.image_size
        items = [_item(product) for product in products]
        small = np.stack([shrink(picture, size=size) for picture in pictures])
        return self.score_items(items, small)

    def score_items(
        self, items: Sequence[Item], pictures: NDArray[np.uint8] | None
    ) -> NDArray[np.float64]:
        """Return s of M items.

        Args:
            items: M items.
            pictures: M x H x W x 3 in their order, or None.
        """
        score: NDArray[np.float64] = self._run(items, pictures)[0].mean(0)
        return score

    @torch.no_grad()
    def _run(
        self, items: Sequence[Item], pictures: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return every net's pair scores (nets, M) and the click logits (M) of M items."""
        if pictures is not None and pictures.shape[1] != self.image_size:
            pictures = self._made_smaller(pictures)
        inputs = Inputs.of(items, pictures, self.model.config, self.model.tokenizer)
        index = np.arange(len(items))
        with one_thread():
            parts = [
                self.model.each(inputs.batch(index[at : at + _BATCH]))
                for at in range(0, len(items), _BATCH)
            ]
        pair, point = (torch.cat(part, 1).double().numpy() for part in zip(*parts, strict=True))
        return pair, point.mean(0)

    def _made_smaller(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return pictures of the model's size; what was made smaller than that is lost."""
        if pictures.shape[1] < self.image_size:
            raise ValueError(
                f"pictures of {pictures.shape[1]} px for a model that sees {self.image_size} px"
            )
        return np.stack([shrink(picture, size=self.image_size) for picture in pictures])

    def forecast(self, table: PairTable, pictures: NDArray[np.uint8] | None) -> Forecast:
        """Say which creative of each pair wins, in both orders, and how often each is clicked.

        Args:
            table: P pairs over M items.
            pictures: M x size x size x 3, or None.
        """
        pair, clicks = self._run(table.items, pictures)
        score = pair.mean(0)
        first, second = score[table.chosen], score[table.rejected]
        each = pair[:, table.chosen] - pair[:, table.rejected]
        return Forecast(
            there=_sigmoid(first - second),
            back=1 - _sigmoid(second - first),
            click_rates=_sigmoid(clicks),
            logit_sd=each.std(0, ddof=1) if len(each) > 1 else None,
        )

    def predict(self, table: PairTable, pictures: NDArray[np.uint8] | None) -> NDArray[np.float64]:
        """Return the probability that each pair's chosen creative wins, P; as ``forecast``."""
        return self.forecast(table, pictures).there

    def knows(self, categories: Sequence[str]) -> NDArray[np.bool_]:
        """Return which of N categories the model has learned from.

        Of others it says what it learned of the nearest category above them, or of all: that is no
        evidence.
        """
        return np.isin(np.array(categories, dtype=np.str_), list(self.model.config.categories))


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    probability: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * logit)
    return probability


def _item(product: Product, text: str | None = None) -> Item:
    return Item(
        creative="",
        image="",
        # a picture without a text shows the product's title beside it
        text=product.title if text is None else text,
        product_id=product.product_id,
        title=product.title,
        category=product.category.path,
        attributes=json.dumps(product.facts, ensure_ascii=False),
    )
