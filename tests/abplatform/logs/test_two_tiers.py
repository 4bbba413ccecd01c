"""The fast tier of reading against the careful tier alone: row for row and reason for reason."""

import io
import json
import random
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from abplatform.logs.landing import MappingText, Segment
from abplatform.logs.load.columns import Place
from abplatform.logs.load.one_by_one import judge_line
from abplatform.logs.load.reading import Reader
from abplatform.logs.load.sifting import Harvest
from abplatform.logs.validate import Door

LANDED = datetime(2026, 11, 22, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DOOR = Door(
    variants={"beauty": frozenset({"baseline", "generated"}), "layout": frozenset({"a", "b"})},
    landed_at=LANDED,
    currencies=frozenset({"USD", "CNY"}),
)
TS = "2026-11-02T12:00:00Z"
IMPRESSION = {
    "schema": 1,
    "event_type": "impression",
    "event_id": "i1",
    "ts": TS,
    "unit_id": "u1",
    "creative_id": "c1",
    "product_id": "p1",
    "category": "beauty/lip",
    "experiment": "beauty",
    "variant": "generated",
}
KINDS = [
    IMPRESSION,
    IMPRESSION
    | {"position": 3, "propensity": 0.25, "explored": True, "stratum": "a1", "reason": "forced"},
    IMPRESSION | {"stratum": "x" * 65},
    IMPRESSION | {"stratum": ""},
    IMPRESSION | {"attributes": {"views": 3, "ctr": 0.5, "new": True, "city": None}},
    {key: value for key, value in IMPRESSION.items() if key not in {"experiment", "variant"}}
    | {
        "assignments": [
            {"experiment": "beauty", "variant": "baseline"},
            {"experiment": "layout", "variant": "a"},
        ]
    },
    {
        "schema": 1,
        "event_type": "decision",
        "event_id": "d1",
        "ts": TS,
        "unit_id": "u1",
        "decision_id": "d1",
        "action": "hold",
        "experiment": "layout",
        "variant": "b",
    },
    {"schema": 1, "event_type": "click", "event_id": "k1", "ts": TS, "impression_id": "i1"},
    {
        "schema": 1,
        "event_type": "conversion",
        "event_id": "v1",
        "ts": TS,
        "unit_id": "u1",
        "kind": "purchase",
        "value_micros": 5_000_000,
        "currency": "USD",
    },
    {
        "schema": 1,
        "event_type": "cost",
        "event_id": "x1",
        "ts": TS,
        "experiment": "beauty",
        "variant": "generated",
        "day": "2026-11-02",
        "cost_micros": 7,
        "currency": "CNY",
    },
    {
        "schema": 1,
        "event_type": "feedback",
        "event_id": "f1",
        "ts": TS,
        "impression_id": "i1",
        "score": -0.25,
    },
    {
        "schema": 1,
        "event_type": "behaviour",
        "event_id": "b1",
        "ts": TS,
        "unit_id": "u1",
        "action": "view",
        "item_id": "p1",
        "rating": 4.5,
    },
    {
        "schema": 1,
        "event_type": "aggregate",
        "event_id": "a1",
        "ts": TS,
        "experiment": "beauty",
        "variant": "generated",
        "category": "beauty",
        "product_id": "p1",
        "creative_id": "c1",
        "day": "2026-11-02",
        "impressions": 10,
        "clicks": 3,
        "creative_text": "Glow",
    },
]
NAMES = sorted({name for kind in KINDS for name in kind})
ODD = [
    None,
    "",
    " ",
    "x",
    "0",
    "1",
    "1.0",
    "01",
    "+1",
    "-1",
    "-0",
    " 1",
    "1e3",
    "1e400",
    "nan",
    "inf",
    "null",
    "true",
    "True",
    "0.1",
    ".5",
    "5.",
    "0.30000000000000004",
    "99999999999999999999",
    1,
    0,
    -1,
    2**63,
    10**30,
    1.0,
    0.5,
    1e300,
    True,
    False,
    [],
    {},
    ["x"],
    {"a": 1},
    "beauty",
    "layout",
    "baseline",
    "USD",
    "EUR",
    "click",
    "purchase",
    "refund",
    "2026-11-02",
    "2026-11-31",
    "20261102",
    "2026-11-02T12:00:00",
    "2026-11-02 12:00:00Z",
    "2026-11-02T12:00:00.5+08:00",
    "2026-11-02T12:00:00.123456-05:30",
    "2026-11-02T12:00:00.1234567Z",
    "2026-11-02T23:59:60Z",
    "2026-11-02T24:00:00Z",
    "2026-02-29T12:00:00Z",
    "2024-02-29T12:00:00z",
    "2026-11-02T12:00Z",
    "1999-12-31T23:59:59.999999Z",
    "2000-01-01T00:00:00Z",
    "2026-11-23T00:00:00Z",
    "2026-11-23T00:00:00.000001Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "é",
    "日本語",
    "a" * 1024,
    "é" * 600,
    "a" * 1025,
    'say "hi"',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\ufeffx",
    "\x00",
    "beauty//lip",
    "/",
    "😀",
]

PIECES = [
    *(b"\n", b"\r\n", b"\r", b"\n\n", b"\0", b'"', b'""', b",", b"{", b"}", b"\\", b" "),
    *(b"}{", b"}\n{", b'"a":1,', b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"[" * 2000),
]

changes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(ODD), st.just(...))), max_size=2
)
events = st.builds(
    lambda event, change: {
        name: value for name, value in {**event, **dict(change)}.items() if value is not ...
    },
    st.sampled_from(KINDS),
    changes,
)


