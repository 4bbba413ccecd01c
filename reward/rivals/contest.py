"""Models that learn from the same pairs, judged on the same held-out ones.

Components are dealt into folds, so that no product, picture or text is on both sides; every model
predicts every pair once, in both orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.dataset import PairTable, deal_folds
from reward.evaluate import SIGNIFICANT, Forecast, evaluate, hits

__all__ = [
    "Part",
    "Rival",
    "Standing",
    "compare",
    "hold_out",
    "repeat_forecast",
    "scores_to_forecast",
    "turn_sides",
]

Floats = NDArray[np.float64]
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Pairs with their pictures.

    Args:
        table: P pairs over M items.
        pictures: M x H x W x 3, uint8, made small, or None.
        images: Folder of the pictures as they are, ``<sha256>.<extension>``, for who needs them.
    """

    table: PairTable
    pictures: NDArray[np.uint8] | None
    images: Path | None = None

    def keep(self, rows: NDArray[np.bool_]) -> Part:
        """Return the pairs where ``rows`` (P) is true, with their items' pictures."""
        kept = self.table.keep(rows)
        if self.pictures is None:
            return replace(self, table=kept)
        place = {item: index for index, item in enumerate(self.table.items)}
        pictures = self.pictures[[place[item] for item in kept.items]]
        return replace(self, table=kept, pictures=pictures)


Rival = Callable[[Part, Part], Forecast]
"""Learns from the first part and predicts the second."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model fared.

    Args:
        name: Which model.
        numbers: As `abp reward evaluate` prints them.
        clear: Interval of its accuracy on clear pairs, 95 %, drawing whole components; None where
            there are too few.
        gain: What the first model's accuracy on clear pairs is above this one's, with its interval;
            None for the first.
        p_value: Two-sided, of no difference, from the same paired draws.
    """

    name: str
    numbers: Mapping[str, Any]
    clear: tuple[float, float] | None
    gain: tuple[float, float, float] | None
    p_value: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        low, high = self.clear or (None, None)
        mean, least, most = self.gain or (None, None, None)
        return {
            "model": self.name,
            **{
                name: value
                for name, value in self.numbers.items()
                if not isinstance(value, dict | list)
            },
            "accuracy_significant_low": low,
            "accuracy_significant_high": high,
            "first_is_better_by": mean,
            "first_is_better_low": least,
            "first_is_better_high": most,
            "p_value": self.p_value,
        }


def hold_out(table: PairTable, *, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal components into folds, each of which is held out once.

    Args:
        table: P pairs.
        folds: How many.
        seed: Decides which components go together.

    Returns:
        The fold of each pair, P.

    Raises:
        TrainingError: There are fewer than four components, or fewer than folds.
    """
    fold = deal_folds(table, count=folds, seed=seed)
    if fold.max() < 0:
        raise TrainingError(
            "the pairs hang together by products, pictures or texts, so nothing can be held out",
            remedy="take pairs of at least four products",
        )
    if (dealt := len(np.unique(fold))) < folds:
        raise TrainingError(
            f"the pairs have {dealt} components, fewer than {folds} folds",
            remedy=f"take {dealt} folds at most with --folds",
        )
    return fold


def compare(
    part: Part,
    rivals: Mapping[str, Rival],
    fold: NDArray[np.int64],
    *,
    advance: Callable[[int, int], None] | None = None,
) -> list[Standing]:
    """Let every rival learn and predict, fold by fold.

    Args:
        part: P pairs.
        rivals: Name to model; the first is what the others are held against.
        fold: Of each pair, P, as :func:`hold_out` deals them.
        advance: Told how many trainings are done of how many.

    Raises:
        TrainingError: A model predicts no number, or cannot learn.
    """
    told = {name: _blank(len(part.table)) for name in rivals}
    numbers = np.unique(fold)
    done, total = 0, len(rivals) * len(numbers)
    for number in numbers:
        learned, held = part.keep(fold != number), part.keep(fold == number)
        for name, rival in rivals.items():
            forecast = rival(learned, held)
            told[name].there[fold == number] = forecast.there
            told[name].back[fold == number] = forecast.back
            done += 1
            if advance:
                advance(done, total)
    first = next(iter(told.values()))
    return [_stand(name, part.table, forecast, first) for name, forecast in told.items()]


def scores_to_forecast(score: Floats, table: PairTable) -> Forecast:
    """Return what scores say, a logit apiece: the same in both orders.

    Args:
        score: M.
        table: P pairs over the M items.
    """
    margin = score[table.chosen] - score[table.rejected]
    there: Floats = 0.5 + 0.5 * np.tanh(0.5 * margin)
    return Forecast(there, there)


def turn_sides(table: PairTable, first: Floats, last: Floats) -> Forecast:
    """Return what a model says whose answer depends on the order, in an order drawn for each pair.

    Which side was chosen must not show in the order, or a liking for the left would look right. The
    draw is by the pair's id, so that it is the same wherever the pair stands.

    Args:
        table: P pairs.
        first: Probability that the chosen one wins, when it comes first, P.
        last: The same, when it comes last, P.
    """
    digests = (xxhash.xxh3_64_intdigest(name.encode()) for name in table.pair_ids)
    turned = np.array([digest % 2 == 0 for digest in digests])
    return Forecast(np.where(turned, last, first), np.where(turned, first, last))


def repeat_forecast(part: Part, said: Forecast) -> Rival:
    """Return a rival that learns nothing and repeats what was said of all pairs beforehand."""
    place = {name: index for index, name in enumerate(part.table.pair_ids)}

    def rival(_learned: Part, held: Part) -> Forecast:
        rows = [place[name] for name in held.table.pair_ids]
        return Forecast(said.there[rows], said.back[rows])

    return rival


def _blank(pairs: int) -> Forecast:
    return Forecast(np.full(pairs, np.nan), np.full(pairs, np.nan))


def _stand(name: str, table: PairTable, forecast: Forecast, first: Forecast) -> Standing:
    numbers = evaluate(table, forecast.there, forecast.back).numbers
    clear = np.maximum(table.p_win, 1 - table.p_win) >= SIGNIFICANT
    hit = hits(forecast.there, table.p_win)[clear]
    lead = hits(first.there, table.p_win)[clear] - hit
    _, number = np.unique(table.component[clear], return_inverse=True)
    if not len(number) or number.max() < 1:
        return Standing(name, numbers, None, None, None)
    low, high = np.quantile(_means(hit, number), [0.025, 0.975])
    interval = (float(low), float(high))
    if forecast is first:
        return Standing(name, numbers, interval, None, None)
    leads = _means(lead, number)
    least, most = np.quantile(leads, [0.025, 0.975])
    p_value = 2 * min(float((leads <= 0).mean()), float((leads >= 0).mean()))
    gain = (float(lead.mean()), float(least), float(most))
    return Standing(name, numbers, interval, gain, min(1.0, max(p_value, 2 / _RESAMPLES)))


def _means(values: Floats, number: NDArray[np.int64]) -> Floats:
    """Return the mean of values over draws of whole components."""
    size = int(number.max()) + 1
    draw = np.random.default_rng(0).integers(0, size, (_RESAMPLES, size))
    total, pairs = np.bincount(number, weights=values), np.bincount(number)
    means: Floats = total[draw].sum(1) / pairs[draw].sum(1)
    return means
