"""``abp export tables``: the star for BI tools, as docs/tables.md tells it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner

from abplatform.cli.main import abp
from abplatform.errors import StoreError
from abplatform.logs.store.published import read_published
from abplatform.logs.store.star import STAR, export_star
from abplatform.logs.store.star.page import tables_page
from abplatform.workspace import open_workspace

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"
START = datetime(2026, 9, 1, tzinfo=UTC)
SPEC = """\
key: lamps
unit: user_id
assignment: external
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, generator: caig}}
metrics: {primary: {metric: ctr, direction: increase}}
breakdowns: [{by: category, level: 2}, {by: channel}]
"""


def wire_lines():
    """Impressions and clicks of 900 users over a week, and one line that is none."""
    draw = random.Random(3)
    for user in range(900):
        variant = ("baseline", "generated")[user % 2]
        for turn in range(3):
            place = draw.randrange(4)
            ts = START + timedelta(seconds=draw.randrange(7 * 86400))
            impression = {
                "schema": 1,
                "event_type": "impression",
                "event_id": f"i{user}-{turn}",
                "ts": ts.isoformat(),
                "experiment": "lamps",
                "variant": variant,
                "unit_id": f"u{user}",
                "creative_id": f"{variant[0]}{place}",
                "product_id": f"p{place}",
                "category": ("home/lamp", "beauty/lip")[place % 2],
                "channel": ("app", "web")[user % 3 == 0],
            }
            yield impression
            if draw.random() < (0.2 if variant == "generated" else 0.1):
                yield {
                    "schema": 1,
                    "event_type": "click",
                    "event_id": f"c{user}-{turn}",
                    "ts": (ts + timedelta(seconds=9)).isoformat(),
                    "impression_id": impression["event_id"],
                }
    yield {"schema": 1, "event_type": "nod"}


def call(*words):
    result = CliRunner().invoke(abp, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a workspace whose one experiment has been analysed, and the scorecard's JSON."""
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text("{}\n")
    (root / "experiments").mkdir()
    (root / "experiments" / "lamps.yaml").write_text(SPEC)
    log = root / "log.jsonl"
    log.write_text("".join(f"{json.dumps(line)}\n" for line in wire_lines()))
    call("ingest", log, "-w", root)
    scorecard = json.loads(call("analyze", "lamps", "--json", "-w", root))
    return root, scorecard


@pytest.fixture(scope="module")
def bi(shop, tmp_path_factory):
    """Return the folder that ``abp export tables`` wrote."""
    folder = tmp_path_factory.mktemp("out") / "bi"
    call("export", "tables", folder, "-w", shop[0])
    return folder


def ask(folder, text):
    """Run a query of the page over an export."""
    return duckdb.sql(text.replace("'bi/", f"'{folder}/")).to_arrow_table().to_pylist()


def questions():
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_is_what_the_declaration_says():
    """``docs/tables.md`` is exactly the declared tables; ``make reference`` renews it."""
    assert PAGE.read_text() == tables_page()


def test_one_name_has_one_type_everywhere():
    """A column's name has the same type in every table, and every join leads to a dimension."""
    types = {}
    for table in STAR.values():
        for column in table.columns:
            assert types.setdefault(column.name, column.type) == column.type, column.name
            if column.joins:
                assert STAR[column.joins].kind == "dimension"
        assert set(table.key) <= set(table.schema)


def test_every_table_has_the_declared_columns_and_keys(bi):
    """Files have exactly the declared columns and types; keys are unique and never null."""
    for name, table in STAR.items():
        frame = pl.read_parquet(bi / f"{name}.parquet")
        assert frame.schema == table.schema
        keys = frame.select(table.key)
        assert keys.null_count().sum_horizontal().item() == 0, name
        assert keys.is_duplicated().sum() == 0, name
    assert {path.name for path in bi.iterdir()} == {
        "export.json",
        *(f"{name}.parquet" for name in STAR),
    }


def test_every_key_of_a_fact_is_found_in_its_dimension(bi):
    """No fact names an experiment, variant, category, product, creative or day that isn't there."""
    frames = {name: pl.read_parquet(bi / f"{name}.parquet") for name in STAR}
    for name, table in STAR.items():
        for column in table.columns:
            if not column.joins:
                continue
            key = STAR[column.joins].key[-1]
            known = set(frames[column.joins][key])
            assert set(frames[name][column.name].drop_nulls()) <= known, (name, column.name)


@pytest.mark.parametrize("text", questions())
def test_every_question_of_the_page_has_an_answer(bi, text):
    """Each example query runs as it stands and finds rows."""
    assert ask(bi, text)


def test_the_answers_are_the_scorecard_s(bi, shop):
    """Lifts by category, counts by week and rejects are those of ``abp analyze`` and the log."""
    _, scorecard = shop
    lifts, weeks, kinds, rejects, looks = (ask(bi, text) for text in questions())
    expected = {
        (row["level"], row["treatment"]): row["relative_lift"]
        for row in scorecard["lifts"]
        if row["metric"] == "ctr" and row["breakdown"] == "category"
    }
    assert {(row["category"], row["treatment"]): row["relative_lift"] for row in lifts} == expected
    overall = next(
        row for row in scorecard["lifts"] if row["metric"] == "ctr" and row["breakdown"] is None
    )
    control = [row for row in weeks if row["is_control"]]
    assert sum(row["clicks"] for row in control) == overall["k_control"]
    assert sum(row["impressions"] for row in control) == overall["n_control"]
    both = overall["n_control"] + overall["n_treatment"]
    assert sum(row["impressions"] for row in kinds) == both == 2700
    assert {row["source_kind"] for row in kinds} == {"baseline", "generated"}
    assert [(row["reason"], row["events"]) for row in rejects] == [("unknown_event_type", 1)]
    assert len(looks) == len(scorecard["looks"]) == 1


