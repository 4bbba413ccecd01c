"""Did units arrive where, and in the shares that, the plan says? Once, and after every day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.notes import note_changed_after
from abplatform.analysis.scorecard.record import SrmCheck, Warned, format_time
from abplatform.analysis.scorecard.totals import FOREVER, Scope
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import (
    FIRES_AT,
    PhaseCounts,
    SrmTest,
    chi_square_by_phase,
    e_value_of,
    log_e_path,
)

__all__ = [
    "Level",
    "Split",
    "SplitDay",
    "SplitPhase",
    "check_split",
    "count_mismatches",
    "judge_split",
    "note_mismatches",
    "note_split",
    "read_split",
]

_UTC = ZoneInfo("UTC")

Level = str | date | bool
"""A value of a column of the cells."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitPhase:
    """First exposures while one set of weights held.

    Args:
        weights: Variant to planned weight; a variant that is missing has none.
        cells: Rows of ``portable/first_exposure_counts``.
    """

    weights: Mapping[str, float]
    cells: pl.DataFrame

    def counts(self) -> PhaseCounts:
        """Return the units of each variant."""
        sums = self.cells.group_by("variant").agg(pl.col("units").sum())
        observed = {row["variant"]: int(row["units"]) for row in sums.iter_rows(named=True)}
        return PhaseCounts({**dict.fromkeys(self.weights, 0), **observed}, self.weights)


@dataclass(frozen=True, slots=True)
class SplitDay:
    """One workspace day of first exposures.

    Args:
        day: The day.
        units: Variant to units that were new on it.
        log_e: ln of the e-value at its end; infinite once units came to a variant without weight.
    """

    day: date
    units: Mapping[str, int]
    log_e: float


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Where and when an experiment's units had their first exposure.

    Args:
        names: All variants in the YAML's order, then strangers.
        phases: By set of weights, in order of time. A ramp that changes only the traffic, or a
            pause, opens none: the e-value runs on.
    """

    names: tuple[str, ...]
    phases: tuple[SplitPhase, ...]

    def where(self, condition: pl.Expr) -> Split:
        """Return the split of those cells for which a condition on their columns holds."""
        kept = (SplitPhase(one.weights, one.cells.filter(condition)) for one in self.phases)
        return Split(self.names, tuple(kept))

    def levels(self, column: str) -> list[Level]:
        """Return the values of a column of the cells, sorted."""
        found = {value for one in self.phases for value in one.cells[column].to_list()}
        return sorted(found)

    def test(self) -> SrmTest | Undetermined:
        """Test all counts once."""
        return chi_square_by_phase([phase.counts() for phase in self.phases])

    def days(self) -> tuple[SplitDay, ...]:
        """Return the days with a first exposure, and the e-value at the end of each."""
        days = self.levels("day")
        if not days:
            return ()
        daily = [self._tally(phase, {"day": days}) for phase in self.phases]
        weights = [self._weights(phase) for phase in self.phases]
        path = log_e_path(list(zip(daily, weights, strict=True)))
        return tuple(
            SplitDay(
                day=day,
                units=dict(zip(self.names, map(int, new), strict=True)),
                log_e=float(log_e),
            )
            for day, new, log_e in zip(days, np.sum(daily, axis=0), path, strict=True)
            if isinstance(day, date)
        )

    def segment_paths(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Return the segments, S of them, and ln e of each at the end of each day, shape (S, D)."""
        axes = {"segment": self.levels("segment"), "day": self.levels("day")}
        if not axes["day"]:
            return [], np.zeros((0, 0))
        parts = [(self._tally(phase, axes), self._weights(phase)) for phase in self.phases]
        return [str(name) for name in axes["segment"]], log_e_path(parts)

    def _tally(
        self, phase: SplitPhase, axes: Mapping[str, Sequence[Level]]
    ) -> npt.NDArray[np.int64]:
        """Count a phase's units by some columns, in the order of their levels, and by variant."""
        ordered: dict[str, Sequence[Level]] = {**axes, "variant": self.names}
        places = [{level: at for at, level in enumerate(levels)} for levels in ordered.values()]
        counts = np.zeros([len(levels) for levels in places], dtype=np.int64)
        rows = phase.cells.select(*ordered, "units").rows()
        where = [
            [place[value] for place, value in zip(places, row[:-1], strict=True)] for row in rows
        ]
        if rows:
            np.add.at(counts, tuple(np.array(where).T), [row[-1] for row in rows])
        return counts

    def _weights(self, phase: SplitPhase) -> list[float]:
        return [float(phase.weights.get(name, 0.0)) for name in self.names]


