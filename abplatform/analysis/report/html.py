"""A scorecard as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from abplatform.analysis.report.course import course_section
from abplatform.analysis.report.pictures import Duel, Side
from abplatform.analysis.report.views import view_sections
from abplatform.analysis.report.wording import (
    MISSING,
    Line,
    between,
    describe_srm,
    headline,
    lines,
    primary_lifts,
    rate_text,
    reasons_beside,
    unit_noun,
)
from abplatform.analysis.scorecard import Scorecard
from abplatform.domain.experiment import Experiment
from abplatform.figures import ForestRow, facts, forest_plot, notes, page, percent, share

__all__ = ["scorecard_section", "to_html"]


def to_html(scorecard: Scorecard, experiment: Experiment, *, duels: Sequence[Duel] = ()) -> str:
    """Return a judged scorecard as a whole page.

    Args:
        scorecard: Judged.
        experiment: As its YAML says.
        duels: Pictures side by side, from :func:`choose_duels`.
    """
    return page(experiment.key, scorecard_section(scorecard, experiment, duels=duels))


def scorecard_section(
    scorecard: Scorecard, experiment: Experiment, *, duels: Sequence[Duel] = ()
) -> str:
    """Return the page's body, for pages that hold more than one scorecard."""
    parts = (
        _hero(scorecard, experiment),
        _facts(scorecard, experiment),
        _forest(scorecard, experiment),
        course_section(scorecard, experiment),
        _pictures(duels),
        view_sections(scorecard),
        _tables(scorecard, experiment),
        _notes(scorecard),
        _footer(scorecard, experiment),
    )
    return "\n".join(part for part in parts if part)


def _hero(scorecard: Scorecard, experiment: Experiment) -> str:
    decision = scorecard.decision
    verdict = decision.verdict.value if decision else "continue"
    told = headline(scorecard, experiment)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in reasons_beside(scorecard, told))
    hypothesis = f'<p class="quiet">{escape(experiment.hypothesis or "")}</p>'
    return (
        f'<section class="hero {verdict}"><span class="badge {verdict}">'
        f'{verdict.replace("_", " ")}</span> <span class="quiet">{escape(experiment.key)}</span>'
        f"<h1>{escape(told)}</h1>"
        f"{hypothesis if experiment.hypothesis else ''}"
        f'<ul class="reasons">{reasons}</ul></section>'
    )


def _facts(scorecard: Scorecard, experiment: Experiment) -> str:
    lift = next(primary_lifts(scorecard), None)
    srm = scorecard.srm
    split = "not testable" if srm.p_value is None else f"p = {srm.p_value:.2g}"
    days = ""
    if scorecard.first_at and scorecard.last_at:
        days = f"{scorecard.first_at:%d %b} to {scorecard.last_at:%d %b %Y}"
    told = [
        (f"{scorecard.units:,}", unit_noun(scorecard, experiment) + (f", {days}" if days else "")),
        (srm.verdict, f"planned split, {split}"),
        (scorecard.status, "no late events expected")
        if scorecard.status == "final"
        else (scorecard.status, "late events may still come"),
    ]
    if lift is not None:
        metric = lift.metric
        told = [
            (rate_text(metric, lift.rate_control), f"{metric}, {lift.control}"),
            (rate_text(metric, lift.rate_treatment), f"{metric}, {lift.treatment}"),
            *told,
        ]
    return facts(told)


def _forest(scorecard: Scorecard, experiment: Experiment) -> str:
    shown = lines(scorecard, experiment)
    if not shown:
        return ""
    metric = experiment.primary.metric
    confidence = f"{1 - experiment.analysis.alpha:.0%}"
    axis = f"relative change of {metric} against {experiment.control.name}, {confidence} interval"
    overall = [line for line in shown if line.lift.breakdown is None]
    legend = "Green and orange results are proven; grey ones could be chance."
    if any(line.lift.shrunken_lift is not None for line in shown):
        legend += (
            " Hollow blue marks are pulled towards what all categories have in common: the better "
            "guess of a category's true lift."
        )
    parts = [f"<h2>Lift by category</h2><p class='quiet'>{legend}</p>"]
    cuts = dict.fromkeys(line.lift.breakdown or "category" for line in shown)
    for cut in cuts:
        # Categories stand with the overall result; every other cut has a picture of its own.
        inside = [line for line in shown if line.lift.breakdown == cut]
        rows = [
            _forest_row(line, scorecard, experiment)
            for line in (overall + inside if cut == "category" else inside)
        ]
        heading = "" if cut == "category" else f"<h3>By {_CUTS.get(cut, escape(cut))}</h3>"
        plot = forest_plot(rows, title=f"Lift of {metric} by {cut}", axis=axis)
        parts.append(f'{heading}<div class="card">{plot}</div>')
    return "".join(parts)


_CUTS = {"bots": "whether flagged bots are counted"}


