"""The reward model as a rival, trained as `abp reward train` does, and its variants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reward.evaluate import Forecast
from reward.fit import PATCHES, TrainingConfig
from reward.guesses import add_guesses, check_kinds, join_pictures, shares_nothing
from reward.losses import Loss
from reward.pictures import pictures_of
from reward.recipe import choose_config, choose_workers
from reward.rivals.contest import Part, Rival
from reward.score import RewardScorer
from reward.sentences import MINILM
from reward.train import train

__all__ = ["fine_tuned", "guessed", "texts_only", "trained"]


def trained(
    *,
    loss: Loss = "preference",
    text_encoder: str | None = None,
    picture_encoder: str = PATCHES,
    augment: bool = False,
) -> Rival:
    """Return the reward model, trained with the options of `abp reward train`."""

    def rival(learned: Part, held: Part) -> Forecast:
        config = choose_config(
            learned.table,
            images=learned.pictures is not None,
            loss=loss,
            text_encoder=text_encoder,
            picture_encoder=picture_encoder,
            augment=augment,
        )
        return _learn(config, learned, held)

    return rival


def fine_tuned(learned: Part, held: Part) -> Forecast:
    """One MiniLM with all its blocks, fine-tuned for an epoch on pairs of texts alone."""
    config = choose_config(learned.table, images=False, text_encoder=MINILM)
    whole = replace(
        config, members=1, epochs=1, encoder_layers=6, fine_tuning_rate=3e-5, pointwise=0.0
    )
    return _learn(whole, replace(learned, pictures=None), replace(held, pictures=None))


def texts_only(learned: Part, held: Part) -> Forecast:
    """The reward model without pictures."""
    return trained()(replace(learned, pictures=None), replace(held, pictures=None))


def guessed(unlabelled: Part) -> Rival:
    """Return the reward model that also learns from what a first one guesses of more pairs.

    Args:
        unlabelled: Pairs whose labels are not looked at; those that share a product, a picture or a
            text with pairs to predict teach nothing.
    """

    def rival(learned: Part, held: Part) -> Forecast:
        check_kinds(learned.table, unlabelled.table, images=learned.pictures is not None)
        fresh = unlabelled.keep(shares_nothing(unlabelled.table, held.table))
        if not len(fresh.table):
            return trained()(learned, held)
        first = trained()(learned, fresh)
        table = add_guesses(learned.table, fresh.table, first.there)
        parts = [(one.table, one.pictures) for one in (learned, fresh)]
        return trained()(Part(table, join_pictures(table, parts)), held)

    return rival


def _learn(config: TrainingConfig, learned: Part, held: Part) -> Forecast:
    seen, new = (_sized(part, config.image_size) for part in (learned, held))
    workers = choose_workers(learned.table, config)
    model = train(learned.table, seen, config, workers=workers).model
    return RewardScorer(model).forecast(held.table, new)


def _sized(part: Part, size: int) -> NDArray[np.uint8] | None:
    """Return pictures of another size from the pictures as they are."""
    if part.pictures is None or part.pictures.shape[1] == size:
        return part.pictures
    return pictures_of(part.table, part.images, size=size)