def read(path, *, door=DOOR, mapping=None):
    """Read a file both ways; return the tables and rejects of each, in one order."""
    segment = Segment(
        7, path, "files", sha256(path.read_bytes()).hexdigest(), LANDED, mapping=mapping
    )
    reader = Reader(segment, ZONE)
    fast = list(reader.batches(door))
    harvest = Harvest(Place("files", LANDED, str(ZONE)))
    for found in reader.events(door):
        harvest.add_events(found)
    return fast, harvest.take(0)


def assert_equal(fast, slow):
    """Compare batches with what reading one by one gives."""
    tables = {}
    for batch in fast:
        for table, rows in batch.tables.items():
            tables.setdefault(table, []).append(rows)
    assert tables.keys() == slow.tables.keys()
    for table, parts in tables.items():
        if table == "creative_texts":
            continue
        order = [name for name in ("line", "event_id", "ordinal", "name") if name in parts[0]]
        assert_frame_equal(pl.concat(parts).sort(order), slow.tables[table].sort(order))
    rejects = pl.concat([batch.rejects for batch in fast]).sort("line")
    assert_frame_equal(rejects, slow.rejects.sort("line"))


def mutated(lines, seed):
    """Return lines with a few bytes flipped, dropped, doubled or put in."""
    dice = random.Random(seed)
    found = bytearray(b"\n".join(lines) + b"\n" * dice.choice([0, 1, 1]))
    for _ in range(dice.choice([0, 0, 1, 1, 3])):
        place = dice.randrange(len(found) + 1)
        piece = dice.choice(PIECES)
        kind = dice.randrange(3)
        if kind == 0:
            found[place:place] = piece
        elif kind == 1:
            del found[place : place + dice.choice([1, 1, 40])]
        else:
            found[place : place + len(piece)] = piece
    return bytes(found)


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(events, min_size=1, max_size=12), seed=st.integers(0, 2**32), spaced=st.booleans()
)
def test_json_lines_are_read_as_one_by_one(tmp_path_factory, rows, seed, spaced):
    """Whatever the bytes, blocks of JSON lines give the events and reasons of single lines."""
    separators = None if spaced else (",", ":")
    lines = [
        json.dumps(row, ensure_ascii=seed % 2 == 0, separators=separators).encode() for row in rows
    ]
    path = tmp_path_factory.mktemp("json") / "log.jsonl"
    path.write_bytes(mutated(lines, seed))
    assert_equal(*read(path))


