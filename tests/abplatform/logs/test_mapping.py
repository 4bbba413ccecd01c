import csv
import gzip
import os
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from abplatform.errors import MappingError, SpecError
from abplatform.logs.landing import MappingText, sealed_segments
from abplatform.logs.load import declared_experiments, ingest, try_file
from abplatform.logs.mapping import draft_mapping, parse_mapping
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.store.warehouse import Warehouse

SHARED = Path(os.environ.get("ABP_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))

IMPRESSIONS = """\
event: impression
fields: {product_id: item, creative_id: item, unit_id: user, category: kind}
constants: {experiment: beauty, variant: generated}
row_number: {event_id: imp}
time: {field: when}
clicked: click
"""


@pytest.fixture
def table(tmp_path):
    """Return ``table(rows)`` → a CSV with the columns of IMPRESSIONS."""

    def make(rows, name="log.csv"):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["when", "user", "item", "kind", "click"])
            writer.writerows(rows)
        return path

    return make


def text(content, **settings):
    return MappingText(content.encode(), settings)


def test_rows_become_impressions_and_clicks(workspace, facts, table, exposures):
    """A row is an impression, and a click too where its 0/1 column says so."""
    file = table(
        [
            ["2026-11-02T12:00:00Z", "u1", "p1", "beauty/lip", "1"],
            ["2026-11-02T12:00:01+02:00", "u2", "p2", "beauty", "0"],
        ]
    )
    receipt = ingest(workspace, facts, files=[file], mapping=text(IMPRESSIONS))
    assert (receipt.counts.received, receipt.counts.accepted) == (3, 3)
    stem = sealed_segments(workspace)[0].sha256[:12]
    rows = exposures()
    assert [event for _, event in rows] == [f"{stem}-imp-1", f"{stem}-imp-2"]
    assert [row["clicked"] for row in rows.values()] == [1, 0]
    assert [row["creative_id"] for row in rows.values()] == ["p1", "p2"]


def test_rows_that_cannot_be_mapped_are_quarantined_one_by_one(workspace, facts, table, rows_of):
    """Each bad row keeps its bytes, its line and one reason; good rows around it count."""
    good = ["2026-11-02T12:00:00Z", "u1", "p1", "beauty", "0"]
    bad = {
        "naive_timestamp": ["2026-11-02 12:00:00", *good[1:]],
        "bad_timestamp": ["second of November", *good[1:]],
        "missing_field": [good[0], "", *good[2:]],
        "wrong_type": [*good[:4], "perhaps"],
        "wrong_value": [*good, "a cell too many"],
        "from_the_future": ["2027-11-02T12:00:00Z", *good[1:]],
    }
    file = table([good, *bad.values(), ["2026-11-02T12:00:00Z", 'multi\n"line"', *good[2:]]])
    receipt = ingest(workspace, facts, files=[file], mapping=text(IMPRESSIONS))
    assert receipt.reasons == dict.fromkeys(bad, 1)
    assert receipt.counts.accepted == 2
    found = rows_of("SELECT line, reason, raw FROM quarantine ORDER BY line")
    assert [(line, reason) for line, reason, _ in found] == list(enumerate(bad, start=3))
    assert found[0][2] == b"2026-11-02 12:00:00,u1,p1,beauty,0\r\n"


def test_a_torn_table_is_read_as_far_as_it_goes(workspace, facts, table, tmp_path):
    """A stray quote costs one row, a torn file its rest; neither blocks what comes later."""
    rows = [["2026-11-02T12:00:00Z", f"u{n}", "p1", "beauty", "0"] for n in range(3000)]
    quoted = table(rows[:3])
    quoted.write_bytes(quoted.read_bytes().replace(b"u1,", b'"u"1,'))
    receipt = ingest(workspace, facts, files=[quoted], mapping=text(IMPRESSIONS))
    assert (receipt.counts.accepted, receipt.reasons) == (2, {"not_csv": 1})
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(table(rows).read_bytes(), mtime=0)[:-2000])
    receipt = ingest(workspace, facts, files=[torn], mapping=text(IMPRESSIONS))
    assert receipt.reasons == {"truncated": 1}
    assert receipt.counts.accepted > 0
    frame = pl.DataFrame(rows, schema=["when", "user", "item", "kind", "click"], orient="row")
    broken = tmp_path / "broken.parquet"
    frame.write_parquet(broken, compression="uncompressed", statistics=False)
    raw = bytearray(broken.read_bytes())
    raw[4:200] = bytes(196)
    broken.write_bytes(raw)
    receipt = ingest(workspace, facts, files=[broken], mapping=text(IMPRESSIONS))
    assert receipt.reasons == {"truncated": 1}
    assert ingest(workspace, facts).totals.holds


