"""Tables of impressions, clicked or not, and of rates: read from Parquet or CSV and checked.

A row holds k clicks in n impressions. Where a table has one row an impression, n is 1 and k the
target, so that everything after this module knows one kind of table.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.errors import TrainingError

__all__ = ["EffectTable", "column_of", "read_table"]

_FEWEST_ROWS = 50
_CSV = (".csv", ".csv.gz")


@dataclass(frozen=True, slots=True, eq=False)
class EffectTable:
    """N rows of context and clicks.

    Args:
        frame: Every column but those of clicks and impressions, N rows.
        clicks: k, from 0 to n, N.
        impressions: n, at least 1, N.
        path: Where it was read.
        sha256: Of that file's bytes.
    """

    frame: pl.DataFrame
    clicks: NDArray[np.float64]
    impressions: NDArray[np.float64]
    path: Path
    sha256: str

    def __len__(self) -> int:
        return len(self.clicks)


def read_table(path: Path, *, target: str, impressions: str | None = None) -> EffectTable:
    """Read a table whose target says what was clicked.

    Args:
        path: A file .parquet, .csv or .csv.gz.
        target: The column of 0 and 1; of clicks, where ``impressions`` is named.
        impressions: The column of impressions; rows without any are left out.

    Raises:
        TrainingError: The file or a column is missing, a count can't be, all or no impressions are
            clicked, or there are fewer than 50 rows.
    """
    frame = _read_frame(path)
    shown = _counts(frame, impressions, path) if impressions else np.ones(len(frame))
    clicks = _counts(frame, target, path)
    if impressions is None and not np.isin(clicks, (0, 1)).all():
        raise TrainingError(
            f"{target} holds {clicks[clicks > 1][0]:g} where only 0 and 1 can be",
            path=path,
            remedy="name a column of 0 and 1, or the column of impressions that clicks belong to",
        )
    if (clicks > shown).any():
        raise TrainingError(
            f"{int((clicks > shown).sum())} rows have more clicks than impressions",
            path=path,
            remedy=f"mend {target} and {impressions}",
        )
    told = shown > 0
    _check_size(clicks[told], shown[told], target, path)
    return EffectTable(
        frame=frame.drop(target, *([impressions] if impressions else [])).filter(pl.Series(told)),
        clicks=clicks[told],
        impressions=shown[told],
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def column_of(frame: pl.DataFrame, name: str, path: Path | None = None) -> pl.Series:
    """Return a column.

    Raises:
        TrainingError: There is none of this name.
    """
    if name not in frame.columns:
        raise TrainingError(
            f"there is no column {name!r}",
            path=path,
            remedy=f"name one of {', '.join(map(repr, frame.columns))}",
        )
    return frame[name]


def _read_frame(path: Path) -> pl.DataFrame:
    remedy = "name a file .parquet, .csv or .csv.gz with a header"
    if not path.is_file():
        raise TrainingError("there is no such table", path=path, remedy=remedy)
    try:
        if path.name.lower().endswith(_CSV):
            # all rows, not the first hundred, say what a column holds
            return pl.read_csv(path, infer_schema_length=None)
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        told = str(error).splitlines()[0]
        raise TrainingError(
            f"the table cannot be read: {told}", path=path, remedy=remedy
        ) from error


def _counts(frame: pl.DataFrame, name: str, path: Path) -> NDArray[np.float64]:
    column = column_of(frame, name, path)
    numbers = column.cast(pl.Float64, strict=False)
    whole = numbers.is_finite() & (numbers >= 0) & (numbers == numbers.floor())
    wrong = column.filter(~whole.fill_null(value=False))
    if len(wrong):
        raise TrainingError(
            f"{name} holds {wrong[0]!r}, which is no count ({len(wrong)} such rows)",
            path=path,
            remedy="write 0, 1, 2 … there, or leave these rows out",
        )
    return numbers.to_numpy(writable=True)


def _check_size(
    clicks: NDArray[np.float64], impressions: NDArray[np.float64], target: str, path: Path
) -> None:
    if len(clicks) < _FEWEST_ROWS:
        raise TrainingError(
            f"{len(clicks)} rows are too few to learn from and test on",
            path=path,
            remedy=f"bring at least {_FEWEST_ROWS}",
        )
    if not 0 < clicks.sum() < impressions.sum():
        which = "every" if clicks.any() else "no"
        raise TrainingError(
            f"by {target}, {which} impression is clicked: there is nothing to tell apart",
            path=path,
            remedy="bring a table with both",
        )