def read_split(warehouse: Warehouse, scope: Scope, run: Run) -> Split:
    """Read where units had their first exposure, with the weights of that moment.

    Every unit counts once: bots, and units later seen in two variants, included.
    """
    bound = ("experiment", "until", "flagged_until", "excluded_sources")
    values = {name: scope.values()[name] for name in bound}
    phases = []
    for starts_at, ends_at, weights in _stretches(scope.experiment, run):
        cells = warehouse.query(
            "portable/first_exposure_counts",
            **values,
            starts_at=_naive(starts_at),
            ends_at=_naive(ends_at),
        )
        phases.append(SplitPhase(weights, cells))
    names = dict.fromkeys(variant.name for variant in scope.experiment.variants)
    names |= dict.fromkeys(name for phase in phases for name in phase.cells["variant"].to_list())
    return Split(tuple(names), tuple(phases))


def check_split(warehouse: Warehouse, scope: Scope, run: Run, *, zone: ZoneInfo = _UTC) -> SrmCheck:
    """Compare where units had their first exposure with the weights of that moment.

    The alarm latches: the largest e-value at the end of a workspace day counts, until a person
    acknowledges it; from then on only the values of that day's end and later count. They are still
    those of all units so far: who acknowledges an imbalance has not mended it.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        run: Its phases and when alarms were acknowledged.
        zone: Where a workspace day ends.
    """
    return judge_split(read_split(warehouse, scope, run), scope, run, zone=zone)


def judge_split(split: Split, scope: Scope, run: Run, *, zone: ZoneInfo = _UTC) -> SrmCheck:
    """As :func:`check_split`, of a split that has been read."""
    test = split.test()
    known = [moment for moment in run.srm_acknowledged if moment < scope.until]
    acknowledged_at = max(known, default=None)
    if isinstance(test, Undetermined):
        expected = dict.fromkeys(split.names, 0.0)
        observed = _observed(split)
        return SrmCheck(
            observed, expected, None, None, "unavailable", acknowledged_at=acknowledged_at
        )
    days = split.days()
    first = 0
    if acknowledged_at is not None:
        since = acknowledged_at.astimezone(zone).date()
        # Nobody came since: what is known now is what was known at the end of today.
        first = min(sum(day.day < since for day in days), len(days) - 1)
    fired = [day for day in days[first:] if day.log_e >= math.log(FIRES_AT)]
    segments = _fired_segments(split, first)
    return SrmCheck(
        observed=test.observed,
        expected=test.expected,
        p_value=test.p_value,
        e_value=e_value_of(max(day.log_e for day in days[first:])),
        verdict="alarm" if fired or segments else "ok",
        e_value_now=e_value_of(days[-1].log_e),
        e_value_analysed=_analysed(split, scope),
        fired_on=fired[0].day if fired else None,
        segments=tuple(segments),
        acknowledged_at=acknowledged_at,
    )


def _analysed(split: Split, scope: Scope) -> float | None:
    """Return the e-value of the units that the analysis keeps."""
    kept = ~pl.col("mixed") if scope.bots else ~pl.col("mixed") & ~pl.col("bot")
    days = split.where(kept).days()
    return e_value_of(days[-1].log_e) if days else None


def _fired_segments(split: Split, first: int) -> list[str]:
    """Return the segments that fired; each pays for there being several."""
    names, paths = split.segment_paths()
    if len(names) < 2:
        return []
    fires_at = math.log(FIRES_AT * len(names))
    highest = paths[:, first:].max(axis=1)
    return [name for name, log_e in zip(names, highest, strict=True) if log_e >= fires_at]


