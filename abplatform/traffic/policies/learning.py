"""From what was seen to what policies know: a pure function, the same for the same counts.

A category's prior is Beta(a, b) whose mean m is the category's clicks over impressions. How much it
weighs comes from how much its creatives differ beyond chance, by moments: of J creatives with rates
r and n impressions, N together,

    variance = (Σ n (r - m)² - (J - 1) m (1 - m)) / (N - Σ n² / N)
    a = m (m (1 - m) / variance - 1)

Three creatives are the least that can differ; with fewer, a prior weighs ten clicks. It never
weighs less than one click or more than a hundred, so that neither a lucky nor an even category
decides for a new creative.

The prediction of clicks is a ridge regression on category, creative, channel, country, segment, and
the creative in each of these three (:mod:`abplatform.stats.logistic`). The standard deviations of
its coefficients say that creatives of one product seldom differ by more than a factor of two.

References:
    Kleinman, J. C. (1973). Proportions with extraneous variance: single and independent samples.
    Journal of the American Statistical Association 68, 46-54.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from abplatform.stats.logistic import LabelGroup, fit_logistic
from abplatform.traffic.policies.contextual import CONTEXT_DIMENSIONS
from abplatform.traffic.policies.snapshots import OVERALL, ClickModel, Prior, Seen, Snapshot

__all__ = ["Counted", "learn"]

Vector = npt.NDArray[np.float64]
_Word = TypeVar("_Word", str, tuple[str, str])

_LEAST_CLICKS: Final = 1.0
_USUAL_CLICKS: Final = 10.0
_MOST_CLICKS: Final = 100.0
_MOST_MISSES: Final = (
    1e9  # where billions saw and nobody clicked, it is the clicks that are unknown
)
_FEWEST_CREATIVES: Final = 3

_CATEGORY_SIGMA: Final = 1.0
_CREATIVE_SIGMA: Final = 0.3
_CONTEXT_SIGMA: Final = 0.5
_CROSSED_SIGMA: Final = 0.15

_DIGITS: Final = 6  # so that what is the same but for rounding has the same name


@dataclass(frozen=True, slots=True)
class Counted:
    """What was seen of one creative in one context.

    Args:
        creative_id: The creative.
        category: Its product's category; None where the log does not say.
        context: Channel, country and segment, in this order; None where the log does not say.
        n: Impressions.
        k: Those that were clicked.
    """

    creative_id: str
    category: str | None
    context: tuple[str | None, ...]
    n: int
    k: int


def learn(
    rows: Iterable[Counted],
    *,
    checkpoint: str | None = None,
    rewards: Mapping[str, float] | None = None,
) -> Snapshot:
    """Return what the counts say about creatives, categories and contexts.

    Args:
        rows: In any order.
        checkpoint: The reward model that scored.
        rewards: Creative to that model's score.
    """
    ordered = sorted(rows, key=lambda row: (row.creative_id, row.category or "", _key(row)))
    creatives = _seen(ordered)
    return Snapshot(
        creatives=creatives,
        priors=_priors(creatives),
        model=_click_model(ordered),
        checkpoint=checkpoint,
        rewards={name: round(score, _DIGITS) for name, score in (rewards or {}).items()},
    )


def _key(row: Counted) -> tuple[str, ...]:
    return tuple(value or "" for value in row.context)


def _seen(rows: Sequence[Counted]) -> dict[str, Seen]:
    """Add up each creative's rows; its category is the one of most impressions."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    places: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        totals[row.creative_id][0] += row.n
        totals[row.creative_id][1] += row.k
        places[row.creative_id][row.category or OVERALL] += row.n
    return {
        name: Seen(category=max(sorted(places[name]), key=places[name].__getitem__), n=n, k=k)
        for name, (n, k) in totals.items()
    }


def _priors(creatives: Mapping[str, Seen]) -> dict[str, Prior]:
    """Return the prior of every category, of every one above it, and of all."""
    below: dict[str, list[Seen]] = {OVERALL: []}
    for seen in creatives.values():
        names = seen.category.split("/") if seen.category else []
        paths = {OVERALL, *("/".join(names[:depth]) for depth in range(1, len(names) + 1))}
        for path in paths:
            below.setdefault(path, []).append(seen)
    return {path: _prior(members) for path, members in below.items()}


