"""Two engines' answers to the same questions, number by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import polars as pl

from abplatform.logs.store.warehouse import Answer

__all__ = ["Compared", "compare_answers"]

_PREFIX = "portable/"


@dataclass(frozen=True, slots=True)
class Compared:
    """One query's answers compared.

    Args:
        query: Its name.
        rows: How many rows the first answer has.
        numbers: How many cells of both are the same.
        different: How many are not; a missing row counts by its cells.
        example: The first cell that differs, or an empty string.
    """

    query: str
    rows: int
    numbers: int
    different: int
    example: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the public object."""
        return {
            "query": self.query,
            "rows": self.rows,
            "numbers": self.numbers,
            "different": self.different,
            "example": self.example,
        }


def compare_answers(ours: Iterable[Answer], theirs: Iterable[Answer]) -> list[Compared]:
    """Compare what two stores answered to the portable queries of one analysis, in order.

    Args:
        ours: The answers of one store.
        theirs: Those of the other.
    """
    asked = [[one for one in side if one.name.startswith(_PREFIX)] for side in (ours, theirs)]
    return [_compare(mine, other) for mine, other in zip_longest(*asked)]


def _compare(mine: Answer | None, other: Answer | None) -> Compared:
    if mine is None or other is None or mine.name != other.name:
        names = " and ".join(one.name if one else "nothing" for one in (mine, other))
        rows = mine.rows if mine else pl.DataFrame()
        return Compared(names, len(rows), 0, max(1, rows.width * len(rows)), "not both were asked")
    columns = mine.rows.columns
    pairs = list(zip_longest(_rows(mine.rows, columns), _rows(other.rows, columns)))
    same, different, example = 0, 0, ""
    for row, twin in pairs:
        for place, name in enumerate(columns):
            cells = [side[place] if side is not None else "no row" for side in (row, twin)]
            if cells[0] == cells[1]:
                same += 1
                continue
            different += 1
            example = example or f"{name}: {cells[0]} and {cells[1]}"
    return Compared(mine.name.removeprefix(_PREFIX), len(mine.rows), same, different, example)


def _rows(frame: pl.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return rows in an order of their own: the same set of rows is the same answer."""
    if set(frame.columns) != set(columns):
        return []
    rows = [tuple(_plain(cell) for cell in row) for row in frame.select(columns).iter_rows()]
    return sorted(rows, key=str)


def _plain(cell: object) -> object:
    """Return whole numbers as such: engines differ in which type a sum has."""
    return int(cell) if isinstance(cell, Decimal) and cell == cell.to_integral_value() else cell
