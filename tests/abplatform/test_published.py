"""Published tables: whole versions, switched at once, checked when read."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.errors import StoreError
from abplatform.logs.store.published import (
    KEPT_VERSIONS,
    TABLES,
    current_version,
    publish_tables,
    read_published,
)

MOMENT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

WRITER = """
import pathlib, sys
import polars as pl
from abplatform.logs.store.published import TABLES, publish_tables

root, last = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for stamp in range(2, last + 1):
    rows = {
        "audit": {"sequence": [stamp] * 500},
        "daily": {"units": [stamp] * 500},
        "creatives": {"clicks": [stamp] * 500},
    }
    tables = {}
    for name, columns in rows.items():
        frame = pl.DataFrame(columns)
        absent = [pl.lit(None).cast(t).alias(c) for c, t in TABLES[name].items() if c not in frame]
        tables[name] = frame.with_columns(absent)
    assert publish_tables(root, tables) == stamp
"""


def audit(*sequences):
    """Make an audit table with these sequence numbers."""
    return pl.DataFrame(
        {
            "sequence": sequences,
            "at": [MOMENT] * len(sequences),
            "who": ["mai"] * len(sequences),
            "action": ["start"] * len(sequences),
            "experiment": ["lip"] * len(sequences),
            "detail": ["{}"] * len(sequences),
        },
        schema_overrides={"sequence": pl.Int32},
    )


def test_what_is_published_is_read_back_whole(tmp_path):
    """Every table comes back with its rows, its declared columns and the version's number."""
    version = publish_tables(tmp_path, {"audit": audit(1, 2)}, clock=lambda: MOMENT)
    published = read_published(tmp_path)
    assert published.version == current_version(tmp_path) == version == 1
    assert published.published_at == MOMENT
    assert published.table("audit")["sequence"].to_list() == [1, 2]
    assert {name: published.table(name).schema for name in TABLES} == TABLES
    assert published.table("lifts").is_empty()


def test_column_order_and_null_columns_do_not_matter(tmp_path):
    """A frame with shuffled columns, or one of nulls only, lands in the declared order and type."""
    frame = audit(1).select("detail", "who", "at", "experiment", "sequence", "action")
    publish_tables(tmp_path, {"audit": frame.with_columns(pl.lit(None).alias("detail"))})
    read = read_published(tmp_path).table("audit")
    assert read.schema == TABLES["audit"]
    assert read["detail"].to_list() == [None]


def test_a_time_without_zone_is_utc(tmp_path):
    """A naive time is stored as that hour in UTC, a zoned one as the same instant."""
    naive = audit(1).with_columns(pl.col("at").dt.replace_time_zone(None))
    east = audit(2).with_columns(pl.col("at").dt.convert_time_zone("Asia/Shanghai"))
    for frame in (naive, east):
        publish_tables(tmp_path, {"audit": frame})
        assert read_published(tmp_path).table("audit")["at"].to_list() == [MOMENT]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"lift": audit(1)}, "no published table 'lift'"),
        ({"audit": audit(1).drop("who")}, r"misses columns \['who'\]"),
        ({"audit": audit(1).with_columns(mood=pl.lit("fine"))}, r"unknown ones \['mood'\]"),
        ({"audit": audit(1).with_columns(sequence=pl.lit("one"))}, "another type"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, tables, message):
    """An unknown table, a missing, extra or mistyped column is named, and nothing is written."""
    with pytest.raises(StoreError, match=message):
        publish_tables(tmp_path, tables)
    assert list(tmp_path.iterdir()) == []


def test_nothing_published_says_what_to_run(tmp_path):
    """A workspace without published tables is an error with a command to run."""
    with pytest.raises(StoreError, match=r"nothing is published yet.*abp demo"):
        read_published(tmp_path / "published")


def test_only_the_newest_versions_stay(tmp_path):
    """Old versions and leftovers of a killed writer are removed, the last three stay."""
    (tmp_path / ".v9.new").mkdir()
    for sequence in range(1, KEPT_VERSIONS + 3):
        publish_tables(tmp_path, {"audit": audit(sequence)})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"v3", "v4", "v5", "CURRENT.json"}


def test_a_writer_killed_before_the_switch_changes_nothing(tmp_path):
    """A version that CURRENT.json does not name is not read, and its number is not used again."""
    publish_tables(tmp_path, {"audit": audit(1)})
    (tmp_path / "v2").mkdir()
    assert read_published(tmp_path).version == 1
    assert publish_tables(tmp_path, {"audit": audit(3)}) == 3
    assert read_published(tmp_path).table("audit")["sequence"].to_list() == [3]


def test_damage_is_named_never_read(tmp_path):
    """A missing file, changed bytes, foreign columns and a broken CURRENT.json are errors."""
    publish_tables(tmp_path, {"audit": audit(1)})
    current, file = tmp_path / "CURRENT.json", tmp_path / "v1" / "audit.parquet"
    intact, content = current.read_text(), file.read_bytes()

    file.write_bytes(content[:-1] + b"?")
    with pytest.raises(StoreError, match=r"audit\.parquet: its bytes are not those published"):
        read_published(tmp_path)

    file.unlink()
    with pytest.raises(StoreError, match=r"audit\.parquet: a published table is missing"):
        read_published(tmp_path)

    older = tmp_path / "v1" / "daily.parquet"
    listed = json.loads(intact)
    listed["tables"]["audit"] = listed["tables"]["daily"]
    file.write_bytes(older.read_bytes())
    current.write_text(json.dumps(listed))
    with pytest.raises(StoreError, match="columns are not those of this abplatform"):
        read_published(tmp_path)

    for broken in ("{", "{}", json.dumps(json.loads(intact) | {"tables": {}})):
        current.write_text(broken)
        with pytest.raises(StoreError, match=r"CURRENT\.json"):
            read_published(tmp_path)


def test_an_unknown_table_is_refused(tmp_path):
    """Asking for a table that does not exist names those that do."""
    publish_tables(tmp_path, {})
    with pytest.raises(StoreError, match=r"no published table 'scores'.*scorecards"):
        read_published(tmp_path).table("scores")


@pytest.mark.fault
def test_a_reader_never_sees_a_mix_while_another_process_publishes(tmp_path):
    """Reading in a loop while a writer publishes gives whole versions that only move forward."""
    publish_tables(tmp_path, {"audit": audit(1)})
    last = 40
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(last)])
    seen = []
    while writer.poll() is None or not seen or seen[-1] < last:
        published = read_published(tmp_path)
        seen.append(published.version)
        if published.version > 1:
            stamps = {
                *published.table("audit")["sequence"],
                *published.table("daily")["units"],
                *published.table("creatives")["clicks"],
            }
            assert stamps == {published.version}
        assert writer.poll() in (None, 0)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text(max_size=20),
            st.lists(st.text(max_size=8), max_size=3),
            st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
        ),
        max_size=5,
    )
)
def test_every_value_survives(tmp_path_factory, rows):
    """Any text, list, 64-bit count and float comes back as it was published."""
    root = tmp_path_factory.mktemp("published")
    columns = list(zip(*rows, strict=True)) if rows else [[], [], [], []]
    names = ("experiment", "reasons", "units", "srm_p_value")
    schema = TABLES["scorecards"]
    frame = pl.DataFrame(
        {name: list(column) for name, column in zip(names, columns, strict=True)},
        schema={name: schema[name] for name in names},
    ).with_columns(
        pl.lit(None).cast(dtype).alias(name) for name, dtype in schema.items() if name not in names
    )
    publish_tables(root, {"scorecards": frame})
    read = read_published(root).table("scorecards")
    assert read.select(names).rows() == rows
