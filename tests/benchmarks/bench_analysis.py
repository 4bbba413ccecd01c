"""Exact unit-clustered lift by category at size: beside a bare query, peers, and a day later.

Run it as ``python tests/benchmarks/bench_analysis.py [--impressions N] [--grow N …] [--part P]``.

* ``lift``: N impressions in 10 categories and 4 variants. The floor is the bare two-level GROUP BY
  in DuckDB (units, then sums of squares) over a table of just five columns; peers are tea-tasting
  over Ibis on DuckDB, and pandas with statsmodels. All numbers agree to 1e-9, else it stops.
* ``growth``: CPU time and peak memory of the same lift, the bare query, the whole scorecard, and of
  making the totals, at several sizes; each in a process of its own.
* ``refresh``: the 28th day comes in, with some late clicks on the day before: what the refresh of
  exact totals and of bucket sums costs beside making them anew. Both must be equal.

The store is filled by one query in the schema of the warehouse, without event ids: what is measured
begins after loading. Figures are CPU seconds, so that a busy machine does not change them much.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import duckdb
import ibis
import tea_tasting as tt
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from abplatform.analysis.scorecard import Run, Scorecard
from abplatform.analysis.scorecard.scope import Scope, Stored
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.analysis.scorecard.units import parts_for
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Breakdown, Experiment, PrimaryMetric, Variant
from abplatform.domain.metrics import METRICS
from abplatform.logs import totals as stored_totals
from abplatform.logs.attribution import tell_experiments
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import contrast
from abplatform.workspace import Workspace

DAYS = 28
START = datetime(2026, 10, 1, tzinfo=UTC)
VARIANTS = ("plain", "garden", "studio", "street")
EXPERIMENT = Experiment(
    key="big",
    variants=tuple(Variant(name, 25, control=name == "plain") for name in VARIANTS),
    primary=PrimaryMetric("ctr"),
    assignment="external",
    breakdowns=(Breakdown(by="category", level=2),),
)
WHOLE_UP_TO = 20_000_000
"""The bare query keeps every unit and category in memory: 7.8 GiB at 100M."""

(CATEGORY,) = EXPERIMENT.breakdowns
CLICKS = [METRICS["ctr"]]
Lifts = dict[str, tuple[float, float]]
"""``category/treatment`` to the absolute lift and its standard error."""

FILL = """
INSERT INTO impressions BY NAME
SELECT
    $day AS segment_number, i AS line, 0 AS ordinal, 'files' AS source, 'big' AS experiment,
    ['plain', 'garden', 'studio', 'street'][1 + v] AS variant,
    ts_micros, make_timestamp(ts_micros)::DATE AS day,
    format('user-{:09d}', u) AS unit_id, (hash(u + 5) % 4096)::INTEGER AS unit_slice,
    format('sku-{:04d}-{}', c * 40 + i % 40, v) AS creative_id,
    format('sku-{:04d}', c * 40 + i % 40) AS product_id,
    format('shop/{:02d}', c) AS category,
    'app' AS channel, 'CN' AS country, 'loyal' AS segment, 'assigned' AS reason,
    CASE WHEN hash(i + 7) / 18446744073709551616.0
        < (0.02 + 0.004 * c) * (1 + 0.03 * v) * (0.4 + (hash(u + 9) % 1000) / 800.0) THEN TRUE END
        AS marked
FROM (
    SELECT
        i, u, (hash(u + 1) % 4)::INTEGER AS v,
        (hash(CASE WHEN hash(i + 3) % 2 = 0 THEN u + 2 ELSE -i END) % 10)::BIGINT AS c,
        $start + CAST(86400000000.0 * (i - $low) / ($high - $low) AS BIGINT) AS ts_micros
    FROM (
        SELECT
            i,
            CAST(FLOOR($units * POW(hash(i) / 18446744073709551616.0, 1.6)) AS BIGINT) AS u
        FROM range($low, $high) AS numbers(i)
    )
)
"""
OUTCOMES = """
INSERT INTO exposure_outcomes BY NAME
SELECT
    segment_number, line, ordinal, experiment, variant, unit_id, unit_slice, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, reason, 1 AS impressions,
    ts_micros + 9000000 AS first_click_micros, 0 AS conversions, 0 AS gross_value_micros,
    0 AS refunded_value_micros, 0 AS cost_micros, 0 AS share_micros, 0 AS score_micros,
    0 AS feedbacks, FALSE AS outside_phase
