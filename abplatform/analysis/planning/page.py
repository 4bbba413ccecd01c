"""A planning as one HTML page: the sentence, the plot, the table and what it rests on."""

from __future__ import annotations

from html import escape
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.cautions import warnings_of
from abplatform.analysis.planning.forecast import Planning
from abplatform.analysis.planning.outlook import PlanOutlook
from abplatform.analysis.planning.words import (
    headline,
    plan_cells,
    say_calendar,
    say_days,
    say_lift,
    say_traffic,
)
from abplatform.figures import Line, Mark, facts, line_plot, notes, page, table
from abplatform.stats.sequential.plan import PlanKind

__all__ = ["planning_page"]

_COLOURS = {PlanKind.FIXED: 1, PlanKind.SEQUENTIAL: 2, PlanKind.ANYTIME: 4}


def planning_page(planning: Planning, zone: ZoneInfo) -> str:
    """Return the whole page.

    Args:
        planning: What an experiment will need.
        zone: Where a workspace day ends.
    """
    body = "\n".join(
        (
            _hero(planning, zone),
            _facts(planning),
            _plot(planning),
            _table(planning),
            _notes(planning),
            _footer(planning, zone),
        )
    )
    return page(f"{planning.experiment.key}: plan", body)


def _hero(planning: Planning, zone: ZoneInfo) -> str:
    tone, word = ("ship", "enough time") if planning.suffices else ("reject", "too short")
    hypothesis = escape(planning.experiment.hypothesis or "")
    return (
        f'<section class="hero {tone}"><span class="badge {tone}">{word}</span> '
        f'<span class="quiet">{escape(planning.experiment.key)} · plan: '
        f"{escape(planning.experiment.analysis.test)}</span>"
        f"<h1>{escape(headline(planning, zone))}</h1>"
        f'<p class="quiet">{hypothesis}</p></section>'
    )


def _facts(planning: Planning) -> str:
    own, task, traffic = planning.own, planning.task, planning.traffic
    effect = traffic.growth.facts.design_effect
    smallest = "none" if own.smallest_lift is None else say_lift(own.smallest_lift)
    told = [
        (smallest, f"smallest lift found in {task.max_days} days"),
        (f"{own.power:.0%}", f"chance to find {say_lift(task.lift)} in {task.max_days} days"),
        (say_days(own.days), f"days needed for {say_lift(task.lift)}"),
        (say_days(own.days_with_effect), "days on average if the lift is there"),
        (f"{traffic.growth.facts.rate:.2%}", f"{planning.experiment.primary.metric} of the past"),
        ("none" if effect is None else f"{effect:.2f}", "design effect"),
    ]
    return facts(told)


def _plot(planning: Planning) -> str:
    task, seen = planning.task, planning.traffic.days
    lines = []
    for plan in planning.plans:
        known = [day for day in plan.curve if day <= seen]
        # The guess begins where the log ends, and both parts meet there.
        guess = [day for day in plan.curve if day >= (known[-1] if known else 0)]
        label = plan.plan.value
        for days, style in ((known, "solid"), (guess, "dashed" if seen else "solid")):
            if len(days) > 1:
                lines.append(
                    Line(
                        label="" if style == "solid" and len(guess) > 1 and seen else label,
                        x=days,
                        y=[plan.curve[day] for day in days],
                        style="dashed" if style == "dashed" else "solid",
                        colour=_COLOURS[plan.plan],
                    )
                )
    last = max((day for plan in planning.plans for day in plan.curve), default=task.max_days)
    wanted = abs(task.lift)
    lines.append(Line(f"mde {say_lift(task.lift)}", [1, last], [wanted, wanted], colour=3))
    marks = [Mark(task.max_days, "max_runtime")]
    if 1 < seen < last and abs(seen - task.max_days) > last / 12:
        marks.append(Mark(seen, "log ends"))
    top = max((_readable(plan, task.min_days) for plan in planning.plans), default=wanted)
    plot = line_plot(
        lines,
        title="Smallest lift that each plan finds, by days since start",
        x_axis="days since start",
        y_axis=f"smallest lift found with {task.power:.0%} power",
        marks=marks,
        limits=(0.0, 1.08 * max(top, wanted)),
    )
    legend = (
        "The lower a line, the smaller the lift that is found if the run ends on that day. Solid: "
        "as the log shows; dashed: extrapolated."
    )
    return (
        f"<h2>How small a lift can be found, day by day</h2><p class='quiet'>{legend}</p>"
        f'<div class="card">{plot}</div>'
    )


def _readable(plan: PlanOutlook, first: int) -> float:
    """Return the height of a line from the first look on; days before it may run off the top."""
    return max((lift for day, lift in plan.curve.items() if day >= first), default=0.0)


def _table(planning: Planning) -> str:
    task = planning.task
    lift = say_lift(task.lift)
    heads = (
        "plan",
        f"finds in {task.max_days} days",
        f"chance of {lift}",
        f"units for {lift}",
        f"days for {lift}",
        "days if no lift",
        f"days if {lift}",
        "cost in samples",
    )
    rows = [plan_cells(plan) for plan in planning.plans]
    what = (
        "<code>fixed</code> looks once, at the end; <code>sequential</code> looks every day from "
        "min_runtime on; <code>anytime</code> may be read whenever and however often one likes."
    )
    costs = table(heads, rows, strong=planning.plans.index(planning.own))
    return f"<h2>What each plan costs</h2><p class='quiet'>{what}</p>{costs}"


def _notes(planning: Planning) -> str:
    found = [(one.code, one.message) for one in warnings_of(planning)]
    return f"<h2>Beware</h2>{notes(found)}" if found else ""


def _footer(planning: Planning, zone: ZoneInfo) -> str:
    task = planning.task
    text = (
        f"{say_traffic(planning)}. {say_calendar(planning, zone)}. Power {task.power:.0%} at a "
        f"two-sided error of {task.alpha:g}."
    )
    return f"<footer>{escape(text[0].upper() + text[1:])}</footer>"
