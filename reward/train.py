"""Training: the same pairs and seed give the same weights, bit for bit, also after a stop.

The loss of a batch is the sum of two branches:

- pairs: cross-entropy of sigmoid(s_chosen - s_rejected) against the soft label ``p_win``, each
  pair counted with its ``weight``, divided by the mean weight.
- clicks: half the binomial deviance of an item's clicks, divided by the dispersion of clicks around
  their category's rate (quasi-likelihood, McCullagh & Nelder 1989, ch. 9), so that a creative with
  a million impressions does not outshout all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from abplatform.errors import TrainingError
from reward.dataset import PairTable, split
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.pictures import IMAGE_SIZE
from reward.resume import Progress, one_thread, read_progress, write_progress

__all__ = ["Trained", "TrainingConfig", "binomial_deviance", "pair_loss", "train"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a model is trained.

    Args:
        seed: Decides initial weights, the split and the order of batches.
        epochs: Passes over the pairs at most.
        learning_rate: Its peak.
        weight_decay: Of matrices; the deviations of categories are held by it too.
        batch_pairs: Pairs in a batch, about; pairs of one product stay together.
        validation_share: Share of pairs held out for early stopping and the temperature.
        patience: Epochs without a better validation loss before stopping.
        pointwise: Weight of the clicks' loss beside the pairs' loss.
        shape: Overrides of the model's shape, such as ``width``.
    """

    seed: int = 0
    epochs: int = 24
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    batch_pairs: int = 64
    validation_share: float = 0.15
    patience: int = 8
    pointwise: float = 0.5
    shape: tuple[tuple[str, int | float], ...] = ()

    @property
    def image_size(self) -> int:
        """Side of the pictures to train on, in pixels."""
        return int(dict(self.shape).get("image_size", IMAGE_SIZE))


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
) -> Trained:
    """Train a reward model.

    Args:
        table: P pairs over M items.
        pictures: M x H x W x 3 in the order of ``table.items``, or None for texts only.
        config: How to train.
        resume: A file that keeps the state after each epoch; a stopped training goes on from it.
        advance: Told how many epochs are done of how many.

    Raises:
        TrainingError: The pairs cannot teach anything, or a weight became NaN.
    """
    _check(table, pictures)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = RewardModel(_shape(table, pictures, config))
        inputs = Inputs.of(table.items, pictures, model.config)
        _standardise(model, inputs)
        run = _Run(model, inputs, table, config)
        run.go(resume, advance)
        if not all(bool(torch.isfinite(value).all()) for value in model.state_dict().values()):
            raise TrainingError("a weight became NaN", remedy="lower the learning rate")
        return Trained(model.eval(), run.facts())


