"""A rehearsal in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from abplatform.analysis.planning.words import say_lift
from abplatform.analysis.rehearsal.outcome import PlanTally, Rehearsal, Tally

__all__ = ["describe_rehearsal", "print_rehearsal"]


def describe_rehearsal(rehearsal: Rehearsal) -> str:
    """Return what came of it in one sentence."""
    own, runs = rehearsal.own.rejects, rehearsal.own.rejects.runs
    naive = rehearsal.naive
    if rehearsal.kind == "aa":
        against = (
            ""
            if naive is None
            else f"; reading an impression-level p-value every day would have done so in "
            f"{naive.rate:.1%}"
        )
        return (
            f"Without any difference your test cried wolf in {own.rate:.1%} of {runs:,} runs "
            f"({_interval(own)}; it may in {rehearsal.experiment.analysis.alpha:.1%}){against}."
        )
    return (
        f"A lift of {say_lift(rehearsal.lift)} was found in {own.rate:.1%} of {runs:,} runs "
        f"({_interval(own)})."
    )


def print_rehearsal(rehearsal: Rehearsal, *, console: Console | None = None) -> None:
    """Print the sentence, a row per test, and what to beware of.

    Args:
        rehearsal: What came of it.
        console: Where to print; default the terminal.
    """
    console = console or Console()
    title = "A/A" if rehearsal.kind == "aa" else "POWER"
    console.print(
        Panel(
            Text(describe_rehearsal(rehearsal), style="bold"),
            title=f"[bold cyan]{title}[/]  {rehearsal.experiment.key}",
            title_align="left",
            border_style="cyan",
        )
    )
    console.print(_table(rehearsal))
    told = "* the plan of the YAML"
    if rehearsal.naive is not None:
        told += "; naive: a p-value by impression, read every day"
        if rehearsal.kind == "power":
            told += ", which also cries wolf as `simulate aa` shows"
    console.print(Text(told, style="dim"))
    console.print(
        Text(
            f"{rehearsal.units:,} units over {rehearsal.days} days: {rehearsal.told}; primary "
            f"metric {rehearsal.experiment.primary.metric}, all categories together; "
            f"seed {rehearsal.seed}",
            style="dim",
        )
    )
    console.print(Text(f"SRM alarm in {rehearsal.srm.hits} of {rehearsal.srm.runs:,} runs"))
    for note in rehearsal.notes:
        console.print(Text(f"{note.code}: {note.message}", style="yellow"))


def _table(rehearsal: Rehearsal) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("test", no_wrap=True)
    what = "false alarms" if rehearsal.kind == "aa" else "found"
    columns = [what, "95% interval", "median day", "wrong way"]
    for name in columns[: 3 if rehearsal.kind == "aa" else 4]:
        table.add_column(name, justify="right", no_wrap=True)
    for kind, plan in rehearsal.plans.items():
        own = plan is rehearsal.own
        table.add_row(*_row(kind.value, plan, own=own), style="bold" if own else "")
    if rehearsal.naive is not None:
        naive = rehearsal.naive
        table.add_row("naive, daily", f"{naive.rate:.1%}", _interval(naive), style="dim")
    return table


def _row(name: str, plan: PlanTally, *, own: bool) -> tuple[str, ...]:
    day = "" if plan.middle_day is None else f"{plan.middle_day:g}"
    rate = f"{plan.rejects.rate:.1%}"
    cells = (f"{name}{' *' if own else ''}", rate, _interval(plan.rejects), day)
    return cells if plan.wrong is None else (*cells, f"{plan.wrong.rate:.1%}")


def _interval(tally: Tally) -> str:
    low, high = tally.interval.low, tally.interval.high
    return f"{max(low, 0.0):.1%} to {min(high, 1.0):.1%}"
