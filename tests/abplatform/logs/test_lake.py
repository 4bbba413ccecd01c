"""The lake: Parquet files by the day, of which only what changed is written again."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.errors import StoreError
from abplatform.logs.load import ingest
from abplatform.logs.store.lake import FACTS, MANIFEST, export_lake, read_lake
from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

DAY = timedelta(days=1)
HIDDEN = {"marked"}


@pytest.fixture
def export(workspace, tmp_path):
    """Return ``export()`` → the receipt of bringing ``tmp_path/lake`` up to date."""

    def write():
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            return export_lake(workspace, warehouse, tmp_path / "lake")

    return write


def rows_of_lake(folder):
    """Return the rows of every table of a lake, hashes left out, in an order of their own."""
    lake, tables = read_lake(folder), {}
    for name in (*EVENT_TABLES, "covariates", *FACTS):
        frames = [pl.read_parquet(path) for path in lake.files(name)]
        tables[name] = comparable(pl.concat(frames)) if frames else []
    return tables


def rows_of_store(workspace):
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        return {
            name: comparable(warehouse.query("lake/fact", table=name))
            for name in (*EVENT_TABLES, "covariates", *FACTS)
        }


def comparable(frame):
    names = sorted(
        name for name in frame.columns if not name.endswith("_hash") and name not in HIDDEN
    )
    return sorted(str(row) for row in frame.select(names).iter_rows())


def days_of(folder, table):
    return set(read_lake(folder).tables[table])


def week(wire, *, days=4, first=0, name="i"):
    """One impression an hour, a click on every third, totals of before on some."""
    for hour in range(24 * days):
        after = first * DAY + timedelta(hours=hour)
        event_id = f"{name}{first}-{hour}"
        past = {"attributes": {"past_clicks": hour}} if hour % 9 == 0 else {}
        yield wire("impression", event_id, after=after, unit_id=f"u{hour % 13}", **past)
        if hour % 3 == 0:
            soon = after + timedelta(minutes=1)
            yield wire("click", f"c{event_id}", after=soon, impression_id=event_id)


def test_a_lake_holds_what_the_store_holds(take_in, export, workspace, wire, tmp_path):
    """Every row of every table is in it, once; days are those of UTC; the version is told."""
    receipt = take_in(list(week(wire)))
    told = export()
    store = rows_of_store(workspace)
    assert told.data_version == receipt.data_version == read_lake(tmp_path / "lake").data_version
    assert told.rows_written == sum(len(store[name]) for name in (*EVENT_TABLES, "covariates"))
    assert rows_of_lake(tmp_path / "lake") == store
    days = {f"utc_day=2026-11-0{day}" for day in range(2, 7)}
    assert days_of(tmp_path / "lake", "impressions") == days
    keys = pl.read_parquet(read_lake(tmp_path / "lake").files("clicks"))
    assert keys.schema["impression_hash"] == pl.Int64


def test_doing_it_again_writes_nothing(take_in, export, wire, tmp_path):
    """A second export touches no file, not even the manifest."""
    take_in(list(week(wire)))
    export()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*.*")}
    again = export()
    assert (again.written, again.removed) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*.*")} == before


def test_only_days_that_changed_are_written(take_in, export, workspace, wire, tmp_path):
    """New days get new files, a contradicted event rewrites its day; all else stays."""
    take_in(list(week(wire)))
    export()
    first = read_lake(tmp_path / "lake").tables["impressions"]
    take_in(list(week(wire, days=1, first=6)))
    export()
    second = read_lake(tmp_path / "lake").tables["impressions"]
    assert {day: second[day] for day in first} == dict(first)
    assert len(second) == len(first) + 2
    take_in([wire("impression", "i0-30", after=timedelta(hours=30), unit_id="another")])
    export()
    third = read_lake(tmp_path / "lake").tables["impressions"]
    assert {day for day in second if third[day] != second[day]} == {"utc_day=2026-11-03"}
    assert rows_of_lake(tmp_path / "lake") == rows_of_store(workspace)


def test_files_stay_one_export_longer(take_in, export, wire, tmp_path):
    """A reader that took the manifest before still finds its files; then they go."""
    take_in(list(week(wire)))
    export()
    older = read_lake(tmp_path / "lake")
    take_in([wire("impression", "x1", after=timedelta(hours=1))])
    export()
    newer = read_lake(tmp_path / "lake")
    assert all(path.exists() for name in EVENT_TABLES for path in older.files(name))
    take_in([wire("impression", "x2", after=timedelta(hours=1))])
    told = export()
    assert told.removed > 0
    gone = set(older.files("impressions")) - set(newer.files("impressions"))
    assert gone
    assert not any(path.exists() for path in gone)


def test_a_rebuilt_store_writes_nothing(take_in, export, workspace, facts, wire):
    """The store made anew from the landing has the same rows, so the lake stays as it is."""
    take_in(list(week(wire)))
    take_in(list(week(wire, days=1, first=5)))
    export()
    workspace.warehouse.unlink()
    ingest(workspace, facts)
    told = export()
    assert told.rows_written == 0


def test_a_lost_file_is_written_again(take_in, export, workspace, wire, tmp_path):
    """An export finds that a file of the lake is missing, and brings it back."""
    take_in(list(week(wire)))
    export()
    read_lake(tmp_path / "lake").files("clicks")[0].unlink()
    assert export().written == 1
    assert rows_of_lake(tmp_path / "lake") == rows_of_store(workspace)


def test_a_foreign_folder_is_refused(take_in, export, wire, tmp_path):
    """A folder that holds something else is named and left alone; so is a broken manifest."""
    take_in([wire("impression", "i1")])
    folder = tmp_path / "lake"
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"the folder holds other files.*abp export lake"):
        export()
    (folder / "thesis.tex").unlink()
    export()
    (folder / MANIFEST).write_text('{"kind": "diary"}')
    with pytest.raises(StoreError, match="it is no lake's manifest"):
        export()
    (folder / MANIFEST).write_text("{")
    with pytest.raises(StoreError, match="not readable as JSON"):
        read_lake(folder)


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=4))
def test_whatever_comes_the_lake_follows(workspace, facts, wire, tmp_path_factory, steps):
    """After deliveries, redeliveries and contradictions in any order the lake is the store."""
    root = tmp_path_factory.mktemp("ws")
    place = Workspace(root / "ws", clock=workspace.clock)
    for turn, (kind, day) in enumerate(steps):
        events = list(week(wire, days=1, first=day))
        if kind == 1:
            events = [one | {"channel": f"c{turn}"} if "unit_id" in one else one for one in events]
        if kind == 2:
            events = list(week(wire, days=1, first=day, name=f"t{turn}-"))
        log = root / f"{turn}.jsonl"
        log.write_text("".join(f"{json.dumps(one)}\n" for one in events))
        ingest(place, facts, files=[log])
        with place.lock("test"), Warehouse.open(place) as warehouse:
            export_lake(place, warehouse, root / "lake")
        assert rows_of_lake(root / "lake") == rows_of_store(place)


@pytest.mark.fault
@pytest.mark.parametrize("point", ["lake.write:5", "lake.switch"])
def test_killed_in_mid_export_the_lake_stays_whole(point, take_in, export, workspace, wire):
    """A kill while writing or before the switch leaves the lake as it was; the next one ends it."""
    (workspace.root / "abp.yaml").parent.mkdir(exist_ok=True)
    (workspace.root / "abp.yaml").write_text("{}\n")
    folder = workspace.root.parent / "lake"
    take_in(list(week(wire, days=1)))
    export()
    before = rows_of_lake(folder)
    take_in(list(week(wire, days=3, first=2)))
    command = [sys.executable, "-c", "from abplatform.cli.main import main; main()"]
    words = ["export", "lake", str(folder), "-w", str(workspace.root)]
    killed = subprocess.run(
        [*command, *words], env={**os.environ, "ABPLATFORM_FAULT": point}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert rows_of_lake(folder) == before
    export()
    assert rows_of_lake(folder) == rows_of_store(workspace)
    assert not list(folder.rglob("_*"))
    assert json.loads((folder / MANIFEST).read_bytes())["time_zone"] == "UTC"
