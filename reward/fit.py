"""One net fitted to pairs and clicks, from its first epoch or a kept state to its best weights.

The loss of a batch is the sum of two branches:

- pairs: ``preference`` or ``difference`` (:mod:`reward.losses`).
- clicks: half the binomial deviance of an item's clicks, divided by the dispersion of clicks around
  their category's rate (quasi-likelihood, McCullagh & Nelder 1989, ch. 9), so that a creative with
  a million impressions does not outshout all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reward import ranks
from reward.augmentation import vary
from reward.curves import Curves
from reward.dataset import PairTable
from reward.inputs import Inputs
from reward.losses import Loss, base_rates, binomial_deviance, open_pair_loss
from reward.model import Batch, RewardNet
from reward.pictures import IMAGE_SIZE
from reward.resume import Progress, read_progress, write_progress
from reward.words import category_paths

__all__ = ["HASHED", "PATCHES", "Fit", "TrainingConfig"]

HASHED = "words"
"""The encoder of texts that is learned from the pairs alone."""

PATCHES = "patches"
"""The encoder of pictures that is learned from the pairs alone."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a model is trained.

    Args:
        seed: Decides initial weights, the folds and the order of batches.
        members: Nets whose scores are averaged; each holds out another fold.
        folds: Parts into which products are dealt.
        epochs: Passes over the pairs at most.
        learning_rate: Its peak.
        fine_tuning_rate: The peak for a pre-trained encoder of texts; at 0 it stays as it is.
        weight_decay: Of matrices; the deviations of categories are held by it too.
        batch_pairs: Pairs in a batch, about; pairs of one product stay together.
        patience: Epochs without a better validation loss before stopping.
        loss: Whether pairs teach which side is better or by how much.
        pointwise: Weight of the clicks' loss beside the pairs' loss.
        text_encoder: What reads ad texts: ``words``, hashed, or the name, folder or hub id of a
            pre-trained encoder.
        encoder_layers: Blocks of a pre-trained encoder of texts that are kept, from the first.
        picture_encoder: What looks at pictures: ``patches``, a small ViT learned from the pairs
            alone, or the name, folder or hub id of a pre-trained encoder.
        augment: Whether pictures are varied while they teach (:mod:`reward.augmentation`).
        device: What torch calculates on, such as ``cpu`` or ``cuda``.
        bf16: Whether nets learn in bfloat16 where that is safe; weights stay float32.
        compiled: Whether nets go through ``torch.compile``; that takes a minute or two, which only
            a large ViT of their own earns back.
        week_shares: Weeks that are unlike others, and how much their pairs count, 0 … 1.
        shape: Overrides of the model's shape, such as ``width``.
    """

    seed: int = 0
    members: int = 2
    folds: int = 3
    epochs: int = 24
    learning_rate: float = 2e-3
    fine_tuning_rate: float = 3e-5
    weight_decay: float = 0.1
    batch_pairs: int = 64
    patience: int = 12
    loss: Loss = "preference"
    pointwise: float = 0.5
    text_encoder: str = HASHED
    encoder_layers: int = 4
    picture_encoder: str = PATCHES
    augment: bool = False
    device: str = "cpu"
    bf16: bool = False
    compiled: bool = False
    week_shares: tuple[tuple[str, float], ...] = ()
    shape: tuple[tuple[str, int | float], ...] = ()

    @property
    def image_size(self) -> int:
        """Side of the pictures to train on, in pixels."""
        return int(dict(self.shape).get("image_size", IMAGE_SIZE))


class Fit:
    """The fitting of one net.

    Args:
        net: Its first weights.
        inputs: M items.
        table: P pairs over them.
        fold: Part of each pair, P.
        number: Which part is not trained on; its pairs, if there are any, decide when to stop.
        config: How to train.
        look: :meth:`RewardModel.look` of the model that the net belongs to.
    """

    def __init__(
        self,
        net: RewardNet,
        inputs: Inputs,
        table: PairTable,
        fold: NDArray[np.int64],
        *,
        number: int,
        config: TrainingConfig,
        look: Callable[[Batch], Batch],
    ) -> None:
        self.net, self.inputs, self.table, self.look = net, inputs, table, look
        self.learned = fold != number
        self.held = ~self.learned & ~table.is_guessed
        self.config, self.seed = config, 1000 * config.seed + number
        self.device = torch.device(config.device)
        self.run = torch.compile(net, dynamic=True) if config.compiled else net
        self.steps = max(1, math.ceil(self.learned.sum() / config.batch_pairs))
        self.pair_loss = open_pair_loss(config.loss, table, self.learned)
        self.pair_loss.weight = self.pair_loss.weight * _week_shares(table, config)
        self.clicks = torch.from_numpy(table.clicks).float()
        self.impressions = torch.from_numpy(table.impressions).float()
        paths = category_paths(net.config.categories)
        rates, self.dispersion = base_rates(table, inputs.base.numpy(), paths)
        with torch.no_grad():
            net.base.copy_(torch.from_numpy(rates))
        if net.reads is not None:
            net.reads.requires_grad_(config.fine_tuning_rate > 0)
        net.to(self.device)
        self.optimizer = torch.optim.AdamW(_groups(net, config))
        self.progress = Progress.start(net)

    def go(
        self,
        keep: Path | None,
        advance: Callable[[int], None],
        curves: Curves | None = None,
    ) -> None:
        """Train until no epoch is left or validation stops getting better; load the best weights.

        Args:
            keep: A file for the state after each epoch; a state that is there is gone on from.
            advance: Told how many steps are done.
            curves: Where losses and rate are drawn after each epoch.
        """
        name = repr((self.config, self.seed, self.net.config, self.table.fingerprint))
        if keep and (kept := read_progress(keep, name, self.net, self.optimizer)):
            self.progress = kept
            advance(kept.epoch * self.steps)
        while self.progress.epoch < self.config.epochs and not self._is_stale():
            learned = self._epoch(self.progress.epoch, advance)
            self.progress = self.progress.after(self._validate(), self.net)
            if curves:
                told = {"loss/learned": learned, "rate": self.optimizer.param_groups[0]["lr"]}
                if self.held.any():
                    told["loss/held out"] = self.progress.losses[-1]
                curves.draw(self.progress.epoch, told)
            if keep and ranks.rank() == 0:
                write_progress(keep, name, self.progress, self.net, self.optimizer)
            advance(self.progress.epoch * self.steps)
        if curves:
            curves.close()
        self.net.cpu()
        self.run = self.net
        self.take(self.progress)

    def take(self, progress: Progress) -> None:
        """Go on from a progress that this net made elsewhere; load its best weights."""
        self.progress = progress
        self.net.load_state_dict(progress.best)

    @torch.no_grad()
    def margins(self) -> Tensor:
        """Return s_chosen - s_rejected of the held-out pairs."""
        self.net.eval()
        chosen, rejected = self.table.chosen[self.held], self.table.rejected[self.held]
        items, where = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
        parts = [self._score(items[at : at + 256])[0] for at in range(0, len(items), 256)]
        first, second = torch.from_numpy(where).chunk(2)
        score = torch.cat(parts)
        return score[first] - score[second]

    def _score(self, items: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return pair scores and click logits of items; losses are added up on the CPU."""
        device = next(self.net.parameters()).device
        batch = self.inputs.batch(items).to(device)
        is_learning = self.net.training
        if self.config.augment and is_learning and batch.pictures is not None:
            batch = replace(batch, pictures=vary(batch.pictures, batch.product))
        with torch.no_grad():
            batch = self.look(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=is_learning and self.config.bf16):
            score, logit = self.run(batch)
        return score.float().cpu(), logit.float().cpu()

    def _is_stale(self) -> bool:
        waited = self.progress.epoch - self.progress.best_epoch
        return bool(self.held.any()) and waited >= self.config.patience

    def _epoch(self, epoch: int, advance: Callable[[int], None]) -> float:
        """Train one epoch; return its mean loss over batches."""
        losses = []
        torch.manual_seed(self.seed * 1_000_003 + epoch + 31_337 * ranks.rank())  # dropout
        order = np.random.default_rng([self.seed, epoch])
        self.net.train()
        for step, rows in enumerate(self._batches(order)):
            done = (epoch + min(step / self.steps, 1.0)) / self.config.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * _warm_cosine(done)
            loss = self._loss(ranks.share_of(rows), len(rows))
            losses.append(float(loss.detach()))
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
            ranks.average_gradients(self.net.parameters())
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            advance(epoch * self.steps + min(step + 1, self.steps))
        return sum(losses) / len(losses)

    def _batches(self, order: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield rows of training pairs; all pairs of one product in one experiment together."""
        rows = np.flatnonzero(self.learned)
        rows = rows[np.argsort(self.table.group[rows], kind="stable")]
        _, starts = np.unique(self.table.group[rows], return_index=True)
        groups = np.split(rows, starts[1:])
        batch: list[NDArray[np.int64]] = []
        for index in order.permutation(len(groups)):
            batch.append(groups[index])
            if sum(map(len, batch)) >= self.config.batch_pairs:
                yield np.concatenate(batch)
                batch = []
        if batch:
            yield np.concatenate(batch)

    def _loss(self, rows: NDArray[np.int64], pairs: int) -> Tensor:
        """Return the loss of rows of a batch of ``pairs``; the mean over processes is its own."""
        if not len(rows):
            return sum((0 * one.sum() for one in self.net.parameters()), torch.zeros(()))
        chosen, rejected = self.table.chosen[rows], self.table.rejected[rows]
        items, where = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
        score, logit = self._score(items)
        first, second = torch.from_numpy(where).chunk(2)
        loss = ranks.count() * self.pair_loss(score[first] - score[second], rows) / pairs
        shown = self.impressions[items] > 0
        if self.config.pointwise and bool(shown.any()):
            clicks, impressions = self.clicks[items][shown], self.impressions[items][shown]
            deviance = binomial_deviance(logit[shown], clicks, impressions)
            loss = loss + self.config.pointwise * deviance.mean() / self.dispersion
        return loss

    def _validate(self) -> float:
        """Return the mean pair loss of held-out pairs; falling by epoch if none is held."""
        if not self.held.any():
            return -float(self.progress.epoch)
        rows = np.flatnonzero(self.held)
        total = self.pair_loss(self.margins(), rows)
        return float(total / self.pair_loss.weight[rows].sum().clamp_min(1e-12))


def _week_shares(table: PairTable, config: TrainingConfig) -> Tensor:
    """Return how much each pair counts by its week, P."""
    share = dict(config.week_shares)
    return torch.tensor([share.get(week, 1.0) for week in table.frame["week"]])


def _groups(net: RewardNet, config: TrainingConfig) -> list[dict[str, Any]]:
    """Part the parameters by learning rate, and matrices, which decay, from the rest."""
    read = () if net.reads is None else net.reads.parameters()
    rates = {id(weight): config.fine_tuning_rate for weight in read}
    groups = []
    for rate in sorted({config.learning_rate, *rates.values()} - {0.0}, reverse=True):
        mine = [one for one in net.parameters() if rates.get(id(one), config.learning_rate) == rate]
        for decay, is_matrix in ((config.weight_decay, True), (0.0, False)):
            some = [one for one in mine if (one.ndim > 1) == is_matrix]
            if some:
                groups.append({"params": some, "lr": rate, "peak": rate, "weight_decay": decay})
    return groups


def _warm_cosine(done: float) -> float:
    """Share of the peak learning rate: up over the first tenth, then down to a fiftieth."""
    if done < 0.1:
        return 0.1 + 9 * done
    return 0.02 + 0.49 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))
