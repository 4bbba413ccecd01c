"""What a table and a column of the star are, and the columns that several tables share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

__all__ = [
    "ALL",
    "DAY",
    "EXPERIMENT",
    "PATH",
    "PRODUCT",
    "SOURCE",
    "VARIANT",
    "Column",
    "Table",
    "counts",
    "numbers",
    "texts",
    "times",
]

ALL: Final = "all"
"""Stands in a key where nothing is cut: a key without a value joins with nothing."""

_TYPES: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an exported table.

    Args:
        name: Its name; the same name means the same in every table.
        type: ``text``, ``integer``, ``number`` (double), ``boolean``, ``date`` or ``time`` (UTC).
        meaning: What it holds, and when it is null.
        unit: What a number counts; empty for what is no number.
        joins: The dimension's table that has this column as its key, or an empty string.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    joins: str = ""

    @property
    def dtype(self) -> pl.DataType:
        """The type in Parquet."""
        return _TYPES[self.type]


@dataclass(frozen=True, slots=True)
class Table:
    """An exported table.

    Args:
        name: Its name and its file's.
        kind: A dimension says what something is, a fact what was counted.
        grain: What one row is.
        key: The columns that tell rows apart; none of them is null.
        columns: In their order.
    """

    name: str
    kind: Literal["dimension", "fact"]
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pl.Schema:
        """Column names and types."""
        return pl.Schema({column.name: column.dtype for column in self.columns})


EXPERIMENT: Final = Column("experiment", "text", "The experiment's key.", joins="experiments")
VARIANT: Final = Column("variant", "text", "The variant, one of its experiment.", joins="variants")
DAY: Final = Column("day", "date", "The day in the workspace's time zone.", joins="days")
PATH: Final = Column("category", "text", "The category's path, `beauty/lip`.", joins="categories")
PRODUCT: Final = Column("product_id", "text", "The product.", joins="products")
SOURCE: Final = Column("source", "text", "Where the log comes from.", joins="sources")


def counts(unit: str, **meanings: str) -> tuple[Column, ...]:
    """Return whole numbers of one unit: names and meanings."""
    return tuple(Column(name, "integer", meaning, unit) for name, meaning in meanings.items())


def numbers(unit: str, **meanings: str) -> tuple[Column, ...]:
    """Return doubles of one unit: names and meanings."""
    return tuple(Column(name, "number", meaning, unit) for name, meaning in meanings.items())


def texts(**meanings: str) -> tuple[Column, ...]:
    """Return texts: names and meanings."""
    return tuple(Column(name, "text", meaning) for name, meaning in meanings.items())


def times(**meanings: str) -> tuple[Column, ...]:
    """Return moments: names and meanings."""
    return tuple(Column(name, "time", meaning) for name, meaning in meanings.items())