def test_set_overrides_what_the_mapping_says(workspace, facts, table, exposures):
    """--set wins over constants and columns; the same file under another set is another log."""
    file = table([["2026-11-02T12:00:00Z", "u1", "p1", "beauty", "0"]])
    settings = {"variant": "baseline", "category": "hair", "event_id": "mine"}
    content = IMPRESSIONS.replace("row_number: {event_id: imp}\n", "")
    ingest(workspace, facts, files=[file], mapping=text(content, **settings))
    row = exposures()["beauty", "mine"]
    assert (row["variant"], row["category"]) == ("baseline", "hair")
    receipt = ingest(workspace, facts, files=[file], mapping=text(content))
    assert receipt.counts.accepted == 1
    again = ingest(workspace, facts, files=[file], mapping=text(content))
    assert (again.counts.accepted, again.counts.duplicate) == (0, 1)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "jsonl"])
def test_every_form_gives_the_same_events(workspace, facts, tmp_path, exposures, form):
    """CSV, gzipped CSV, Parquet and JSON lines with the same rows are the same events."""
    frame = pl.DataFrame(
        {
            "when": ["2026-11-02T12:00:00Z", "2026-11-02T12:00:01Z"],
            "user": ["7", "8"],
            "item": [1, 2],
            "kind": ["beauty", "hair"],
            "click": [1.0, 0.0],
        }
    )
    file = tmp_path / f"log.{form}"
    if form == "parquet":
        frame.with_columns(pl.col("when").str.to_datetime(time_zone="UTC")).write_parquet(file)
    elif form == "jsonl":
        frame.write_ndjson(file)
    else:
        raw = frame.write_csv().encode()
        file.write_bytes(gzip.compress(raw) if form.endswith("gz") else raw)
    content = IMPRESSIONS.replace("{event_id: imp}", "{decision_id: d}")
    receipt = ingest(workspace, facts, files=[file], mapping=text(content))
    assert receipt.counts.accepted == 3, receipt.examples
    kept = ("unit_id", "product_id", "category", "clicked", "ts")
    assert [tuple(row[name] for name in kept) for row in exposures().values()] == [
        ("7", "1", "beauty", 1, datetime(2026, 11, 2, 12)),  # noqa: DTZ001 -- UTC, unsaid
        ("8", "2", "hair", 0, datetime(2026, 11, 2, 12, 0, 1)),  # noqa: DTZ001 -- likewise
    ]


REPORTS = """\
event: aggregate
fields: {experiment: test, product_id: test, impressions: imps, clicks: clicks}
constants: {category: story}
row_number: {variant: test}
time: {field: week, format: iso_week}
text: [headline, lede]
experiment: {assignment: external, control: first}
"""


