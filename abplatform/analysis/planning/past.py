"""What the workspace's logs know about units like those an experiment will get.

The best source that is large enough is taken: the experiment's own control once it runs, else the
control of the other experiment with the most units of the same kind and targeting, else every
impression. Each is a share of the whole traffic, which scales what it saw to what is planned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import polars as pl

from abplatform.analysis.scorecard.scope import BEGINNING, FOREVER, naive
from abplatform.domain.assignment import BUCKETS
from abplatform.domain.experiment import BucketRange, Experiment, Phase, RampStep
from abplatform.domain.metrics import METRICS
from abplatform.domain.targeting import Condition
from abplatform.logs.attribution import MOST_A_DAY, MOST_A_MINUTE, MOST_AN_HOUR
from abplatform.logs.facts import micros, to_micros
from abplatform.logs.store.answering import Store

__all__ = [
    "COUNTED",
    "LEAST_EVENT_UNITS",
    "LEAST_UNITS",
    "Origin",
    "PastRun",
    "PastTraffic",
    "reach_of",
    "read_past",
    "read_units",
]

Origin = Literal["own", "experiment", "impressions", "assumed"]

COUNTED = ("category", "country")
"""What of a targeting the past can be held against; of the rest logs keep too little."""

LEAST_UNITS = 100
"""A log with fewer units tells nothing that one could plan with."""

LEAST_EVENT_UNITS = 20
"""Nor does one with fewer units that have an event."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """An experiment that may have rows, and how it ran.

    Args:
        experiment: As its YAML says.
        phases: Its stretches of one allocation; none where units are assigned elsewhere.
        excluded_sources: Sources whose rows do not count.
    """

    experiment: Experiment
    phases: tuple[Phase, ...] = ()
    excluded_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PastTraffic:
    """Units of the past with their days.

    Args:
        origin: What kind of log it is.
        told: The same for people, such as ``the control of lamps``.
        share: Which share of the whole traffic it saw, 0 … 1.
        first_day: The first workspace day.
        unit_days: One row a unit and day, ascending: ``unit``, ``day`` (0 for the first), ``n``,
            ``k``.
    """

    origin: Origin
    told: str
    share: float
    first_day: date
    unit_days: pl.DataFrame

    @property
    def days(self) -> int:
        """How many workspace days it covers."""
        last = self.unit_days["day"].max()
        return int(last) + 1 if isinstance(last, int) else 0

    @property
    def units(self) -> int:
        """How many units it holds."""
        return self.unit_days["unit"].n_unique()


def read_past(
    warehouse: Store,
    experiment: Experiment,
    runs: Mapping[str, PastRun],
    *,
    until: datetime = FOREVER,
    holdout: float = 0.0,
) -> PastTraffic | None:
    """Return the best past traffic for an experiment, or None where no log says enough.

    Args:
        warehouse: The open store.
        experiment: What is planned.
        runs: Every experiment that may have rows, by key.
        until: Only whole days before it count.
        holdout: Share of units that no experiment touches.
    """
    for read in _sources(warehouse, experiment, runs, until=until, holdout=holdout):
        past = read()
        if past is not None and _is_enough(past.unit_days):
            return past
    return None


def read_units(
    warehouse: Store, experiment: Experiment, runs: Mapping[str, PastRun]
) -> PastTraffic | None:
    """Return whom a rehearsal may assign anew: all units of an experiment's own log, or the past.

    Args:
        warehouse: The open store.
        experiment: What is rehearsed.
        runs: Every experiment that may have rows, by key.
    """
    names = [variant.name for variant in experiment.variants]
    frame = _read(warehouse, experiment, runs.get(experiment.key, PastRun(experiment)), names)
    own = _traffic("own", f"all units of {experiment.key}", frame, share=1.0)
    if own is not None and _is_enough(own.unit_days):
        return own
    return read_past(warehouse, experiment, runs)


def reach_of(run: PastRun, *, holdout: float = 0.0) -> float:
    """Return which share of all units an experiment exposes once its ramp is done, 0 … 1."""
    if run.experiment.assignment == "external":
        return 1.0
    if run.phases:
        last = run.phases[-1]
        exposed = _width((last.exposure,)) * _width(last.slots)
    else:
        exposed = run.experiment.own_layer.share * last_step(run.experiment).traffic
    return exposed * (1 - holdout)


def last_step(experiment: Experiment) -> RampStep:
    """Return where the ramp ends."""
    return experiment.ramp[-1]


def _sources(
    warehouse: Store,
    experiment: Experiment,
    runs: Mapping[str, PastRun],
    *,
    until: datetime,
    holdout: float,
) -> Iterator[Callable[[], PastTraffic | None]]:
    found = warehouse.query(
        "portable/past_variants",
        **_admitted(experiment),
        bots=experiment.events.bots == "include",
        until=naive(until),
        flagged_until=naive(until),
    )
    seen = set(zip(found["experiment"], found["variant"], strict=True))
    # The rows come with the most units first; its own log goes before all others.
    keys = sorted(dict.fromkeys(found["experiment"]), key=lambda key: key != experiment.key)
    for key in keys:
        run = runs.get(key)
        if run is None or run.experiment.unit != experiment.unit:
            continue
        control = run.experiment.control
        if (key, control.name) in seen:
            yield lambda run=run: _read_control(  # type: ignore[misc]  # the default binds the run
                warehouse, experiment, run, until=until, holdout=holdout
            )
    if experiment.primary.metric == "ctr":
        yield lambda: _read_impressions(warehouse, experiment, until=until)


def _read_control(
    warehouse: Store,
    experiment: Experiment,
    run: PastRun,
    *,
    until: datetime,
    holdout: float,
) -> PastTraffic | None:
    theirs = run.experiment
    control, whole = theirs.control, sum(theirs.weights.values())
    frame = _read(
        warehouse,
        experiment,
        run,
        [control.name],
        since=_steady_since(run.phases),
        until=until,
    )
    weight = run.phases[-1].weights.get(control.name, 0.0) if run.phases else control.weight
    own = theirs.key == experiment.key
    told = "its own control" if own else f"the control of {theirs.key}"
    share = reach_of(run, holdout=holdout) * weight / whole
    return _traffic("own" if own else "experiment", told, frame, share=share)


def _read_impressions(
    warehouse: Store, experiment: Experiment, *, until: datetime
) -> PastTraffic | None:
    frame = warehouse.query(
        "portable/impression_days",
        **_admitted(experiment),
        by_event=experiment.unit == "request_id",
        # Pace tells programs from people only where units are people.
        bots=experiment.events.bots == "include" or experiment.unit != "user_id",
        most_a_minute=MOST_A_MINUTE,
        most_an_hour=MOST_AN_HOUR,
        most_a_day=MOST_A_DAY,
        until_micros=to_micros(until),
        attribution_micros=micros(experiment.events.attribution_window),
    )
    return _traffic("impressions", "all impressions of the log", frame, share=1.0)


def _read(
    warehouse: Store,
    experiment: Experiment,
    run: PastRun,
    variants: list[str],
    *,
    since: datetime = BEGINNING,
    until: datetime = FOREVER,
) -> pl.DataFrame:
    metric = METRICS[experiment.primary.metric]
    return warehouse.query(
        "portable/unit_days",
        **_admitted(experiment),
        experiment=run.experiment.key,
        variants=variants,
        numerator=metric.numerator,
        denominator=metric.denominator,
        by_event=experiment.unit == "request_id",
        bots=experiment.events.bots == "include",
        since=naive(since),
        until=naive(until),
        flagged_until=naive(until),
        excluded_sources=list(run.excluded_sources) or [""],
    )


def _traffic(origin: Origin, told: str, frame: pl.DataFrame, *, share: float) -> PastTraffic | None:
    # A metric that no column holds, such as match_rate, leaves its sums empty.
    if frame.is_empty() or frame["k"].null_count() or frame["n"].null_count() or share <= 0:
        return None
    first: Any = frame["day"].min()
    days = (pl.col("day") - pl.lit(first)).dt.total_days().cast(pl.Int32)
    return PastTraffic(origin, told, share, first, frame.with_columns(day=days))


def _is_enough(unit_days: pl.DataFrame) -> bool:
    with_event = unit_days.filter(pl.col("k") != 0)["unit"].n_unique()
    return unit_days["unit"].n_unique() >= LEAST_UNITS and with_event >= LEAST_EVENT_UNITS


def _steady_since(phases: tuple[Phase, ...]) -> datetime:
    """Return since when the newest allocation has been in force, pauses included."""
    since = BEGINNING
    for phase in reversed(phases):
        newest = phases[-1]
        if (phase.exposure, dict(phase.weights)) != (newest.exposure, dict(newest.weights)):
            break
        since = phase.starts_at
    return since


def _admitted(experiment: Experiment) -> dict[str, str]:
    """Return what the targeting admits, as patterns; an empty pattern admits everything.

    Only :data:`COUNTED` can be held against the past; a planning warns of other conditions.
    """
    ends = zip(COUNTED, ("(/|$)", "$"), strict=True)
    return {name: _pattern(experiment.targeting.get(name, ()), end=end) for name, end in ends}


def _pattern(allowed: Condition, *, end: str) -> str:
    if not isinstance(allowed, tuple):
        return ""
    return f"^({'|'.join(re.escape(value) for value in allowed)}){end}" if allowed else ""


def _width(ranges: tuple[BucketRange, ...]) -> float:
    return sum(held.high - held.low for held in ranges) / BUCKETS
