"""Effect models side by side: fitted to the same rows, tested on the same unseen ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reward.effects import NETS
from reward.effects.encoding import Encoding, Rows, encode_rows
from reward.effects.fitting import FittedNet, NetConfig, fit_net, predict_net
from reward.effects.networks import NetShape
from reward.effects.quality import Quality, Ranking, measure, rank_models
from reward.effects.regressions import Predictions, regress_forest, regress_linear
from reward.effects.splits import Parts
from reward.effects.tables import EffectTable

__all__ = ["BASE_RATE", "REFERENCE", "Comparison", "Result", "compare_models"]

BASE_RATE = "base_rate"
"""The model that tells every row the fitted rows' rate."""

REFERENCE = "lr"
"""What other models' AUC is compared with."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one model is worth on the tested rows.

    Args:
        ranking: How well it ranks, also beside LR, where that is among the models.
        quality: How right its probabilities are.
        clipped: Predictions that had to be made probabilities.
    """

    ranking: Ranking
    quality: Quality
    clipped: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Models beside the base rate.

    Args:
        results: Model to what it is worth; the base rate is the first.
        nets: The click models among them.
        predictions: Model to what it says of the tested rows.
    """

    results: Mapping[str, Result]
    nets: Mapping[str, FittedNet]
    predictions: Mapping[str, Predictions]

    @property
    def best_net(self) -> str | None:
        """The click model with the lowest loss on the stopping rows, as tested rows choose none."""
        losses = {name: net.stopping_loss for name, net in self.nets.items()}
        return min(losses, key=losses.__getitem__, default=None)


def compare_models(
    table: EffectTable,
    parts: Parts,
    encoding: Encoding,
    models: Sequence[str],
    *,
    config: NetConfig,
    advance: Callable[[int, int], None] = lambda _done, _total: None,
) -> Comparison:
    """Fit models and test them.

    Args:
        table: N rows.
        parts: Which of them teach, say when to stop, and test.
        encoding: What models read of them.
        models: Names of :data:`reward.effects.NETS` and :data:`reward.effects.REGRESSIONS`.
        config: How nets are fitted; its seed goes to the forest and the bootstrap, too.
        advance: Told how many models are done, and of how many.
    """
    masks = (parts.fitted, parts.stopping, parts.tested)
    fitted, stopping, tested = (encode_rows(table, encoding, mask) for mask in masks)
    predictions = {BASE_RATE: Predictions(np.full(len(tested), fitted.rate))}
    nets = {}
    for done, name in enumerate(models):
        advance(done, len(models))
        if name in NETS:
            nets[name] = fit_net(NetShape(name, encoding.sizes), fitted, stopping, config)
            predictions[name] = Predictions(predict_net(nets[name].net, tested.codes))
        elif name == "linear":
            predictions[name] = regress_linear(fitted, encoding.sizes, tested.codes)
        else:
            predictions[name] = regress_forest(fitted, tested.codes, seed=config.seed)
    unit = parts.unit[parts.tested]
    return Comparison(_judge(predictions, tested, unit, config.seed), nets, predictions)


def _judge(
    predictions: Mapping[str, Predictions], tested: Rows, unit: NDArray[np.int64], seed: int
) -> dict[str, Result]:
    chances = {name: one.chance for name, one in predictions.items()}
    reference = REFERENCE if REFERENCE in chances else None
    rankings = rank_models(chances, tested, unit, reference=reference, seed=seed)
    return {
        name: Result(rankings[name], measure(one.chance, tested), one.clipped)
        for name, one in predictions.items()
    }
