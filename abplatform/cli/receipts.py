"""Receipts of ingests for people: tables that add up, reasons with an example each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from abplatform.logs.load import Counts, Example, Receipt, Trial

__all__ = ["print_receipt", "print_trial"]

_LEFT_OVER: Mapping[str, str] = {
    "orphan_clicks": "clicks wait for an impression that has not come",
    "outside_phase": "exposures lie outside their experiment's running time",
    "mixed_units": "units were assigned to two variants of one experiment",
    "bot_units": "units are flagged as bots",
    "unplaced_cost_days": "days of cost have no impression to carry it",
}


def print_receipt(receipt: Receipt, console: Console | None = None) -> None:
    """Print what an ingest did."""
    out = console or Console()
    if receipt.moved_aside:
        out.print(
            f"The warehouse was damaged or outdated and was rebuilt; the old file is "
            f"{escape(receipt.moved_aside)}."
        )
    if not receipt.by_source:
        out.print("Nothing new: every sealed segment is loaded.")
    else:
        out.print(_table(receipt.by_source, receipt.counts))
        out.print(_identity(receipt.counts))
    _print_reasons(out, receipt.reasons, receipt.examples)
    if receipt.withdrawn:
        out.print(
            f"{receipt.withdrawn:,} events that were accepted earlier count no longer: these "
            "deliveries contradict or correct them."
        )
    for kind, text in _LEFT_OVER.items():
        count = receipt.left_over.get(kind, 0)
        if count:
            out.print(f"{count:,} {text}.")
    out.print(f"In the store: {_identity(receipt.totals)}")
    out.print(f"data_version {receipt.data_version}")


def print_trial(trial: Trial, console: Console | None = None) -> None:
    """Print what a file would bring."""
    out = console or Console()
    out.print(f"[bold]{escape(str(trial.file))}[/bold], dry run: nothing is written")
    for event in trial.events:
        out.print(escape(json.dumps(event, ensure_ascii=False)), soft_wrap=True)
    out.print(_identity(trial.receipt.counts))
    _print_reasons(out, trial.receipt.reasons, trial.receipt.examples)


def _table(by_source: Mapping[str, Counts], total: Counts) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    names = [name for name, value in asdict(total).items() if value or name != "forgotten"]
    for name in names:
        table.add_column(name, justify="right")
    for source, counts in sorted(by_source.items()):
        table.add_row(escape(source), *(f"{getattr(counts, name):,}" for name in names))
    return table


def _identity(counts: Counts) -> str:
    told = asdict(counts)
    received = told.pop("received")
    parts = [f"{value:,} {name}" for name, value in told.items() if value or name != "forgotten"]
    mark = "[green]✓[/green]" if counts.holds else "[red]✗[/red]"
    return f"{received:,} received = {' + '.join(parts)} {mark}"


def _print_reasons(
    out: Console, reasons: Mapping[str, int], examples: Mapping[str, Example]
) -> None:
    if not reasons:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("quarantined because")
    table.add_column("events", justify="right")
    table.add_column("for example", overflow="fold")
    for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        example = examples[reason]
        table.add_row(reason, f"{count:,}", escape(f"{example.place}: {example.detail}"))
    out.print(table)
