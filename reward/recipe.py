"""How a model is trained where nobody says otherwise, by what the pairs hold."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from typing import Final

import torch

from abplatform.checkpoints.carried import is_carried
from abplatform.errors import TrainingError
from reward import ranks
from reward.dataset import PairTable
from reward.fit import HASHED, PATCHES, TrainingConfig
from reward.losses import Loss
from reward.sentences import MINILM
from reward.source import Source, read_weeks, training_weeks
from reward.vision import open_pretrained_vision

__all__ = ["choose_config", "choose_config_for", "choose_workers"]

_LATIN_SHARE = 0.9
_MANY_PAIRS = 2000
_MOST_VISITS = 200_000
_LEAST_EPOCHS = 2
_FINE_TUNED: Final = TrainingConfig(
    members=2,
    folds=8,
    epochs=2,
    learning_rate=1e-3,
    fine_tuning_rate=5e-5,
)
"""A few epochs suffice an encoder that can read; more only learn the noise of the labels."""


def choose_config(
    table: PairTable,
    *,
    images: bool,
    seed: int = 0,
    epochs: int | None = None,
    text_encoder: str | None = None,
    picture_encoder: str = PATCHES,
    loss: Loss = "preference",
    augment: bool = False,
) -> TrainingConfig:
    """Return how to train on these pairs.

    Texts that are all there is, in Latin letters, are read by the carried encoder where it is
    installed. Beside pictures, or in other scripts, they are hashed words: the encoder knows
    English, and costs minutes where pictures already say most.

    Args:
        table: What is learned from.
        images: Whether pictures are read.
        seed: Of the training.
        epochs: Passes over the pairs at most; None as tuned.
        text_encoder: ``words``, or a pre-trained encoder's name, folder or hub id; None chooses.
        picture_encoder: ``patches``, or a pre-trained encoder's name, folder or hub id.
        loss: Whether pairs teach which side is better or by how much.
        augment: Whether pictures are varied while they teach.

    Raises:
        CheckpointError: There is no such encoder of pictures, or it is refused.
        TrainingError: An option is about texts or pictures that are not there.
    """
    if text_encoder is not None and not table.has_texts:
        raise TrainingError(
            "there are no ad texts to read",
            remedy="leave --text-encoder out, or take pairs with chosen_text and rejected_text",
        )
    if (augment or picture_encoder != PATCHES) and not images:
        raise TrainingError(
            "there are no pictures to see",
            remedy="name their folder with --images, or leave --picture-encoder and --augment out",
        )
    named = text_encoder
    if named is None:
        reads = table.has_texts and not images and _is_latin(table) and is_carried(MINILM)
        named = MINILM if reads else HASHED
    config = TrainingConfig() if named == HASHED else replace(_FINE_TUNED, text_encoder=named)
    if picture_encoder != PATCHES:
        side = open_pretrained_vision(picture_encoder).config["size"]
        config = replace(config, picture_encoder=picture_encoder, shape=(("image_size", side),))
    # Many pairs need fewer passes: the early ones have taught as much.
    fewer = max(_LEAST_EPOCHS, _MOST_VISITS // max(1, len(table)))
    wanted = min(config.epochs, fewer) if epochs is None else epochs
    config = replace(config, seed=seed, epochs=wanted, loss=loss, augment=augment)
    return replace(config, device="cuda", bf16=True) if torch.cuda.is_available() else config


def choose_config_for(
    source: Source, week: str, *, seed: int, epochs: int | None = None
) -> TrainingConfig:
    """Return how to train a challenger that is to be judged on ``week``.

    Args:
        source: What there is to learn from.
        week: The held-out ISO week.
        seed: Of the training.
        epochs: Passes over the pairs at most; None as tuned.

    Raises:
        TrainingError: There are no pairs up to that week, or they cannot be used.
    """
    weeks = training_weeks(source, week)
    table = read_weeks(source, weeks)
    images = source.images is not None and table.has_images
    config = choose_config(table, images=images, seed=seed, epochs=epochs)
    shares = sorted((one, share) for one, share in source.week_shares.items() if one in weeks)
    return replace(config, week_shares=tuple(shares))


def choose_workers(table: PairTable, config: TrainingConfig) -> int:
    """Return how many nets to fit at the same time: starting a process must be worth its seconds.

    Args:
        table: What is learned from.
        config: How to train.
    """
    if ranks.count() > 1 or config.device != "cpu":
        return 1  # they share one net's work, or one accelerator, instead
    is_long = config.text_encoder != HASHED or len(table) >= _MANY_PAIRS
    return min(config.members, len(os.sched_getaffinity(0))) if is_long else 1


def _is_latin(table: PairTable) -> bool:
    letters = [letter for item in table.items for letter in item.text if letter.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return latin >= _LATIN_SHARE * len(letters)
