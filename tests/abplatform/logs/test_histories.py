"""What units did before an experiment, and that its queries run on other engines."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from abplatform.domain.experiment import Cuped, EventWindows, Experiment, PrimaryMetric, Variant
from abplatform.errors import StoreError
from abplatform.logs.attribution import CLICK_STEPS, EARLY_MICROS
from abplatform.logs.facts import micros, to_micros
from abplatform.logs.histories import read_histories
from abplatform.logs.load import ingest
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.tables import read_query
from abplatform.logs.store.warehouse import Warehouse

START = datetime(2026, 11, 5, tzinfo=UTC)
WINDOW = timedelta(days=2)
MINE = ("unit_histories", "unit_attributes", "history_products")
REPORTS = ("aggregate_totals", "aggregate_creatives", "aggregate_days", "aggregate_sources")


@pytest.fixture
def experiment():
    return Experiment(
        key="beauty",
        variants=(Variant("baseline", 50, control=True), Variant("generated", 50)),
        primary=PrimaryMetric("ctr"),
        events=EventWindows(attribution_window=timedelta(hours=6)),
    )


@pytest.fixture
def store(workspace, facts, wire, write):
    """Take in a random week of one experiment, of another and of none; yield the open store."""
    draw = random.Random(5)
    others = [[], [{"experiment": "layout", "variant": "a"}]]
    mine = [{"experiment": "beauty", "variant": "baseline"}]
    events = []
    for number in range(500):
        after = timedelta(seconds=draw.randrange(500_000))
        told = {"unit_id": f"u{draw.randrange(60)}", "decision_id": f"d{number}"}
        if number % 3 == 0:
            told["assignments"] = mine
            told["attributes"] = {"past_clicks": draw.randrange(9), "past_views": 0.5 * number}
        else:
            told["assignments"] = others[number % 2]
        events.append(wire("impression", f"i{number}", after=after, **told))
        soon = after + timedelta(seconds=draw.randrange(40_000))
        if number % 4 == 0:
            events.append(wire("click", f"k{number}", after=soon, impression_id=f"i{number}"))
        if number % 7 == 0:
            events.append(wire("click", f"l{number}", after=soon, decision_id=f"d{number}"))
    ingest(workspace, facts, files=[write(events)])
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        yield warehouse, events


def test_history_is_what_was_shown_and_clicked_before(store, experiment):
    """Impressions in the window, and clicks on them in time and before its end, unit by unit."""
    warehouse, events = store
    found = read_histories(
        warehouse, experiment, Cuped(WINDOW), version=data_version(warehouse), before=START
    )
    shown = [event for event in events if event["event_type"] == "impression"]
    clicks: dict[str, list[datetime]] = {}
    for event in events:
        if event["event_type"] == "click":
            target = event.get("impression_id") or "i" + event["decision_id"][1:]
            clicks.setdefault(target, []).append(datetime.fromisoformat(event["ts"]))
    expected: dict[str, list[int]] = {}
    in_experiment = {one["unit_id"] for one in shown if _is_mine(one)}
    for one in shown:
        ts = datetime.fromisoformat(one["ts"])
        if _is_mine(one) or one["unit_id"] not in in_experiment:
            continue
        if START - WINDOW <= ts < START:
            total = expected.setdefault(one["unit_id"], [0, 0])
            last = min(ts + timedelta(hours=6), START - timedelta(microseconds=1))
            total[0] += any(ts <= at <= last for at in clicks.get(one["event_id"], ()))
            total[1] += 1
    assert {row[0]: list(row[1:]) for row in found.iter_rows()} == expected
    assert found["x1"].sum() > 0


def _is_mine(event):
    return any(one["experiment"] == "beauty" for one in event["assignments"])


def test_attributes_are_those_of_the_first_exposure(store, experiment):
    """Numbers in millionths of the unit's earliest exposure; what it does not carry is zero."""
    warehouse, events = store
    version = data_version(warehouse)
    fields = Cuped(numerator="past_views", denominator="nowhere")
    found = read_histories(warehouse, experiment, fields, version=version, before=START)
    first: dict[str, dict] = {}
    for event in sorted(
        (one for one in events if one["event_type"] == "impression" and _is_mine(one)),
        key=lambda one: one["ts"],
    ):
        first.setdefault(event["unit_id"], event)
    expected = {
        unit: (round(1e6 * one["attributes"]["past_views"]), 0) for unit, one in first.items()
    }
    assert {row[0]: row[1:] for row in found.iter_rows()} == expected


def test_an_unknown_data_version_is_an_error(store, experiment):
    """A version that the store never had is named."""
    warehouse, _ = store
    with pytest.raises(StoreError, match="never had the data version"):
        read_histories(warehouse, experiment, Cuped(WINDOW), version="f" * 12, before=START)


@pytest.mark.parametrize("name", [*MINE, *REPORTS, "variant_totals"])
def test_queries_translate_to_spark(name):
    """Sqlglot reads and writes the query for Spark without leaving anything out."""
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot comes with the extra `spark`")
    (text,) = sqlglot.transpile(
        read_query(f"portable/{name}"),
        read="duckdb",
        write="spark",
        unsupported_level=sqlglot.ErrorLevel.RAISE,
    )
    assert "SELECT" in text


@pytest.mark.parametrize("name", ["unit_histories", "unit_attributes"])
def test_sqlite_gives_the_same_histories(store, name):
    """Translated to SQLite, the query gives the same integers as on DuckDB."""
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot comes with the extra `spark`")
    warehouse, _ = store
    end = to_micros(START) - 1
    values = {"experiment": "beauty", "known_until": 1}
    if name == "unit_attributes":
        values |= {"numerator": "past_clicks", "denominator": "past_views"}
    else:
        bounds = {"known_until": 1, "until_micros": end}
        for step, query, constants, bounded in CLICK_STEPS:
            warehouse.materialise(step, query, **(constants | bounds if bounded else constants))
        values |= {"early_micros": EARLY_MICROS, "attribution_micros": micros(timedelta(hours=6))}
        values |= {"from_micros": end + 1 - micros(WINDOW), "until_micros": end}
    expected = warehouse.query(f"portable/{name}", **values)
    tables = ["impressions", "decisions", "covariates", "exposures"]
    tables += ["click_targets"] if name == "unit_histories" else []
    engine = sqlite3.connect(":memory:")
    try:
        for table in tables:
            frame = warehouse._connection.table(table).pl()
            plain = frame.with_columns(pl.col(pl.UInt64).reinterpret(signed=True))
            plain = plain.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))
            plain.to_pandas().to_sql(table, engine, index=False)
        (text,) = sqlglot.transpile(read_query(f"portable/{name}"), read="duckdb", write="sqlite")
        found = engine.execute(text, values).fetchall()
    finally:
        engine.close()
    assert sorted(found) == sorted(
        tuple(int(cell) if at else cell for at, cell in enumerate(row))
        for row in expected.iter_rows()
    )
    assert found