FROM impressions WHERE segment_number = $day AND marked
"""
BARE = """
SELECT variant, category, COUNT(*), SUM(n), SUM(k), SUM(n * n), SUM(k * k), SUM(n * k)
FROM (
    SELECT variant, category, unit_id,
        SUM(impressions)::BIGINT AS n, SUM(clicked)::BIGINT AS k
    FROM bare GROUP BY variant, category, unit_id
)
GROUP BY variant, category
"""


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = os.times()
    return used.user + used.system


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds of some work, and what it returned."""
    begun = cpu()
    found = work()
    return cpu() - begun, found


@contextmanager
def opened(folder: Path):
    """Open the store in a folder, limited to the two cores that figures are stated for."""
    with Warehouse.open(Workspace(folder)) as warehouse:
        warehouse._connection.execute("SET threads = 2")
        yield warehouse


def fill(folder: Path, impressions: int, *, last_day: int = DAYS) -> None:
    """Fill an empty store with days of exposures, as ingests of a day each would leave them."""
    with opened(folder) as warehouse:
        facts = ExperimentFacts(
            "big", dict.fromkeys(VARIANTS, 25.0), "plain", assignment="external"
        )
        tell_experiments(warehouse, [facts])
        warehouse.execute("load/raise_watermark", source="files", watermark_micros=2**55)
        for day in range(1, last_day + 1):
            add_day(warehouse, impressions, day)
        warehouse.execute("load/set_meta", name="exposures", value=f"day {last_day}")
        warehouse.checkpoint()


def add_day(warehouse: Warehouse, impressions: int, day: int) -> None:
    """Add the exposures of one day."""
    start = START + timedelta(days=day - 1)
    bounds = {
        "day": day,
        "low": impressions * (day - 1) // DAYS,
        "high": impressions * day // DAYS,
        "units": impressions / 12,
        "start": int(start.timestamp()) * 1_000_000,
    }
    warehouse._connection.execute(FILL, bounds)
    warehouse._connection.execute(OUTCOMES, {"day": day})


def our_lifts(folder: Path, impressions: int, *, stored: bool) -> Lifts:
    """Lifts by category as the scorecard computes them, from rows or from stored totals."""
    far = datetime(2100, 1, 1, tzinfo=UTC)
    whole = Stored(START, START, far) if stored else None
    scope = Scope(EXPERIMENT, stored=whole, parts=parts_for(impressions))
    with opened(folder) as warehouse:
        found = read_totals(warehouse, scope, CLICKS, CATEGORY)
    lifts = {}
    for level in found.levels:
        for name in VARIANTS[1:]:
            sides = [found.at(level, one, "ctr").sums for one in ("plain", name)]
            result = contrast(*sides, share=True)
            lifts[f"{level}/{name}"] = (result.absolute_lift, result.se_absolute)
    return lifts


def whole_scorecard(folder: Path) -> Scorecard:
    """All that ``abp analyze`` computes: looks, cuts, creatives, split, warnings, verdict."""
    with opened(folder) as warehouse:
        return analyze(warehouse, EXPERIMENT, run=Run(now=datetime(2027, 1, 1, tzinfo=UTC)))


def bare_file(folder: Path) -> Path:
    """Write the five columns that the lift needs into a database of their own."""
    path = folder / "bare.duckdb"
    if not path.exists():
        with opened(folder) as warehouse:
            connection = warehouse._connection
            connection.execute(f"ATTACH '{path}' AS other")
            connection.execute(
                "CREATE TABLE other.bare AS "
                "SELECT variant, category, unit_id, impressions, clicked FROM exposures"
            )
            connection.execute("DETACH other")
    return path


def bare_query(folder: Path) -> list[tuple[object, ...]]:
    """The floor: units, then sums of squares, and nothing else."""
    with duckdb.connect(bare_file(folder), read_only=True) as connection:
        connection.execute("SET threads = 2; SET preserve_insertion_order = false")
        return connection.execute(BARE).fetchall()


def tea_tasting_lifts(folder: Path) -> Lifts:
    """tea-tasting over Ibis on DuckDB: units grouped in the database, one analysis a category."""
    experiment = tt.Experiment(ctr=tt.RatioOfMeans("k", "n", use_t=False))
    connection = ibis.duckdb.connect(bare_file(folder), read_only=True, threads=2)
    rows = connection.table("bare")
    lifts = {}
    for category in sorted(rows.select("category").distinct().to_polars()["category"]):
        units = rows.filter(rows.category == category).group_by("variant", "unit_id")
        table = units.aggregate(n=rows.impressions.sum(), k=rows.clicked.sum())
        results = experiment.analyze(table, "plain", all_variants=True)
        for (_, name), result in results.items():
            one = result["ctr"]
            half = (one.effect_size_ci_upper - one.effect_size_ci_lower) / 2
            lifts[f"{category}/{name}"] = (one.effect_size, half / 1.959963984540054)
    return lifts


