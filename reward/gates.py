"""What a challenger must show before it steers the generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward.dataset import PairTable
from reward.evaluate import Evaluation

__all__ = ["Gate", "Gates", "gain_over", "pass_gates"]

Floats = NDArray[np.float64]
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Gates:
    """The bars.

    Args:
        min_pairs: Pairs of the held-out week at least.
        min_components: Independent products among them at least.
        confidence: Of the one-sided lower bound of the gain in accuracy.
        min_gain: What that bound must exceed.
        max_ece: Calibration error at most.
    """

    min_pairs: int = 60
    min_components: int = 8
    confidence: float = 0.95
    min_gain: float = 0.0
    max_ece: float = 0.12


@dataclass(frozen=True, slots=True)
class Gate:
    """One bar and whether it was taken.

    Args:
        name: A stable word.
        passed: Whether it was.
        detail: What was seen, as one sentence.
    """

    name: str
    passed: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"gate": self.name, "passed": self.passed, "detail": self.detail}


def gain_over(reference: Floats, hit: Floats, table: PairTable, *, confidence: float) -> Any:
    """Compare two models on the same pairs.

    Args:
        reference: Hits of the other model, P.
        hit: Hits of this one, P.
        table: P pairs; whole components are drawn.
        confidence: Of the lower bound.

    Returns:
        The mean gain in accuracy and its one-sided lower bound by paired bootstrap.
    """
    _, number = np.unique(table.component, return_inverse=True)
    total = np.bincount(number, weights=hit - reference)
    pairs = np.bincount(number).astype(np.float64)
    draw = np.random.default_rng(0).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    gains = total[draw].sum(1) / pairs[draw].sum(1)
    return float(total.sum() / pairs.sum()), float(np.quantile(gains, 1 - confidence))


def pass_gates(
    gates: Gates,
    table: PairTable,
    challenger: Evaluation,
    champion: Evaluation | None,
    *,
    twin: Evaluation,
    faults: Sequence[str] = (),
) -> list[Gate]:
    """Hold a challenger against every bar.

    Args:
        gates: The bars.
        table: The held-out week's pairs.
        challenger: Judged on them.
        champion: Likewise; None if there is none yet, and the challenger must beat chance.
        twin: A model trained on shuffled labels, judged likewise; it must know nothing.
        faults: What is wrong with the source experiments, such as an SRM alarm.
    """
    against = champion.hit if champion else np.full(len(table), 0.5)
    name = "the champion" if champion else "chance"
    gain, bound = gain_over(against, challenger.hit, table, confidence=gates.confidence)
    leak = gain_over(against, twin.hit, table, confidence=gates.confidence)[1]
    twin_edge = float(twin.hit.mean()) - 0.5
    edge = float(challenger.hit.mean()) - 0.5
    numbers = challenger.numbers
    components = len(np.unique(table.component))
    enough = len(table) >= gates.min_pairs and components >= gates.min_components
    return [
        Gate(
            "pairs",
            enough,
            f"{len(table)} held-out pairs of {components} products "
            f"({gates.min_pairs} of {gates.min_components} needed)",
        ),
        Gate("source", not faults, "; ".join(faults) or "no alarm in the source experiments"),
        Gate(
            "gain",
            bound > gates.min_gain,
            f"accuracy {numbers['accuracy']:.3f} of a ceiling of {numbers['noise_ceiling']:.3f}, "
            f"{gain:+.3f} against {name}, at least {bound:+.3f} with {gates.confidence:.0%} "
            f"confidence (more than {gates.min_gain:+.3f} needed)",
        ),
        Gate(
            "calibration",
            numbers["ece_adjusted"] <= gates.max_ece and numbers["log_loss_adjusted"] < math.log(2),
            f"calibration error {numbers['ece_adjusted']:.3f} ({gates.max_ece:.2f} at most), "
            f"log-loss {numbers['log_loss_adjusted']:.3f} (below {math.log(2):.3f}, that of knowing "
            "nothing), both against winners that may be wrong",
        ),
        Gate(
            "shuffled",
            not (leak > gates.min_gain and twin_edge > 0.5 * edge),
            f"a twin trained on shuffled labels has accuracy {twin_edge + 0.5:.3f}"
            " (it must know nothing)",
        ),
    ]