def csv_of(rows, *, quoting="minimal", separator=","):
    """Return rows as CSV; nested values as their JSON."""
    names = sorted({name for row in rows for name in row})
    cells = {
        name: [
            None
            if row.get(name) is None
            else row[name]
            if isinstance(row[name], str)
            else json.dumps(row[name])
            for row in rows
        ]
        for name in names
    }
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String))
    style = {"minimal": "necessary"}.get(quoting, quoting)
    return frame.write_csv(quote_style=style, separator=separator).encode()


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(events, min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    quoting=st.sampled_from(["minimal", "always"]),
    separator=st.sampled_from([",", ",", ";", "\t"]),
)
def test_csv_is_read_as_one_by_one(tmp_path_factory, rows, seed, quoting, separator):
    """Whatever the bytes, blocks of CSV give the events and reasons of single records."""
    header, _, body = csv_of(rows, quoting=quoting, separator=separator).partition(b"\n")
    lines = body.removesuffix(b"\n").split(b"\n")
    raw = header + b"\n" + mutated(lines, seed)
    if seed % 5 == 0:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    path.write_bytes(raw)
    assert_equal(*read(path))


def test_a_bad_line_slows_only_the_lines_around_it(tmp_path, monkeypatch):
    """Of thousands of lines, a line that is no event makes only few be read one by one."""
    single = []

    def judged(number, line, problem, *, door, found):
        single.append(number)
        judge_line(number, line, problem, door=door, found=found)

    lines = [json.dumps(IMPRESSION | {"event_id": f"i{n}"}).encode() for n in range(9_000)]
    lines[700] = lines[700][:-1]
    lines[6_000] = b"{}"
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    fast, slow = read(path)
    assert_equal(fast, slow)
    monkeypatch.setattr("abplatform.logs.load.json_lines.judge_line", judged)
    read(path)
    assert {701, 6_001} <= set(single)
    assert len(single) < 200


TYPES = [
    pa.string(),
    pa.int8(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ms", "Asia/Shanghai"),
    pa.timestamp("ns", "UTC"),
    pa.decimal128(6, 2),
    pa.dictionary(pa.int32(), pa.string()),
    pa.binary(),
]


def column_of(values, dtype):
    """Return values as an Arrow column of a type; what does not fit is null."""
    found = []
    for value in values:
        try:
            found.append(
                pa.scalar(value, pa.string()).cast(dtype).as_py()
                if isinstance(value, str)
                else pa.scalar(value, dtype).as_py()
            )
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            found.append(None)
    return pa.array(found, dtype)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(events, min_size=1, max_size=8),
    types=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TYPES), max_size=4),
)
def test_parquet_is_read_as_one_by_one(tmp_path_factory, rows, types):
    """Whatever the columns' types, rows of Parquet give the events and reasons of single rows."""
    names = sorted({name for row in rows for name in row} | {"event_type"})
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in types:
            columns[name] = column_of(values, types[name])
        else:
            texts = [
                None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values
            ]
            columns[name] = pa.array(texts, pa.string())
    path = tmp_path_factory.mktemp("parquet") / "log.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=5)
    assert_equal(*read(path))


