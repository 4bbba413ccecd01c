"""A programme in words, and as one HTML file with its forest plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from abplatform.analysis.programme.record import (
    AttributeEffect,
    EndedRow,
    HoldoutLift,
    Impact,
    Programme,
)
from abplatform.domain.metrics import METRICS
from abplatform.figures import (
    ForestRow,
    Tone,
    forest_plot,
    interval_text,
    page,
    percent,
    share,
    table,
)

__all__ = [
    "ATTRIBUTE_HEADS",
    "EXPERIMENT_HEADS",
    "attribute_cells",
    "describe_holdout",
    "describe_impact",
    "describe_rates",
    "experiment_cells",
    "to_html",
]

_MISSING = "\N{EM DASH}"
_SHOWN = 24
"""How many words of scenes the page draws; the JSON holds all."""

ATTRIBUTE_HEADS = (
    *("scene", "category", "effect on CTR", "shrunken", "p adjusted", "products", "clicks"),
)
EXPERIMENT_HEADS = (
    *("experiment", "treatment", "verdict", "metric", "lift", "shrunken", "units", "why not"),
)


def describe_rates(programme: Programme) -> str:
    """Say how many experiments there were, and how often they won and shipped."""
    if not programme.ended or programme.win_rate is None or programme.ship_rate is None:
        return f"{_count(programme.started, 'experiment')} begun, none has ended yet."
    text = (
        f"{_count(programme.started, 'experiment')} begun, {programme.ended:,} ended: "
        f"{share(programme.win_rate)} won, {share(programme.ship_rate)} shipped"
    )
    return f"{text}, {programme.invalid:,} invalid." if programme.invalid else f"{text}."


def describe_impact(impact: Impact) -> str:
    """Say what shipping has brought in one metric, and what it only seems to have brought."""
    name = METRICS[impact.metric].title
    if impact.shrunken_total is not None and impact.raw_total is not None:
        what = "the one shipped treatment is"
        if impact.shipped > 1:
            what = f"the {impact.shipped:,} shipped treatments together are"
        flattered = abs(impact.raw_total) > abs(impact.shrunken_total)
        return (
            f"{name}: {what} worth {percent(impact.shrunken_total)} "
            f"({interval_text(impact.shrunken_low, impact.shrunken_high)}) in the light of all "
            f"{_count(impact.treatments, 'measured treatment')}; as measured "
            f"{percent(impact.raw_total)}"
            f"{', which choosing winners has flattered' if flattered else ''}."
        )
    if impact.undetermined:
        total = impact.raw_total
        raw = "" if total is None else f"; as measured, what shipped adds up to {percent(total)}"
        return f"{name}: {_sentence(impact.undetermined)}{raw}."
    return (
        f"{name}: nothing was shipped; over {_count(impact.treatments, 'treatment')} the mean true "
        f"lift is {_percent(impact.mean_lift)} "
        f"({interval_text(impact.mean_low, impact.mean_high)})."
    )


def describe_holdout(lift: HoldoutLift) -> str:
    """Say what everyone else gained on the holdout, or how to have one."""
    if lift.relative_lift is None or lift.rate_others is None or lift.rate_holdout is None:
        return f"Holdout: {_sentence(lift.undetermined or 'no_result: no result')}."
    days = f"{lift.first_at:%Y-%m-%d} to {lift.last_at:%Y-%m-%d}" if lift.first_at else ""
    return (
        f"Holdout: from {days} everyone else's CTR was {lift.rate_others:.2%}, the holdout's "
        f"{lift.rate_holdout:.2%}: a cumulative lift of {percent(lift.relative_lift)} "
        f"({interval_text(lift.ci_low, lift.ci_high)}), on {lift.units_others:,} and "
        f"{lift.units_holdout:,} units."
    )


def experiment_cells(row: EndedRow) -> tuple[str, ...]:
    """Return one experiment's row of a table, in the order of :data:`EXPERIMENT_HEADS`."""
    raw = _MISSING
    if row.relative_lift is not None:
        raw = f"{percent(row.relative_lift)} ({interval_text(row.ci_low, row.ci_high)})"
    shrunken = _MISSING
    if row.shrunken_lift is not None:
        shrunken = (
            f"{percent(row.shrunken_lift)} ({interval_text(row.shrunken_low, row.shrunken_high)})"
        )
    return (
        *(row.experiment, row.treatment, _words(row.verdict or row.state), row.metric),
        *(raw, shrunken, f"{row.units:,}", _sentence(row.undetermined or "")),
    )


def attribute_cells(row: AttributeEffect) -> tuple[str, ...]:
    """Return one word's row of a table, in the order of :data:`ATTRIBUTE_HEADS`."""
    return (
        f"{row.attribute} {row.value}",
        row.category or "all",
        f"{percent(row.relative_effect)} ({interval_text(row.ci_low, row.ci_high)})",
        _MISSING if row.shrunken_effect is None else percent(row.shrunken_effect),
        f"{row.p_adjusted:.2g}{' *' if row.significant else ''}",
        f"{row.products:,}",
        f"{row.clicks:,}",
    )


