import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from abplatform.domain.assignment import bucket, buckets
from abplatform.errors import StoreError
from abplatform.logs.store.answering import data_version_of
from abplatform.logs.store.tables import TABLES, read_query
from abplatform.logs.store.warehouse import Warehouse

STORE = Path(__file__).parents[3] / "abplatform" / "logs" / "store"
QUERIES = sorted(STORE.glob("queries/**/*.sql"))


def test_unit_bucket_equals_the_platforms_own_hash(workspace):
    """In SQL, for many units and salts at once, every bucket is that of domain.assignment."""
    units = [f"unit {n} ☃" for n in range(500)]
    salts = ["layer:feed", "experiment:beauty", "ramp:beauty"]
    frame = pl.DataFrame({"unit": units, "salt": [salts[n % 3] for n in range(500)]})
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        with warehouse.stage("units", frame):
            query = "SELECT unit, salt, unit_bucket(unit, salt) FROM staged_units"
            found = warehouse._connection.sql(query).fetchall()
        nothing = warehouse._connection.sql("SELECT unit_bucket(NULL, 'x')").fetchall()
    assert all(value == bucket(unit, salt) for unit, salt, value in found)
    assert len(found) == 500
    assert nothing == [(None,)]


def test_a_million_buckets_are_the_same_in_sql(workspace):
    """Over a million ids SQL and Python give the same buckets, every one."""
    salt = "experiment:beauty"
    query = """
        SELECT 'user-' || i AS unit, unit_bucket(unit, 'experiment:beauty') AS bucket
        FROM range(1000000) AS numbers(i)
    """
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        found = warehouse._connection.sql(query).pl()
    assert len(found) == 1_000_000
    assert (found["bucket"].to_numpy() == buckets(found["unit"], salt)).all()
    sample = found.sample(2000, seed=1).iter_rows()
    assert all(value == bucket(unit, salt) for unit, value in sample)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_query_says_what_comes_back(path):
    """A query file begins with a comment, holds one statement, and names no value by formatting."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    statement = re.sub(r"--[^\n]*", "", text).strip()
    assert ";" not in statement.removesuffix(";")
    assert set(re.findall(r"\{(\w+)\}", statement)) <= {"table"}


def test_only_known_tables_take_the_place_of_a_name(workspace):
    """Identifiers come from an allow-list; nothing else reaches the SQL."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        for name in ("sqlite_master", "impressions; DROP TABLE clicks"):
            with pytest.raises(StoreError, match="not a table"):
                warehouse.execute("load/clear", table=name)
        warehouse.execute("load/clear", table="running")
    assert "running" in TABLES
    with pytest.raises(StoreError, match="no query"):
        read_query("load/nonsense")


def test_a_transaction_is_all_or_nothing(workspace):
    """When anything fails inside, everything of it is undone."""
    rows = pl.DataFrame({"experiment": ["x"], "starts_micros": [1], "ends_micros": [2]})
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        with pytest.raises(StoreError), warehouse.transaction():  # noqa: PT012 -- both belong to it
            warehouse.fill("running", rows)
            warehouse.execute("load/clear", table="nonsense")
        assert warehouse.query("load/running").is_empty()
        with warehouse.transaction():
            warehouse.fill("running", rows)
        assert warehouse.query("load/running").rows() == [("x", 1, 2)]


def test_loads_leave_no_row_group_half_full(workspace):
    """Whatever the sizes of loads and their parts, only the last row group has room left."""
    seed = pl.int_range(3 * 250_000, eager=True)
    rows = pl.DataFrame({"segment_number": 1, "line": seed, "key_hash": seed.hash()})
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        ask = warehouse._connection.execute
        before = ask("SELECT current_setting('threads')").fetchall()
        with warehouse.transaction():
            for part in rows.iter_slices(250_000):
                warehouse.fill("clicks", part)
        warehouse.checkpoint()
        groups = ask(
            "SELECT sum(count) FROM pragma_storage_info('clicks')"
            " WHERE column_name = 'line' AND segment_type = 'BIGINT' GROUP BY row_group_id"
        ).fetchall()
        assert sorted(int(count) for (count,) in groups) == [12_720, *[122_880] * 6]
        assert ask("SELECT current_setting('threads')").fetchall() == before


