"""What every benchmark shares: repeated timing and a table of ratios measured in one run.

Ratios are what one may compare between machines; absolute times are printed to give them a scale.
Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import click

__all__ = ["Row", "measure", "print_ratios"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: What was measured.
        value: How much one item took, in the table's unit.
        note: What a reader should know about it.
    """

    name: str
    value: float
    note: str = ""


def measure(
    works: Mapping[str, Callable[[], object]], *, items: int, rounds: int = 5
) -> dict[str, float]:
    """Time several works in turn, round by round, so that a busy moment hits all of them alike.

    Args:
        works: Name to what is timed.
        items: How many items one call handles.
        rounds: How often each is called, after one call to warm up.

    Returns:
        Name to the median of nanoseconds an item.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            begun = time.perf_counter_ns()
            work()
            if turn:
                taken[name].append((time.perf_counter_ns() - begun) / items)
    return {name: statistics.median(times) for name, times in taken.items()}


def print_ratios(title: str, rows: list[Row], *, floor: str, peer: str, unit: str) -> None:
    """Print rows with their ratio to the floor (what nothing can beat) and to the peer.

    Args:
        title: What the table is about.
        rows: In the order of the table; floor and peer among them.
        floor: The name of the row that is the least possible work.
        peer: The name of the row that people would use otherwise.
        unit: The unit of the values.
    """
    by_name = {row.name: row.value for row in rows}
    wide = max(len(row.name) for row in rows)
    click.echo(f"\n{title}")
    click.echo(f"{'':{wide}}  {unit:>12}  {'x floor':>9}  {'x faster than peer':>18}")
    for row in rows:
        floors = row.value / by_name[floor]
        faster = by_name[peer] / row.value
        click.echo(
            f"{row.name:{wide}}  {row.value:12,.1f}  {floors:9.2f}  {faster:18,.1f}  {row.note}"
        )
