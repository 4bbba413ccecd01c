"""What safe daily looks cost in power and in users."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from arrivals import CTR, Daily, draw_one_day, draw_returning, information_per_user
from looks_study import Looks, correlations_of, look_at, verdicts
from seeds import generator
from tallies import Row, Table, average, batches, number, share

from abplatform.stats.sequential import (
    anytime_plan,
    first_crossings,
    fixed_information,
    sequential_plan,
)

__all__ = ["measure_power"]

DAYS = 14
LONG = 3  # times the fixed sample, in as many more days
LIFTS = (0.10, 0.20)
WAYS = ("naive", "peeking", "fixed", "sequential", "anytime")


def measure_power(runs: int) -> list[Table]:
    """Compare the plans on the same data, and the sample that anytime needs for equal power."""
    per_user = information_per_user(generator("power", "pilot"))
    rows, longer = [], []
    for lift in LIFTS:
        users = math.ceil(fixed_information(alpha=0.05, power=0.8, mde=lift) / per_user)
        rows += [_power_row(entry, lift, users, runs) for entry in ("one day", "uniform entry")]
        longer.append(_sample_row(lift, users, runs))
    return [
        Table(
            "Power on the same users: the fixed sample for 80 %, looked at on 14 days",
            ("users come", "lift", "users a variant"),
            (
                "impression test, peeked at",
                "fixed test, peeked at",
                "`fixed`",
                "`sequential`",
                "`anytime`",
                "`sequential` less `fixed`",
                "users saved",
            ),
            tuple(rows),
            "Safe daily looks by the default plan cost a few points of power, and on average "
            "they end the experiment early. The confidence sequence may be looked at for ever "
            "and pays for that.",
            (
                (
                    "Users saved: the share of planned days that `sequential` did not need on "
                    "average. The power of the tests that are peeked at is bought with their "
                    "false positives."
                ),
            ),
        ),
        Table(
            "The sample at which `anytime` has the power that `fixed` has",
            ("lift", "users a variant for `fixed`"),
            ("power of `fixed`", "sample of `anytime` over that of `fixed`"),
            tuple(longer),
            "Whoever wants to look for ever, without planning an end, needs up to two and a half "
            "times as many users to be as sure of finding the effect.",
            ("Users of one day, looked at daily; interpolated between looks.",),
        ),
    ]


def _power_row(entry: str, lift: float, users: int, runs: int) -> Row:
    days = range(1, DAYS + 1)
    sequential = sequential_plan(alpha=0.05, days=days, mde=lift)
    anytime = anytime_plan(alpha=0.05, days=days, mde=lift)
    found: dict[str, list[np.ndarray]] = {name: [] for name in WAYS}
    for looks, correlation in _looks(entry, lift, users, DAYS, runs):
        said = verdicts(looks, sequential, anytime, correlation)
        for name in WAYS:
            found[name].append(np.where(looks.z[:, -1] > 0, said[name], 0))
    when = {name: np.concatenate(parts) for name, parts in found.items()}
    hits = {name: looks > 0 for name, looks in when.items()}
    gap = hits["sequential"].astype(float) - hits["fixed"]
    stopped = np.where(when["sequential"] > 0, when["sequential"], DAYS)
    return Row(
        (entry, f"{100 * lift:+.0f} %", f"{users:,}"),
        (
            *(share(hits[name]) for name in WAYS),
            average(gap, low=-0.04, unit="points"),
            average(1 - stopped / DAYS, unit="share"),
        ),
        runs,
    )


def _sample_row(lift: float, users: int, runs: int) -> Row:
    days = range(1, LONG * DAYS + 1)
    plan = anytime_plan(alpha=0.05, days=days, mde=lift)
    first, fixed = [], []
    for looks, _ in _looks("one day", lift, LONG * users, LONG * DAYS, runs):
        usable = looks.begun
        first.append(first_crossings(plan, looks.z_log, looks.information_log, usable=usable))
        fixed.append(looks.z[:, DAYS - 1] >= 1.959963984540054)
    when, target = np.concatenate(first), share(np.concatenate(fixed))
    reached = np.array([((when > 0) & (when <= day)).mean() for day in (0, *days)])
    multiple = float(np.interp(target.value or 0.0, reached, np.array([0, *days]) / DAYS))
    return Row((f"{100 * lift:+.0f} %", f"{users:,}"), (target, number(multiple, high=2.45)), runs)


def _looks(
    entry: str, lift: float, users: int, days: int, runs: int
) -> Iterator[tuple[Looks, Callable[[int], np.ndarray]]]:
    size = max(1, 400_000 // users) if entry == "one day" else max(1, 150_000 // users)
    for place, count in batches(runs, size, f"power {entry} {lift:g}, {days} looks"):
        rng = generator("power", entry, lift, days, place)
        pair = [
            _draw(rng, entry, users=users, days=days, runs=count, ctr=ctr)
            for ctr in (CTR, CTR * (1 + lift))
        ]
        yield look_at(*pair), correlations_of(*pair)


def _draw(
    rng: np.random.Generator, entry: str, *, users: int, days: int, runs: int, ctr: float
) -> Daily:
    if entry == "one day":
        return draw_one_day(rng, runs=runs, users_a_day=users // days, days=days, ctr=ctr)
    return draw_returning(rng, runs=runs, users=users, days=days, entry=entry, ctr=ctr)
