"""A click model fitted to rows: the likeliest weights under a normal prior, stopped in time.

The loss is the binomial deviance of clicks in impressions, halved, and w²/(2 sigma²) for every
weight but the biases, both by impression. Sigma is how far a level is expected to move the log odds
of a click; k factors get a smaller one, so that a product of two vectors moves them as far. The
prior is what keeps a level with few clicks near the base rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import Tensor
from torch.nn import functional

from reward.effects.encoding import Rows
from reward.effects.networks import ClickNet, NetShape
from reward.resume import Progress, one_thread

__all__ = ["EFFECT_SIGMA", "FittedNet", "NetConfig", "fit_net", "predict_net"]

EFFECT_SIGMA = 0.5
"""Standard deviation of the prior of an effect, in log odds: a level may well double the odds."""

_PREDICTED_ROWS = 8192


@dataclass(frozen=True, slots=True)
class NetConfig:
    """How a click model is fitted.

    Args:
        seed: Decides first weights and the order of rows.
        epochs: Passes over the rows at most.
        patience: Epochs without a better loss on the stopping rows before the end.
        learning_rate: Of Adam.
        batch_rows: Rows in a batch.
        sigma: The prior's, in log odds.
    """

    seed: int = 0
    epochs: int = 100
    patience: int = 8
    learning_rate: float = 0.01
    batch_rows: int = 512
    sigma: float = EFFECT_SIGMA


@dataclass(frozen=True, slots=True, eq=False)
class FittedNet:
    """A click model at its best epoch.

    Args:
        net: In evaluation mode.
        best_epoch: Counted from 1.
        stopping_loss: Log-loss of the stopping rows then.
    """

    net: ClickNet
    best_epoch: int
    stopping_loss: float


def fit_net(shape: NetShape, fitted: Rows, stopping: Rows, config: NetConfig) -> FittedNet:
    """Fit a click model.

    Args:
        shape: What it is made of.
        fitted: Rows that teach.
        stopping: Rows that say when to stop.
        config: How.

    Returns:
        The same bits for the same arguments.
    """
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = ClickNet(shape, float(logit(fitted.rate)))
        optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
        order, teaching, waiting = (
            np.random.default_rng(config.seed),
            *map(_tensors, (fitted, stopping)),
        )
        progress = Progress.start(net)
        while progress.epoch < config.epochs and not _is_stale(progress, config):
            shuffled = torch.from_numpy(order.permutation(len(fitted)))
            for rows in torch.split(shuffled, config.batch_rows):
                batch = tuple(part[rows] for part in teaching)
                # by the mean impressions of all rows: a batch of busy rows has to weigh more
                share = len(fitted) / len(rows) / float(fitted.impressions.sum())
                loss = share * _deviance(net, batch)
                loss = loss + _penalty(net, config.sigma) / float(fitted.impressions.sum())
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
                optimizer.step()
            with torch.no_grad():
                loss = _deviance(net, waiting) / float(stopping.impressions.sum())
            progress = progress.after(float(loss), net)
    net.load_state_dict(progress.best)
    return FittedNet(net.eval(), progress.best_epoch, min(progress.losses))


@torch.no_grad()
def predict_net(net: ClickNet, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of a click, N, of codes, N x F; the same rows give the same bits."""
    with one_thread():
        parts = [net(part) for part in torch.split(torch.from_numpy(codes), _PREDICTED_ROWS)]
    chance: NDArray[np.float64] = expit(torch.cat(parts).double().numpy())
    return chance


def _tensors(rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    clicks = torch.from_numpy(rows.clicks).float()
    return torch.from_numpy(rows.codes), clicks, torch.from_numpy(rows.impressions).float()


def _deviance(net: ClickNet, rows: tuple[Tensor, ...]) -> Tensor:
    """Return half the binomial deviance, up to a constant, summed over rows."""
    codes, clicks, impressions = rows
    logits: Tensor = net(codes)
    return (impressions * functional.softplus(logits) - clicks * logits).sum()


def _penalty(net: ClickNet, sigma: float) -> Tensor:
    """Return -log of the prior, up to a constant."""
    total = torch.zeros(())
    for name, weight in net.named_parameters():
        if name.endswith("bias"):
            continue
        # a product of two vectors of k factors with variance s² has variance k s⁴
        is_factor = name == "factors"
        variance = sigma / net.shape.factors**0.5 if is_factor else sigma**2
        total = total + weight.square().sum() / (2 * variance)
    return total


def _is_stale(progress: Progress, config: NetConfig) -> bool:
    return progress.epoch - progress.best_epoch >= config.patience
