"""When the plan may decide: the decision look, and whether its rows are final."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.record import Look
from abplatform.analysis.scorecard.totals import conversion_delay
from abplatform.domain.experiment import Experiment, Phase
from abplatform.domain.metrics import METRICS
from abplatform.traffic.registry import RegisteredExperiment

__all__ = ["Question", "Run", "decision_moment", "final_delay", "find_look"]


@dataclass(frozen=True, slots=True)
class Run:
    """How an experiment ran.

    Args:
        now: The workspace's clock.
        started_at: When it started; None if it never did or was assigned elsewhere.
        ended_at: When it was stopped; None while it runs.
        phases: Its stretches of one allocation, from the journal.
        excluded_sources: Sources that a person has excluded since it started.
        srm_acknowledged: When people acknowledged alarms of the sample ratio check.
    """

    now: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    phases: tuple[Phase, ...] = ()
    excluded_sources: tuple[str, ...] = ()
    srm_acknowledged: tuple[datetime, ...] = ()

    @classmethod
    def of(cls, registered: RegisteredExperiment, *, now: datetime) -> Run:
        """Return how a registered experiment ran, as the journal knows it."""
        return cls(
            now,
            registered.started_at,
            registered.ended_at,
            registered.phases,
            excluded_sources=registered.remedies.excluded_sources,
            srm_acknowledged=registered.remedies.acknowledged,
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader wants to know.

    Args:
        as_of: Event time up to which events count; None for all.
        data_version: What was known then; None for now.
        final: Whether provisional rows are left out.
    """

    as_of: datetime | None = None
    data_version: str | None = None
    final: bool = False


def final_delay(experiment: Experiment) -> timedelta:
    """Return how long after an impression its last event may still arrive."""
    windows = experiment.events
    names = [experiment.primary.metric, *(guard.metric for guard in experiment.guardrails)]
    slowest = max(conversion_delay(experiment, METRICS[name]) for name in names)
    return windows.attribution_window + windows.late_data + slowest


def decision_moment(experiment: Experiment, run: Run, zone: ZoneInfo) -> datetime | None:
    """Return when the plan decides; None where the log's end is the look, and for a draft.

    Days of ``max_runtime`` are the workspace's days: a week is a week also where clocks change.

    Args:
        experiment: Says the plan.
        run: How it ran.
        zone: Where a workspace day ends.
    """
    if experiment.assignment == "external" or run.started_at is None:
        return None
    days = timedelta(days=experiment.analysis.max_runtime.days)
    whole = (run.started_at.astimezone(zone) + days).astimezone(UTC)
    return whole + (experiment.analysis.max_runtime - days)


def find_look(
    experiment: Experiment, run: Run, *, known_until: datetime | None, zone: ZoneInfo
) -> Look:
    """Say whether the experiment's decision look has come.

    Args:
        experiment: Says the plan.
        run: How it ran.
        known_until: The least watermark of its sources, lowered by ``as_of``; None without rows.
        zone: Where a workspace day ends.
    """
    if experiment.assignment == "external":
        return Look(reached=True, sentence="the log's last day is the decision look")
    at = decision_moment(experiment, run, zone)
    if at is None or run.started_at is None:
        return Look(reached=False, sentence="it has not been started")
    # Where clocks change, whoever counted hours has stopped it an hour off; that was planned, too.
    planned = min(at, run.started_at + experiment.analysis.max_runtime)
    if run.ended_at is not None and run.ended_at < planned:
        return Look(
            reached=False,
            at=at,
            sentence=f"it was stopped on {_day(run.ended_at)}, before its decision look on "
            f"{_day(at)}; a stop that was not planned decides nothing",
        )
    ready = at + final_delay(experiment)
    if known_until is None or known_until < ready:
        return Look(
            reached=False,
            at=at,
            sentence=f"its decision look is on {_day(at)}, and that day's clicks are final on "
            f"{_day(ready)}",
        )
    return Look(reached=True, at=at, sentence=f"decided on what was final on {_day(ready)}")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
