"""The attribution queries give the same integers on SQLite; test_spark_store.py asks Spark."""

import random
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from abplatform.logs.attribution import KEPT, STEPS, exposures_known_at
from abplatform.logs.facts import FOREVER_MICROS, Rates, to_micros
from abplatform.logs.load import ingest
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.tables import EVENT_TABLES, read_query
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Settings

sqlglot = pytest.importorskip("sqlglot", reason="sqlglot comes with the extra `spark`")

MIDWEEK = datetime(2026, 11, 5, tzinfo=UTC)
INPUTS = (*EVENT_TABLES, "experiments", "running", "rates")
LAYERS = [
    {"experiment": "beauty", "variant": "generated"},
    {"experiment": "layout", "variant": "b"},
]


@pytest.fixture
def world(workspace, facts, wire, write):
    """Load a random week with everything in it.

    Return the input tables, DuckDB's exposure rows, and its exposures of :data:`MIDWEEK`.
    """
    draw = random.Random(3)
    money = {"currency": "USD"}
    events = []
    for number in range(400):
        unit = f"u{draw.randrange(90)}"
        after = timedelta(seconds=draw.randrange(400_000))
        layers = LAYERS if number % 3 else [{"experiment": "beauty", "variant": "baseline"}]
        told = {"unit_id": unit, "assignments": layers, "decision_id": f"d{number}"}
        events.append(wire("impression", f"i{number}", after=after, **told))
        soon = after + timedelta(seconds=draw.randrange(-9, 100_000))
        if number % 4 == 0:
            events.append(wire("click", f"k{number}", after=soon, impression_id=f"i{number}"))
        if number % 7 == 0:
            events.append(wire("click", f"l{number}", after=soon, decision_id=f"d{number}"))
        if number % 5 == 0:
            paid = {"kind": "purchase", "value_micros": draw.randrange(10**9), "unit_id": unit}
            told = {"currency": draw.choice(["USD", "EUR"])}
            events.append(wire("conversion", f"v{number}", after=soon, **paid, **told))
            back = {"kind": "refund", "value_micros": -draw.randrange(10**8), "unit_id": unit}
            named = {"reverses": f"v{number}"} if number % 2 else {}
            events.append(wire("conversion", f"r{number}", after=soon, **back, **named, **told))
        if number % 11 == 0:
            events.append(wire("feedback", f"f{number}", impression_id=f"i{number}", score=-0.3))
    events.append(
        wire("decision", "e1", decision_id="x", action="hold", unit_id="held", assignments=LAYERS)
    )
    day = {"experiment": "beauty", "variant": "generated", "day": "2026-11-03"}
    events.append(wire("cost", "c1", cost_micros=1_000_003, **day, **money))
    events.append(wire("cost", "c2", cost_micros=77, impression_id="i2", **money))
    busy = [
        wire("impression", f"b{n}", after=timedelta(seconds=n / 10), unit_id="busy")
        for n in range(70)
    ]
    # Two experiments fixed different rates at their starts.
    workspace = replace(workspace, settings=Settings(rates={"EUR": 1.2}))
    rates = {
        "beauty": Rates.of("USD", {"EUR": 1.083712345}),
        "layout": Rates.of("USD", {"EUR": 0.93}),
    }
    facts = {key: replace(one, rates=rates[key]) for key, one in facts.items()}
    ingest(workspace, facts, files=[write(events + busy)])
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        tables = {name: warehouse._connection.table(name).pl() for name in INPUTS}
        rows = warehouse._connection.table("exposure_rows").pl()
        with exposures_known_at(warehouse, data_version(warehouse), until=MIDWEEK):
            then = warehouse._connection.table("exposure_rows").pl()
    return tables, rows, then


def signed(frame):
    """Give hashes as numbers that every engine knows; equal ones stay equal."""
    return frame.with_columns(pl.col(pl.UInt64).reinterpret(signed=True))


def comparable(rows):
    return sorted(tuple(str(value) for value in row) for row in rows)


def translated(name, dialect):
    (text,) = sqlglot.transpile(read_query(name), read="duckdb", write=dialect)
    return text


def run_on_sqlite(tables, *, until_micros):
    """Run every step on SQLite and return the exposure rows."""
    bounds = {"known_until": 1, "until_micros": until_micros}
    engine = sqlite3.connect(":memory:")
    try:
        for name, frame in tables.items():
            # SQLite knows neither dates nor unsigned numbers of 64 bits.
            days = signed(frame).with_columns(pl.col(pl.Date).cast(pl.String))
            # Without the extension a column with nulls would become one of doubles.
            plain = days.to_pandas(use_pyarrow_extension_array=True)
            plain.to_sql(name, engine, index=False)
        for name in KEPT:
            engine.execute(f"CREATE TABLE {name} AS {translated(f'portable/no_{name}', 'sqlite')}")
        for name, constants, bounded in STEPS:
            values = constants | (bounds if bounded else {})
            text = translated(f"portable/{name}", "sqlite")
            engine.execute(f"CREATE TABLE fresh AS {text}", values)
            engine.execute(f"DROP TABLE IF EXISTS {name}")
            engine.execute(f"ALTER TABLE fresh RENAME TO {name}")
        return engine.execute(translated("portable/exposure_rows", "sqlite")).fetchall()
    finally:
        engine.close()


def flagged(name, cell):
    """SQLite's flags are numbers."""
    return bool(cell) if name == "outside_phase" else cell


def test_sqlite_gives_what_duckdb_gives(world):
    """Translated to SQLite, the steps give the very same exposure rows."""
    tables, expected, _ = world
    told = [
        tuple(flagged(name, cell) for name, cell in zip(expected.columns, row, strict=True))
        for row in run_on_sqlite(tables, until_micros=FOREVER_MICROS)
    ]
    assert len(told) == len(expected)
    assert comparable(told) == comparable(expected.iter_rows())
    assert expected["cost_micros"].sum() == 1_000_003 + 2 * 77
    assert expected["net_value_micros"].sum() != 0
    assert expected["bot_micros"].count() == 70
    assert expected["mixed_micros"].n_unique() > 10


def test_sqlite_tells_a_moment_as_duckdb_does(world):
    """What had happened by a moment is the same on both engines, and less than everything."""
    tables, everything, expected = world
    told = run_on_sqlite(tables, until_micros=to_micros(MIDWEEK))
    names = [name for name in everything.columns if name in expected.columns]
    places = [everything.columns.index(name) for name in names]
    rows = [
        tuple(flagged(name, row[at]) for name, at in zip(names, places, strict=True))
        for row in told
    ]
    assert comparable(rows) == comparable(expected.select(names).iter_rows())
    for name in ("impressions", "clicked", "conversions", "feedbacks"):
        assert 0 < expected[name].sum() < everything[name].sum()
