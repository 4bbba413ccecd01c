"""``abp reward card``: what a reward model promised, what came true, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform import checkpoints
from abplatform.checkpoints.report_cards import Grade, ReportCard, find_alarms, read_cards
from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.errors import AbplatformError
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["card", "cards_table"]

KIND = "reward"
_MANY = 10


@dataclass(frozen=True, slots=True)
class _Live:
    """A creative that a model took part in and that may be shown now.

    Args:
        creative_id: Its name.
        product_id: Its product.
        experiments: Those that show it.
    """

    creative_id: str
    product_id: str
    experiments: tuple[str, ...]


@click.command()
@click.argument("checkpoint", default=checkpoints.CHAMPION)
@workspace_option
@json_option
def card(checkpoint: str, folder: Path | None, *, as_json: bool) -> None:
    """Show what a reward model predicted of weeks that came after it, and what came true.

    CHECKPOINT is an alias such as champion, a sha256, or its first six or more digits.
    """
    workspace = open_workspace(folder)
    root = workspace.checkpoints
    model = checkpoints.load_checkpoint(root, checkpoint, kind=KIND)
    cards = read_cards(root, model.sha256)
    alarms = find_alarms(cards)
    named = checkpoints.aliases(root).get(KIND, {})
    is_champion = named.get(checkpoints.CHAMPION) == model.sha256
    previous = named.get(checkpoints.PREVIOUS) if alarms and is_champion else None
    live = _live(workspace, model.sha256) if alarms else []
    if as_json:
        print_json(
            {
                "checkpoint": model.sha256,
                "champion": is_champion,
                "cards": [one.to_json() for one in cards],
                "alarms": list(alarms),
                "rollback_to": previous,
                "live_creatives": [asdict(one) for one in live],
            }
        )
        return
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 100)
    taught = model.metadata.get("weeks", [])
    weeks = " … ".join(dict.fromkeys([*taught[:1], *taught[-1:]]))
    console.print(f"reward model {model.sha256[:12]}{f', trained on {weeks}' if weeks else ''}")
    if not cards:
        console.print("No week has been judged since it was frozen; `abp retrain` judges one.")
        return
    console.print(cards_table(cards))
    _tell(console, model.sha256, alarms, live, is_champion=is_champion, previous=previous)


def cards_table(cards: Sequence[ReportCard]) -> Table:
    """Return cards of one model as a table, a row for every week and category."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("week", no_wrap=True)
    table.add_column("category", no_wrap=True)
    for heading in ("pairs", "predicted wins", "between", "realised wins"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in cards:
        for number, grade in enumerate(one.grades):
            table.add_row(
                "" if number else one.week,
                Text(grade.category or "all categories", style="" if grade.category else "bold"),
                f"{grade.pairs:,}",
                f"{grade.predicted:.1%}",
                f"{grade.low:.1%} to {grade.high:.1%}",
                f"{grade.realised:.1%}",
                _mark(grade),
            )
    return table


def _mark(grade: Grade) -> str:
    if grade.is_below:
        return "[red]below[/]"
    return "above" if grade.realised > grade.high else "[green]as promised[/]"


def _tell(
    console: Console,
    sha256: str,
    alarms: Sequence[str],
    live: Sequence[_Live],
    *,
    is_champion: bool,
    previous: str | None,
) -> None:
    """Say what is wrong, and what can be done."""
    if not alarms:
        console.print("No alarm: what it promised came true.")
        return
    for alarm in alarms:
        console.print(f"[red]Alarm[/]: {alarm}.")
    if is_champion:
        console.print("`abp retrain` promotes nothing until a person has decided:")
        if previous:
            console.print(f"  abp reward rollback            back to {previous[:12]}")
        console.print("  abp reward promote CHECKPOINT  another one")
    products = len({one.product_id for one in live})
    console.print(f"{len(live):,} live creatives of {products:,} products were made with it.")
    for one in live[:_MANY]:
        console.print(f"  {one.creative_id[:12]}  {one.product_id}  {', '.join(one.experiments)}")
    if len(live) > _MANY:
        console.print(f"  and {len(live) - _MANY:,} more; --json lists them all")
    if live:
        console.print(
            f"  abp creatives withdraw --checkpoint {sha256[:12]} --reason …  takes them out"
        )


def _live(workspace: Workspace, sha256: str) -> list[_Live]:
    """Find creatives that the model took part in and that a running experiment may show."""
    from abplatform.creatives import read_lineage
    from abplatform.traffic.config import build_config

    try:
        config = build_config(workspace)
    except AbplatformError as error:
        click.echo(f"warning: nobody can tell what is shown: {error}", err=True)
        return []
    made = [
        one
        for one in read_lineage(workspace.creatives).values()
        if sha256 in one.checkpoints.values()
    ]
    found = [
        _Live(one.creative_id, one.product_id, config.showing([one.creative_id])) for one in made
    ]
    return [one for one in found if one.experiments]
