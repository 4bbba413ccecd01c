"""What a study found: rates with their Monte-Carlo error, beside their aims."""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["Measured", "Row", "Table", "average", "batches", "number", "share", "table_of"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One number.

    Args:
        value: What was measured; None where no run gave it.
        se: Its Monte-Carlo standard error; None where that means nothing.
        low: Lower end of the aim, None if it has none.
        high: Upper end of the aim, None if it has none.
        slack: How many standard errors beyond the aim are allowed (by the stated aim itself).
        unit: ``share`` (printed in per cent), ``points`` (likewise, a difference) or ``number``.
    """

    value: float | None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    slack: float = 0.0
    unit: str = "share"

    @property
    def gated(self) -> bool:
        """Whether there is an aim."""
        return self.low is not None or self.high is not None

    def holds(self, *, widened: float = 0.0) -> bool:
        """Whether the number lies within its aim.

        Args:
            widened: How much further each end of the aim is pushed out.
        """
        if self.value is None:
            return not self.gated
        room = widened + self.slack * (self.se or 0.0)
        above = self.low is None or self.value >= self.low - room
        return above and (self.high is None or self.value <= self.high + room)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Args:
        labels: What it is about, one a label column.
        measured: One a measured column.
        runs: How many simulated experiments it rests on.
    """

    labels: tuple[str, ...]
    measured: tuple[Measured, ...]
    runs: int

    @property
    def status(self) -> str:
        """PASS or FAIL where there is an aim, else shown."""
        if not any(one.gated for one in self.measured):
            return "shown"
        return "PASS" if all(one.holds() for one in self.measured) else "FAIL"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page.

    Args:
        title: What is measured.
        labels: Heads of the label columns.
        measures: Heads of the measured columns.
        rows: Its lines.
        meaning: What it means for a growth team, in one or two plain sentences.
        notes: How the runs were made; limits.
    """

    title: str
    labels: tuple[str, ...]
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    meaning: str
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def table_of(data: dict[str, Any]) -> Table:
    """Return the table that ``Table.to_json`` was called on."""
    rows = tuple(
        Row(
            tuple(row["labels"]),
            tuple(Measured(**one) for one in row["measured"]),
            row["runs"],
        )
        for row in data["rows"]
    )
    return Table(
        data["title"],
        tuple(data["labels"]),
        tuple(data["measures"]),
        rows,
        data["meaning"],
        tuple(data["notes"]),
    )


def share(
    hits: Sequence[bool] | np.ndarray,
    *,
    low: float | None = None,
    high: float | None = None,
    slack: float = 0.0,
) -> Measured:
    """Return the share of runs in which something happened."""
    n = len(hits)
    if not n:
        return Measured(None, None, low, high, slack)
    value = float(np.mean(hits))
    return Measured(value, math.sqrt(value * (1 - value) / n), low, high, slack)


def average(
    values: Sequence[float] | np.ndarray,
    *,
    low: float | None = None,
    high: float | None = None,
    slack: float = 0.0,
    unit: str = "number",
) -> Measured:
    """Return the mean over runs."""
    n = len(values)
    if n < 2:
        return Measured(None, None, low, high, slack, unit)
    spread = float(np.std(values, ddof=1)) / math.sqrt(n)
    return Measured(float(np.mean(values)), spread, low, high, slack, unit)


def number(
    value: float, *, low: float | None = None, high: float | None = None, unit: str = "number"
) -> Measured:
    """Return a number without a Monte-Carlo error of its own."""
    return Measured(float(value), None, low, high, 0.0, unit)


def batches(runs: int, size: int, what: str) -> Iterator[tuple[int, int]]:
    """Yield (number of the batch, its runs), saying every ten seconds how far things are."""
    start = said = time.monotonic()
    for place, first in enumerate(range(0, runs, size)):
        yield place, min(size, runs - first)
        now = time.monotonic()
        if now - said > 10:
            said = now
            done = min(first + size, runs)
            sys.stderr.write(f"  {what}: {done:,} of {runs:,} runs, {now - start:.0f} s\n")
            sys.stderr.flush()
