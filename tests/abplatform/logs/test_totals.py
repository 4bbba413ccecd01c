"""Totals equal a slow sum over the exposures, whatever touched them since."""

import sys
from collections import Counter
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.totals import are_current, refresh_totals

SUMS = (
    *("impressions", "clicked", "conversions", "net_value_micros", "cost_micros", "shown"),
    *("decisions", "score_micros", "feedbacks"),
)
TEXTS = dict.fromkeys(
    ("experiment", "variant", "unit_id", "event_id", "category", "reason"), pl.String
)
FLAGS = dict.fromkeys(("bot", "mixed", "outside_phase"), pl.Boolean)
NUMBERS = dict.fromkeys(("unit_slice", "segment_number", *SUMS), pl.Int64)
SCHEMA = pl.Schema({**TEXTS, **FLAGS, **NUMBERS, "day": pl.Date})
TOUCHED = pl.Schema(
    {
        "experiment": pl.String,
        "unit_id": pl.String,
        "appended": pl.Boolean,
        "after_segment": pl.Int64,
        "since_day": pl.Date,
        "unit_slice": pl.Int64,
    }
)


def slow_totals(rows):
    """Sums by unit and category, and by day, category, variant and slice, by plain Python."""
    units, cells = {}, {}
    for row in rows:
        if row["reason"] != "assigned" or row["outside_phase"]:
            continue
        added = Counter({name: row[name] for name in SUMS})
        key = (row["experiment"], row["variant"], row["unit_id"], row["category"])
        place = (row["unit_slice"], row["bot"], row["mixed"])
        units.setdefault((*key, *place), Counter()).update(added)
        if not (row["bot"] or row["mixed"]):
            cell = (row["experiment"], row["day"], row["category"], row["variant"])
            cells.setdefault((*cell, row["unit_slice"]), Counter()).update(added)
    return told(units), told(cells)


def told(sums):
    return sorted(
        (tuple(map(str, key)), tuple(total[name] for name in SUMS)) for key, total in sums.items()
    )


def stored_totals(warehouse):
    """The two tables in the form of :func:`slow_totals`."""

    def read(table, *keys):
        rows = warehouse._connection.table(table).pl().iter_rows(named=True)
        return sorted(
            (tuple(str(row[key]) for key in keys), tuple(row[name] for name in SUMS))
            for row in rows
        )

    by_unit = ("experiment", "variant", "unit_id", "category", "unit_slice", "bot", "mixed")
    by_cell = ("experiment", "day", "category", "variant", "unit_slice")
    return read("unit_category_totals", *by_unit), read("bucket_sums", *by_cell)


def put(warehouse, rows, *, state, before=None, touched=None):
    """Let the given rows be the exposures, and say what a refresh touched."""
    frame = pl.DataFrame(rows, schema=SCHEMA)
    warehouse._connection.register("rows_now", frame)
    warehouse._connection.execute("CREATE OR REPLACE TEMP TABLE exposures AS FROM rows_now")
    warehouse.execute("load/set_meta", name="exposures", value=state)
    if touched is not None:
        warehouse.execute("load/set_meta", name="exposures_before", value=before)
        warehouse._connection.register("touched_now", pl.DataFrame(touched, schema=TOUCHED))
        text = "CREATE OR REPLACE TEMP TABLE touched_units AS FROM touched_now"
        warehouse._connection.execute(text)


exposure = st.fixed_dictionaries(
    {
        "experiment": st.sampled_from(["beauty", "layout"]),
        "variant": st.sampled_from(["a", "b"]),
        "unit": st.integers(0, 5),
        "category": st.sampled_from(["beauty/lip", "home", None]),
        "reason": st.sampled_from(["assigned", "assigned", "forced"]),
        "outside_phase": st.booleans(),
        "day": st.integers(1, 4).map(lambda day: date(2026, 11, day)),
        **{name: st.integers(-2, 3) for name in SUMS},
    }
)
change = st.tuples(st.integers(0, 30), st.sampled_from(["withdraw", "click", "flag"]))


def as_row(drawn, number, segment):
    unit = drawn["unit"]
    row = {name: value for name, value in drawn.items() if name != "unit"}
    return row | {
        "unit_id": f"u{unit}",
        "unit_slice": unit * 700,
        "event_id": f"e{segment}-{number}",
        "segment_number": segment,
        "bot": False,
        "mixed": False,
    }


def changed(rows, changes):
    """Apply changes to rows that were there; return the rows and those that were touched."""
    rows, touched = [dict(row) for row in rows], []
    for place, what in changes:
        if not rows:
            break
        row = rows[place % len(rows)]
        if what == "withdraw":
            rows.remove(row)
            touched.append(row)
        elif what == "click":
            row["clicked"] += 1
            touched.append(row)
        else:
            unit = [one for one in rows if one["unit_id"] == row["unit_id"]]
            for one in unit:
                one["bot"] = True
            touched += unit
    return rows, touched


def tell(new, old, after):
    """The rows of touched_units, as the refresh of exposures leaves them."""
    units = {}
    for row, appended in [*((row, True) for row in new), *((row, False) for row in old)]:
        key = (row["experiment"], row["unit_id"])
        said = units.setdefault(key, {"appended": True, "since_day": row["day"]})
        said["appended"] &= appended
        said["since_day"] = min(said["since_day"], row["day"])
        said |= {"after_segment": after, "unit_slice": row["unit_slice"]}
    return [{"experiment": key[0], "unit_id": key[1], **said} for key, said in units.items()]