def test_staged_rows_are_let_go_before_the_transaction_ends(workspace):
    """A long load stages chunk after chunk in one transaction, and holds one at a time."""
    before = pa.total_allocated_bytes()
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse, warehouse.transaction():
        for _ in range(5):
            texts = pa.array(["of a hundred letters" * 5] * 20_000)
            rows = pl.DataFrame({"text": pl.from_arrow(texts)}).with_columns(
                key_hash=pl.int_range(20_000, dtype=pl.UInt64)
            )
            del texts
            assert pa.total_allocated_bytes() - before > 1_900_000
            with warehouse.stage("suspects", rows):
                for _ in range(2):
                    assert warehouse.query("load/quarantined_versions").is_empty()
            del rows
            assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_second_process_is_told_that_the_file_is_taken(workspace):
    """A program that opens the warehouse outside the lock gets a clear error, and harms nothing."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from abplatform.errors import StoreError\n"
        "from abplatform.logs.store.warehouse import Warehouse\n"
        "from abplatform.workspace import Workspace\n"
        "try:\n"
        "    with Warehouse.open(Workspace(Path(sys.argv[1]))):\n"
        "        print('opened')\n"
        "except StoreError as error:\n"
        "    print(error.message)\n"
    )
    with workspace.lock("test"), Warehouse.open(workspace):
        command = [sys.executable, "-c", script, str(workspace.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "another process has the warehouse open\n"
    assert workspace.warehouse.exists()


def test_the_data_version_tells_sets_of_segments_apart():
    """Every further segment gives another version of 12 hex digits; none has one as well."""
    versions = [data_version_of(identities) for identities in ([], ["a"], ["a", "b"], ["b"])]
    assert len(set(versions)) == 4
    assert all(re.fullmatch(r"[0-9a-f]{12}", version) for version in versions)


@pytest.mark.parametrize(("wanted", "held"), [(256, 256 << 20), (4096, 1024 << 20)])
def test_a_tighter_limit_holds_until_it_ends(workspace, wanted, held):
    """It never lets the store have more than abp.yaml does, and the old limit comes back."""
    text = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        with warehouse.within(wanted):
            assert warehouse._connection.sql(text).fetchall() == [(held,)]
        assert warehouse._connection.sql(text).fetchall() == [(1024 << 20,)]


def test_the_store_draws_nothing_on_the_screen(workspace):
    """DuckDB's own progress bar, which goes to standard output, is off."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        found = warehouse._connection.sql("SELECT current_setting('enable_progress_bar')")
        assert found.fetchall() == [(False,)]


@pytest.fixture
def at_a_terminal():
    """Let Ctrl+C count as at a terminal: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("at_a_terminal")
def test_a_load_stopped_by_hand_is_no_error_of_the_store(workspace):
    """Ctrl+C while DuckDB takes rows in ends the job as Ctrl+C does elsewhere, and undoes it."""
    row = pl.DataFrame({"experiment": ["x"], "starts_micros": [1], "ends_micros": [2]})

    def parts():
        yield row
        os.kill(os.getpid(), signal.SIGINT)
        yield from [row] * 100_000

    with (
        pytest.raises(KeyboardInterrupt),
        workspace.lock("test"),
        Warehouse.open(workspace) as warehouse,
        warehouse.transaction(),
    ):
        warehouse.fill_parts("running", row.clear(), parts())
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert warehouse.query("load/running").is_empty()


def test_a_dry_run_s_warehouse_works_from_the_disk_beyond_its_memory():
    """More rows than it may hold in memory come back whole; its folder goes with it."""
    numbers = pl.int_range(300_000, eager=True).hash().cast(pl.String) + "." * 200
    rows = pl.DataFrame({"raw": numbers, "category": numbers.reverse()})
    with Warehouse.in_memory(memory_mib=64) as warehouse:
        warehouse.fill("category_names", rows)
        asked = "SELECT count(*), min(raw), max(category), current_setting('temp_directory')"
        text = f"{asked} FROM category_names"
        count, least, most, folder = warehouse._connection.sql(text).fetchall()[0]
        assert list(Path(folder).iterdir())
    assert (count, least, most) == (300_000, numbers.min(), numbers.max())
    assert not Path(folder).exists()
