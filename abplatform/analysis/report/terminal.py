"""A scorecard in the terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from abplatform.analysis.report.wording import (
    MISSING,
    Line,
    describe_srm,
    headline,
    lines,
    reasons_beside,
)
from abplatform.analysis.scorecard import Scorecard
from abplatform.domain.experiment import Experiment, Verdict
from abplatform.figures import percent

__all__ = ["print_scorecard"]

_COLOURS = {
    Verdict.SHIP: "green",
    Verdict.REJECT: "red",
    Verdict.INVALID: "magenta",
    Verdict.NO_DIFFERENCE: "white",
    Verdict.CONTINUE: "cyan",
}
_WIDE = 100
"""Columns from which on a table has room for shrunken lifts."""
_BESIDE_FIELDS = {"not_applicable", "before_the_decision_look"}
"""Which field is null and why: said beside the fields, in the JSON and on the page."""
_TONES = {"better": "bold green", "worse": "bold red", "open": "", "missing": "dim"}


def print_scorecard(
    scorecard: Scorecard, experiment: Experiment, *, console: Console | None = None
) -> None:
    """Print a judged scorecard: verdict first, then lifts, SRM, guardrails and warnings.

    Args:
        scorecard: Judged.
        experiment: As its YAML says.
        console: Where to print; default the terminal.
    """
    console = console or Console()
    for part in _parts(scorecard, experiment, wide=console.width >= _WIDE):
        console.print(part)


def _parts(scorecard: Scorecard, experiment: Experiment, *, wide: bool) -> list[RenderableType]:
    decision = scorecard.decision
    verdict = decision.verdict if decision else Verdict.CONTINUE
    colour = _COLOURS[verdict]
    told = headline(scorecard, experiment)
    sentence = Text(told, style="bold")
    reasons = [Text(f"- {reason}") for reason in reasons_beside(scorecard, told)]
    parts: list[RenderableType] = [
        Panel(
            Group(sentence, *reasons),
            title=f"[bold {colour}]{verdict.value.upper()}[/]  {experiment.key}",
            title_align="left",
            border_style=colour,
        ),
        _lift_table(scorecard, experiment, wide=wide),
    ]
    others = list(dict.fromkeys(lift.metric for lift in scorecard.lifts))[1:]
    if others:
        parts.append(_guardrail_table(scorecard, experiment, others))
    parts.append(Text(f"SRM {describe_srm(scorecard)}", style=_srm_style(scorecard)))
    parts += [
        Text(f"{note.code}: {note.message}", style="yellow")
        for note in scorecard.warnings
        if note.code not in _BESIDE_FIELDS
    ]
    parts.append(
        Text(
            f"as of {scorecard.as_of:%Y-%m-%d %H:%M} UTC · {scorecard.status} · "
            f"{scorecard.units:,} units · data {scorecard.data_version}",
            style="dim",
        )
    )
    return parts


def _lift_table(scorecard: Scorecard, experiment: Experiment, *, wide: bool) -> Table:
    shown = lines(scorecard, experiment)
    shrunken = wide and any(line.lift.shrunken_lift is not None for line in shown)
    table = _new_table(f"{experiment.primary.metric} by category", shrunken=shrunken)
    for line in shown:
        _add(table, line, shrunken=shrunken)
    return table


def _guardrail_table(scorecard: Scorecard, experiment: Experiment, metrics: list[str]) -> Table:
    table = _new_table("guardrails")
    for metric in metrics:
        for line in lines(scorecard, experiment, metric=metric):
            if line.lift.breakdown is None:
                _add(table, line, label=metric)
    return table


def _new_table(first: str, *, shrunken: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    pulled = ["shrunken"] if shrunken else []
    for name in ("control", "treatment", "lift", "95 % interval", *pulled, "p", "units"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add(table: Table, line: Line, *, label: str | None = None, shrunken: bool = False) -> None:
    style = _TONES[line.tone]
    units = f"{line.lift.units_control + line.lift.units_treatment:,}"
    interval = line.interval
    if line.why and interval == MISSING:
        interval = line.why.partition(":")[0]
    name = label or line.label
    summary = line.lift.breakdown is None and label is None
    lift = line.lift.shrunken_lift
    pulled = [MISSING if lift is None else percent(lift)] if shrunken else []
    table.add_row(
        Text(name, style="bold" if summary else ""),
        line.control,
        line.treatment,
        Text(line.relative, style=style),
        Text(interval, style="dim" if interval != line.interval else ""),
        *pulled,
        line.p,
        units,
    )


def _srm_style(scorecard: Scorecard) -> str:
    return {"ok": "green", "alarm": "bold red"}.get(scorecard.srm.verdict, "yellow")
