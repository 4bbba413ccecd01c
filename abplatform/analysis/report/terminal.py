"""A scorecard in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
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
_COLUMNS: Final = ("control", "treatment", "lift", "95 % interval", "shrunken", "p", "units")
_SPARED: Final = ("shrunken", "units", "control", "treatment", "p")
"""Columns that a narrow terminal goes without, first to last: a number is never cut."""

_BESIDE_FIELDS = {"not_applicable", "before_the_decision_look"}
"""Which field is null and why: said beside the fields, in the JSON and on the page."""
_LABEL: Final = 24
"""Longer names may be folded to this width."""
_UNBOUNDED: Final = 10_000
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
    for part in _parts(scorecard, experiment, console):
        console.print(part)


def _parts(scorecard: Scorecard, experiment: Experiment, console: Console) -> list[RenderableType]:
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
        _lift_table(scorecard, experiment, console),
    ]
    others = list(dict.fromkeys(lift.metric for lift in scorecard.lifts))[1:]
    if others:
        parts.append(_guardrail_table(scorecard, experiment, others, console))
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


def _lift_table(scorecard: Scorecard, experiment: Experiment, console: Console) -> Table:
    shown = lines(scorecard, experiment)
    shrunken = any(line.lift.shrunken_lift is not None for line in shown)
    names = [name for name in _COLUMNS if shrunken or name != "shrunken"]
    rows = [(_name(line.label, is_sum=line.lift.breakdown is None), line) for line in shown]
    return _fitting(f"{experiment.primary.metric} by category", names, rows, console)


def _guardrail_table(
    scorecard: Scorecard, experiment: Experiment, metrics: Iterable[str], console: Console
) -> Table:
    several = len(experiment.treatments) > 1
    rows = [
        (_name(f"{metric} · {line.lift.treatment}" if several else metric), line)
        for metric in metrics
        for line in lines(scorecard, experiment, metric=metric)
        if line.lift.breakdown is None
    ]
    names = [name for name in _COLUMNS if name != "shrunken"]
    return _fitting("guardrails", names, rows, console)


def _name(label: str, *, is_sum: bool = False) -> Text:
    return Text(label, style="bold" if is_sum else "")


def _fitting(
    first: str, names: Sequence[str], rows: Sequence[tuple[Text, Line]], console: Console
) -> Table:
    """Return a table of as many columns as the console has room for."""
    table = _table(first, names, rows)
    anything = console.options.update(max_width=_UNBOUNDED)
    for spared in _SPARED:
        if Measurement.get(console, anything, table).minimum <= console.width:
            break
        names = [name for name in names if name != spared]
        table = _table(first, names, rows)
    return table


def _table(first: str, names: Sequence[str], rows: Sequence[tuple[Text, Line]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    longest = max((label.cell_len for label, _ in rows), default=0)
    longest = max((label.cell_len for label, _ in rows), default=0)
    table.add_column(first, overflow="fold", min_width=min(longest, _LABEL))
    told = [_cells(line) for _, line in rows]
    for name in names:
        widest = max((len(cells[name]) for cells in told), default=0)
        table.add_column(name, justify="right", no_wrap=True, min_width=max(widest, len(name)))
    for (label, _), cells in zip(rows, told, strict=True):
        table.add_row(label, *(cells[name] for name in names))
    return table


def _cells(line: Line) -> dict[str, str | Text]:
    interval = line.interval
    if line.why and interval == MISSING:
        interval = line.why.partition(":")[0]
    shrunken = line.lift.shrunken_lift
    return {
        "control": line.control,
        "treatment": line.treatment,
        "lift": Text(line.relative, style=_TONES[line.tone]),
        "95 % interval": Text(interval, style="dim" if interval != line.interval else ""),
        "shrunken": MISSING if shrunken is None else percent(shrunken),
        "p": line.p,
        "units": f"{line.lift.units_control + line.lift.units_treatment:,}",
    }


def _srm_style(scorecard: Scorecard) -> str:
    return {"ok": "green", "alarm": "bold red"}.get(scorecard.srm.verdict, "yellow")
