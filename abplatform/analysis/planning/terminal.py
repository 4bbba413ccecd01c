"""A planning in the terminal."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from abplatform.analysis.planning.cautions import warnings_of
from abplatform.analysis.planning.forecast import Planning
from abplatform.analysis.planning.words import (
    headline,
    plan_cells,
    say_calendar,
    say_lift,
    say_traffic,
)

__all__ = ["print_planning"]


def print_planning(planning: Planning, zone: ZoneInfo, *, console: Console | None = None) -> None:
    """Print the sentence, a row per plan, what it rests on and what to beware of.

    Args:
        planning: What an experiment will need.
        zone: Where a workspace day ends.
        console: Where to print; default the terminal.
    """
    console = console or Console()
    colour = "green" if planning.suffices else "yellow"
    console.print(
        Panel(
            Text(headline(planning, zone), style="bold"),
            title=f"[bold {colour}]PLAN[/]  {planning.experiment.key}",
            title_align="left",
            border_style=colour,
        )
    )
    console.print(_table(planning))
    console.print(Text("* the plan of the YAML", style="dim"))
    console.print(Text(f"rests on: {say_traffic(planning)}"))
    console.print(Text(f"calendar: {say_calendar(planning, zone)}"))
    for one in warnings_of(planning):
        console.print(Text(f"{one.code}: {one.message}", style="yellow"))


def _table(planning: Planning) -> Table:
    task, lift = planning.task, say_lift(planning.task.lift)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("plan", no_wrap=True, vertical="bottom")
    for name in (
        f"finds in\n{task.max_days} days",
        f"chance\nof {lift}",
        f"units\nfor {lift}",
        f"days\nfor {lift}",
        "days if\nno lift",
        f"days if\n{lift}",
        "cost in\nsamples",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for plan in planning.plans:
        own = plan is planning.own
        name, *cells = plan_cells(plan)
        table.add_row(f"{name}{' *' if own else ''}", *cells, style="bold" if own else "")
    return table
