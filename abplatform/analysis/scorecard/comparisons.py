"""Every treatment against the control: overall, in every cut, and with bots and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from abplatform.analysis.scorecard.adjusted import adjust_overall
from abplatform.analysis.scorecard.histories import History
from abplatform.analysis.scorecard.lifts import Compared, compare_levels
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import Totals, read_totals
from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import METRICS, Metric
from abplatform.logs.store.answering import Store

__all__ = ["compare_all", "find_silent", "listed_metrics"]


def listed_metrics(experiment: Experiment) -> list[Metric]:
    """Return the primary metric and then the guardrails' metrics, each once."""
    names = [experiment.primary.metric, *(guard.metric for guard in experiment.guardrails)]
    return [METRICS[name] for name in dict.fromkeys(names)]


def compare_all(
    warehouse: Store, scope: Scope, history: History | None, *, bots: bool
) -> list[Compared]:
    """Compare in every metric and cut that the experiment lists.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        history: The pre-period totals, where the YAML asks for an adjustment.
        bots: Whether the view with and without flagged units is wanted, asked for or not.
    """
    experiment, metrics = scope.experiment, listed_metrics(scope.experiment)
    whole = read_totals(warehouse, scope, metrics, None)
    compared = compare_levels(experiment, whole, metrics, None)
    compared = adjust_overall(warehouse, scope, compared, history)
    for cut in experiment.breakdowns:
        if cut.by == "bots":
            bots = True
            continue
        totals = read_totals(warehouse, scope, metrics, cut)
        compared += compare_levels(experiment, totals, metrics, cut)
    if bots:
        both = _with_and_without_bots(warehouse, scope, whole, metrics)
        compared += compare_levels(experiment, both, metrics[:1], Breakdown(by="bots"))
    return compared


def find_silent(compared: Sequence[Compared]) -> list[str]:
    """Return the variants without a unit that counts, the control first."""
    overall = [one.lift for one in compared if one.lift.breakdown is None]
    silent = {lift.control for lift in overall if not lift.units_control}
    return [*silent, *dict.fromkeys(lift.treatment for lift in overall if not lift.units_treatment)]


def _with_and_without_bots(
    warehouse: Store, scope: Scope, whole: Totals, metrics: Sequence[Metric]
) -> Totals:
    other = read_totals(warehouse, replace(scope, bots=not scope.bots), metrics, None)
    levels = {"included": other, "excluded": whole}
    if scope.bots:
        levels = {"included": whole, "excluded": other}
    return Totals(
        {
            (level, variant, metric): part
            for level, totals in levels.items()
            for (_, variant, metric), part in totals.slices.items()
        }
    )
