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
    from abplatform.logs.load import Correction, Counts, Example, Receipt, Trial

__all__ = ["REMEDIES", "print_receipt", "print_trial"]

_LEFT_OVER: Mapping[str, tuple[str, str]] = {
    "orphan_clicks": (
        "click waits for an impression that has not come",
        "clicks wait for an impression that has not come",
    ),
    "late_events": (
        "event came when its rows were final and waits for `abp backfill`",
        "events came when their rows were final and wait for `abp backfill`",
    ),
    "early_clicks": (
        "click lies before its impression and counts nowhere: compare the clocks",
        "clicks lie before their impressions and count nowhere: compare the clocks",
    ),
    "unpriced": (
        "conversion or cost counts nowhere: its experiment has no rate for the currency",
        "conversions or costs count nowhere: their experiments have no rate for the currency",
    ),
    "late_clicks": (
        "click came after the attribution window and counts nowhere",
        "clicks came after the attribution window and count nowhere",
    ),
    "outside_phase": (
        "exposure lies outside its experiment's running time",
        "exposures lie outside their experiment's running time",
    ),
    "mixed_units": (
        "unit was assigned to two variants of one experiment",
        "units were assigned to two variants of one experiment",
    ),
    "bot_units": ("unit is flagged as a bot", "units are flagged as bots"),
    "unplaced_cost_days": (
        "day of cost has no impression to carry it",
        "days of cost have no impression to carry it",
    ),
}

_WITHDRAWN = (
    "earlier event counts no longer: these deliveries contradict or correct it",
    "earlier events count no longer: these deliveries contradict or correct them",
)

_SHOWN = 5

REMEDIES: Mapping[str, str] = {
    "not_json": "write one JSON object a line",
    "not_csv": "quote cells that hold commas, quotes or line breaks",
    "not_utf8": "save the file as UTF-8",
    "truncated": "deliver the whole file again",
    "too_long": "keep a line below 1 MB",
    "too_deep": "nest it less deeply",
    "bomb": "decompress the file yourself and look what it is, then bring it uncompressed",
    "unknown_schema": "write schema 1",
    "unknown_event_type": "docs/contracts.md names the event types",
    "missing_field": "write the field, or map a column to it",
    "wrong_type": "write it as docs/contracts.md says",
    "wrong_value": "write a value that docs/contracts.md allows",
    "naive_timestamp": "add the offset from UTC, such as Z or +01:00",
    "bad_timestamp": "write RFC 3339, such as 2026-11-02T12:00:00Z",
    "before_2000": "check the clock, or the time's unit",
    "from_the_future": "check the clock, or the time's unit",
    "click_without_target": "name the impression that was clicked",
    "clicks_above_impressions": "ask for a corrected report",
    "unknown_experiment": "bring its YAML and run `abp ingest` again",
    "unknown_variant": "check the variant's name in log and YAML",
    "unknown_ad": "bring the sheet with its id by `abp ingest --ids`, then the report again",
    "unknown_currency": "add its rate, or set currency, in abp.yaml and run `abp ingest` again",
    "conflicting_id": "give each event its own id",
}
"""What to do about each reason of :data:`abplatform.domain.events.REASONS`."""


def print_receipt(receipt: Receipt, console: Console | None = None) -> None:
    """Print what an ingest did."""
    out = console or Console()
    if receipt.moved_aside:
        out.print(
            f"The store was made anew from all that landed; the old file is "
            f"{escape(receipt.moved_aside)}."
        )
    if not receipt.by_source:
        out.print(
            "What was delivered holds no event."
            if receipt.segments
            else "Nothing new: every sealed segment is loaded."
        )
    else:
        out.print(_table(receipt.by_source, receipt.counts))
        out.print(_identity(receipt.counts))
    _print_reasons(out, receipt.reasons, receipt.examples)
    if receipt.conflicting_ids:
        ids = _counted(receipt.conflicting_ids, "id", "ids")
        out.print(
            f"[red]Alarm:[/red] {ids} came with different content; every version is kept aside "
            "and none counts."
        )
    for correction in receipt.corrections:
        _print_correction(out, correction)
    if receipt.withdrawn:
        out.print(f"{_counted(receipt.withdrawn, *_WITHDRAWN)}.")
    for kind, (one, many) in _LEFT_OVER.items():
        count = receipt.left_over.get(kind, 0)
        if count:
            out.print(f"{count:,} {one if count == 1 else many}.")
    if receipt.unknown_categories:
        out.print(_unknown(receipt.unknown_categories))
    out.print(f"In the store: {_identity(receipt.totals)}", soft_wrap=True)
    out.print(f"data_version {receipt.data_version}")


def _print_correction(out: Console, correction: Correction) -> None:
    source = escape(correction.source)
    is_one = correction.rows == 1
    if correction.kind == "replaced" and not correction.rows:
        out.print(
            f"No event of {source} stood in those hours, so that nothing was replaced: look at "
            "the source's name and at the hours."
        )
    elif correction.kind == "replaced":
        rows = _counted(correction.rows, "event", "events")
        out.print(f"{rows} of {source} in those hours {'is' if is_one else 'are'} replaced:")
    else:
        rows = _counted(correction.rows, "row", "rows")
        out.print(f"{rows} of reports of {source} {'is' if is_one else 'are'} restated:")
    for name, change in correction.counts.items():
        if (
            isinstance(change.before, int)
            and isinstance(change.after, int)
            and change.before != change.after
        ):
            moved = change.after - change.before
            out.print(f"  {name}: {change.before:,} → {change.after:,} ({moved:+,})")
    for key, change in correction.verdicts.items():
        out.print(
            f"  [bold]the verdict of {escape(key)} was {change.before} and is {change.after} "
            "now[/bold]"
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


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


def _unknown(categories: Mapping[str, int]) -> str:
    """Name the commonest of the categories that nobody knows."""
    shown = [f"{escape(path)} ({count:,})" for path, count in categories.items()][:_SHOWN]
    more = f" and {len(categories) - _SHOWN} more" if len(categories) > _SHOWN else ""
    total = sum(categories.values())
    return (
        f"[yellow]{total:,} {'event has a' if total == 1 else 'events have a'} category that "
        f"neither the catalogue nor catalog/categories.yaml knows[/yellow]: {', '.join(shown)}"
        f"{more}. They count under `unknown/…`; put each into `known` or `renames` there."
    )


def _print_reasons(
    out: Console, reasons: Mapping[str, int], examples: Mapping[str, Example]
) -> None:
    if not reasons:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("quarantined because")
    table.add_column("events", justify="right")
    table.add_column("for example, and what to do", overflow="fold")
    for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        example = examples[reason]
        told = f"{example.place}: {example.detail} → {REMEDIES[reason]}"
        table.add_row(reason, f"{count:,}", escape(told))
    out.print(table)
