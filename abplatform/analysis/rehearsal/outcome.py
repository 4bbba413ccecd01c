"""What a rehearsal found: error rate or power of every plan, and when it would have decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from abplatform.analysis.planning.past import LEAST_EVENT_UNITS, LEAST_UNITS, PastRun, read_units
from abplatform.analysis.planning.task import task_of
from abplatform.analysis.rehearsal.crowd import Crowd, gather_crowd
from abplatform.analysis.rehearsal.replay import Batch, Stage, replay
from abplatform.analysis.scorecard import Warned
from abplatform.analysis.scorecard.lifts import SHARES
from abplatform.domain.experiment import Experiment
from abplatform.errors import AnalysisError
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import Interval, RatioSums, Undetermined, rate_interval
from abplatform.stats.sequential import PlanKind

__all__ = ["Kind", "PlanTally", "Rehearsal", "Tally", "rehearse"]

Kind = Literal["aa", "power"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs something happened in.

    Args:
        hits: In so many it did.
        runs: Of so many.
    """

    hits: int
    runs: int

    @property
    def rate(self) -> float:
        """The share of runs."""
        return self.hits / self.runs

    @property
    def interval(self) -> Interval:
        """The Monte-Carlo interval at 95 %."""
        found = rate_interval(RatioSums.independent(self.runs, self.hits), alpha=0.05, share=True)
        return Interval(0.0, 1.0) if isinstance(found, Undetermined) else found

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        low, high = self.interval.low, self.interval.high
        return {"runs": self.runs, "hits": self.hits, "rate": self.rate, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class PlanTally:
    """What one plan did.

    Args:
        rejects: Runs in which a treatment crossed.
        wrong: Runs in which it crossed against the planted lift; None where none is planted.
        by_day: Day to runs that crossed then.
    """

    rejects: Tally
    wrong: Tally | None
    by_day: Mapping[int, int]

    @property
    def middle_day(self) -> float | None:
        """The day by which half of the crossings had come; None without any."""
        if not self.rejects.hits:
            return None
        days = np.repeat(list(self.by_day), list(self.by_day.values()))
        return float(np.median(days))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "rejects": self.rejects.to_json(),
            "wrong_direction": None if self.wrong is None else self.wrong.to_json(),
            "median_day": self.middle_day,
            "by_day": [{"day": day, "runs": count} for day, count in self.by_day.items()],
        }


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A configuration tried on a log.

    Args:
        experiment: Whose configuration.
        kind: ``aa`` (nothing is changed) or ``power`` (a lift is planted).
        lift: The planted relative lift; 0 for none.
        seed: Of salts and planted clicks.
        units: Units that were assigned anew.
        days: Days that were replayed.
        told: Whose units they are.
        plans: What each plan did.
        naive: The impression-level test, read on every day; None where it does not apply.
        srm: Runs in which the SRM alarm ever fired.
        notes: What to beware of.
    """

    experiment: Experiment
    kind: Kind
    lift: float
    seed: int
    units: int
    days: int
    told: str
    plans: Mapping[PlanKind, PlanTally]
    naive: Tally | None
    srm: Tally
    notes: tuple[Warned, ...]

    @property
    def own(self) -> PlanTally:
        """What the plan did that the YAML names."""
        return self.plans[PlanKind(self.experiment.analysis.test)]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "experiment": self.experiment.key,
            "kind": self.kind,
            "plan": self.experiment.analysis.test,
            "alpha": self.experiment.analysis.alpha,
            "lift": self.lift,
            "seed": self.seed,
            "units": self.units,
            "days": self.days,
            "told": self.told,
            "plans": {kind.value: tally.to_json() for kind, tally in self.plans.items()},
            "naive_peeking": None if self.naive is None else self.naive.to_json(),
            "srm_alarms": self.srm.to_json(),
            "warnings": [{"code": one.code, "message": one.message} for one in self.notes],
        }


def rehearse(
    warehouse: Store,
    experiment: Experiment,
    runs: Mapping[str, PastRun],
    *,
    kind: Kind,
    count: int,
    lift: float | None,
    seed: int,
    advance: Callable[[int, int], None],
) -> Rehearsal:
    """Try an experiment's configuration on the workspace's own units.

    Args:
        warehouse: The open store; nothing is written.
        experiment: Whose configuration.
        runs: Every experiment that may have rows, by key.
        kind: Whether a lift is planted.
        count: How often units are assigned anew.
        lift: The lift that is planted; default the mde, else 5 %, in the direction that is better.
        seed: Of salts and planted clicks.
        advance: Told how many runs are done.

    Raises:
        AnalysisError: The log is too small.
    """
    past = read_units(warehouse, experiment, runs)
    if past is None:
        raise AnalysisError(
            f"no log of {experiment.key} or of like experiments has {LEAST_UNITS} units, "
            f"{LEAST_EVENT_UNITS} of them with an event",
            remedy="ingest a log first, or reckon without one: `abp power KEY --rate 2% "
            "--units-per-day 5000`",
        )
    longest = max(1, round(experiment.analysis.max_runtime / _DAY))
    days = min(past.days, longest)
    crowd = gather_crowd(past.unit_days, days=days, seed=seed)
    task = task_of(experiment, days=days)
    planted = (task.lift if lift is None else lift) if kind == "power" else 0.0
    share = experiment.primary.metric in SHARES
    stage = Stage(experiment, task, crowd, share=share, planted=planted, seed=seed)
    batches = list(replay(stage, runs=count, advance=advance))
    return Rehearsal(
        experiment=experiment,
        kind=kind,
        lift=planted,
        seed=seed,
        units=len(crowd.ids),
        days=days,
        told=past.told,
        plans={plan: _tally(batches, plan, count, planted) for plan in PlanKind},
        naive=_count([batch.naive for batch in batches], count) if share else None,
        srm=_count([batch.srm for batch in batches], count),
        notes=tuple(_notes(experiment, crowd, days=days, longest=longest, share=share)),
    )


def _tally(batches: list[Batch], plan: PlanKind, count: int, planted: float) -> PlanTally:
    days = np.concatenate([batch.days[plan] for batch in batches])
    signs = np.concatenate([batch.directions[plan] for batch in batches])
    crossed, counts = np.unique(days[days > 0], return_counts=True)
    against = (days > 0) & (signs != np.sign(planted))
    return PlanTally(
        rejects=Tally(int((days > 0).sum()), count),
        wrong=Tally(int(against.sum()), count) if planted else None,
        by_day=dict(zip(crossed.tolist(), counts.tolist(), strict=True)),
    )


def _count(parts: list[Any], count: int) -> Tally:
    return Tally(int(np.concatenate(parts).sum()), count)


def _notes(
    experiment: Experiment, crowd: Crowd, *, days: int, longest: int, share: bool
) -> list[Warned]:
    found = []
    if days < longest:
        shortest = min(max(1, round(experiment.analysis.min_runtime / _DAY)), days)
        found.append(
            Warned(
                "log_shorter_than_run",
                f"the log has {days} days and the plan {longest}: rehearsed over {days} days, with "
                f"looks from day {shortest} on",
            )
        )
    if crowd.known > len(crowd.ids):
        found.append(
            Warned(
                "sampled",
                f"{len(crowd.ids):,} of {crowd.known:,} units are rehearsed, drawn at random; more "
                "do not fit into memory",
            )
        )
    if experiment.analysis.cuped is not None:
        found.append(Warned("cuped_left_out", "the rehearsal tests without CUPED"))
    if not share:
        found.append(
            Warned(
                "naive_not_applicable",
                f"an impression-level test does not apply to {experiment.primary.metric}",
            )
        )
    return found
