"""A kept click model at work: rows of context to probabilities of a click."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from abplatform.checkpoints import Checkpoint, read_folder, write_manifest
from abplatform.durable import replace_durably
from abplatform.errors import CheckpointError
from reward.effects.encoding import Encoding, Feature
from reward.effects.fitting import predict_net
from reward.effects.networks import ClickNet, NetShape

__all__ = ["KIND", "EffectScorer", "save_effect"]

KIND = "effect"
_WEIGHTS = "model.safetensors"
_LEVELS = "levels.json"


def save_effect(
    folder: Path,
    net: ClickNet,
    encoding: Encoding,
    *,
    metadata: Mapping[str, Any],
    created_at: datetime,
) -> Checkpoint:
    """Write a click model as model.safetensors, levels.json and manifest.json.

    Args:
        folder: Made if missing.
        net: The model.
        encoding: What it reads.
        metadata: What else should be known about it, as JSON data without times.
        created_at: Now, with a time zone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_durably(folder / _WEIGHTS, save(dict(net.state_dict())))
    levels = [asdict(feature) for feature in encoding.features]
    replace_durably(folder / _LEVELS, json.dumps(levels, ensure_ascii=False).encode() + b"\n")
    told = {"net": asdict(net.shape), **metadata}
    return write_manifest(folder, kind=KIND, metadata=told, created_at=created_at)


class EffectScorer:
    """Tells how likely a row of context is to be clicked.

    Args:
        net: In evaluation mode.
        encoding: What it reads.
    """

    def __init__(self, net: ClickNet, encoding: Encoding) -> None:
        self.net = net
        self.encoding = encoding

    @classmethod
    def load(cls, folder: Path) -> EffectScorer:
        """Load what `abp reward effects --out` wrote.

        Raises:
            CheckpointError: The folder is missing, corrupt, or holds another kind of model.
        """
        checkpoint = read_folder(folder, kind=KIND)
        try:
            shape: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in checkpoint.metadata["net"].items()
            }
            levels = json.loads(checkpoint.file(_LEVELS).read_bytes())
            net = ClickNet(NetShape(**shape))
            net.load_state_dict(load_file(checkpoint.file(_WEIGHTS)))
            features = tuple(_feature(**one) for one in levels)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"the weights do not fit this version: {str(error).splitlines()[0]}",
                path=folder,
                remedy="train it again with `abp reward effects --out`",
            ) from error
        return cls(net.eval(), Encoding(features, {}))

    def predict(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the probability of a click of each row, N.

        The same frame gives the same bits, before the model was saved and after.

        Args:
            frame: N rows with the columns that the model learned from; others are ignored.

        Raises:
            TrainingError: A column is missing, or a numeric one holds something else.
        """
        return predict_net(self.net, self.encoding.codes(frame))


def _feature(name: str, levels: list[str | None], edges: list[float] | None) -> Feature:
    return Feature(name, tuple(levels), None if edges is None else tuple(edges))