def pair_loss(scores: tuple[Tensor, Tensor], p_win: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy of sigmoid(chosen - rejected) against soft labels, summed over P."""
    chosen, rejected = scores
    each = functional.binary_cross_entropy_with_logits(chosen - rejected, p_win, reduction="none")
    return (weight * each).sum()


def binomial_deviance(logit: Tensor, clicks: Tensor, impressions: Tensor) -> Tensor:
    """Half the binomial deviance of each item: 0 where sigmoid(logit) = clicks / impressions."""
    misses = impressions - clicks
    fitted = clicks * functional.logsigmoid(logit) + misses * functional.logsigmoid(-logit)
    best = torch.xlogy(clicks, clicks / impressions) + torch.xlogy(misses, misses / impressions)
    return best - fitted


class _Run:
    """One training, from its first epoch or from a kept state to its best weights."""

    def __init__(
        self, model: RewardModel, inputs: Inputs, table: PairTable, config: TrainingConfig
    ) -> None:
        self.model, self.inputs, self.table, self.config = model, inputs, table, config
        self.held = split(table, share=config.validation_share, seed=config.seed)
        self.steps = max(1, math.ceil((~self.held).sum() / config.batch_pairs))
        self.p_win = torch.from_numpy(table.p_win).float()
        self.weight = torch.from_numpy(table.weight / table.weight[~self.held].mean()).float()
        self.clicks = torch.from_numpy(table.clicks).float()
        self.impressions = torch.from_numpy(table.impressions).float()
        self.dispersion = self._set_base_rates()
        groups: list[dict[str, Any]] = [
            {
                "params": [one for one in model.parameters() if one.ndim > 1],
                "weight_decay": config.weight_decay,
            },
            {"params": [one for one in model.parameters() if one.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        self.progress = Progress.start(model)

    def go(self, resume: Path | None, advance: Callable[[int, int], None] | None) -> None:
        """Train until no epoch is left or validation stops getting better."""
        name = repr((self.config, self.model.config, self.table.fingerprint))
        if resume and (kept := read_progress(resume, name, self.model, self.optimizer)):
            self.progress = kept
        while self.progress.epoch < self.config.epochs and not self._is_stale():
            self._epoch(self.progress.epoch)
            self.progress = self.progress.after(self._validate(), self.model)
            if resume:
                write_progress(resume, name, self.progress, self.model, self.optimizer)
            if advance:
                advance(self.progress.epoch, self.config.epochs)
        self.model.load_state_dict(self.progress.best)
        self._set_temperature()
        if resume:
            resume.unlink(missing_ok=True)

    def facts(self) -> dict[str, Any]:
        """Return what is worth knowing about the training; no times."""
        losses = [round(loss, 6) for loss in self.progress.losses]
        return {
            "pairs": len(self.table),
            "items": len(self.table.items),
            "validation_pairs": int(self.held.sum()),
            "contradictions": self.table.contradictions,
            "epochs": self.progress.epoch,
            "best_epoch": self.progress.best_epoch,
            "validation_losses": losses if self.held.any() else [],
            "temperature": round(float(self.model.temperature), 6),
            "dispersion": round(self.dispersion, 6),
            "training": {**asdict(self.config), "shape": dict(self.config.shape)},
        }

    def _is_stale(self) -> bool:
        waited = self.progress.epoch - self.progress.best_epoch
        return bool(self.held.any()) and waited >= self.config.patience

    def _epoch(self, epoch: int) -> None:
        torch.manual_seed(self.config.seed * 1_000_003 + epoch)  # dropout
        order = np.random.default_rng([self.config.seed, epoch])
        self.model.train()
        for step, rows in enumerate(self._batches(order)):
            done = (epoch + min(step / self.steps, 1.0)) / self.config.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * _warm_cosine(done)
            loss = self._loss(rows)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()

    def _batches(self, order: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield rows of training pairs; all pairs of one product in one experiment together."""
        rows = np.flatnonzero(~self.held)
        groups = [
            rows[self.table.group[rows] == number] for number in np.unique(self.table.group[rows])
        ]
        batch: list[NDArray[np.int64]] = []
        for index in order.permutation(len(groups)):
            batch.append(groups[index])
            if sum(map(len, batch)) >= self.config.batch_pairs:
                yield np.concatenate(batch)
                batch = []
        if batch:
            yield np.concatenate(batch)

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        chosen, rejected = self.table.chosen[rows], self.table.rejected[rows]
        items, where = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
        score, logit = self.model(self.inputs.batch(items))
        first, second = torch.from_numpy(where).chunk(2)
        scores = (score[first], score[second])
        loss = pair_loss(scores, self.p_win[rows], self.weight[rows]) / len(rows)
        seen = torch.from_numpy(items[self.table.impressions[items] > 0])
        if len(seen) and self.config.pointwise:
            mask = self.impressions[items] > 0
            deviance = binomial_deviance(logit[mask], self.clicks[seen], self.impressions[seen])
            loss = loss + self.config.pointwise * deviance.mean() / self.dispersion
        return loss

    @torch.no_grad()
    def _scores(self, rows: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """Return chosen and rejected scores of the pairs in ``rows``, before the temperature."""
        self.model.eval()
        chosen, rejected = self.table.chosen[rows], self.table.rejected[rows]
        items, where = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
        parts = [
            self.model(self.inputs.batch(items[at : at + 256]))[0]
            for at in range(0, len(items), 256)
        ]
        first, second = torch.from_numpy(where).chunk(2)
        score = torch.cat(parts)
        return score[first], score[second]

    def _validate(self) -> float:
        """Return the weighted cross-entropy of held-out pairs; falling by epoch if none is held."""
        if not self.held.any():
            return -float(self.progress.epoch)
        weight = self.weight[self.held]
        total = pair_loss(self._scores(self.held), self.p_win[self.held], weight)
        return float(total / weight.sum().clamp_min(1e-12))

    def _set_temperature(self) -> None:
        """Find the temperature at which held-out pairs, all alike, are best predicted.

        Weights make the model learn from clear pairs, which makes it sure of itself on unclear
        ones; one number mends that and changes no order (Guo et al. 2017).
        """
        if not self.held.any():
            return
        chosen, rejected = self._scores(self.held)
        margin, label = (chosen - rejected).double(), self.p_win[self.held].double()

        def loss(log_temperature: float) -> float:
            scaled = margin / math.exp(log_temperature)
            return float(functional.binary_cross_entropy_with_logits(scaled, label))

        found = minimize_scalar(loss, bounds=(-1.5, 3.0), method="bounded")
        self.model.temperature.fill_(math.exp(float(found.x)))

    def _set_base_rates(self) -> float:
        """Start each category at its log-odds; return the dispersion around them, at least 1."""
        base, seen = self.inputs.base.numpy(), self.table.impressions > 0
        if not seen.any():
            return 1.0
        clicks, shown = self.table.clicks, self.table.impressions
        rate = np.empty(len(self.model.base))
        for index in range(len(rate)):
            of = seen & (base == index) if index and (seen & (base == index)).any() else seen
            rate[index] = (clicks[of].sum() + 0.5) / (shown[of].sum() + 1)
        with torch.no_grad():
            self.model.base.copy_(torch.from_numpy(np.log(rate / (1 - rate))))
        expected = shown[seen] * rate[base[seen]]
        pearson = (clicks[seen] - expected) ** 2 / (expected * (1 - rate[base[seen]]))
        return max(1.0, float(pearson.sum() / max(1, seen.sum() - len(rate) + 1)))


def _warm_cosine(done: float) -> float:
    """Share of the peak learning rate: up over the first tenth, then down to a fiftieth."""
    if done < 0.1:
        return 0.1 + 9 * done
    return 0.02 + 0.49 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))


def _shape(
    table: PairTable, pictures: NDArray[np.uint8] | None, config: TrainingConfig
) -> RewardConfig:
    changes: dict[str, Any] = {**dict(config.shape), "image_size": config.image_size}
    return RewardConfig(
        images=pictures is not None,
        texts=table.has_texts,
        categories=sorted(set(table.categories) - {""}),
        **changes,
    )


@torch.no_grad()
def _standardise(model: RewardModel, inputs: Inputs) -> None:
    """Bring the glance to mean 0 and deviation 1 over the training pictures."""
    if inputs.pictures is None:
        return
    parts = [
        model.glance(inputs.pictures[at : at + 256].float() / 255)
        for at in range(0, len(inputs), 256)
    ]
    seen = torch.cat(parts)
    model.centre.copy_(seen.mean(0))
    model.scale.copy_(seen.std(0, unbiased=False).clamp_min(1e-3))


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
