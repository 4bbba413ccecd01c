"""The lift day by day, with the boundary that decides and the band that is always valid."""

from __future__ import annotations

from html import escape

from abplatform.analysis.scorecard import Scorecard
from abplatform.domain.experiment import Experiment
from abplatform.figures import CoursePoint, course_plot

__all__ = ["course_section"]


def course_section(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return the plot of every treatment with at least two looks, or an empty text.

    Args:
        scorecard: Its looks are drawn.
        experiment: As its YAML says.
    """
    plots = []
    for variant in experiment.treatments:
        points = [
            CoursePoint(
                day=look.day,
                lift=look.relative_lift,
                low=look.anytime_low,
                high=look.anytime_high,
                z_needed=look.boundary,
                information=look.information,
                mark="decided" if look.row.crossed else "last look" if look.row.last else "",
            )
            for look in scorecard.looks
            if look.treatment == variant.name and look.relative_lift is not None
        ]
        if len(points) > 1:
            name = f"<h3>{escape(variant.name)}</h3>" if len(experiment.treatments) > 1 else ""
            plot = course_plot(points, metric=experiment.primary.metric)
            plots.append(f'{name}<div class="card">{plot}</div>')
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