def test_a_mapping_declares_experiments_that_have_no_yaml(workspace, tmp_path, rows_of):
    """Variants are numbered within a test, weights equal, the first is the control, texts kept."""
    frame = pl.DataFrame(
        {
            "test": ["t1", "t1", "t2", "t1", "t2", "alone"],
            "imps": [100, 110, 90, 95, 80, 10],
            "clicks": [5, 6, 4, 3, 2, 1],
            "week": [202644, 202644, 202645, 202644, 202645, 202600],
            "headline": ["A", "B", "C", "D", "E", "F"],
            "lede": ["x", None, "y", "z", "w", "v"],
        }
    )
    frame.write_parquet(tmp_path / "past.parquet")
    receipt = ingest(workspace, {}, files=[tmp_path / "past.parquet"], mapping=text(REPORTS))
    assert receipt.counts.accepted == 6, receipt.examples
    workspace.warehouse.unlink()
    ingest(workspace, {})
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        found = declared_experiments(warehouse)
        current = warehouse.query("load/aggregates_then", known_until=1)
    assert sorted(found) == ["t1", "t2"]
    assert found["t1"].weights == pytest.approx({"v1": 100 / 3, "v2": 100 / 3, "v3": 100 / 3})
    assert found["t1"].control.name == "v1"
    assert found["t1"].assignment == "external"
    days = dict(current.select("experiment", "day").unique().iter_rows())
    assert days["t1"] == date(2026, 10, 26)
    assert days["alone"] == date(2025, 12, 29)
    texts = rows_of("SELECT text FROM creative_texts ORDER BY text")
    assert texts == [("A\nx",), ("B",), ("C\ny",), ("D\nz",), ("E\nw",), ("F\nv",)]


def test_moments_are_read_as_the_mapping_says(workspace, facts, table, exposures):
    """Milliseconds and patterns with a zone give the same moment."""
    patterns = {
        "epoch_ms": "1793620800000",
        "'%d.%m.%Y %H:%M %z'": "02.11.2026 13:00 +0100",
        "'%Y-%m-%dT%H:%M:%S%z'": "2026-11-02T12:00:00Z",
    }
    for pattern, value in patterns.items():
        content = IMPRESSIONS.replace("{field: when}", f"{{field: when, format: {pattern}}}")
        file = table([[value, "u1", "p1", "beauty", "0"]])
        ingest(workspace, facts, files=[file], mapping=text(content))
    moments = [row["ts"].replace(tzinfo=UTC) for row in exposures().values()]
    assert moments == [datetime(2026, 11, 2, 12, tzinfo=UTC)] * 3


def test_a_missing_column_names_file_line_and_the_nearest(workspace, facts, table):
    """The mapping's line and column, the log's name and the nearest column; nothing lands."""
    file = table([])
    content = IMPRESSIONS.replace("unit_id: user", "unit_id: usr")
    with pytest.raises(MappingError) as caught:
        ingest(workspace, facts, files=[file], mapping=text(content))
    error = caught.value
    assert (error.line, error.column) == (2, 56)
    assert "log.csv, line 1" in str(error)
    assert "Did you mean 'user'" in str(error)
    assert not sealed_segments(workspace)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("event: impression", "event: impresion", (1, 8), "'impression'"),
        ("event: impression\n", "", (1, 1), "`event` is missing"),
        ("clicked: click", "clickd: click", (6, 1), "'clicked'"),
        ("unit_id: user", "unit: user", (2, 47), "'unit_id'"),
        ("time: {field: when}\n", "", (1, 1), "`time` is missing"),
        ("{field: when}", "{field: when, format: '%Y-%m-%d'}", (5, 29), "no time zone"),
        ("{field: when}", "when", (5, 7), "names no column"),
        ("clicked: click", "experiment: {control: first}", (6, 13), "assigned elsewhere"),
        ("{event_id: imp}", "[imp]", (4, 13), "not a list of names"),
        ("fields: {", "fields: {user_agent: [a], ", (2, 22), "single value"),
    ],
)
def test_a_wrong_mapping_names_its_line(old, new, place, said):
    """Every mistake in a mapping file is named by line and column, with what to do."""
    content = IMPRESSIONS.replace(old, new)
    with pytest.raises(MappingError) as caught:
        parse_mapping(text(content), path=Path("m.yaml"))
    assert (caught.value.line, caught.value.column) == place
    assert said in str(caught.value)
    assert caught.value.remedy


