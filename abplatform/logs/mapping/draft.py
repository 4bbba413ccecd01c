"""A first mapping file, guessed from a log's columns and first rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Names
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from abplatform.domain.events import EventRejected
from abplatform.logs.mapping.amounts import AMOUNTS, DECIMALS, read_amount
from abplatform.logs.mapping.files import sample_rows
from abplatform.logs.mapping.spec import wire_fields
from abplatform.logs.mapping.synonyms import CLICKED, SYNONYMS, TIMES, find_column, plain_name
from abplatform.logs.mapping.time_guess import guess_time

__all__ = ["draft_mapping"]

_SAMPLE_ROWS: Final = 200
_COUNTS: Final = ("impressions", "clicks")
_CLICK_COLUMNS: Final = 4
"""A table of clicks names an impression and has hardly anything beside."""

_REQUIRED: Final[Names[str, tuple[str, ...]]] = {
    "impression": ("experiment", "variant", "unit_id", "creative_id", "product_id", "category"),
    "click": ("impression_id",),
    "conversion": ("unit_id", "kind", "value_micros", "currency"),
    "aggregate": (
        "experiment",
        "variant",
        "category",
        "product_id",
        "creative_id",
        "impressions",
        "clicks",
    ),
}


@dataclass(frozen=True, slots=True)
class _Log:
    """A log's first rows.

    Args:
        rows: As they were read.
        by_name: A column's plain name to the column.
    """

    rows: Sequence[Names[str, Any]]
    by_name: Names[str, str]

    def find(self, field: str) -> str | None:
        return find_column(self.by_name, SYNONYMS.get(field, ()))

    def cells(self, column: str) -> list[Any]:
        """Return the column's cells that hold something."""
        return [row[column] for row in self.rows if row.get(column) not in {None, ""}]

    def example(self, column: str) -> str:
        cells = self.cells(column)
        return f"for example {cells[0]!r}" if cells else "empty in the first rows"


def draft_mapping(path: Path) -> str:
    """Guess a mapping file from a log's column names and first rows.

    Args:
        path: A CSV, Parquet or JSON-lines file.

    Returns:
        YAML with a comment on every line that a person must look at.

    Raises:
        IngestError: The file cannot be read.
    """
    rows = sample_rows(path, _SAMPLE_ROWS)
    log = _Log(rows, {plain_name(name): name for name in rows[0]})
    event, why = _event(log)
    lines = [
        f"# A first guess from {path.name}; look at every line, then try: abp ingest {path.name}",
        "# --mapping THIS --dry-run",
        f"event: {event}    # {why}",
        *_field_lines(log, event),
    ]
    return "\n".join(lines) + "\n"


def _event(log: _Log) -> tuple[str, str]:
    """Return what a row seems to be, and why."""
    counts = [log.find(name) for name in _COUNTS]
    if all(counts):
        return "aggregate", f"a report: it counts {' and '.join(map(str, counts))}"
    clicked = find_column(log.by_name, CLICKED)
    if clicked:
        return "impression", f"a row an impression: {clicked} says whether it was clicked"
    if log.find("impression_id") and len(log.by_name) <= _CLICK_COLUMNS:
        return "click", f"a row a click on {log.find('impression_id')}"
    if log.find("creative_id"):
        return "impression", f"a row an impression of {log.find('creative_id')}"
    money = log.find("value") or log.find("value_micros") or log.find("order_id")
    if money:
        return "conversion", f"a row a purchase: it has {money}"
    return "impression", "or click, conversion, cost, aggregate, behaviour: no column tells"


def _field_lines(log: _Log, event: str) -> Iterator[str]:
    names = wire_fields(event)
    fields = {field: column for field in names if (column := log.find(field))}
    time_column = find_column(log.by_name, TIMES)
    money = {word: column for word, column in _money(log, names) if AMOUNTS[word] not in fields}
    clicked = find_column(log.by_name, CLICKED) if event == "impression" else None
    timed, dated = guess_time(log.cells(time_column), time_column) if time_column else (None, False)
    if fields.get("day") == time_column and not dated:
        # Only YYYY-MM-DD is read as a day; from another moment it follows.
        fields.pop("day", None)
    yield from _named(
        "fields", ((name, column, log.example(column)) for name, column in fields.items())
    )
    given = {*fields, *(AMOUNTS[word] for word in money)}
    missing = [name for name in _REQUIRED[event] if name not in given]
    constants = [name for name in missing if name != "unit_id"]
    if constants:
        yield "constants:"
        yield from (f"  {name}: {_CONSTANTS.get(name, _NO_COLUMN)}" for name in constants)
    numbered = {} if "event_id" in fields else {"event_id": "row"}
    if "unit_id" in missing:
        numbered["unit_id"] = "request"
    if numbered:
        pairs = ", ".join(f"{name}: {word}" for name, word in numbered.items())
        yield f"row_number: {{{pairs}}}    # ids from the file's hash and the row"
    if not (event == "aggregate" and "day" in fields):
        yield timed or "time: {field: CHANGE-ME}    # which column says when?"
    yield from _money_lines(log, money)
    if clicked:
        yield f"clicked: {_quoted(clicked)}    # 1 makes a click of the row; {log.example(clicked)}"
    if "experiment" in given:
        yield f"{_EXTERNAL}    # leave out if YAML says it; control: the first seen, or its name"
    elif "experiment" in constants:
        yield f"# {_EXTERNAL}    # if no YAML in experiments/ describes it"


_EXTERNAL: Final = "experiment: {assignment: external, control: first}"
_NO_COLUMN: Final = "CHANGE-ME    # no column fits"
_CONSTANTS: Final = {
    "kind": "purchase    # no column fits; purchase, booking, lead, refund",
    "currency": "CHANGE-ME    # no column fits; a code such as EUR",
}


def _named(key: str, entries: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    first = True
    for name, column, told in entries:
        if first:
            yield f"{key}:"
            first = False
        yield f"  {name}: {_quoted(column)}    # {told}"


def _money(log: _Log, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, field in AMOUNTS.items():
        column = log.find(word) if field in names else None
        if column:
            yield word, column


def _money_lines(log: _Log, money: Names[str, str]) -> Iterator[str]:
    if not money:
        return
    decimals = {word: _decimal(log.cells(column), column) for word, column in money.items()}
    told = ", ".join(f"{word}: {_quoted(column)}" for word, column in money.items())
    known = next((decimal for decimal in decimals.values() if decimal), None)
    mark = ', decimal: ","' if known == "," else ""
    example = log.example(next(iter(money.values())))
    doubt = "" if known else "; no amount is recognised in it"
    yield f"money: {{{told}{mark}}}    # in whole units of its currency, {example}{doubt}"


def _decimal(cells: Sequence[Any], column: str) -> str | None:
    """Return the mark with which every cell is an amount, or None."""
    for decimal in DECIMALS:
        try:
            for cell in cells:
                read_amount(cell, column, decimal=decimal)
        except EventRejected:
            continue
        return decimal
    return None


def _quoted(column: str) -> str:
    """Write a column's name as YAML reads it back."""
    plain = column.isascii() and column.replace("_", "").isalnum() and not column.isdigit()
    return (
        column
        if plain and column.casefold() not in _WORDS
        else '"{}"'.format(column.replace("\\", "\\\\").replace('"', '\\"'))
    )


_WORDS: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
