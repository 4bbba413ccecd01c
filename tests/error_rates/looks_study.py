"""Looking every day: how often each way of deciding finds an effect where there is none."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from arrivals import ENTRIES, Daily, draw_one_day, draw_returning
from seeds import generator
from tallies import Row, Table, batches, share

from abplatform.stats.anytime import ANYTIME_EVENT_UNITS, mixture_variance
from abplatform.stats.ratio import (
    MIN_EVENT_UNITS,
    SMALL_SAMPLE_UNITS,
    RatioContrast,
    RatioSums,
    Undetermined,
)
from abplatform.stats.sequential import (
    LookPoint,
    Plan,
    anytime_plan,
    build_series,
    first_crossings,
    rule,
    sequential_plan,
    take_looks,
)

__all__ = [
    "Looks",
    "correlations_of",
    "draw_entry",
    "look_at",
    "measure_looks_14",
    "measure_looks_28",
    "verdicts",
]

ALPHA = 0.05
USERS = {"one day": 3000, "all from day 0": 1500, "uniform entry": 1500}
PLANS = {"right": 1.0, "4 times too small": 0.25, "4 times too large": 4.0, "no mde": None}
CHECKED = 4  # runs of each of the first twelve batches that are also handed to take_looks


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What each look of R runs at K days says; arrays of shape (R, K).

    Args:
        z: The clustered statistic; 0 where there is none.
        information: I; 0 likewise.
        z_log: The statistic of the log ratio.
        information_log: Its information.
        z_naive: The statistic if impressions were independent.
        event_units: Units with an event in the variant that has fewer.
    """

    z: np.ndarray
    information: np.ndarray
    z_log: np.ndarray
    information_log: np.ndarray
    z_naive: np.ndarray
    event_units: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Whether a sequential plan tests there: 50 event units, 5 at the last look."""
        enough = self.event_units >= SMALL_SAMPLE_UNITS
        enough[:, -1] = self.event_units[:, -1] >= MIN_EVENT_UNITS
        return enough & (self.information > 0)

    @property
    def begun(self) -> np.ndarray:
        """Whether the confidence sequence has begun."""
        return (self.event_units >= ANYTIME_EVENT_UNITS) & (self.information_log > 0)

    @property
    def days(self) -> range:
        """Numbers of the days."""
        return range(1, self.z.shape[1] + 1)


def measure_looks_14(runs: int, *, entries: Sequence[str] = ENTRIES) -> list[Table]:
    """Fourteen daily looks, all ways to come, all plans."""
    return _measure(14, runs, entries=entries, plans=tuple(PLANS))


def measure_looks_28(runs: int, *, entries: Sequence[str] = ENTRIES) -> list[Table]:
    """Twenty-eight daily looks, all ways to come, the plan right."""
    return _measure(28, runs, entries=entries, plans=("right",))


def draw_entry(
    rng: np.random.Generator, entry: str, *, runs: int, days: int, ctr: float = 0.03
) -> Daily:
    """Draw one variant whose users come as the entry says."""
    if entry == "one day":
        a_day = USERS[entry] // days
        return draw_one_day(rng, runs=runs, users_a_day=a_day, days=days, ctr=ctr)
    users = USERS.get(entry, 1500)
    return draw_returning(rng, runs=runs, users=users, days=days, entry=entry, ctr=ctr)


def look_at(control: Daily, treatment: Daily) -> Looks:
    """Return what every look says, through the project's own points."""
    runs, days = control.table.shape[:2]
    found = np.zeros((6, runs, days))
    for run in range(runs):
        for day in range(days):
            ours, theirs = control.sums(run, day), treatment.sums(run, day)
            point = LookPoint.of_sums(day + 1, ours, theirs, share=True)
            found[:, run, day] = _numbers(point, ours, theirs)
    return Looks(*found)


