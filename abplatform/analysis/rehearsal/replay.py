"""Units assigned anew, looked at day by day by the very code that will judge the experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.analysis.planning.task import Task
from abplatform.analysis.rehearsal.crowd import FEATURES, Crowd, plant, running_totals
from abplatform.domain.assignment import bucket_ranges, buckets
from abplatform.domain.experiment import Experiment
from abplatform.stats.anytime import ANYTIME_EVENT_UNITS
from abplatform.stats.ratio import MIN_EVENT_UNITS, SMALL_SAMPLE_UNITS, normal_critical_value
from abplatform.stats.sequential import Plan, PlanKind, first_crossings, fixed_plan
from abplatform.stats.srm import FIRES_AT, log_e_path

__all__ = ["Batch", "Stage", "replay"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

BATCH = 25
"""Runs that share one draw of planted clicks; each has an assignment of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What is rehearsed.

    Args:
        experiment: Gives the weights.
        task: Gives the looks, the error and the lift that the plans are made for.
        crowd: The units.
        share: Whether numerators count trials of the denominator.
        planted: The relative lift that treatments really have; 0 for none.
        seed: Of salts and planted clicks.
    """

    experiment: Experiment
    task: Task
    crowd: Crowd
    share: bool
    planted: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What came of some runs.

    Args:
        days: Plan to the day on which a run's first treatment crosses, shape (B,); 0 for none.
        directions: Plan to the sign of the lift then, same shape.
        naive: Whether the impression-level test was ever below alpha, or None if it does not apply.
        srm: Whether the SRM alarm ever fired.
    """

    days: dict[PlanKind, Whole]
    directions: dict[PlanKind, Whole]
    naive: npt.NDArray[np.bool_] | None
    srm: npt.NDArray[np.bool_]


def replay(stage: Stage, *, runs: int, advance: Callable[[int, int], None]) -> Iterator[Batch]:
    """Assign, replay and judge, a batch of runs at a time.

    Args:
        stage: What is rehearsed.
        runs: How many runs.
        advance: Told how many are done.
    """
    plain = running_totals(stage.crowd, stage.crowd.clicks)
    for first in range(0, runs, BATCH):
        numbers = range(first, min(first + BATCH, runs))
        clicks = stage.crowd.clicks
        treated = plain
        if stage.planted:
            rng = np.random.default_rng([stage.seed, first])
            clicks = plant(stage.crowd, stage.planted, rng, share=stage.share)
            treated = running_totals(stage.crowd, clicks)
        owners = np.stack([_assign(stage, number) for number in numbers])
        yield _judge(stage, owners, (plain, treated), clicks)
        advance(numbers.stop, runs)


def _assign(stage: Stage, number: int) -> Whole:
    """Return each unit's variant under a salt of its own, by the platform's hash."""
    salt = f"rehearsal:{stage.experiment.key}:{stage.seed}:{number}"
    drawn = buckets(stage.crowd.ids, salt)
    ranges = bucket_ranges(stage.experiment.weights).values()
    bounds = [owned[0].high for owned in ranges]
    return np.searchsorted(np.asarray(bounds), drawn.astype(np.int64), side="right")