MAPPINGS = [
    (
        "event: impression\nfields: {unit_id: user, creative_id: ad, product_id: ad,"
        " category: kind,"
        " position: rank}\nconstants: {experiment: beauty, variant: generated}\n"
        "row_number: {event_id: imp}\ntime: {field: when}\nclicked: clk\n"
    ),
    (
        "event: impression\nfields: {event_id: id, category: kind, variant: group}\n"
        "constants: {experiment: beauty, product_id: p, category: other}\n"
        "row_number: {unit_id: request}\ntime: {field: when, format: epoch_ms}\ntext: [ad, rank]\n"
        "experiment: {assignment: external}\n"
    ),
    (
        "event: impression\nfields: {unit_id: user, creative_id: ad, product_id: ad,"
        " category: kind,"
        " variant: group, event_id: id}\nconstants: {experiment: beauty}\n"
        'time: {field: when, format: "%Y-%m-%d %H:%M:%S%z"}\nclicked: clk\ntext: [ad]\n'
    ),
    (
        "event: conversion\nfields: {unit_id: user, value_micros: rank, currency: kind}\n"
        "constants: {kind: purchase}\ntime: {field: when, format: iso_week}\n"
    ),
    (
        "event: aggregate\nfields: {variant: group, impressions: rank, clicks: clk, category: kind,"
        " day: when}\nconstants: {experiment: beauty, product_id: p, creative_id: c}\n"
    ),
    (
        "event: impression\nfields: {unit_id: user, creative_id: ad, product_id: ad,"
        " category: kind}\n"
        "constants: {experiment: beauty}\nrow_number: {variant: group}\ntime: {field: when}\n"
    ),
]
MAPPINGS.append(MAPPINGS[0].replace("{field: when}", "{field: when, zone: Europe/Berlin}"))
CELLS = {
    "id": ["e1", "e2", None, "x" * 1025],
    "user": ["u1", "7", "7.0", None, "é"],
    "ad": ["c1", "Glow now", None, "a\nb"],
    "kind": ["beauty/lip", "USD", "beauty//x", None],
    "rank": ["1", "3", "-2", "1.0", "x", None, "007"],
    "group": ["generated", "baseline", "nobody", None],
    "clk": ["0", "1", "1.0", " 1", "True", "yes", None, "2"],
    "when": [
        TS,
        "1793620800000",
        "1793620800000.0",
        "2026-11-02 12:00:00+0000",
        "2026-W45",
        "2026-10-25T02:30:00",
        "2026-11-02",
        "soon",
        None,
    ],
}
foreign = st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()})
MAPPED_TYPES = {
    "user": [pa.string(), pa.int64(), pa.float64()],
    "rank": [pa.string(), pa.int32(), pa.float64()],
    "clk": [pa.string(), pa.int8(), pa.float64(), pa.bool_()],
    "when": [pa.string(), pa.int64(), pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.date32()],
}


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(foreign, min_size=1, max_size=10),
    content=st.sampled_from(MAPPINGS),
    form=st.sampled_from(["csv", "parquet"]),
    types=st.fixed_dictionaries(
        {name: st.sampled_from(types) for name, types in MAPPED_TYPES.items()}
    ),
)
def test_mappings_are_read_as_one_by_one(tmp_path_factory, rows, content, form, types):
    """Whatever the mapping, columns give the events and reasons that it gives row by row."""
    path = tmp_path_factory.mktemp("mapped") / f"log.{form}"
    if form == "csv":
        path.write_bytes(csv_of(rows))
    else:
        columns = {
            name: column_of([row[name] for row in rows], types.get(name, pa.string()))
            for name in CELLS
        }
        pq.write_table(pa.table(columns), path)
    assert_equal(*read(path, mapping=MappingText(content.encode())))


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_blocks_end_where_lines_do(tmp_path, form):
    """A file of several blocks, some rows of it bad, is read as row by row, line for line."""
    dice = random.Random(20261102)
    rows = []
    for number in range(40_000):
        row = IMPRESSION | {"event_id": f"i{number}", "unit_id": f"u{dice.randrange(500)}"}
        if dice.random() < 0.001:
            row["category"] = dice.choice(["a\nb", 'say "x"', "a,b", ""])
        if dice.random() < 0.001:
            row["variant"] = "nobody"
        rows.append(row)
    path = tmp_path / f"log.{form}"
    if form == "csv":
        path.write_bytes(csv_of(rows))
    else:
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    fast, slow = read(path)
    assert_equal(fast, slow)
    assert sum(map(len, (batch.tables["impressions"] for batch in fast))) > 39_000


def test_a_parquet_file_is_its_rows_as_json_in_quarantine(tmp_path):
    """A bad row of a Parquet file, which has no bytes, is kept as JSON under its number."""
    rows = pl.DataFrame([IMPRESSION, IMPRESSION | {"variant": "nobody", "event_id": "i2"}])
    held = io.BytesIO()
    rows.write_parquet(held)
    path = tmp_path / "log.parquet"
    path.write_bytes(held.getvalue())
    fast, _ = read(path)
    (bad,) = fast[0].rejects.to_dicts()
    assert (bad["line"], bad["reason"]) == (2, "unknown_variant")
    assert json.loads(bad["raw"])["event_id"] == "i2"