def to_html(programme: Programme) -> str:
    """Return the whole page."""
    parts = (
        _hero(programme),
        _experiments(programme),
        _holdout(programme.holdout),
        _attributes(programme.attributes),
        _notes(programme.notes),
    )
    return page("What experiments have taught", "\n".join(part for part in parts if part))


def _hero(programme: Programme) -> str:
    return (
        '<section class="hero"><span class="badge">programme</span>'
        f"<h1>{escape(_headline(programme))}</h1>"
        f'<p class="quiet">{escape(describe_rates(programme))}</p></section>'
    )


def _headline(programme: Programme) -> str:
    told = [one for one in programme.impacts if one.shrunken_total is not None]
    if told:
        best = max(told, key=lambda one: one.treatments)
        return (
            f"What was shipped moves {METRICS[best.metric].title} by "
            f"{_percent(best.shrunken_total)}, likely between {_percent(best.shrunken_low)} and "
            f"{_percent(best.shrunken_high)}"
        )
    return "Too few experiments have ended to say what shipping brings"


def _experiments(programme: Programme) -> str:
    if not programme.rows:
        return ""
    parts = ["<h2>Experiments</h2>"]
    for impact in programme.impacts:
        rows = [row for row in programme.rows if row.metric == impact.metric]
        parts.append(f'<p class="quiet">{escape(describe_impact(impact))}</p>')
        plot = forest_plot(
            list(_forest(rows, impact)),
            title=f"Lift of {impact.metric} by experiment, raw and shrunken",
            axis=f"relative lift of {impact.metric}; filled: as measured, hollow: shrunken",
        )
        parts.append(f'<div class="card">{plot}</div>')
    return "\n".join(parts)


def _forest(rows: Sequence[EndedRow], impact: Impact) -> Iterator[ForestRow]:
    several = len({row.experiment for row in rows}) < len(rows)
    for row in rows:
        lost = row.verdict == "reject"
        yield ForestRow(
            label=f"{row.experiment} · {row.treatment}" if several else row.experiment,
            note=f"{_words(row.verdict or row.state)} · {row.units:,} units",
            estimate=row.relative_lift,
            low=row.ci_low,
            high=row.ci_high,
            tone="better" if row.shipped else "worse" if lost else "open",
            why=row.undetermined,
            pulled=row.shrunken_lift,
            pulled_low=row.shrunken_low,
            pulled_high=row.shrunken_high,
        )
    if impact.mean_lift is not None:
        yield ForestRow(
            label="Mean true lift",
            note=f"{_count(impact.treatments, 'treatment')}, shipped or not",
            estimate=impact.mean_lift,
            low=impact.mean_low,
            high=impact.mean_high,
            strong=True,
        )


def _holdout(lift: HoldoutLift) -> str:
    note = (
        f'<p class="quiet">{escape(lift.note[0].upper() + lift.note[1:])}.</p>' if lift.note else ""
    )
    return f"<h2>Against the holdout</h2><p>{escape(describe_holdout(lift))}</p>{note}"


def _attributes(rows: Sequence[AttributeEffect]) -> str:
    if not rows:
        return ""
    plot = forest_plot(
        [
            ForestRow(
                label=f"{row.attribute} {row.value}",
                note=f"{row.category or 'all categories'} · {row.products} products",
                estimate=row.relative_effect,
                low=row.ci_low,
                high=row.ci_high,
                tone=_tone(row),
                pulled=row.shrunken_effect,
                pulled_low=row.shrunken_low,
                pulled_high=row.shrunken_high,
            )
            for row in rows[:_SHOWN]
        ],
        title="What words of a scene do to CTR",
        axis="CTR of creatives with it against others of the same product; hollow: shrunken",
    )
    found = sum(row.significant for row in rows)
    text = (
        f"{len(rows):,} words of scenes have enough evidence; {found:,} of them hold after "
        "correction for looking at all. Words that always come together cannot be told apart."
    )
    words = table(ATTRIBUTE_HEADS, [attribute_cells(row) for row in rows[:_SHOWN]])
    return f'<h2>What scenes do</h2><p>{text}</p><div class="card">{plot}</div>{words}'


def _tone(row: AttributeEffect) -> Tone:
    if not row.significant:
        return "open"
    return "better" if row.relative_effect > 0 else "worse"


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<h2>To know</h2><ul class="reasons">{items}</ul>' if items else ""


def _words(code: str) -> str:
    return code.replace("_", " ")


def _percent(value: float | None) -> str:
    return _MISSING if value is None else percent(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sentence(reason: str) -> str:
    return reason.partition(": ")[2] or reason