def _judge(stage: Stage, owners: Whole, totals: tuple[Floats, Floats], clicks: Floats) -> Batch:
    names = [variant.name for variant in stage.experiment.variants]
    control = names.index(stage.experiment.control.name)
    weighted = [at for at, one in enumerate(stage.experiment.variants) if one.weight > 0]
    sums = {at: _Sums.of(owners == at, totals[at != control]) for at in weighted}
    days: dict[PlanKind, Whole] = {}
    directions: dict[PlanKind, Whole] = {}
    others = [at for at in weighted if at != control]
    for kind in PlanKind:
        found = [
            _cross(
                stage,
                kind,
                (sums[control], sums[at]),
                _Scores(stage, owners, (control, at), clicks),
            )
            for at in others
        ]
        days[kind], directions[kind] = _earliest(found)
    naive = None
    if stage.share:
        critical = normal_critical_value(stage.task.alpha)
        naive = np.any(
            [(_naive_z(sums[control], sums[at]) >= critical).any(axis=1) for at in others], axis=0
        )
    arrivals = np.stack([np.diff(sums[at].units, axis=1, prepend=0.0) for at in weighted], axis=2)
    weights = [stage.experiment.variants[at].weight for at in weighted]
    fires = (log_e_path([(arrivals, weights)]) >= np.log(FIRES_AT)).any(axis=1)
    return Batch(days, directions, naive, fires)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over one variant's units by the end of each day, shape (B, D) each."""

    units: Floats
    k_units: Floats
    n: Floats
    k: Floats
    nn: Floats
    kk: Floats
    kn: Floats

    @classmethod
    def of(cls, members: npt.NDArray[np.bool_], totals: Floats) -> _Sums:
        # One matrix product adds up every run of the batch.
        added = members.astype(float) @ totals
        return cls(*np.split(added, len(FEATURES), axis=1))

    @property
    def rate(self) -> Floats:
        return np.divide(self.k, self.n, out=np.zeros_like(self.k), where=self.n > 0)

    @property
    def variance(self) -> Floats:
        """Variance of the rate by the delta method; 0 where there are not two units."""
        rate = self.rate
        spread = self.kk - 2 * rate * self.kn + rate * rate * self.nn
        enough = (self.units > 1) & (self.n > 0)
        bottom = np.where(enough, (self.units - 1) * self.n * self.n, 1.0)
        return np.asarray(np.where(enough, self.units * spread / bottom, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """How the looks of a run hang together, reckoned only for runs that need it."""

    stage: Stage
    owners: Whole
    pair: tuple[int, int]
    clicks: Floats

    def correlation(self, run: int) -> Floats:
        """Return the correlation of all days' statistics over both variants, shape (D, D)."""
        days = self.stage.crowd.days
        gram = np.zeros((days, days))
        for at, clicks in zip(self.pair, (self.stage.crowd.clicks, self.clicks), strict=True):
            mine = self.owners[run] == at
            n = np.cumsum(self.stage.crowd.shown[mine], axis=1)
            k = np.cumsum(clicks[mine], axis=1)
            total_n, total_k = n.sum(axis=0), np.maximum(k.sum(axis=0), 1e-9)
            score = (k - total_k / np.maximum(total_n, 1e-9) * n) / total_k
            gram += score.T @ score
        scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
        return np.asarray(np.clip(gram / np.outer(scale, scale), -1.0, 1.0))


def _cross(
    stage: Stage, kind: PlanKind, sums: tuple[_Sums, _Sums], scores: _Scores
) -> tuple[Whole, Whole]:
    """Return on which day each run crosses, 0 for never, and the sign of the lift then."""
    control, treatment = sums
    plan = _plan(stage.task, kind)
    z, information = _statistic(control, treatment, log=kind is PlanKind.ANYTIME)
    events = np.minimum(control.k_units, treatment.k_units)
    at = np.asarray(plan.days) - 1
    usable = (events >= _least_events(plan)) & (information > 0)
    looks = first_crossings(
        plan,
        z[:, at],
        information[:, at],
        usable=usable[:, at],
        correlation=lambda run: scores.correlation(run)[np.ix_(at, at)],
    )
    crossed = looks > 0
    day = np.where(crossed, np.asarray(plan.days)[np.maximum(looks, 1) - 1], 0)
    sign = np.sign(np.take_along_axis(z, np.maximum(day, 1)[:, None] - 1, axis=1)[:, 0])
    return day, np.where(crossed, sign, 0).astype(np.int64)


def _plan(task: Task, kind: PlanKind) -> Plan:
    if kind is PlanKind.FIXED:
        from scipy.special import ndtr

        # Of several treatments each is held against Dunnett's critical value.
        alpha = float(2 * ndtr(-task.critical))
        return fixed_plan(alpha=alpha, day=task.max_days, mde=task.lift)
    return task.plan(kind)


def _least_events(plan: Plan) -> npt.NDArray[np.int64]:
    """Return how many units of a variant need an event on each day, as ``take_looks`` wants it."""
    least = ANYTIME_EVENT_UNITS if plan.kind is PlanKind.ANYTIME else SMALL_SAMPLE_UNITS
    found = np.full(plan.last_day, least)
    if plan.kind is not PlanKind.ANYTIME:
        found[-1] = MIN_EVENT_UNITS
    return found


def _statistic(control: _Sums, treatment: _Sums, *, log: bool) -> tuple[Floats, Floats]:
    """Return z and information of each run and day; 0 where there is none."""
    r_c, r_t = control.rate, treatment.rate
    v_c, v_t = control.variance, treatment.variance
    known = (v_c > 0) & (v_t > 0) & (r_c > 0) & (r_t > 0)
    r_c, r_t = np.where(known, r_c, 1.0), np.where(known, r_t, 1.0)
    v_c, v_t = np.where(known, v_c, 1.0), np.where(known, v_t, 1.0)
    if log:
        variance = v_c / r_c**2 + v_t / r_t**2
        z = np.log(r_t / r_c) / np.sqrt(variance)
        information = 1 / variance
    else:
        pooled = (control.k + treatment.k) / np.maximum(control.n + treatment.n, 1e-9)
        z = (r_t - r_c) / np.sqrt(v_c + v_t)
        information = pooled**2 / (v_c + v_t)
    return np.where(known, z, 0.0), np.where(known, information, 0.0)


def _naive_z(control: _Sums, treatment: _Sums) -> Floats:
    """Return |z| of two proportions as if every impression stood alone."""
    n_c, n_t = np.maximum(control.n, 1e-9), np.maximum(treatment.n, 1e-9)
    pooled = (control.k + treatment.k) / (n_c + n_t)
    spread = pooled * (1 - pooled) * (1 / n_c + 1 / n_t)
    gap = np.abs(treatment.k / n_t - control.k / n_c)
    return np.asarray(np.where(spread > 0, gap / np.sqrt(np.maximum(spread, 1e-300)), 0.0))


def _earliest(found: list[tuple[Whole, Whole]]) -> tuple[Whole, Whole]:
    """Of several treatments' crossings return each run's first one."""
    days, signs = (np.stack(part) for part in zip(*found, strict=True))
    at = np.where(days > 0, days, np.iinfo(np.int64).max).argmin(axis=0)[None, :]
    return np.take_along_axis(days, at, axis=0)[0], np.take_along_axis(signs, at, axis=0)[0]