def _prior(members: Sequence[Seen]) -> Prior:
    shown = [seen for seen in members if seen.n]
    n = np.array([seen.n for seen in shown], dtype=np.float64)
    k = np.array([seen.k for seen in shown], dtype=np.float64)
    mean = float((k.sum() + 0.5) / (n.sum() + 50))  # one click in a hundred before any is seen
    clicks = _USUAL_CLICKS
    if len(shown) >= _FEWEST_CREATIVES:
        chance = (len(shown) - 1) * mean * (1 - mean)
        spread = float((n * (k / n - mean) ** 2).sum()) - chance
        variance = spread / float(n.sum() - (n**2).sum() / n.sum())
        weight = mean * (1 - mean) / variance - 1 if variance > 0 else np.inf
        clicks = float(np.clip(mean * weight, _LEAST_CLICKS, _MOST_CLICKS))
    # Where nearly all click it is the misses that are few.
    misses = min(max(clicks / mean * (1 - mean), _LEAST_CLICKS), _MOST_MISSES)
    return Prior(clicks=round(clicks, _DIGITS), misses=round(misses, _DIGITS))


class _Words(Generic[_Word]):
    """Labels of rows as numbers, in the order in which they were met; None is no label."""

    def __init__(self, labels: Iterable[_Word | None], sigma: float) -> None:
        self._words: dict[_Word, int] = {}
        numbers = [
            -1 if label is None else self._words.setdefault(label, len(self._words))
            for label in labels
        ]
        self.group = LabelGroup(np.array(numbers, dtype=np.int64), len(self._words), sigma)

    def valued(self, coefficients: Vector) -> dict[_Word, float]:
        """Return each label's coefficient."""
        rounded = [round(value, _DIGITS) for value in coefficients.tolist()]
        return dict(zip(self._words, rounded, strict=True))


def _click_model(rows: Sequence[Counted]) -> ClickModel:
    if not any(row.n for row in rows):
        return ClickModel()
    categories = _Words((row.category for row in rows), _CATEGORY_SIGMA)
    creatives = _Words((row.creative_id for row in rows), _CREATIVE_SIGMA)
    places = range(len(CONTEXT_DIMENSIONS))
    contexts = [_Words((row.context[place] for row in rows), _CONTEXT_SIGMA) for place in places]
    crossed = [_Words((_pair(row, place) for row in rows), _CROSSED_SIGMA) for place in places]
    alone = [kind.group for kind in (categories, creatives, *contexts)]
    groups = [*alone, *(kind.group for kind in crossed)]
    n = np.array([row.n for row in rows], dtype=np.float64)
    k = np.array([row.k for row in rows], dtype=np.float64)
    fit = fit_logistic(n, k, groups)
    in_context, in_pairs = (
        fit.coefficients[2 : 2 + len(contexts)],
        fit.coefficients[-len(crossed) :],
    )
    nested: dict[str, dict[str, dict[str, float]]] = {}
    for dimension, pairs, values in zip(CONTEXT_DIMENSIONS, crossed, in_pairs, strict=True):
        for (creative_id, word), value in pairs.valued(values).items():
            nested.setdefault(creative_id, {}).setdefault(dimension, {})[word] = value
    return ClickModel(
        intercept=round(fit.intercept, _DIGITS),
        categories=categories.valued(fit.coefficients[0]),
        creatives=creatives.valued(fit.coefficients[1]),
        contexts={
            dimension: words.valued(values)
            for dimension, words, values in zip(
                CONTEXT_DIMENSIONS, contexts, in_context, strict=True
            )
        },
        crossed=nested,
    )


def _pair(row: Counted, place: int) -> tuple[str, str] | None:
    """Return the creative and what the context says in one place."""
    word = row.context[place]
    return None if word is None else (row.creative_id, word)