def verdicts(
    looks: Looks,
    sequential: Plan,
    anytime: Plan,
    correlation: Callable[[int], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the look at which each way of deciding first says there is an effect; 0 if never.

    Args:
        looks: Of many runs.
        sequential: The default plan.
        anytime: The confidence sequence.
        correlation: Of a run's looks, where users come back.
    """
    critical = 1.959963984540054
    last = np.where(np.abs(looks.z[:, -1]) >= critical, len(looks.days), 0)
    return {
        "naive": _first(looks.tested & (np.abs(looks.z_naive) >= critical)),
        "peeking": _first(looks.tested & (np.abs(looks.z) >= critical)),
        "fixed": np.where(looks.tested[:, -1], last, 0),
        "sequential": first_crossings(
            sequential,
            looks.z,
            looks.information,
            days=looks.days,
            usable=looks.tested,
            correlation=correlation,
        ),
        "anytime": first_crossings(
            anytime, looks.z_log, looks.information_log, days=looks.days, usable=looks.begun
        ),
    }


def plans_for(days: int, information: float, *, factor: float | None) -> tuple[Plan, Plan]:
    """Return both plans when the expected information is taken to be a factor of what it is.

    Args:
        days: Number of daily looks.
        information: What the last look will have on average.
        factor: Planned over real information; None for plans without an mde.
    """
    numbers = range(1, days + 1)
    sequential = sequential_plan(alpha=ALPHA, days=numbers)
    anytime = anytime_plan(alpha=ALPHA, days=numbers)
    if factor is None:
        return sequential, anytime
    planned = factor * information
    tau2 = mixture_variance(alpha=ALPHA, information=planned)
    return replace(sequential, information_max=planned), replace(anytime, tau2=tau2)


def _measure(days: int, runs: int, *, entries: Sequence[str], plans: Sequence[str]) -> list[Table]:
    rows = []
    for entry in entries:
        found = _entry_runs(entry, days, runs, plans)
        rows += [_row(entry, plan, one) for plan, one in found.items()]
    return [
        Table(
            f"{days} daily looks at experiments without an effect: how often one is ever “found”",
            ("users come", "planned sample"),
            (
                "impression test, peeked at",
                "fixed test, peeked at",
                "`fixed`, at the end",
                "`sequential`",
                "`anytime`",
                "same as `take_looks`",
            ),
            tuple(rows),
            "Looking every day and stopping at the first p < 0.05 finds an effect where there is "
            "none several times as often as it says. The sequential plan and the confidence "
            "sequence may be looked at daily, also when the sample was planned wrongly.",
            (
                (
                    "CTR 3 %; 3,000 users of one day a variant, or 1,500 that come back. Looks "
                    "with fewer than 50 clicking users in a variant are skipped, and the "
                    "confidence sequence begins at 100. Decisions of many runs come from "
                    "`first_crossings`; the last column compares 48 of them a line with "
                    "`take_looks` on the full series."
                ),
            ),
        )
    ]


def _row(entry: str, plan: str, found: dict[str, np.ndarray]) -> Row:
    return Row(
        (entry, plan),
        (
            share(found["naive"] > 0),
            share(found["peeking"] > 0),
            share(found["fixed"] > 0),
            share(found["sequential"] > 0, low=0.040, high=0.058),
            share(found["anytime"] > 0, high=0.05),
            share(found["same"], low=1.0),
        ),
        len(found["naive"]),
    )


def _entry_runs(
    entry: str, days: int, runs: int, plans: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    information = _expected_information(entry, days)
    parts: dict[str, list[dict[str, np.ndarray]]] = {plan: [] for plan in plans}
    size = 500 if entry == "one day" else 100
    for place, count in batches(runs, size, f"{days} looks, {entry}"):
        rng = generator("looks", entry, days, place)
        control, treatment = (draw_entry(rng, entry, runs=count, days=days) for _ in range(2))
        looks = look_at(control, treatment)
        correlation = correlations_of(control, treatment)
        for name, some in parts.items():
            pair = plans_for(days, information, factor=PLANS[name])
            found = verdicts(looks, *pair, correlation)
            checked = range(min(CHECKED, count) if place < 12 else 0)
            found["same"] = np.array(
                [_same(control, treatment, run, pair, found) for run in checked], dtype=bool
            )
            some.append(found)
    return {
        plan: {name: np.concatenate([one[name] for one in some]) for name in some[0]}
        for plan, some in parts.items()
    }


def _expected_information(entry: str, days: int) -> float:
    rng = generator("looks", "pilot", entry, days)
    control, treatment = (draw_entry(rng, entry, runs=200, days=days) for _ in range(2))
    last = [
        LookPoint.of_sums(days, control.sums(run, -1), treatment.sums(run, -1)).information or 0.0
        for run in range(200)
    ]
    return float(np.mean(last))


def correlations_of(control: Daily, treatment: Daily) -> Callable[[int], np.ndarray]:
    """Return a function from a run's number to the correlation of its looks."""
    kept: dict[int, np.ndarray] = {}

    def correlation(run: int) -> np.ndarray:
        if run not in kept:
            kept[run] = _series(control, treatment, run).correlation
        return kept[run]

    return correlation


def _series(control: Daily, treatment: Daily, run: int):
    days = range(1, control.table.shape[1] + 1)
    return build_series(control.moments(run), treatment.moments(run), days=days, share=True)


def _same(
    control: Daily,
    treatment: Daily,
    run: int,
    plans: tuple[Plan, Plan],
    found: dict[str, np.ndarray],
) -> bool:
    """Return whether take_looks, row by row, comes to the same decisions."""
    series = _series(control, treatment, run)
    for plan, name in zip(plans, ("sequential", "anytime"), strict=True):
        ruling = rule(take_looks(plan, series))
        crossed = ruling.row.look if ruling.row and ruling.row.crossed else 0
        if crossed != found[name][run]:
            return False
    return True


def _numbers(point: LookPoint, ours: RatioSums, theirs: RatioSums) -> tuple[float, ...]:
    result = point.contrast
    if not isinstance(result, RatioContrast):
        return (0.0, 0.0, 0.0, 0.0, 0.0, point.event_units)
    estimate, variance = result.log_ratio, result.log_ratio_variance
    z_log = information_log = 0.0
    if not isinstance(estimate, Undetermined) and not isinstance(variance, Undetermined):
        z_log, information_log = estimate / math.sqrt(variance), 1 / variance
    spread = math.sqrt(ours.trial_variance + theirs.trial_variance)
    z_naive = result.absolute_lift / spread if spread else 0.0
    information = point.information or 0.0
    return (result.z, information, z_log, information_log, z_naive, point.event_units)


def _first(reached: np.ndarray) -> np.ndarray:
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 0)