@settings(max_examples=20, deadline=None)
@given(
    first=st.lists(exposure, max_size=25),
    steps=st.lists(
        st.tuples(st.lists(exposure, max_size=8), st.lists(change, max_size=3)), max_size=3
    ),
)
def test_a_refresh_equals_a_full_rebuild(first, steps):
    """New rows, late clicks, withdrawals and flags leave just the sums of a slow recount."""
    rows = [as_row(drawn, number, 1) for number, drawn in enumerate(first)]
    with Warehouse.in_memory() as warehouse:
        put(warehouse, rows, state="s1")
        assert refresh_totals(warehouse)
        assert stored_totals(warehouse) == slow_totals(rows)
        for segment, (fresh, changes) in enumerate(steps, start=2):
            rows, old = changed(rows, changes)
            flagged = {row["unit_id"] for row in rows if row["bot"]}
            new = [as_row(drawn, number, segment) for number, drawn in enumerate(fresh)]
            for row in new:
                row["bot"] = row["unit_id"] in flagged
            rows += new
            said = tell(new, old, segment - 1)
            put(warehouse, rows, state=f"s{segment}", before=f"s{segment - 1}", touched=said)
            assert refresh_totals(warehouse)
            assert stored_totals(warehouse) == slow_totals(rows)
            assert are_current(warehouse)


def rows_of(count, segment=1):
    base = dict.fromkeys(SUMS, 1)
    base |= {"experiment": "beauty", "variant": "a", "category": "home", "reason": "assigned"}
    base |= {"outside_phase": False, "day": date(2026, 11, 2)}
    return [as_row({**base, "unit": number}, number, segment) for number in range(count)]


def test_nothing_new_does_nothing():
    """Totals that follow the exposures as they are stay untouched."""
    with Warehouse.in_memory() as warehouse:
        put(warehouse, rows_of(3), state="s1")
        assert refresh_totals(warehouse)
        assert not refresh_totals(warehouse)


@pytest.mark.parametrize("before", ["s0", "elsewhere"])
def test_totals_of_another_state_are_made_anew(before):
    """What was touched since another state than that of the totals is never added to them."""
    with Warehouse.in_memory() as warehouse:
        put(warehouse, rows_of(3), state="s1")
        refresh_totals(warehouse)
        put(warehouse, rows_of(5), state="s9", before=before, touched=[])
        assert not are_current(warehouse)
        refresh_totals(warehouse)
        assert stored_totals(warehouse) == slow_totals(rows_of(5))


def test_the_marker_row_makes_everything_anew():
    """Where the refresh says that everything changed, nothing is added to what was there."""
    marker = {**dict.fromkeys(TOUCHED, None), "appended": False}
    with Warehouse.in_memory() as warehouse:
        put(warehouse, rows_of(3), state="s1")
        refresh_totals(warehouse)
        put(warehouse, rows_of(4), state="s2", before="s1", touched=[marker])
        refresh_totals(warehouse)
        assert stored_totals(warehouse) == slow_totals(rows_of(4))


def test_every_ingest_leaves_totals_of_the_exposures(workspace, take_in, wire):
    """After each delivery, redelivery and late click the totals are those of the exposures."""

    def shown(number, day, unit):
        told = {"unit_id": unit, "after": timedelta(days=day, minutes=number)}
        return wire("impression", f"i{number}", **told)

    def clicked(number, day):
        moment = timedelta(days=day, minutes=number + 1)
        return wire("click", f"k{number}", impression_id=f"i{number}", after=moment)

    first = [shown(number, 0, f"u{number % 7}") for number in range(20)]
    twin = shown(3, 0, "u6")
    deliveries = [
        [*first, clicked(1, 0)],
        [*first, *(shown(number, 1, f"u{number % 9}") for number in range(20, 40)), clicked(2, 0)],
        [clicked(21, 1), clicked(5, 0)],
        [twin],
        [wire("impression", "other", unit_id="u1", variant="baseline", after=timedelta(days=2))],
    ]
    for events in deliveries:
        take_in(events)
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            assert are_current(warehouse)
            rows = warehouse._connection.sql("FROM exposures").pl().iter_rows(named=True)
            assert stored_totals(warehouse) == slow_totals(rows)


def test_a_job_that_died_before_its_totals_leaves_them_right(workspace, take_in, wire, monkeypatch):
    """Totals that missed a refresh of exposures are made anew by the next, never added to."""

    def dies(_):
        raise KeyboardInterrupt

    shown = [wire("impression", f"i{number}", unit_id=f"u{number}") for number in range(9)]
    take_in(shown[:3])
    module = sys.modules["abplatform.logs.load.job"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "refresh_totals", dies)
        with pytest.raises(KeyboardInterrupt):
            take_in(shown[3:6])
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert not are_current(warehouse)
    take_in(shown[6:])
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert are_current(warehouse)
        rows = warehouse._connection.sql("FROM exposures").pl().iter_rows(named=True)
        assert stored_totals(warehouse) == slow_totals(rows)