def _forest_row(line: Line, scorecard: Scorecard, experiment: Experiment) -> ForestRow:
    lift = line.lift
    units = lift.units_control + lift.units_treatment
    why = line.why if lift.relative_lift is None else None
    low, high = lift.interval_shown
    return ForestRow(
        label=line.label,
        note=f"{units:,} {unit_noun(scorecard, experiment)}",
        estimate=lift.relative_lift,
        low=low,
        high=high,
        tone=line.tone,
        why=why.partition(": ")[2] or why if why else None,
        strong=lift.breakdown is None,
        pulled=lift.shrunken_lift,
        pulled_low=lift.shrunken_low,
        pulled_high=lift.shrunken_high,
    )


def _pictures(duels: Sequence[Duel]) -> str:
    if not duels:
        return ""
    cards = "".join(_duel(duel) for duel in duels)
    return (
        "<h2>Pictures that won and lost</h2><p class='quiet'>The control's and the treatment's "
        "picture of one product, the likelier winner framed in green. The percentage is how sure "
        f'we are of the order.</p><div class="duels">{cards}</div>'
    )


def _duel(duel: Duel) -> str:
    category = f'<span class="quiet">{escape(duel.category)}</span>' if duel.category else ""
    return (
        f'<article class="duel"><h3>{escape(duel.title)}</h3>{category} '
        f'<span class="badge">{share(duel.p_win)} sure</span><div class="sides">'
        f"{_side(duel.winner, won=True)}{_side(duel.loser, won=False)}</div></article>"
    )


def _side(side: Side, *, won: bool) -> str:
    text = escape(side.text)
    if side.picture:
        picture = f'<img src="{side.picture}" alt="{text or escape(side.source)}" title="{text}">'
    else:
        picture = f'<div class="nopicture">{text or escape(side.why)}</div>'
    kind = "generated" if side.source == "generated" else ""
    return (
        f'<figure class="{"won" if won else "lost"}">{picture}<figcaption>'
        f'<span class="badge {kind}">{escape(side.source)}</span><br><b>{side.rate:.2%}</b> CTR'
        f'<br><span class="quiet">{side.clicks:,} of {side.impressions:,}</span>'
        "</figcaption></figure>"
    )


def _tables(scorecard: Scorecard, experiment: Experiment) -> str:
    parts = ["<h2>Every number</h2>"]
    for metric in dict.fromkeys(lift.metric for lift in scorecard.lifts):
        rows = lines(scorecard, experiment, metric=metric)
        parts.append(f'<h3>{escape(metric)}</h3><div class="card">{_table(rows)}</div>')
    return "".join(parts) if len(parts) > 1 else ""


_COLUMNS = (
    "slice",
    "control",
    "treatment",
    "lift",
    "interval",
    "p",
    "p adjusted",
    "log10 p",
    "at every look",
    "always valid",
    "shrunken",
    "P(better)",
    "absolute",
    "s.e.",
    "design effect",
    "units c / t",
    "numerator c / t",
    "denominator c / t",
)


def _table(rows: Iterable[Line]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    body = "".join(row for line in rows for row in _table_rows(line))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _table_rows(line: Line) -> Iterator[str]:
    lift = line.lift
    absolute = MISSING if lift.absolute_lift is None else f"{lift.absolute_lift:+.3g}"
    cells = [
        line.label,
        line.control,
        line.treatment,
        line.relative,
        line.interval,
        _p(lift.p_value),
        _p(lift.p_adjusted),
        MISSING if lift.log10_p is None else f"{lift.log10_p:.2f}",
        between(lift.sequential_low, lift.sequential_high),
        between(lift.anytime_low, lift.anytime_high),
        MISSING if lift.shrunken_lift is None else percent(lift.shrunken_lift),
        MISSING if lift.p_better is None else share(lift.p_better),
        absolute.replace("-", "\N{MINUS SIGN}"),
        MISSING if lift.se_absolute is None else f"{lift.se_absolute:.3g}",
        MISSING if lift.design_effect is None else f"{lift.design_effect:.2f}",
        f"{lift.units_control:,} / {lift.units_treatment:,}",
        f"{lift.k_control:,} / {lift.k_treatment:,}",
        f"{lift.n_control:,} / {lift.n_treatment:,}",
    ]
    tone = line.tone if line.tone in {"better", "worse"} else ""
    rendered = "".join(
        f'<td class="{tone if place == 3 else ""}">{escape(cell)}</td>'
        for place, cell in enumerate(cells)
    )
    yield f'<tr class="{"strong" if lift.breakdown is None else ""}">{rendered}</tr>'
    if line.why:
        why = f'<td class="why" colspan="{len(cells) - 1}">{escape(line.why)}</td>'
        yield f"<tr><td></td>{why}</tr>"


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"


def _notes(scorecard: Scorecard) -> str:
    srm = ("sample ratio", describe_srm(scorecard))
    warned = ((note.code, note.message) for note in scorecard.warnings)
    return f"<h2>What to know</h2>{notes((srm, *warned))}"


def _footer(scorecard: Scorecard, experiment: Experiment) -> str:
    said = [
        experiment.key,
        f"events until {scorecard.as_of:%Y-%m-%d %H:%M} UTC",
        f"data version {scorecard.data_version}",
        f"{experiment.analysis.test} test at {experiment.analysis.alpha:.0%}",
        "variance by unit, Fieller interval",
        *([f"owner {experiment.owner}"] if experiment.owner else []),
    ]
    return f"<footer>{escape(' · '.join(said))}</footer>"