def test_categories_that_nobody_knows_have_a_row_each(shop, tmp_path):
    """A BI tool sees which names of which source count under ``unknown/…``, and how often."""
    published = read_published(open_workspace(shop[0]).published)
    told = json.dumps({"hats/felt": 7, "Schmuck": 2})
    health = published.table("health").with_columns(unknown_categories=pl.lit(told))
    export_star(replace(published, tables={**published.tables, "health": health}), tmp_path / "x")
    rows = pl.read_parquet(tmp_path / "x" / "unknown_categories.parquet").rows()
    assert sorted(rows) == [("files", "Schmuck", 2), ("files", "hats/felt", 7)]


def test_days_add_up_over_categories(bi):
    """Counts by category add up to those over all categories, and to the scorecard's."""
    totals, parts = (
        pl.read_parquet(bi / f"{name}.parquet")
        .group_by("experiment", "variant", "day")
        .agg(pl.col("impressions", "clicks", "conversions").sum())
        .sort("experiment", "variant", "day")
        for name in ("daily", "daily_categories")
    )
    assert totals.equals(parts)


def test_csv_holds_the_same(shop, bi, tmp_path):
    """Read back with the declared types, the CSV files are the Parquet files."""
    folder = tmp_path / "csv"
    told = json.loads(call("export", "tables", folder, "--format", "csv", "--json", "-w", shop[0]))
    for name, table in STAR.items():
        read = pl.read_csv(folder / f"{name}.csv", schema=dict.fromkeys(table.schema, pl.String))
        frame = pl.read_parquet(bi / f"{name}.parquet")
        assert told["tables"][name] == len(read) == len(frame)
        for column, dtype in table.schema.items():
            if dtype in (pl.Int64, pl.Float64):
                assert read[column].cast(dtype).equals(frame[column]), (name, column)
            if dtype == pl.Date:
                assert read[column].equals(frame[column].cast(pl.String)), (name, column)


def test_a_rerun_replaces_all_of_it(shop, bi, tmp_path):
    """What an earlier export wrote goes, what this one writes is there; nothing lies beside."""
    folder = tmp_path / "bi"
    published = read_published(open_workspace(shop[0]).published)
    export_star(published, folder, form="csv")
    export_star(published, folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in bi.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["bi"]


def test_a_foreign_folder_is_refused(shop, tmp_path):
    """A folder with other files, or a file, is named and left alone; an empty one is taken."""
    published = read_published(open_workspace(shop[0]).published)
    folder = tmp_path / "mine"
    folder.mkdir()
    export_star(published, folder)
    (folder / "export.json").write_text("{}")
    with pytest.raises(StoreError, match=r"mine: the folder holds other files.*abp export tables"):
        export_star(published, folder)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StoreError, match="it is a file"):
        export_star(published, file)


def test_nothing_published_says_what_to_do(tmp_path):
    """Without a publication there is nothing to export, and the error says how to get one."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    with pytest.raises(StoreError, match=r"nothing is published yet.*abp analyze"):
        call("export", "tables", tmp_path / "bi", "-w", tmp_path)


@pytest.mark.fault
def test_killed_before_the_switch_the_old_export_stays(shop, tmp_path):
    """A kill between writing and switching leaves every old file; the next export cleans up."""
    folder = tmp_path / "bi"
    published = read_published(open_workspace(shop[0]).published)
    export_star(published, folder, form="csv")
    start = "from abplatform.cli.main import main; main()"
    command = [sys.executable, "-c", start, "export", "tables", str(folder)]
    environment = {**os.environ, "ABPLATFORM_FAULT": "export.rename", "ABP_WORKSPACE": str(shop[0])}
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {path.suffix for path in folder.iterdir()} == {".csv", ".json"}
    export_star(published, folder)
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".json"}
    assert [path.name for path in tmp_path.iterdir()] == ["bi"]


@pytest.mark.fault
def test_a_reader_always_finds_every_file(shop, tmp_path):
    """While another process exports again and again, no file is ever missing or torn."""
    folder = tmp_path / "bi"
    published = read_published(open_workspace(shop[0]).published)
    export_star(published, folder)
    script = (
        "import sys; from pathlib import Path\n"
        "from abplatform.logs.store.published import read_published\n"
        "from abplatform.logs.store.star import export_star\n"
        "published = read_published(Path(sys.argv[1]))\n"
        "for _ in range(12): export_star(published, Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(shop[0] / "data" / "published"), str(folder)]
    writer = subprocess.Popen(command)
    reads = 0
    while writer.poll() is None or not reads:
        for name in ("lifts", "daily", "audit"):
            pl.read_parquet(folder / f"{name}.parquet", memory_map=False)
            reads += 1
    assert writer.returncode == 0
