"""A glance at a running experiment: lifts from bucket sums, within moments at any size.

Each of the 4096 slices of units stands for a unit, so standard errors are right to about 1 % and
the numbers of units are unknown. Flagged units are left out; rows that may still change count.
Intervals hold whenever one looks (confidence sequences), since people look all the time. Nothing is
decided: verdicts rest on exact sums over units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.comparisons import listed_metrics
from abplatform.analysis.scorecard.lifts import compare_levels
from abplatform.analysis.scorecard.looks import Run, make_agenda
from abplatform.analysis.scorecard.outcomes import monitor_lifts
from abplatform.analysis.scorecard.plans import plan_of
from abplatform.analysis.scorecard.record import LiftEstimate
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import Metric
from abplatform.logs.store.answering import Store, data_version

__all__ = ["Glance", "glance"]

_FIELDS = (
    *("metric", "category", "control", "treatment", "n_control", "n_treatment"),
    *("k_control", "k_treatment", "rate_control", "rate_treatment", "relative_lift"),
    *("anytime_low", "anytime_high", "undetermined"),
)


@dataclass(frozen=True, slots=True)
class Glance:
    """What bucket sums say of an experiment.

    Args:
        experiment: The experiment.
        data_version: Of the store.
        lifts: Everything together first, then the primary metric by category.
    """

    experiment: str
    data_version: str
    lifts: tuple[LiftEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it with only those fields that bucket sums can tell."""
        return {
            "experiment": self.experiment,
            "data_version": self.data_version,
            "approximate": True,
            "lifts": [{name: getattr(one, name) for name in _FIELDS} for one in self.lifts],
        }


def glance(warehouse: Store, experiment: Experiment, run: Run, *, zone: ZoneInfo) -> Glance:
    """Compare every treatment with the control by bucket sums, together and by category.

    Args:
        warehouse: The open store, its totals refreshed.
        experiment: As its YAML says.
        run: How it ran.
        zone: Where a workspace day ends.
    """
    scope = Scope(experiment, approximate=True)
    metrics = [one for one in listed_metrics(experiment) if one.numerator != "matched_impressions"]
    cuts = [cut for cut in experiment.breakdowns if cut.by == "category"]
    asked: list[tuple[Breakdown | None, list[Metric]]] = [(None, metrics)]
    asked += [(cut, metrics[:1]) for cut in cuts or [Breakdown(by="category")]]
    compared = [
        one
        for cut, some in asked
        for one in compare_levels(experiment, read_totals(warehouse, scope, some, cut), some, cut)
    ]
    agenda = make_agenda(experiment, run, known_until=None, log=(None, None), zone=zone)
    found = monitor_lifts(experiment, compared, plan_of(experiment, run, agenda))
    return Glance(experiment.key, data_version(warehouse), tuple(one.lift for one in found))