def pandas_lifts(folder: Path) -> tuple[float, Lifts]:
    """Pandas groups the units, statsmodels compares them; reading the table is not counted."""
    with duckdb.connect(bare_file(folder), read_only=True) as connection:
        frame = connection.execute("FROM bare").df()
    begun = cpu()
    grouped = frame.groupby(["category", "variant", "unit_id"], observed=True)
    units = grouped[["impressions", "clicked"]].sum()
    lifts = {}
    for category in sorted(frame["category"].unique()):
        described = {}
        for name in VARIANTS:
            part = units.loc[(category, name)]
            n, k = part["impressions"].to_numpy(), part["clicked"].to_numpy()
            rate = k.sum() / n.sum()
            described[name] = DescrStatsW(rate + (k - rate * n) / n.mean())
        for name in VARIANTS[1:]:
            pair = CompareMeans(described[name], described["plain"])
            lift = described[name].mean - described["plain"].mean
            lifts[f"{category}/{name}"] = (lift, pair.std_meandiff_separatevar)
    return cpu() - begun, lifts


def child(name: str, folder: Path, impressions: int) -> dict[str, object]:
    """Run one piece of work in this process; return its CPU seconds, peak and numbers."""
    lifts: object = None
    if name == "fill":
        seconds, _ = timed(lambda: fill(folder, impressions))
    elif name == "make totals":
        with opened(folder) as warehouse:
            seconds, _ = timed(lambda: stored_totals.refresh_totals(warehouse))
            warehouse.checkpoint()
    elif name == "prepare":
        seconds, _ = timed(lambda: bare_file(folder))
    elif name == "bare":
        seconds, _ = timed(lambda: bare_query(folder))
    elif name == "scorecard":
        seconds, _ = timed(lambda: whole_scorecard(folder))
    elif name == "tea-tasting":
        seconds, lifts = timed(lambda: tea_tasting_lifts(folder))
    elif name == "pandas":
        seconds, lifts = pandas_lifts(folder)
    else:
        seconds, lifts = timed(lambda: our_lifts(folder, impressions, stored=name == "stored"))
    # The most that this process ever held; on Linux in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": seconds, "peak_mib": peak, "lifts": lifts}


