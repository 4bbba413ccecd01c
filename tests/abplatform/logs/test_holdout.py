"""What the permanent holdout saw and did, on DuckDB and on SQLite."""

import random
import sqlite3
from datetime import timedelta

import polars as pl
import pytest

from abplatform.domain.experiment import EventWindows
from abplatform.logs.attribution import CLICK_STEPS, EARLY_MICROS
from abplatform.logs.facts import FOREVER_MICROS, micros
from abplatform.logs.holdout import read_holdout
from abplatform.logs.store.tables import EVENT_TABLES, read_query
from abplatform.logs.store.warehouse import Warehouse

SEEN = {"experiment": "beauty", "variant": "generated"}


@pytest.fixture
def loaded(take_in, wire, workspace):
    """Return ``loaded(events)`` → the rows of the holdout by side, and the input tables."""

    def load(events):
        take_in(events)
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            frame = read_holdout(warehouse)
            names = (*EVENT_TABLES, "experiments", "sources", "kept_bots")
            tables = {name: warehouse._connection.table(name).pl() for name in names}
        rows = {} if frame is None else {row["side"]: row for row in frame.iter_rows(named=True)}
        return frame, rows, tables

    return load


def shown(wire, name, unit, *, reason="assigned", day=0, **fields):
    given = {"assignments": [] if reason == "holdout" else [SEEN], "reason": reason}
    after = timedelta(days=day, seconds=len(name))
    return wire("impression", name, after=after, unit_id=unit, **given | fields)


def clicked(wire, name, *, day=0, hours=1):
    return wire("click", f"k{name}", after=timedelta(days=day, hours=hours), impression_id=name)


def test_sides_are_told_apart(loaded, wire):
    """Held out, others, and units seen as both; each click counts once and only in its window."""
    events = [
        shown(wire, "a", "u1", reason="holdout"),
        shown(wire, "b", "u1", reason="holdout", day=2),
        shown(wire, "c", "u2", day=1),
        shown(wire, "d", "u3", reason="holdout", day=1),
        shown(wire, "e", "u3", day=1),
        clicked(wire, "a"),
        wire("click", "again", after=timedelta(hours=2), impression_id="a"),
        clicked(wire, "c", day=1, hours=30),
    ]
    _, rows, _ = loaded(events)
    sums = {side: (row["units"], int(row["n"]), int(row["k"])) for side, row in rows.items()}
    assert sums == {"holdout": (1, 2, 1), "others": (1, 1, 0), "both": (1, 2, 0)}
    assert int(rows["holdout"]["nn"]) == 4


def test_only_days_of_the_holdout_are_compared(loaded, wire):
    """Before the first and after the last impression of the holdout nobody counts."""
    days = [shown(wire, f"o{day}", "u2", day=day) for day in range(6)]
    held = [shown(wire, f"h{day}", "u1", reason="holdout", day=day) for day in (2, 4)]
    _, rows, _ = loaded(days + held)
    assert int(rows["others"]["n"]) == 3


def test_what_is_no_fair_comparison_is_left_out(loaded, wire, facts):
    """Forced and fallback impressions, bots, and what late clicks may still change are left out."""
    late = (18, 19)
    events = [
        shown(wire, "h", "u1", reason="holdout"),
        shown(wire, "f", "u2", reason="forced"),
        shown(wire, "g", "u3", reason="fallback"),
        shown(wire, "b", "u4", user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)"),
        shown(wire, "o", "u5"),
        *(shown(wire, f"late{day}", f"v{day}", reason="holdout", day=day) for day in late),
    ]
    _, rows, _ = loaded(events)
    assert {side: row["units"] for side, row in rows.items()} == {"holdout": 1, "others": 1}


def test_without_a_holdout_there_is_nothing(loaded, wire):
    """A log in which nobody is held out has no rows at all."""
    frame, _, _ = loaded([shown(wire, "o", "u5")])
    assert frame is None


def test_sqlite_gives_what_duckdb_gives(loaded, wire):
    """Translated to SQLite, the query gives the very same integers."""
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot comes with the extra `spark`")
    draw = random.Random(4)
    events = []
    for number in range(300):
        unit = draw.randrange(60)
        reason = "holdout" if unit < 12 else "assigned"
        day = draw.randrange(8)
        events.append(shown(wire, f"i{number}", f"u{unit}", reason=reason, day=day))
        if draw.random() < 0.3:
            events.append(clicked(wire, f"i{number}", day=day, hours=draw.randrange(1, 30)))
    frame, _, tables = loaded(events)

    def translated(name):
        (text,) = sqlglot.transpile(read_query(name), read="duckdb", write="sqlite")
        return text

    engine, windows = sqlite3.connect(":memory:"), EventWindows()
    try:
        for name, table in tables.items():
            plain = table.with_columns(pl.col(pl.UInt64).reinterpret(signed=True))
            days = [column for column, kind in plain.schema.items() if str(kind) == "Date"]
            plain.cast(dict.fromkeys(days, str)).to_pandas().to_sql(name, engine, index=False)
        bounds = {"known_until": FOREVER_MICROS, "until_micros": FOREVER_MICROS}
        for name, query, constants, bounded in CLICK_STEPS:
            values = constants | (bounds if bounded else {})
            engine.execute(f"CREATE TABLE {name} AS {translated(query)}", values)
        values = {
            "attribution_micros": micros(windows.attribution_window),
            "late_micros": micros(windows.late_data),
            "early_micros": EARLY_MICROS,
        }
        found = engine.execute(translated("portable/holdout_totals"), values).fetchall()
    finally:
        engine.close()
    whole = [[(side, *map(int, sums)) for side, *sums in rows] for rows in (found, frame.rows())]
    assert whole[0] == whole[1]
    assert {row[0] for row in found} == {"holdout", "others"}
