"""Training: the same pairs and seed give the same weights, bit for bit, also after a stop.

A model is a few nets, each of which holds out another fold of products to know when to stop. What
they say of products they have not seen calibrates the whole: one temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward import ranks
from reward.dataset import PairTable
from reward.fit import Fit, TrainingConfig
from reward.members import Members, fit_members, forget_progress
from reward.model import RewardModel
from reward.resume import one_thread
from reward.temperature import find_temperature

__all__ = ["Trained", "TrainingConfig", "train"]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model and how it came about.

    Args:
        model: In evaluation mode.
        facts: JSON data without times: pairs, epochs, losses, temperature.
    """

    model: RewardModel
    facts: dict[str, Any]


def train(
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    config: TrainingConfig,
    *,
    resume: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
    workers: int = 1,
    curves: Path | None = None,
) -> Trained:
    """Train a reward model.

    Args:
        table: P pairs over M items.
        pictures: M x H x W x 3 in the order of ``table.items``, or None for texts only.
        config: How to train.
        resume: Name for files that keep the state after each epoch; a stopped training goes on
            from them, a finished one removes them.
        advance: Told how many steps are done of how many.
        workers: Nets that are fitted at the same time, each in a process of its own; the result
            is the same.
        curves: Folder for TensorBoard.

    Raises:
        CheckpointError: There is no such encoder, or it is refused.
        TrainingError: The pairs cannot teach anything, or a weight became NaN.
    """
    _check(table, pictures)
    with one_thread(), torch.random.fork_rng(devices=[]):
        members = fit_members(
            table,
            pictures,
            config,
            resume=resume,
            advance=advance,
            workers=workers,
            curves=curves,
        )
        model, fits = members.model, members.fits
        model.round_pretrained()
        _set_temperature(model, fits)
        if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
            raise TrainingError("a weight became NaN", remedy="lower the learning rate")
    if ranks.rank() == 0:
        forget_progress(resume, config)
    return Trained(model.eval(), _facts(members, table, config))


def _set_temperature(model: RewardModel, fits: list[Fit]) -> None:
    """Find the temperature at which probabilities are right of pairs that were held out."""
    held = [fit for fit in fits if fit.held.any()]
    if not held:
        return
    margin = torch.cat([fit.margins() for fit in held]).double().numpy()
    rows = np.concatenate([np.flatnonzero(fit.held) for fit in held])
    model.temperature.fill_(find_temperature(margin, fits[0].table, rows))


def _facts(members: Members, table: PairTable, config: TrainingConfig) -> dict[str, Any]:
    fits = members.fits
    progress = [fit.progress for fit in fits]
    is_held = [bool(fit.held.any()) for fit in fits]
    return {
        "pairs": len(table),
        "guessed": int(table.is_guessed.sum()),
        "items": len(table.items),
        "contradictions": table.contradictions,
        "validation_pairs": [int(fit.held.sum()) for fit in fits],
        "epochs": [one.epoch for one in progress],
        "best_epochs": [one.best_epoch for one in progress],
        "validation_losses": [
            [round(loss, 6) for loss in one.losses] if held else []
            for one, held in zip(progress, is_held, strict=True)
        ],
        "temperature": round(float(members.model.temperature), 6),
        "dispersion": round(fits[0].dispersion, 6),
        "text_encoder": members.encoders["text"],
        "picture_encoder": members.encoders["picture"],
        "training": {**asdict(config), "shape": dict(config.shape)},
    }


def _check(table: PairTable, pictures: NDArray[np.uint8] | None) -> None:
    if pictures is None and not table.has_texts:
        raise TrainingError(
            "the creatives have neither images nor ad texts to learn from",
            remedy="name the folder of their images with --images",
        )
    if not (table.weight > 0).any():
        raise TrainingError(
            "no pair says which creative is better: every weight is 0",
            remedy="run the experiment longer, until creatives differ",
        )
