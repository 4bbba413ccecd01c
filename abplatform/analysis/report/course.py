"""The lift day by day, with the boundary that decides and the band that is always valid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from html import escape

from abplatform.analysis.scorecard import Scorecard
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.domain.experiment import Experiment
from abplatform.figures import Line, Mark, line_plot

__all__ = ["course_section"]


def course_section(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return the plot of every treatment with at least two looks, or an empty text.

    Args:
        scorecard: Its looks are drawn.
        experiment: As its YAML says.
    """
    plots = []
    for variant in experiment.treatments:
        looks = [
            look
            for look in scorecard.looks
            if look.treatment == variant.name and look.relative_lift is not None
        ]
        if len(looks) < 2:
            continue
        name = f"<h3>{escape(variant.name)}</h3>" if len(experiment.treatments) > 1 else ""
        plots.append(f'{name}<div class="card">{_plot(looks, experiment)}</div>')
    if not plots:
        return ""
    return f"<h2>Lift day by day</h2><p class='quiet'>{_legend(experiment)}</p>{''.join(plots)}"


def _legend(experiment: Experiment) -> str:
    band = (
        "The blue band holds the true lift at all times together with "
        f"{1 - experiment.analysis.alpha:.0%} confidence."
    )
    if experiment.analysis.test == "anytime":
        return f"The dark line is the lift so far. {band} The band leaving zero is what decides."
    return (
        "The dark line is the lift so far. It decides when it passes a dashed line, which allows "
        f"for every look taken before. {band}"
    )


def _plot(looks: Sequence[TakenLook], experiment: Experiment) -> str:
    days = [float(look.day.toordinal()) for look in looks]
    edges = [_needed(look) for look in looks]
    lines = [
        Line(
            "always valid",
            days,
            [look.anytime_low for look in looks],
            high=[look.anytime_high for look in looks],
            style="band",
            colour=2,
        ),
        Line("lift so far", days, [look.relative_lift for look in looks]),
    ]
    if any(edge is not None for edge in edges):
        above = [None if edge is None else math.expm1(edge) for edge in edges]
        below = [None if edge is None else math.expm1(-edge) for edge in edges]
        lines[1:1] = [
            Line("boundary", days, above, style="dashed", colour=4),
            Line("", days, below, style="dashed", colour=4),
        ]
    metric = experiment.primary.metric
    marks = [Mark(float(look.day.toordinal()), "decided") for look in looks if look.decides]
    return line_plot(
        lines,
        title=f"Cumulative lift of {metric} by day",
        x_axis="end of day",
        y_axis=f"lift of {metric} since the start",
        marks=marks,
        write_x=_write_day,
        least_step=1,
    )


def _needed(look: TakenLook) -> float | None:
    """Return the log-lift at which |z| would reach the boundary: b / √I."""
    if look.boundary is None or not look.information:
        return None
    edge = look.boundary / math.sqrt(look.information)
    # Beyond a threefold lift a boundary is no news.
    return edge if edge < math.log(3) else None


def _write_day(value: float) -> str:
    return f"{date.fromordinal(int(value)):%d %b}"
