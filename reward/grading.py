"""What a model promises of a week's pairs, and what came true: the rows of a report card.

P(A beats B) = sigmoid(s(A) - s(B)) is the same as saying that every creative has the utility s plus
standard Gumbel noise and that the higher one is better (Yellott 1977). So one draw of utilities
decides all pairs of a product at once, as the model believes it, with the dependence that pairs of
one creative have. What the log shows of it is unsure: the better side wins there with the pair's
reliability max(p_win, 1 - p_win). That noise, too, belongs to creatives, of which a pair has two,
so pairs that share one are drawn with a correlation of one half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from abplatform.checkpoints.report_cards import Grade
from reward.dataset import PairTable
from reward.evaluate import hits

__all__ = ["grade"]

Floats = NDArray[np.float64]

_DRAWS = 4000
_AT_ONCE = 2_000_000
"""Numbers that are drawn together, so that a large week needs little memory."""
_LEVEL = 0.05


def grade(table: PairTable, score: Floats) -> tuple[Grade, ...]:
    """Hold a model's promise against the log.

    Args:
        table: P pairs over M items, none of which the model has learned from.
        score: Its calibrated pair scores, M; the sigmoid of a difference is a probability.

    Returns:
        All categories together first, then each of the first level in the order of names.
    """
    margin = score[table.chosen] - score[table.rejected]
    categories = np.array(table.top_categories)
    names = sorted(set(table.top_categories) - {""})
    masks = [np.ones(len(table), dtype=np.bool_), *(categories == name for name in names)]
    promised, realised = _promise(table, margin), hits(expit(margin), table.p_win)
    drawn = _draw_shares(table, score, margin, masks)
    found = []
    for name, rows, shares in zip([None, *names], masks, drawn, strict=True):
        level = _LEVEL if name is None else _LEVEL / len(names)
        low, high = np.quantile(shares, [level / 2, 1 - level / 2])
        ends = {"low": float(low), "high": float(high)}
        middle = float(promised[rows].mean())
        found.append(
            Grade(name, int(rows.sum()), middle, **ends, realised=float(realised[rows].mean()))
        )
    return tuple(found)


def _promise(table: PairTable, margin: Floats) -> Floats:
    """Return how likely the model's side of each pair wins in the log, P."""
    sure = expit(np.abs(margin))
    reliability = np.maximum(table.p_win, 1 - table.p_win)
    promise: Floats = sure * reliability + (1 - sure) * (1 - reliability)
    return promise


def _draw_shares(
    table: PairTable, score: Floats, margin: Floats, masks: list[NDArray[np.bool_]]
) -> Floats:
    """Draw the share of pairs won in the log, as the model believes it, len(masks) x draws."""
    draw = np.random.default_rng(0)
    # Each group has its own draw of a creative, as the truth of one week is not that of another.
    names = np.stack([table.chosen, table.rejected]) * (table.group.max() + 1) + table.group
    _, place = np.unique(names, return_inverse=True)
    chosen, rejected = place.reshape(2, -1)
    level = np.zeros(int(place.max()) + 1)
    level[chosen], level[rejected] = score[table.chosen], score[table.rejected]
    threshold = ndtri(np.maximum(table.p_win, 1 - table.p_win))
    side, known = np.sign(margin), table.p_win != 0.5
    share = np.stack([rows / rows.sum() for rows in masks]).T  # (P, masks)
    at_once = max(1, _AT_ONCE // max(len(level), len(table)))
    parts = []
    for start in range(0, _DRAWS, at_once):
        count = min(at_once, _DRAWS - start)
        utility = level + draw.gumbel(size=(count, len(level)))
        noise = draw.standard_normal((count, len(level))) * np.sqrt(0.5)
        truth = np.where(utility[:, chosen] > utility[:, rejected], 1.0, -1.0)
        against = -truth * (noise[:, chosen] - noise[:, rejected])
        seen = np.where(against > threshold, -truth, truth) * known
        parts.append((0.5 + 0.5 * seen * side) @ share)
    return np.concatenate(parts).T
