"""Two engines' answers to the same questions, number by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import polars as pl

from abplatform.logs.store.answering import Answer

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
    """Compare what two stores answered to the portable queries of one analysis.

    A store that keeps totals is not asked twice what it has answered, so what counts is which
    answers there were, not how often or when: each of one side needs its equal on the other.

    Args:
        ours: The answers of one store.
        theirs: Those of the other.

    Returns:
        One entry an answer, those without an equal paired in their order.
    """
    sides = [_distinct(side) for side in (ours, theirs)]
    names = dict.fromkeys(name for side in sides for name, _ in side)
    compared = []
    for name in names:
        mine, other = ([rows for kind, rows in side if kind == name] for side in sides)
        equal = [rows for rows in mine if rows in other]
        rest = ([rows for rows in side if rows not in equal] for side in (mine, other))
        compared += [_equal(name, rows) for rows in equal]
        compared += [_unequal(name, one, twin) for one, twin in zip_longest(*rest)]
    return compared


_Rows = tuple[tuple[Any, ...], ...]
"""The names of the columns, then rows in an order of their own."""


def _distinct(answers: Iterable[Answer]) -> list[tuple[str, _Rows]]:
    """Return each different answer to the portable queries once, in order."""
    told = [
        (one.name.removeprefix(_PREFIX), _rows(one.rows))
        for one in answers
        if one.name.startswith(_PREFIX)
    ]
    return list(dict.fromkeys(told))


def _rows(frame: pl.DataFrame) -> _Rows:
    rows = [tuple(_plain(cell) for cell in row) for row in frame.iter_rows()]
    return tuple(frame.columns), *sorted(rows, key=str)


def _plain(cell: object) -> object:
    """Return whole numbers as such: engines differ in which type a sum has."""
    return int(cell) if isinstance(cell, Decimal) and cell == cell.to_integral_value() else cell


def _equal(name: str, rows: _Rows) -> Compared:
    return Compared(name, len(rows) - 1, (len(rows) - 1) * len(rows[0]), 0)


def _unequal(name: str, mine: _Rows | None, other: _Rows | None) -> Compared:
    if mine is None or other is None or mine[0] != other[0]:
        rows = mine or other or ((),)
        cells = max(1, (len(rows) - 1) * len(rows[0]))
        return Compared(name, len(rows) - 1, 0, cells, "the other store was not asked this")
    same, different, example = 0, 0, ""
    nothing = ("no row",) * len(mine[0])
    for row, twin in zip_longest(mine[1:], other[1:], fillvalue=nothing):
        for column, one, two in zip(mine[0], row, twin, strict=True):
            if one == two:
                same += 1
                continue
            different += 1
            example = example or f"{column}: {one} and {two}"
    return Compared(name, len(mine) - 1, same, different, example)
