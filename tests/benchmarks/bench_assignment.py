"""Assignment of a million ids, and of one, beside the growthbook SDK and the bare hash.

Run it as ``python tests/benchmarks/bench_assignment.py [--ids N]``.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import growthbook
import numpy as np
import polars as pl
import polars_hash  # noqa: F401 -- importing it registers the hash on polars expressions
import xxhash
from ratio_table import Row, measure, print_ratios

from abplatform.domain.assignment import (
    BUCKETS,
    AssignmentPlan,
    assign,
    assign_many,
    bucket_ranges,
    share_range,
)
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.domain.targeting import NumberRange

WEIGHTS = {"base": 50.0, "gen": 50.0}
TARGETING = {"category": ("beauty",), "age": NumberRange(min=18)}
CONTEXT = {"category": "beauty/lip", "age": 30}


def plan_of(
    *, traffic: float, slots: tuple[BucketRange, ...], holdout: float = 0.0
) -> AssignmentPlan:
    at = datetime(2026, 11, 2, tzinfo=UTC)
    ranges = bucket_ranges(WEIGHTS)
    phase = Phase(1, at, None, slots, share_range(traffic), ranges, WEIGHTS)
    return AssignmentPlan("bench", "feed", phase, holdout=holdout, targeting=TARGETING)


def run_growthbook(ids: list[str]) -> None:
    experiment = growthbook.Experiment(key="bench", variations=["base", "gen"], hashVersion=2)
    evaluator = growthbook.GrowthBook()
    for unit in ids:
        evaluator.set_attributes({"id": unit})
        evaluator.run(experiment)


def run_bare_hash(series: pl.Series) -> np.ndarray:
    column = series.alias("id").to_frame()
    return column.select(pl.col("id").nchash.xxh3_64(seed=7)).to_series().to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=1_000_000)
    count = parser.parse_args().ids
    ids = [f"user-{number:09d}" for number in range(count)]
    series = pl.Series(ids)
    whole = plan_of(traffic=1.0, slots=(BucketRange(0, BUCKETS),))
    gated = plan_of(traffic=0.5, slots=(BucketRange(0, BUCKETS // 2),))
    open_to_all = plan_of(traffic=0.999, slots=(BucketRange(0, BUCKETS - 1),), holdout=0.001)

    peer = measure({"growthbook": lambda: run_growthbook(ids)}, items=count, rounds=1)
    many = measure(
        {
            "bare hash": lambda: run_bare_hash(series),
            "three": lambda: [run_bare_hash(series) for _ in range(3)],
            "all": lambda: assign_many(whole, series),
            "gated": lambda: assign_many(gated, series),
            "list": lambda: assign_many(whole, ids),
        },
        items=count,
    )
    print_ratios(
        f"{count:,} ids at once",
        [
            Row("bare hash (floor)", many["bare hash"], "polars-hash xxh3_64 of a polars Series"),
            Row("assign_many", many["all"], "one experiment, all traffic"),
            Row("three bare hashes", many["three"], "the floor of layer, ramp and variant"),
            Row("assign_many, layer and ramp", many["gated"], "three hashes an id"),
            Row("assign_many from a list", many["list"], "with making the Series"),
            Row("growthbook SDK (peer)", peer["growthbook"], "set_attributes and run, id by id"),
        ],
        floor="bare hash (floor)",
        peer="growthbook SDK (peer)",
        unit="ns an id",
    )

    some = ids[: min(count, 100_000)]
    one = measure(
        {
            "bare hash": lambda: [xxhash.xxh3_64_intdigest(unit.encode(), 7) for unit in some],
            "assign": lambda: [assign(whole, unit) for unit in some],
            "context": lambda: [assign(open_to_all, unit, CONTEXT) for unit in some],
            "growthbook": lambda: run_growthbook(some),
        },
        items=len(some),
        rounds=3,
    )
    print_ratios(
        "one id at a time",
        [
            Row("bare hash (floor)", one["bare hash"], "xxhash"),
            Row("assign", one["assign"], "layer, ramp, variant and reason"),
            Row("assign, in a context", one["context"], "also holdout and two conditions"),
            Row("growthbook SDK (peer)", one["growthbook"], "set_attributes and run"),
        ],
        floor="bare hash (floor)",
        peer="growthbook SDK (peer)",
        unit="ns an id",
    )


if __name__ == "__main__":
    main()