def test_other_mistakes_say_what_to_do():
    """Bad YAML, an unknown --set and bytes that are no text are refused too."""
    with pytest.raises(SpecError):
        parse_mapping(text("a: &b 1"), path=Path("m.yaml"))
    with pytest.raises(MappingError, match="Perhaps you meant 'category'"):
        parse_mapping(text(IMPRESSIONS, categroy="x"), path=Path("m.yaml"))
    with pytest.raises(MappingError, match="UTF-8"):
        parse_mapping(MappingText(b"\xff"), path=Path("m.yaml"))
    with pytest.raises(MappingError, match="belongs to impressions"):
        parse_mapping(text("event: click\ntime: {field: a}\nclicked: b\n"), path=Path("m.yaml"))


def test_a_draft_is_a_mapping_that_reads_its_file(workspace, facts, tmp_path):
    """The drafted mapping is valid and maps every row of the log it was guessed from."""
    file = tmp_path / "own.csv"
    file.write_text(
        "timestamp,user_id,test,group,ad_id,sku,product_category,clicked\n"
        "2026-11-02T12:00:00Z,u1,beauty,generated,c1,p1,beauty,1\n"
    )
    content = draft_mapping(file)
    trial = try_file(workspace, facts, file, mapping=text(content))
    assert trial.receipt.counts.accepted == 2, content
    assert trial.events[0]["unit_id"] == "u1"
    assert "CHANGE-ME" not in content


def test_a_dry_run_writes_nothing(workspace, facts, table):
    """Events, rejects and the identity are shown; the workspace stays as it was."""
    rows = [["2026-11-02T12:00:00Z", f"u{n}", "p1", "beauty", "1"] for n in range(9)]
    file = table([*rows, ["never", "u", "p1", "beauty", "0"]])
    trial = try_file(workspace, facts, file, mapping=text(IMPRESSIONS))
    assert len(trial.events) == 5
    assert (trial.receipt.counts.received, trial.receipt.reasons) == (19, {"bad_timestamp": 1})
    assert not workspace.data.exists()
    told = trial.to_json()
    assert told["received"] == told["accepted"] + told["quarantined"]


@pytest.mark.skipif(not (SHARED / "obd").is_dir(), reason="the shared Open Bandit sample is absent")
def test_the_open_bandit_sample_has_its_published_clicks(workspace, rows_of):
    """Real logs: 38 and 42 clicks of 10,000 for random and bts in campaign all."""
    content = (
        "event: impression\n"
        "fields: {product_id: item_id, creative_id: item_id, position: position}\n"
        "constants: {experiment: open-bandit, category: all}\n"
        "row_number: {event_id: imp, unit_id: request}\n"
        "time: {field: timestamp}\n"
        "clicked: click\n"
        "experiment: {assignment: external, control: first}\n"
    )
    for variant in ("random", "bts"):
        file = SHARED / "obd" / variant / "all" / "all.csv.gz"
        ingest(workspace, {}, files=[file], mapping=text(content, variant=variant))
    query = "SELECT variant, sum(impressions), sum(clicked) FROM exposures GROUP BY 1 ORDER BY 1"
    assert rows_of(query) == [("bts", 10_000, 42), ("random", 10_000, 38)]
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        (found,) = declared_experiments(warehouse).values()
    assert (found.control.name, found.unit) == ("random", "request_id")


def test_a_parquet_file_is_read_within_one_row_group(tmp_path):
    """What was read is let go: the last rows are read in the room that the first ones took."""
    path = tmp_path / "many.parquet"
    bytes_a_group = 1 << 20
    draw = np.random.default_rng(4)
    with pq.ParquetWriter(path, pa.schema([("noise", pa.binary(16))]), compression="none") as file:
        for _ in range(24):
            noise = pa.py_buffer(draw.bytes(bytes_a_group))
            cells = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), bytes_a_group // 16, [None, noise]
            )
            file.write_table(pa.table([cells], ["noise"]))
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in parquet_parts(path)]
    assert len(held) == 24
    assert max(held) < 6 * bytes_a_group