def _observed(split: Split) -> dict[str, int]:
    observed = dict.fromkeys(split.names, 0)
    for phase in split.phases:
        for name, units in phase.counts().observed.items():
            observed[name] += units
    return observed


def note_split(check: SrmCheck, run: Run) -> list[Warned]:
    """Say what a latched alarm, a segment's alarm or an excluded source means for a reader."""
    notes = []
    now = check.e_value_now or 0.0
    if check.fired_on is not None and now < FIRES_AT:
        notes.append(
            Warned(
                "srm_latched",
                f"the sample ratio alarm of {check.fired_on} (e = {check.e_value:.3g}, now "
                f"{now:.3g}) stands until somebody acknowledges it with `abp srm --acknowledge`",
            )
        )
    if check.segments:
        named = ", ".join(check.segments)
        text = f"units came in other shares than planned in segment {named}"
        notes.append(Warned("srm_segment", text))
    if check.verdict == "ok" and (check.e_value_analysed or 0.0) >= FIRES_AT:
        text = (
            "all units came in the planned shares, but those that are analysed did not: bots or "
            "units seen in two variants are left out unevenly; see `abp srm --diagnose`"
        )
        notes.append(Warned("srm_analysed", text))
    if check.acknowledged_at is not None:
        text = f"a sample ratio alarm was acknowledged at {format_time(check.acknowledged_at)}"
        notes.append(Warned("srm_acknowledged", text))
    changes = (f"source {name} was excluded" for name in run.excluded_sources)
    return [*notes, *note_changed_after(changes)]


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _stretches(
    experiment: Experiment, run: Run
) -> list[tuple[datetime, datetime, Mapping[str, float]]]:
    """Return stretches of time with one set of weights; later phases with equal ones are joined."""
    stretches: list[tuple[datetime, datetime, Mapping[str, float]]] = []
    for phase in run.phases:
        if stretches and dict(stretches[-1][2]) == dict(phase.weights):
            continue
        if stretches:
            starts_at, _, weights = stretches[-1]
            stretches[-1] = (starts_at, phase.starts_at, weights)
        stretches.append((phase.starts_at, FOREVER, phase.weights))
    if not stretches:
        return [(_BEGINNING, FOREVER, experiment.weights)]
    first, last, weights = stretches[0]
    return [(min(first, _BEGINNING), last, weights), *stretches[1:]]


def count_mismatches(warehouse: Warehouse, scope: Scope, run: Run) -> tuple[int, int] | None:
    """Count units, and those that the log puts into another variant than the hash.

    Returns:
        Units and mismatches; None where the platform assigned nobody.
    """
    units = mismatches = 0
    checked = False
    bound = ("experiment", "until", "excluded_sources")
    values = {name: scope.values()[name] for name in bound}
    for phase, ends_at in zip(run.phases, _ends(run), strict=True):
        owned = [(name, held) for name, ranges in phase.variants.items() for held in ranges]
        if scope.experiment.assignment == "external" or not owned:
            continue
        row = warehouse.query(
            "portable/assignment_mismatches",
            **values,
            salt=f"experiment:{scope.experiment.key}",
            variants=[name for name, _ in owned],
            lows=[held.low for _, held in owned],
            highs=[held.high for _, held in owned],
            starts_at=_naive(phase.starts_at),
            ends_at=_naive(ends_at),
        ).row(0, named=True)
        checked = True
        units += int(row["units"])
        mismatches += int(row["mismatches"] or 0)
    return (units, mismatches) if checked else None


def note_mismatches(warehouse: Warehouse, scope: Scope, run: Run) -> list[Warned]:
    """Warn of units that the log puts into another variant than the hash; the log is believed."""
    units, mismatches = count_mismatches(warehouse, scope, run) or (0, 0)
    if not mismatches:
        return []
    text = (
        f"{mismatches:,} of {units:,} units were logged in another variant than the assignment "
        "gives them; the log is believed, check that the service asks for the same key and unit"
    )
    return [Warned("assignment_mismatch", text)]


def _ends(run: Run) -> list[datetime]:
    """A phase lasts until the next one begins."""
    return [phase.starts_at for phase in run.phases[1:]] + [FOREVER][: len(run.phases)]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
