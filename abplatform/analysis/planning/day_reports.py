"""Traffic of the past where only reports of days are known: an impression stands for a unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from abplatform.analysis.planning.growth import Growth, UnitFacts, grow_evenly
from abplatform.analysis.scorecard.looks import Question
from abplatform.analysis.scorecard.reports import read_reports
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.answering import Store
from abplatform.stats.dispersion import Dispersion
from abplatform.stats.power import share_unit_variance

__all__ = ["ReportTraffic", "read_report_traffic"]


@dataclass(frozen=True, slots=True)
class ReportTraffic:
    """What an experiment's reports say.

    Args:
        growth: As many impressions every day.
        first_day: The first reported day.
        days: From then to the last one.
        impressions: In all variants.
        dispersion: What multiplies the variance of independent impressions.
    """

    growth: Growth
    first_day: date
    days: int
    impressions: int
    dispersion: Dispersion


def read_report_traffic(
    warehouse: Store, experiment: Experiment, zone: ZoneInfo
) -> ReportTraffic | None:
    """Return what an experiment's own reports say of its CTR; None where they say too little.

    Args:
        warehouse: The open store.
        experiment: What is planned.
        zone: Where a workspace day ends.
    """
    key = experiment.key
    reports = read_reports(warehouse, [key], Question(), zone)
    rows = reports.totals.get(key, ())
    control = [row for row in rows if row["variant"] == experiment.control.name]
    shown = sum(int(row["impressions"] or 0) for row in control)
    clicks = sum(int(row["clicks"] or 0) for row in control)
    if experiment.primary.metric != "ctr" or not 0 < clicks < shown:
        return None
    first, last = (
        min(row["first_day"] for row in rows),
        max(row["last_day"] for row in rows),
    )
    days = (last - first).days + 1
    everything = sum(int(row["impressions"] or 0) for row in rows)
    rate, dispersion = clicks / shown, reports.dispersions[key]["ctr"]
    variance = share_unit_variance(rate, per_unit=1.0, design_effect=dispersion.factor)
    facts = UnitFacts(rate, 1.0, variance, event_share=rate)
    growth = grow_evenly(facts, units_per_day=everything / days)
    return ReportTraffic(growth, first, days, everything, dispersion)
