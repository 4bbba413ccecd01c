"""Which rows teach, which say when to stop, and which test.

Rows are put in an order that has nothing to do with their clicks, then cut twice: the last fifth
tests, the last tenth of the rest says when to stop. By time, the order is the clock's, so that the
past predicts what follows. Else rows are ordered by a hash: of a column, such as the user, so that
whoever tests was never learned from, or of the row's number. Rows of equal rank are never parted.
The order doesn't follow a seed, so that tested rows stay unseen however often one trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.effects.tables import EffectTable, column_of

__all__ = ["Parts", "split_rows"]

_LEARNED = 0.8
_FITTED = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Three parts of N rows.

    Args:
        fitted: Rows that teach, N.
        stopping: Rows that say when to stop, N.
        tested: Rows that no model sees, N.
        unit: Rows of one unit of the split share a number, N.
        by: What ordered the rows.
        column: The column that did; None for row numbers.
    """

    fitted: NDArray[np.bool_]
    stopping: NDArray[np.bool_]
    tested: NDArray[np.bool_]
    unit: NDArray[np.int64]
    by: Literal["time", "group", "row"]
    column: str | None


def split_rows(table: EffectTable, *, time: str | None = None, group: str | None = None) -> Parts:
    """Part a table by time, else by group, else by row.

    Args:
        table: N rows.
        time: A column of times, dates or numbers, if rows have an order.
        group: A column whose rows stay together.

    Raises:
        TrainingError: A column is missing or holds no times, or a part is left without clicks or
            without other impressions.
    """
    number = np.arange(len(table))
    if time is not None:
        return _cut(table, _moments(table, time), number, "time", time)
    if group is not None:
        names = column_of(table.frame, group, table.path).cast(pl.String).fill_null("")
        unit = names.rank("dense").to_numpy().astype(np.int64) - 1
        return _cut(table, _hashes(names.to_list()), unit, "group", group)
    return _cut(table, _hashes([str(row) for row in number]), number, "row", None)


def _cut(
    table: EffectTable,
    rank: NDArray[np.float64] | NDArray[np.uint64],
    unit: NDArray[np.int64],
    by: Literal["time", "group", "row"],
    column: str | None,
) -> Parts:
    tested = rank >= np.sort(rank)[int(_LEARNED * len(rank))]
    learned = np.sort(rank[~tested])
    late = rank >= learned[int(_FITTED * len(learned))] if len(learned) else tested
    parts = Parts(~tested & ~late, ~tested & late, tested, unit, by, column)
    _check_parts(table, parts)
    return parts


def _check_parts(table: EffectTable, parts: Parts) -> None:
    told = {"teach": parts.fitted, "say when to stop": parts.stopping, "test": parts.tested}
    for duty, rows in told.items():
        clicks, shown = table.clicks[rows].sum(), table.impressions[rows].sum()
        # stopping without a click still knows a model that promises too many
        if not rows.any() or (duty != "say when to stop" and not 0 < clicks < shown):
            raise TrainingError(
                f"split by {parts.column or 'row'}, the {int(rows.sum())} rows that {duty} have "
                f"{clicks:g} clicks in {shown:g} impressions",
                path=table.path,
                remedy="bring more rows, or split by another column",
            )


def _hashes(names: list[str]) -> NDArray[np.uint64]:
    known = {name: xxhash.xxh3_64_intdigest(name.encode()) for name in set(names)}
    return np.array([known[name] for name in names], dtype=np.uint64)


def _moments(table: EffectTable, name: str) -> NDArray[np.float64]:
    """Return when each row happened: as seconds or whatever unit the column has, N."""
    column = column_of(table.frame, name, table.path)
    if column.dtype == pl.String:
        column = pl.Series(name, [_seconds(text) for text in column], dtype=pl.Float64)
    numbers = column.to_physical().cast(pl.Float64, strict=False)
    wrong = int((~numbers.is_finite().fill_null(value=False)).sum())
    if wrong:
        raise TrainingError(
            f"{name} tells no time in {wrong} rows",
            path=table.path,
            remedy="write times such as 2026-11-02T12:00:00Z or as numbers, or leave rows out",
        )
    return numbers.to_numpy()


def _seconds(text: str | None) -> float | None:
    """Return a time's seconds since 1970; without an offset it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
