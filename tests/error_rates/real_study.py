"""Real experiments: a known fault of randomisation, and verdicts that turn over.

Both data sets stay outside the repository; without them these studies are skipped and the page says
so. Upworthy Research Archive: Matias, Munger, Le Quere, Ebersole 2021, CC BY 4.0. ASOS Digital
Experiments Dataset: Liu, Cardoso, Couturier, McCoy 2021.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from tallies import Row, Table, share

from abplatform.stats.anytime import AnytimeView, monitor
from abplatform.stats.fieller import RateEstimate, RatioContrast, compare_rates
from abplatform.stats.sequential import (
    LookPoint,
    anytime_plan,
    independent_series,
    rule,
    sequential_plan,
    take_looks,
)
from abplatform.stats.srm import FIRES_AT, SRM_ALPHA, SrmTest, chi_square, log_e_value

__all__ = ["DATA", "measure_asos", "measure_upworthy"]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
UPWORTHY = DATA / "upworthy" / "packages_dev70.parquet"
ASOS = DATA / "ab_tests" / "asos_dev.csv.gz"
FAULTY_WEEKS = (201_325, 201_401)
LEAST_USERS = 100
METRICS = {1: "binary", 2: "count 1", 3: "count 2", 4: "real-valued"}


def measure_upworthy(_runs: int) -> list[Table] | None:
    """Compare alarms about the split inside and outside of the weeks that were faulty."""
    if not UPWORTHY.exists():
        return None
    tests = (
        pl.read_parquet(UPWORTHY)
        .group_by("clickability_test_id", maintain_order=True)
        .agg("impressions", pl.col("test_week").min())
        .filter(pl.col("impressions").list.len() > 1)
    )
    low, high = FAULTY_WEEKS
    inside = tests.filter(pl.col("test_week").is_between(low, high))
    outside = tests.filter(~pl.col("test_week").is_between(low, high))
    rows = [
        _split_row(name, part["impressions"].to_list())
        for name, part in (("inside the faulty weeks", inside), ("outside of them", outside))
    ]
    return [
        Table(
            "Real data: Upworthy's faulty weeks (201325 to 201401)",
            ("tests",),
            ("chi-square p < 0.001", "e-value ≥ 1,000 at the end"),
            tuple(rows),
            "The archive's maintainers found a fault of randomisation in these weeks. The alarm "
            "rings for most tests inside them and for hardly any outside.",
            (
                (
                    "Impressions of each test's packages against equal shares; tests with two or "
                    "more packages of the exploratory set. Impressions stand for users, of whom "
                    "the archive says nothing, so that the rate outside may lie above 0.1 %."
                ),
            ),
        )
    ]


def measure_asos(_runs: int) -> list[Table] | None:
    """Count how often a verdict turns over between the first “significant” look and the last."""
    if not ASOS.exists():
        return None
    tracks = [_follow(metric, points) for metric, points in _read_asos()]
    rows = []
    for name in (*METRICS.values(), "all"):
        chosen = [one for one in tracks if name in ("all", one.metric)]
        rows += [
            _turn_row(name, way, [getattr(one, way) for one in chosen]) for way in Track.ways()
        ]
    return [
        Table(
            "Real data: do verdicts of ASOS experiments turn over?",
            ("metric", "way of deciding"),
            (
                "says “different” at some look",
                "of these: no longer said at the last look",
                "of these: the opposite is said at some look",
            ),
            tuple(rows),
            "Of the verdicts that daily peeking would have announced, about half were gone by the "
            "last look, and some had turned round. The confidence sequence announces far fewer, "
            "none in both directions; many of these faded too: real effects change over the "
            "weeks, which no error rate covers.",
            (
                (
                    "44 experiments of the exploratory share, every treatment and metric, the "
                    "looks at full days with at least 100 users and a variance in both variants; "
                    "means per user. “Different” is p < 0.05 at that look (peeking), a current 95 "
                    "% confidence sequence that excludes no difference (anytime, tuned for a lift "
                    "of 5 %), or a crossing (sequential, time as its clock). A verdict is gone if "
                    "the test at the last look (the fixed test for sequential) does not say the "
                    "same direction. Runs are series of looks; the second and third column count "
                    "among those that ever say “different”."
                ),
            ),
        )
    ]


@dataclass(frozen=True, slots=True)
class Track:
    """One metric of one experiment: what each way says at each look, -1, 0 or 1.

    Args:
        metric: What kind of metric it is.
        peeking: p < 0.05, look by look.
        anytime: The current confidence sequence, look by look.
        sequential: The crossing's direction from its look on; at the last look the fixed test's.
    """

    metric: str
    peeking: tuple[int, ...]
    anytime: tuple[int, ...]
    sequential: tuple[int, ...]

    @staticmethod
    def ways() -> tuple[str, ...]:
        """Return the names of the ways."""
        return ("peeking", "anytime", "sequential")


def _split_row(name: str, tests: Sequence[Sequence[int]]) -> Row:
    alarms, fired = [], []
    for counts in tests:
        names = [str(place) for place in range(len(counts))]
        test = chi_square(dict(zip(names, counts, strict=True)), dict.fromkeys(names, 1))
        alarms.append(isinstance(test, SrmTest) and test.p_value < SRM_ALPHA)
        fired.append(bool(log_e_value(counts, [1] * len(counts)) >= math.log(FIRES_AT)))
    return Row((name,), (share(alarms), share(fired)), len(tests))


def _read_asos() -> Iterator[tuple[str, list[LookPoint]]]:
    keys = ["experiment_id", "variant_id", "metric_id"]
    day = pl.col("time_since_start").floor().cast(int).alias("day")
    rows = pl.read_csv(ASOS).drop_nulls().sort("time_since_start").with_columns(day)
    rows = rows.unique([*keys, "day"], keep="last", maintain_order=True)
    for (*_, metric), group in rows.group_by(keys, maintain_order=True):
        points = [
            point for row in group.iter_rows(named=True) if (point := _point_of(row)) is not None
        ]
        if len(points) > 1:
            yield METRICS[metric], points


def _point_of(row: dict[str, float]) -> LookPoint | None:
    users = min(row["count_c"], row["count_t"])
    if users < LEAST_USERS or min(row["mean_c"], row["mean_t"]) <= 0:
        return None
    control, treatment = (
        RateEstimate(row[f"mean_{side}"], row[f"variance_{side}"] / row[f"count_{side}"])
        for side in "ct"
    )
    result = compare_rates(control, treatment)
    if not isinstance(result, RatioContrast):
        return None
    total = row["count_c"] + row["count_t"]
    pooled = sum(row[f"mean_{side}"] * row[f"count_{side}"] for side in "ct") / total
    return LookPoint(
        day=int(row["day"]) + 1,
        contrast=result,
        pooled_rate=pooled,
        event_units=int(users),
    )


def _follow(metric: str, points: list[LookPoint]) -> Track:
    days = [point.day for point in points]
    tau2 = anytime_plan(alpha=0.05, days=days).tau2
    peeking = [_sign(one.contrast.z) * (one.contrast.p_value < 0.05) for one in points]
    anytime = []
    for one in points:
        view = monitor(one.contrast, event_units=one.event_units, alpha=0.05, tau2=tau2)
        excludes = isinstance(view, AnytimeView) and view.p_value <= 0.05
        anytime.append(_sign(one.contrast.z) * excludes)
    plan = sequential_plan(alpha=0.05, days=days)
    ruling = rule(take_looks(plan, independent_series(points)))
    decided = [
        ruling.direction if ruling.row is not None and day >= ruling.row.day else 0 for day in days
    ]
    decided[-1] = decided[-1] if not ruling.direction else _final(ruling.direction, peeking[-1])
    return Track(metric, tuple(peeking), tuple(anytime), tuple(decided))


def _final(direction: int, fixed: int) -> int:
    """Return what stands at the last look: the verdict if the fixed test agrees, else nothing."""
    return direction if fixed == direction else 0


def _turn_row(metric: str, way: str, tracks: list[tuple[int, ...]]) -> Row:
    ever = [any(track) for track in tracks]
    said = [track for track in tracks if any(track)]
    firsts = [next(one for one in track if one) for track in said]
    gone = [track[-1] != first for track, first in zip(said, firsts, strict=True)]
    opposite = [-first in track for track, first in zip(said, firsts, strict=True)]
    return Row((metric, way), (share(ever), share(gone), share(opposite)), len(tracks))


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
