"""A scorecard as Markdown, for a ticket or a wiki page."""

from __future__ import annotations

from collections.abc import Iterator

from abplatform.analysis.report.wording import Line, describe_srm, headline, lines, reasons_beside
from abplatform.analysis.scorecard import Scorecard
from abplatform.domain.experiment import Experiment

__all__ = ["to_markdown"]


def to_markdown(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return a judged scorecard as Markdown."""
    return "\n".join(_blocks(scorecard, experiment)) + "\n"


def _blocks(scorecard: Scorecard, experiment: Experiment) -> Iterator[str]:
    decision = scorecard.decision
    yield f"# {experiment.key}: {decision.verdict.value if decision else 'not judged'}"
    yield ""
    told = headline(scorecard, experiment)
    yield told
    yield ""
    if experiment.hypothesis:
        yield f"> {_escape(experiment.hypothesis)}"
        yield ""
    for reason in reasons_beside(scorecard, told):
        yield f"- {_escape(reason)}"
    for metric in dict.fromkeys(lift.metric for lift in scorecard.lifts):
        yield ""
        yield f"## {metric}"
        yield ""
        yield "| slice | control | treatment | lift | 95 % interval | p | units | why missing |"
        yield "|---|---:|---:|---:|---:|---:|---:|---|"
        for line in lines(scorecard, experiment, metric=metric):
            yield _row(line)
    yield ""
    yield f"**Sample ratio** {_escape(describe_srm(scorecard))}"
    yield ""
    for note in scorecard.warnings:
        yield f"- `{note.code}` {_escape(note.message)}"
    yield ""
    yield (
        f"As of {scorecard.as_of:%Y-%m-%d %H:%M} UTC, {scorecard.status}, "
        f"{scorecard.units:,} units, data version `{scorecard.data_version}`."
    )


def _row(line: Line) -> str:
    units = line.lift.units_control + line.lift.units_treatment
    cells = (
        _escape(line.label),
        line.control,
        line.treatment,
        f"**{line.relative}**" if line.lift.significant else line.relative,
        line.interval,
        line.p,
        f"{units:,}",
        _escape(line.why),
    )
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    for sign in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text
