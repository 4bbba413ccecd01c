"""Scores that need no clicks, held against clicks: is what looks good also clicked?

CAIG's authors call it a trap: aesthetic and matching scores, which generators are often tuned to,
need not have anything to do with click rates. Here every such score is measured: how often the
higher one of a pair wins, and how it goes with the click rate within a product.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from abplatform.errors import TrainingError
from reward.dataset import PairTable
from reward.evaluate import evaluate

__all__ = ["Quality", "judge_qualities", "read_qualities"]

Floats = NDArray[np.float64]
_RESAMPLES = 2000
_KEY = "creative_id"


@dataclass(frozen=True, slots=True)
class Quality:
    """What one score has to do with clicks.

    Args:
        name: The score.
        creatives: How many in the pairs have it.
        pairs: How many have it on both sides.
        accuracy: How often the higher side wins; ties one half.
        accuracy_significant: The same on clear pairs.
        correlation: Spearman's, of score and click rate within products; None where nothing varies.
        low: Lower end of its 95 % interval, drawing whole components.
        high: Upper end.
    """

    name: str
    creatives: int
    pairs: int
    accuracy: float | None
    accuracy_significant: float | None
    correlation: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def read_qualities(path: Path) -> dict[str, dict[str, float]]:
    """Read scores of creatives.

    Args:
        path: Parquet or CSV with ``creative_id`` and one column for each score, or a lineage, whose
            inspector's scores are read.

    Returns:
        Score to creative to value; missing values are left out.

    Raises:
        TrainingError: The file is missing, or holds no creatives or no scores.
    """
    remedy = f"name a lineage.jsonl, or write a table with {_KEY} and columns of numbers"
    try:
        frame = _read(path)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise TrainingError(
            f"the scores cannot be read: {error}", path=path, remedy=remedy
        ) from error
    scores = [name for name, kind in frame.schema.items() if kind.is_numeric() and name != _KEY]
    if _KEY not in frame.columns or not scores:
        raise TrainingError("there are no scores of creatives", path=path, remedy=remedy)
    if frame[_KEY].is_duplicated().any():
        raise TrainingError(
            "a creative has several rows of scores", path=path, remedy="keep one row for each"
        )
    names = frame[_KEY].cast(pl.String).to_list()
    return {
        score: {
            name: float(value)
            for name, value in zip(names, frame[score].to_list(), strict=True)
            if value is not None and np.isfinite(value)
        }
        for score in scores
    }


def judge_qualities(table: PairTable, scores: Mapping[str, Mapping[str, float]]) -> list[Quality]:
    """Hold every score against the pairs.

    Args:
        table: P pairs.
        scores: Score to creative to value.
    """
    return [_judge(name, table, known) for name, known in scores.items()]


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        told = {row[_KEY]: row["inspector"].get("scores", {}) for row in rows}
        return pl.DataFrame(
            [{_KEY: name, **scores} for name, scores in told.items()], infer_schema_length=None
        )
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)


def _judge(name: str, table: PairTable, known: Mapping[str, float]) -> Quality:
    has = np.array([item.creative in known for item in table.items], dtype=np.bool_)
    rows = has[table.chosen] & has[table.rejected]
    if not rows.any():
        return Quality(name, int(has.sum()), 0, None, None, None, None, None)
    kept = table.keep(rows)
    value = np.array([known[item.creative] for item in kept.items])
    side = np.sign(value[kept.chosen] - value[kept.rejected])
    numbers = evaluate(kept, 0.5 + 0.25 * side, 0.5 + 0.25 * side).numbers
    correlation, low, high = _correlate(kept, value)
    return Quality(
        name,
        int(has.sum()),
        len(kept),
        numbers["accuracy"],
        numbers["accuracy_significant"],
        correlation,
        low,
        high,
    )


def _correlate(table: PairTable, value: Floats) -> tuple[float | None, float | None, float | None]:
    """Spearman's correlation within groups, and its interval over components."""
    groups: list[tuple[int, Floats]] = []
    for group in np.unique(table.group):
        rows = table.group == group
        items = np.unique(np.concatenate([table.chosen[rows], table.rejected[rows]]))
        items = items[table.impressions[items] > 0]
        if len(items) < 2:
            continue
        rate = table.clicks[items] / table.impressions[items]
        one, two = (rankdata(x) - (len(items) + 1) / 2 for x in (value[items], rate))
        component = int(table.component[rows.argmax()])
        groups.append((component, np.array([one @ two, one @ one, two @ two])))
    if not groups:
        return None, None, None
    _, number = np.unique([component for component, _ in groups], return_inverse=True)
    sums = np.zeros((int(number.max()) + 1, 3))
    np.add.at(sums, number, np.stack([parts for _, parts in groups]))
    draw = np.random.default_rng(0).integers(0, len(sums), (_RESAMPLES, len(sums)))
    drawn = [_ratio(sums[rows].sum(0)) for rows in draw]
    whole = _ratio(sums.sum(0))
    if whole is None or len(sums) < 2:
        return whole, None, None
    low, high = np.quantile([one for one in drawn if one is not None], [0.025, 0.975])
    return whole, float(low), float(high)


def _ratio(sums: Floats) -> float | None:
    across, one, two = (float(value) for value in sums)
    return across / float(np.sqrt(one * two)) if one > 0 and two > 0 else None
