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

__all__ = ["Gain", "Gate", "Gates", "gain_over", "pass_gates"]

Floats = NDArray[np.float64]
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Gates:
    """The bars.

    Args:
        min_pairs: Pairs of the held-out week at least; a category with fewer is not judged alone.
        min_components: Independent products among them at least; likewise.
        confidence: Of every one-sided bound; over all categories together.
        min_gain: What the lower bound of the gain in accuracy must exceed.
        max_ece: Calibration error at most, against winners that may be wrong.
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


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more often one model is right than another on the same pairs.

    Args:
        mean: The difference of their accuracies.
        low: One-sided lower bound.
        high: One-sided upper bound.
    """

    mean: float
    low: float
    high: float


def gain_over(
    reference: Floats, hit: Floats, component: NDArray[np.int64], *, confidence: float
) -> Gain:
    """Compare two models by paired bootstrap, drawing whole components.

    Args:
        reference: Hits of the other model, P.
        hit: Hits of this one, P.
        component: Which pairs belong together, P.
        confidence: Of each bound.
    """
    _, number = np.unique(component, return_inverse=True)
    total = np.bincount(number, weights=hit - reference)
    pairs = np.bincount(number).astype(np.float64)
    draw = np.random.default_rng(0).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    gains = total[draw].sum(1) / pairs[draw].sum(1)
    low, high = np.quantile(gains, [1 - confidence, confidence])
    return Gain(float(total.sum() / pairs.sum()), float(low), float(high))


def pass_gates(
    gates: Gates,
    table: PairTable,
    challenger: Evaluation,
    champion: Evaluation | None,
    *,
    twin: Evaluation,
    faults: Sequence[str] = (),
    alarms: Sequence[str] = (),
) -> list[Gate]:
    """Hold a challenger against every bar.

    Args:
        gates: The bars.
        table: The held-out week's pairs.
        challenger: Judged on them.
        champion: Likewise; None if there is none yet, and the challenger must beat chance.
        twin: A model trained on shuffled labels, judged likewise; it must know nothing.
        faults: What is wrong with the source experiments, such as an SRM alarm.
        alarms: Where the champion was right less often than it promised.
    """
    against = champion.hit if champion else np.full(len(table), 0.5)
    name = "the champion" if champion else "chance"
    told = "; ".join(alarms)
    return [
        _enough(gates, table),
        Gate("source", not faults, "; ".join(faults) or "no alarm in the source experiments"),
        Gate(
            "report_card",
            not alarms,
            f"the champion: {told}; decide with `abp reward rollback` or `abp reward promote`"
            if alarms
            else "the champion keeps what it promises",
        ),
        _gain(gates, table, challenger, against, name),
        _categories(gates, table, challenger, against, name),
        _calibration(gates, challenger),
        _shuffled(gates, table, challenger, twin),
    ]


def _enough(gates: Gates, table: PairTable) -> Gate:
    components = len(np.unique(table.component))
    return Gate(
        "pairs",
        len(table) >= gates.min_pairs and components >= gates.min_components,
        f"{len(table)} held-out pairs of {components} products "
        f"({gates.min_pairs} of {gates.min_components} needed)",
    )


def _gain(
    gates: Gates, table: PairTable, challenger: Evaluation, against: Floats, name: str
) -> Gate:
    gain = gain_over(against, challenger.hit, table.component, confidence=gates.confidence)
    numbers = challenger.numbers
    return Gate(
        "gain",
        gain.low > gates.min_gain,
        f"accuracy {numbers['accuracy']:.3f} of a ceiling of {numbers['noise_ceiling']:.3f}, "
        f"{gain.mean:+.3f} against {name}, at least {gain.low:+.3f} with {gates.confidence:.0%} "
        f"confidence (more than {gates.min_gain:+.3f} needed)",
    )


def _categories(
    gates: Gates, table: PairTable, challenger: Evaluation, against: Floats, name: str
) -> Gate:
    """No category may be significantly worse; bounds are Bonferroni's over those judged."""
    category = np.array(table.top_categories)
    judged = {}
    for one in sorted(set(table.top_categories) - {""}):
        rows = category == one
        components = len(np.unique(table.component[rows]))
        if rows.sum() >= gates.min_pairs and components >= gates.min_components:
            judged[one] = rows
    confidence = 1 - (1 - gates.confidence) / max(1, len(judged))
    worse = []
    for one, rows in judged.items():
        hit, theirs = challenger.hit[rows], against[rows]
        gain = gain_over(theirs, hit, table.component[rows], confidence=confidence)
        if gain.high < 0:
            worse.append(f"{one}: {gain.mean:+.3f} against {name}, {gain.high:+.3f} at most")
    fine = f"none of {len(judged)} categories with enough pairs is significantly worse"
    return Gate(
        "categories", not worse, "significantly worse in " + "; ".join(worse) if worse else fine
    )


def _calibration(gates: Gates, challenger: Evaluation) -> Gate:
    error, loss = (challenger.numbers[name] for name in ("ece_adjusted", "log_loss_adjusted"))
    return Gate(
        "calibration",
        error <= gates.max_ece and loss < math.log(2),
        f"calibration error {error:.3f} ({gates.max_ece:.2f} at most), log-loss {loss:.3f} "
        f"(below {math.log(2):.3f}, that of knowing nothing), against winners that may be wrong",
    )


def _shuffled(gates: Gates, table: PairTable, challenger: Evaluation, twin: Evaluation) -> Gate:
    chance = np.full(len(table), 0.5)
    leak = gain_over(chance, twin.hit, table.component, confidence=gates.confidence)
    edge = float(challenger.hit.mean()) - 0.5
    return Gate(
        "shuffled",
        not (leak.low > gates.min_gain and leak.mean > 0.5 * edge),
        f"a twin trained on shuffled labels has accuracy {leak.mean + 0.5:.3f} (it must know "
        "nothing)",
    )
