"""Where and when an experiment's units had their first exposure, counted by day and by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.scope import BEGINNING, FOREVER, Scope, naive
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import PhaseCounts, SrmTest, chi_square_by_phase, log_e_path

__all__ = ["Level", "Split", "SplitDay", "SplitPhase", "read_split"]

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
        found = {value for one in self.phases for value in one.cells[column].unique()}
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
        rows = phase.cells.group_by(*ordered).agg(pl.col("units").sum()).rows()
        where = [
            [place[value] for place, value in zip(places, row[:-1], strict=True)] for row in rows
        ]
        if rows:
            np.add.at(counts, tuple(np.array(where).T), [row[-1] for row in rows])
        return counts

    def _weights(self, phase: SplitPhase) -> list[float]:
        return [float(phase.weights.get(name, 0.0)) for name in self.names]


def read_split(warehouse: Store, scope: Scope, run: Run) -> Split:
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
            starts_at=naive(starts_at),
            ends_at=naive(ends_at),
        )
        phases.append(SplitPhase(weights, cells))
    names = dict.fromkeys(variant.name for variant in scope.experiment.variants)
    names |= dict.fromkeys(name for phase in phases for name in phase.cells["variant"].to_list())
    return Split(tuple(names), tuple(phases))


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
        return [(BEGINNING, FOREVER, experiment.weights)]
    first, last, weights = stretches[0]
    return [(min(first, BEGINNING), last, weights), *stretches[1:]]
