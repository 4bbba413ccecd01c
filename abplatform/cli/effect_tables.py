"""What ``abp reward effects`` prints for people: rows, features, models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

__all__ = ["print_comparison"]

_SHOWN = 5


def print_comparison(facts: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what was compared, and how well.

    Args:
        facts: As ``--json`` has them, without ``models``.
        results: Model to its numbers.
    """
    split = facts["split"]
    click.echo(f"split by {split['column'] or 'row number'}:")
    for duty, part in (
        ("learned from", "fitted"),
        ("stopped by", "stopping"),
        ("tested", "tested"),
    ):
        told = facts[part]
        click.echo(
            f"  {duty:<12} {told['rows']:>9,} rows, {told['clicks']:,} clicks in "
            f"{told['impressions']:,} impressions"
        )
    _print_features(facts)
    _print_models(results)
    for warning in facts["warnings"]:
        click.echo(warning["message"])
    if "kept" in facts:
        kept = facts["kept"]
        click.echo(f"{kept['model']} kept: {kept['checkpoint']}  {kept['sha256'][:12]}")


def _print_features(facts: Mapping[str, Any]) -> None:
    click.echo(f"features: {_shorten([*facts['categorical'], *facts['numeric']])}")
    if facts["left_out"]:
        click.echo(f"left out: {_shorten(list(facts['left_out']))}")


def _print_models(results: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for heading in ("AUC", "95 %", "over LR, 95 %", "loss", "NE", "error", "slope"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in results.items():
        table.add_row(name.replace("_", " "), *_cells(row))
    Console().print(table)
    for name, row in results.items():
        if row["clipped"]:
            click.echo(
                f"{name}: {row['clipped']:,} predictions had to be moved to be probabilities"
            )


def _shorten(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name or repr(name) for name in names[:_SHOWN]) + more


def _cells(row: Mapping[str, Any]) -> list[str]:
    forms = {
        "log_loss": ".5f",
        "normalised_entropy": ".3f",
        "calibration_error": ".5f",
        "calibration_slope": ".2f",
    }
    gain = "-"
    if row["auc_gain"] is not None:
        gain = f"{row['auc_gain_low']:+.3f}…{row['auc_gain_high']:+.3f}"
    return [
        f"{row['auc']:.3f}",
        f"{row['auc_low']:.3f}…{row['auc_high']:.3f}",
        gain,
        *("-" if row[name] is None else format(row[name], form) for name, form in forms.items()),
    ]
