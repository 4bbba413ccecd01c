"""Columns of a table as codes: every feature of a row becomes the number of its level.

A column of strings, truths, or integers of at most 100 different values is a category, whose
levels are its values. Any other column of numbers is cut at quantiles into at most 16 bins, and its
levels are these bins: all models then read one kind of input, outliers do no harm, a linear model
can bend, and a factorisation machine can cross a price with a category. A missing value is a level
like any other. What is rare while learning and what was never seen share code 0, so what a model
says about the unknown was learned from what was nearly unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.effects.splits import Parts
from reward.effects.tables import EffectTable, column_of

__all__ = ["Encoding", "Feature", "Rows", "encode_rows", "learn_encoding"]

_INTEGER_LEVELS = 100
_BINS = 16
_RARE_IMPRESSIONS = 5

Kind = Literal["categorical", "numeric"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """N rows as models read them.

    Args:
        codes: Level of each of F features, N x F.
        clicks: N.
        impressions: N.
    """

    codes: NDArray[np.int64]
    clicks: NDArray[np.float64]
    impressions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.clicks)

    @property
    def rate(self) -> float:
        """Clicks by impressions."""
        return float(self.clicks.sum() / self.impressions.sum())


@dataclass(frozen=True, slots=True)
class Feature:
    """One column and the levels it was seen to have.

    Args:
        name: The column.
        levels: Texts of known levels; level i has code i + 1, and None stands for a missing value.
        edges: Upper ends of a number's bins but the last, ascending; None for a category.
    """

    name: str
    levels: tuple[str | None, ...]
    edges: tuple[float, ...] | None

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """Return each value's code, N; 0 for what is not known."""
        known = dict(zip(self.levels, range(1, len(self.levels) + 1), strict=True))
        coded = _texts(column, self.edges).replace_strict(known, default=0, return_dtype=pl.Int64)
        return coded.to_numpy()


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a table's columns become codes.

    Args:
        features: F of them.
        left_out: Column to the reason why it is none of them.
    """

    features: tuple[Feature, ...]
    left_out: Mapping[str, str]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each feature has, 0 included, F."""
        return tuple(len(feature.levels) + 1 for feature in self.features)

    def codes(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """Return the codes of a frame's rows, N x F.

        Raises:
            TrainingError: A column is missing, or a numeric one holds something else.
        """
        return np.stack([one.codes(column_of(frame, one.name)) for one in self.features], axis=1)


def learn_encoding(
    table: EffectTable,
    parts: Parts,
    *,
    features: Sequence[str] = (),
    kinds: Mapping[str, Kind] | None = None,
) -> Encoding:
    """Choose features and learn their levels from the rows that teach.

    Args:
        table: N rows.
        parts: Which of them teach.
        features: Columns to use; none takes every column that did not split and is no mere number
            of its row.
        kinds: Column to kind, where the rule would be wrong.

    Raises:
        TrainingError: A column is missing or can't be a feature, or no feature is left.
    """
    chosen: Mapping[str, Kind] = kinds or {}
    frame = table.frame.filter(pl.Series(parts.fitted))
    shown = table.impressions[parts.fitted]
    others = [name for name in frame.columns if name != parts.column]
    found, left_out = [], {}
    for name in dict.fromkeys([*(features or others), *chosen]):
        column = column_of(frame, name, table.path)
        reason = _unfit(column, is_named=name in {*features, *chosen}, kind=chosen.get(name))
        if reason is None:
            feature = _learn(column, shown, chosen.get(name) or _kind(column))
            if len(feature.levels) > 1:
                found.append(feature)
                continue
            reason = "no two levels of it were shown often enough"
        elif name in features:
            raise TrainingError(
                f"{name} is no feature: {reason}",
                path=table.path,
                remedy="leave it out, or name it as categorical",
            )
        left_out[name] = reason
    if not found:
        raise TrainingError(
            "no column can be a feature",
            path=table.path,
            remedy="bring columns of context that take several values, each on several rows",
        )
    return Encoding(tuple(found), left_out)


def encode_rows(table: EffectTable, encoding: Encoding, rows: NDArray[np.bool_]) -> Rows:
    """Return those of a table's N rows where ``rows`` is true, as models read them."""
    codes = encoding.codes(table.frame.filter(pl.Series(rows)))
    return Rows(codes, table.clicks[rows], table.impressions[rows])


def _kind(column: pl.Series) -> Kind:
    if column.dtype.is_float() or column.dtype.is_decimal():
        return "numeric"
    is_long = column.dtype.is_integer() and column.n_unique() > _INTEGER_LEVELS
    return "numeric" if is_long else "categorical"


def _unfit(column: pl.Series, *, is_named: bool, kind: Kind | None) -> str | None:
    """Say why a column can't be a feature, or None."""
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        return "its values are no categories or numbers"
    if column.dtype.is_temporal() and kind is None:
        return "a time does not come again"
    if (
        not is_named
        and column.dtype.is_integer()
        and column.n_unique() == len(column) > _INTEGER_LEVELS
    ):
        return "every row has another integer, as if it were the row's name"
    return None


def _learn(column: pl.Series, shown: NDArray[np.float64], kind: Kind) -> Feature:
    edges = _edges(_numbers(column)) if kind == "numeric" else None
    levels = pl.DataFrame({"level": _texts(column, edges), "shown": shown})
    counts = levels.group_by("level").agg(pl.col("shown").sum())
    common: Collection[str | None] = counts.filter(pl.col("shown") >= _RARE_IMPRESSIONS)["level"]
    # bins in their order, which is what trees cut by; the missing at the end
    order = sorted((text is None, len(text or "") if edges else 0, text or "") for text in common)
    kept = tuple(None if is_missing else text for is_missing, _, text in order)
    return Feature(column.name, kept, edges)


def _edges(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return ()
    cuts = np.quantile(known, np.arange(1, _BINS) / _BINS, method="inverted_cdf")
    return tuple(float(cut) for cut in np.unique(cuts) if cut < known.max())


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is missing, N."""
    try:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise TrainingError(
            f"{column.name} holds something that is no number",
            remedy="write it as a number, or name it as categorical",
        ) from error


def _texts(column: pl.Series, edges: tuple[float, ...] | None) -> pl.Series:
    """Return the text of each value's level, None where it is missing."""
    if edges is None:
        texts = column.cast(pl.String)
        return texts.set(texts == "NaN", None) if column.dtype.is_float() else texts
    numbers = _numbers(column)
    bins = pl.Series(column.name, np.searchsorted(edges, numbers), dtype=pl.Int64)
    return bins.set(pl.Series(np.isnan(numbers)), None).cast(pl.String)