def run(name: str, folder: Path, impressions: int) -> dict[str, object]:
    """Run one piece of work in a process of its own."""
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder)]
    command += ["--impressions", str(impressions)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def agree(one: object, other: object) -> None:
    """Stop where two ways do not give the same lifts and standard errors."""
    if one.keys() != other.keys():
        raise SystemExit("the ways compared different categories")
    for key, numbers in one.items():
        for left, right in zip(numbers, other[key], strict=True):
            if abs(left - right) > 1e-9 * max(abs(left), abs(right), 1e-3):
                raise SystemExit(f"{key}: {left!r} is not {right!r}")


def show(title: str, rows: list[tuple[str, dict[str, object]]], *, floor: str) -> None:
    """Print CPU seconds, their ratio to the floor, and peaks."""
    by_name = dict(rows)
    click.echo(f"\n{title}\n{'':34}{'CPU s':>9}{'x floor':>9}{'peak MiB':>10}")
    for name, found in rows:
        ratio = found["cpu"] / by_name[floor]["cpu"]
        click.echo(f"{name:34}{found['cpu']:9.2f}{ratio:9.2f}{found['peak_mib']:10,.0f}")


def bench_lift(impressions: int) -> None:
    """Compare the ways to one set of lifts."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("fill", "make totals", "prepare"):
            run(name, folder, impressions)
        names = ("bare", "rows", "stored", "tea-tasting", "pandas")
        found = {name: run(name, folder, impressions) for name in names}
    for name in names[2:]:
        agree(found["rows"]["lifts"], found[name]["lifts"])
    told = {
        "bare": "bare GROUP BY in DuckDB (floor)",
        "rows": "scorecard, from exposures",
        "stored": "scorecard, from stored totals",
        "tea-tasting": "tea-tasting, Ibis on DuckDB",
        "pandas": "pandas + statsmodels",
    }
    rows = [(told[name], found[name]) for name in names]
    title = f"lift of {impressions:,} impressions x 10 categories x 4 variants, equal to 1e-9"
    show(title, rows, floor=told["bare"])


def bench_growth(sizes: list[int]) -> None:
    """Follow time and memory from size to size."""
    click.echo("\ngrowth: CPU s and peak MiB of one process each")
    names = ("make totals", "rows", "stored", "scorecard", "bare")
    click.echo(f"{'impressions':>14}" + "".join(f"{name:>22}" for name in names))
    for size in sorted(sizes, reverse=True):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            run("fill", folder, size)
            cells = []
            for name in names:
                if name in {"scorecard", "bare"} and size > WHOLE_UP_TO:
                    continue
                if name == "bare":
                    run("prepare", folder, size)
                found = run(name, folder, size)
                cells.append(f"{found['cpu']:11.2f} s {found['peak_mib']:5,.0f} MiB")
            click.echo(f"{size:>14,}" + "".join(f"{cell:>22}" for cell in cells))


def bench_refresh(impressions: int) -> None:
    """Let the last day come in, and compare the refresh with making everything anew."""
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place), impressions, last_day=DAYS - 1)
        with opened(Path(place)) as warehouse:
            stored_totals.refresh_totals(warehouse)
            add_day(warehouse, impressions, DAYS)
            click_late(warehouse)
            warehouse.checkpoint()
            touched = warehouse.query("totals/touched").row(0, named=True)
            since, after = touched["since_day"], touched["after_segment"]
            took = {
                "bucket sums, refresh": timed(
                    lambda: stored_totals._refresh_buckets(warehouse, since)
                )[0],
                "exact totals, refresh": timed(
                    lambda: stored_totals._refresh_units(warehouse, after)
                )[0],
            }
            refreshed = digest(warehouse)
            took |= rebuild(warehouse)
            if digest(warehouse) != refreshed:
                raise SystemExit("a refresh is not what making everything anew gives")
    click.echo(f"\nday {DAYS} of {impressions:,} impressions comes in; equal to a full rebuild")
    for name in ("exact totals", "bucket sums"):
        part, whole = took[f"{name}, refresh"], took[f"{name}, anew"]
        click.echo(f"{name:14}{part:8.2f} s of {whole:8.2f} s anew: 1/{whole / part:.1f}")


def click_late(warehouse: Warehouse) -> None:
    """Let 25 impressions of the day before be clicked, and say what was touched."""
    run_sql = warehouse._connection.execute
    pick = "SELECT line FROM impressions WHERE segment_number = $day AND marked IS NULL LIMIT 25"
    run_sql(f"CREATE TEMP TABLE late AS {pick}", {"day": DAYS - 1})
    run_sql(
        "UPDATE impressions SET marked = TRUE "
        "WHERE segment_number = $day AND line IN (SELECT line FROM late)",
        {"day": DAYS - 1},
    )
    text = f"{OUTCOMES} AND line IN (SELECT line FROM late)"  # noqa: S608 -- from above
    run_sql(text, {"day": DAYS - 1})
    run_sql(
        "CREATE TEMP TABLE touched_units AS "
        "SELECT experiment, unit_id, MIN(segment_number) > $day AS appended, "
        "$day::BIGINT AS after_segment, MIN(day) AS since_day, MIN(unit_slice) AS unit_slice "
        "FROM impressions WHERE segment_number > $day "
        "OR (segment_number = $day AND line IN (SELECT line FROM late)) "
        "GROUP BY experiment, unit_id",
        {"day": DAYS - 1},
    )


def rebuild(warehouse: Warehouse) -> dict[str, float]:
    """Make both tables anew, each timed."""
    for table in ("unit_category_totals", "bucket_sums"):
        warehouse.execute("load/clear", table=table)
    return {
        "exact totals, anew": timed(lambda: stored_totals._rebuild_units(warehouse))[0],
        "bucket sums, anew": timed(lambda: stored_totals._rebuild_buckets(warehouse))[0],
    }


def digest(warehouse: Warehouse) -> list[object]:
    """A sum over hashes of all rows, whatever their order."""
    tables = ("unit_category_totals", "bucket_sums")
    texts = [f"SELECT COUNT(*), SUM(hash(t)::HUGEINT) FROM {table} AS t" for table in tables]  # noqa: S608 -- names from above
    return [warehouse._connection.execute(text).fetchone() for text in texts]


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=10_000_000)
    parser.add_argument("--grow", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--part", choices=["lift", "growth", "refresh"], action="append")
    parser.add_argument("--child")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.child:
        click.echo(json.dumps(child(asked.child, asked.folder, asked.impressions)))
        return
    parts = asked.part or ["lift", "growth", "refresh"]
    if "lift" in parts:
        bench_lift(asked.impressions)
    if "growth" in parts:
        bench_growth(asked.grow)
    if "refresh" in parts:
        bench_refresh(asked.impressions)


if __name__ == "__main__":
    main()
