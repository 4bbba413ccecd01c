"""Does the alarm for a broken split ring only when the split is broken?"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri
from seeds import generator
from tallies import Row, Table, batches, share

from abplatform.stats.srm import FIRES_AT, SRM_ALPHA, log_e_path, log_e_value

__all__ = ["measure_split"]

BATCH = 5000
QUIET = {"high": SRM_ALPHA, "slack": 3.0}
LOUD = {"low": 0.90}
NULLS = (
    # weights, days, units a day
    ((50, 50), 14, 200),
    ((50, 50), 14, 5_000),
    ((50, 50), 28, 5_000),
    ((90, 10), 14, 200),
    ((90, 10), 28, 5_000),
    ((50, 30, 20), 28, 2_000),
)
FAULTS = (
    # true shares, units in total
    ((0.52, 0.48), 20_000),
    ((0.51, 0.49), 80_000),
)


def measure_split(runs: int) -> list[Table]:
    """Hold the sequential e-value to its false alarms and its power."""
    quiet = [_false_alarms(weights, days, units, runs * 20) for weights, days, units in NULLS]
    quiet.append(_phases(runs * 20))
    loud = [_power(shares, units, days, runs) for shares, units in FAULTS for days in (14, 28)]
    return [
        Table(
            "Sample ratio mismatch: false alarms while looking every day",
            ("planned split", "looks", "units a day"),
            (
                "e-value ever fires",
                "chi-square p < 0.001 on some day",
                "chi-square on the last day",
            ),
            tuple(quiet),
            "A sound split is called broken at most once in a thousand experiments, however "
            "often one looks; the usual chi-square, looked at daily, rings several times as often.",
        ),
        Table(
            "Sample ratio mismatch: how surely a fault is found",
            ("true split of a planned 50/50", "looks", "units in total"),
            ("e-value has fired by the end",),
            tuple(loud),
            "A split that is off by two points is found within 20,000 users, one that is off by "
            "one point within 80,000, nine times out of ten.",
        ),
    ]


def _false_alarms(weights: Sequence[int], days: int, units: int, runs: int) -> Row:
    fired, ever, last = [], [], []
    name = "/".join(str(weight) for weight in weights)
    shares = np.array(weights) / sum(weights)
    for place, size in batches(runs, BATCH, f"split {name}, {days} looks"):
        rng = generator("split", name, days, units, place)
        counts = np.cumsum(rng.multinomial(units, shares, (size, days)), axis=1)
        fired.append((log_e_value(counts, weights) >= math.log(FIRES_AT)).any(axis=1))
        alarm = _chi_square_alarm(counts, shares)
        ever.append(alarm.any(axis=1))
        last.append(alarm[:, -1])
    rates = (
        share(np.concatenate(fired), **QUIET),
        *(share(np.concatenate(x)) for x in (ever, last)),
    )
    return Row((name, str(days), f"{units:,}"), rates, runs)


def _phases(runs: int) -> Row:
    """A ramp that changes the weights after a week: one factor a phase."""
    fired = []
    first, second = (90, 10), (50, 50)
    for place, size in batches(runs // 10, 500, "split with two phases"):
        rng = generator("split", "phases", place)
        for _ in range(size):
            daily = [
                np.concatenate(
                    [
                        rng.multinomial(1000, np.array(first) / 100, 7) * (phase == 0),
                        rng.multinomial(1000, np.array(second) / 100, 7) * (phase == 1),
                    ]
                )
                for phase in (0, 1)
            ]
            path = log_e_path([(daily[0], first), (daily[1], second)])
            fired.append(bool((path >= math.log(FIRES_AT)).any()))
    nothing = share([])
    return Row(
        ("90/10, then 50/50", "14", "1,000"), (share(fired, **QUIET), nothing, nothing), len(fired)
    )


def _power(shares: Sequence[float], units: int, days: int, runs: int) -> Row:
    fired = []
    for place, size in batches(runs, BATCH, f"split fault {shares}"):
        rng = generator("split", "fault", *shares, days, place)
        counts = np.cumsum(rng.multinomial(units // days, shares, (size, days)), axis=1)
        fired.append((log_e_value(counts, (50, 50)) >= math.log(FIRES_AT)).any(axis=1))
    name = "/".join(f"{100 * one:g}" for one in shares)
    return Row((name, str(days), f"{units:,}"), (share(np.concatenate(fired), **LOUD),), runs)


def _chi_square_alarm(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    expected = counts.sum(axis=-1, keepdims=True) * shares
    statistic = ((counts - expected) ** 2 / expected).sum(axis=-1)
    return statistic > chdtri(len(shares) - 1, SRM_ALPHA)
