"""What hostile or broken bytes do: each bad line its reason, and memory that stays where it was."""

import gzip
import io
import json
import random
import subprocess
import sys
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from abplatform.logs.landing import Segment
from abplatform.logs.load.reading import Reader
from abplatform.logs.validate import RAW_BYTES, Door

LANDED = datetime(2026, 11, 22, tzinfo=UTC)
DOOR = Door({"beauty": frozenset({"baseline", "generated"})}, LANDED, frozenset({"USD"}))
GROWTH_MIB = 64


def impression(**changes):
    event = {
        "schema": 1,
        "event_type": "impression",
        "event_id": "i1",
        "ts": "2026-11-02T12:00:00Z",
        "unit_id": "u1",
        "creative_id": "c1",
        "product_id": "p1",
        "category": "beauty/lip",
        "experiment": "beauty",
        "variant": "generated",
    }
    event |= changes
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


def other(event_type, **fields):
    event = {"schema": 1, "event_type": event_type, "event_id": "x", "ts": "2026-11-02T12:00:00Z"}
    return json.dumps(event | fields).encode()


GOOD = impression()
AGGREGATE = {
    "experiment": "beauty",
    "variant": "generated",
    "category": "beauty",
    "product_id": "p1",
    "creative_id": "c1",
    "day": "2026-11-02",
    "impressions": 10,
    "clicks": 3,
}
TWO = [{"experiment": "beauty", "variant": "generated"}] * 2
BAD = [
    ("not_json", b"hello"),
    ("not_json", b"null"),
    ("not_json", b"17"),
    ("not_json", b"[" + GOOD + b"]"),
    ("not_json", GOOD + GOOD),
    ("not_json", GOOD[:-1] + b",}"),
    ("not_json", GOOD.replace(b'"u1"', b"'u1'")),
    ("not_json", GOOD.replace(b'"u1"', b"NaN")),
    ("not_json", GOOD.replace(b'"u1"', b'"u\x001"')),
    ("not_json", GOOD.replace(b'"u1"', b'"u\t1"')),
    ("not_json", GOOD.replace(b'"u1"', b'"u\\x1"')),
    ("not_json", GOOD.replace(b'"u1"', b'"\\ud800"')),
    ("not_json", b"\0"),
    ("truncated", GOOD[:-1]),
    ("truncated", GOOD[:40]),
    ("truncated", b"{"),
    ("not_utf8", GOOD.replace(b"u1", b"u\xff1")),
    ("not_utf8", b"\xc3\x28"),
    ("not_utf8", GOOD.replace(b"u1", b"\xed\xa0\x80")),
    ("too_long", GOOD[:-1] + b' ,"user_agent":"' + b"a" * 1_000_000 + b'"}'),
    ("too_long", b" " * 1_000_001),
    ("too_deep", b'{"event_type":"click","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("too_deep", b'{"x":' * 100_000 + b"1" + b"}" * 100_000),
    ("unknown_schema", impression(schema=2)),
    ("unknown_schema", impression(schema=0)),
    ("unknown_event_type", impression(event_type="view")),
    ("unknown_event_type", impression(event_type=...)),
    ("unknown_event_type", b"{}"),
    ("missing_field", impression(event_id=...)),
    ("missing_field", impression(ts=...)),
    ("missing_field", impression(variant=...)),
    ("missing_field", impression(schema=...)),
    ("missing_field", other("feedback", impression_id="i1")),
    ("missing_field", other("conversion", kind="lead", value_micros=1, currency="USD")),
    ("wrong_type", impression(unit_id=7)),
    ("wrong_type", impression(unit_id=None)),
    ("wrong_type", impression(position="3")),
    ("wrong_type", impression(position=2.5)),
    ("wrong_type", impression(attributes={"a": {"b": 1}})),
    ("wrong_type", impression(assignments="beauty")),
    ("wrong_value", impression(unit_id="")),
    ("wrong_value", impression(unit_id="u" * 1025)),
    ("wrong_value", impression(position=-1)),
    ("wrong_value", impression(propensity=1.5)),
    ("wrong_value", impression(stratum="")),
    ("wrong_value", impression(stratum="s" * 65)),
    ("wrong_value", impression(reason="because")),
    ("wrong_value", impression(category="beauty//lip")),
    ("wrong_value", impression(assignments=TWO)),
    ("wrong_value", other("behaviour", unit_id="u", action="buy", item_id="p", rating=1e300)),
    (
        "wrong_value",
        other("conversion", unit_id="u", kind="refund", value_micros=5, currency="USD"),
    ),
    ("naive_timestamp", impression(ts="2026-11-02T12:00:00")),
    ("bad_timestamp", impression(ts="yesterday")),
    ("bad_timestamp", impression(ts="2026-02-30T12:00:00Z")),
    ("before_2000", impression(ts="1999-12-31T23:59:59Z")),
    ("from_the_future", impression(ts="2026-11-23T00:00:01Z")),
    ("from_the_future", impression(ts="9999-12-31T23:59:59Z")),
    ("click_without_target", other("click")),
    ("clicks_above_impressions", other("aggregate", **AGGREGATE | {"clicks": 11})),
    ("unknown_experiment", impression(experiment="nobody")),
    ("unknown_variant", impression(variant="nobody")),
    (
        "unknown_currency",
        other("conversion", unit_id="u", kind="lead", value_micros=1, currency="XXX"),
    ),
]
"""Reason and line; more than fifty kinds."""


def read(path):
    """Return the batches of a file as one: accepted ids by line, and rejects."""
    segment = Segment(1, path, "files", "0" * 64, LANDED)
    batches = list(Reader(segment, ZoneInfo("UTC")).batches(DOOR))
    accepted = {}
    for batch in batches:
        for rows in batch.tables.values():
            accepted |= dict(rows.select("line", "event_id").iter_rows())
    rejects = pl.concat([batch.rejects for batch in batches]).sort("line")
    return accepted, rejects


@pytest.mark.parametrize("seed", range(3))
def test_each_bad_line_has_its_reason_and_every_good_one_is_taken(tmp_path, seed):
    """Fifty and more kinds of bad lines anywhere in a good file cost nothing but themselves."""
    dice = random.Random(seed)
    good = 5000
    places = dict(zip(dice.sample(range(good + len(BAD)), len(BAD)), BAD, strict=True))
    ends = [b"\n", b"\r\n"]
    lines, wanted = [], {}
    for place in range(good + len(BAD)):
        if place in places:
            wanted[place + 1] = places[place][0]
            lines.append(places[place][1] + b"\n")
        else:
            lines.append(impression(event_id=f"i{place + 1}") + ends[seed == 2])
    path = tmp_path / "log.jsonl"
    path.write_bytes((b"\xef\xbb\xbf" if seed else b"") + b"".join(lines))
    accepted, rejects = read(path)
    assert dict(rejects.select("line", "reason").iter_rows()) == wanted
    assert accepted == {line: f"i{line}" for line in range(1, len(lines) + 1) if line not in wanted}
    for bad in rejects.iter_rows(named=True):
        assert lines[bad["line"] - 1].removesuffix(b"\n")[:RAW_BYTES] == bad["raw"]
        assert bad["detail"]


BAD_ROWS = [
    ("not_csv", b'1,impression,e,2026-11-02T12:00:00Z,u,c,p,"x"y,beauty,generated\n'),
    ("not_csv", b'1,impression,e,2026-11-02T12:00:00Z,u,c,p,"never closed,beauty,generated\n'),
    ("missing_field", b"1,impression,e\n"),
    ("missing_field", b"1,impression,,2026-11-02T12:00:00Z,u,c,p,x,beauty,generated\n"),
    ("wrong_value", b"1,impression,e,2026-11-02T12:00:00Z,u,c,p,x,beauty,generated,more\n"),
    ("not_utf8", b"1,impression,e,2026-11-02T12:00:00Z,u\xff,c,p,x,beauty,generated\n"),
    ("unknown_schema", b"3,impression,e,2026-11-02T12:00:00Z,u,c,p,x,beauty,generated\n"),
    ("unknown_event_type", b"1,glance,e,2026-11-02T12:00:00Z,u,c,p,x,beauty,generated\n"),
    ("naive_timestamp", b"1,impression,e,2026-11-02T12:00:00,u,c,p,x,beauty,generated\n"),
    ("bad_timestamp", b"1,impression,e,02.11.2026 12:00,u,c,p,x,beauty,generated\n"),
    ("unknown_variant", b"1,impression,e,2026-11-02T12:00:00Z,u,c,p,x,beauty,nobody\n"),
    ("too_long", b"1,impression,e,2026-11-02T12:00:00Z,u,c,p," + b"x" * 1_000_001 + b"\n"),
]


def test_a_bad_row_of_a_table_costs_nothing_but_itself(tmp_path):
    """Bad rows anywhere in a CSV file, even a quote that never closes, leave the others alone."""
    dice = random.Random(7)
    header = b"schema,event_type,event_id,ts,unit_id,creative_id,product_id,category,"
    lines, wanted = [header + b"experiment,variant\n"], {}
    places = dict(zip(dice.sample(range(2, 4000), len(BAD_ROWS)), BAD_ROWS, strict=True))
    for line in range(2, 4000):
        if line in places:
            wanted[line] = places[line][0]
            lines.append(places[line][1])
        else:
            moment = b"2026-11-02T12:00:00Z"
            lines.append(b"1,impression,i%d,%b,u,c,p,x,beauty,generated\n" % (line, moment))
    path = tmp_path / "log.csv"
    path.write_bytes(b"".join(lines))
    accepted, rejects = read(path)
    assert dict(rejects.select("line", "reason").iter_rows()) == wanted
    assert accepted == {line: f"i{line}" for line in range(2, 4000) if line not in wanted}


PROBE = """
import json, re, sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from abplatform.logs.landing import Segment
from abplatform.logs.load.reading import Reader
from abplatform.logs.validate import Door

landed = datetime(2026, 11, 22, tzinfo=UTC)
door = Door({"beauty": frozenset({"generated"})}, landed, frozenset({"USD"}))

def memory(name):
    return int(re.search(name + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

for line in sys.stdin:
    path = Path(line.rstrip("\\n"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    accepted, reasons = 0, {}
    for batch in Reader(Segment(1, path, "files", "0" * 64, landed), ZoneInfo("UTC")).batches(door):
        accepted += sum(map(len, batch.tables.values()))
        for number, _, reason, _ in batch.rejects.iter_rows():
            reasons.setdefault(reason, number)
    grown = round(memory("VmHWM") - before)
    print(json.dumps([accepted, reasons, grown]), flush=True)
"""


@pytest.fixture(scope="module")
def reading():
    """Start a process that reads files and says how its memory grew; warm it up with each form."""
    command = [sys.executable, "-c", PROBE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:

        def ask(path):
            run.stdin.write(f"{path}\n")
            run.stdin.flush()
            return json.loads(run.stdout.readline())

        with tempfile.TemporaryDirectory() as name:
            rows = pl.read_json(io.BytesIO(b"[" + GOOD + b"]"))
            rows.write_csv(Path(name) / "warm.csv")
            rows.write_parquet(Path(name) / "warm.parquet")
            (Path(name) / "warm.jsonl.gz").write_bytes(gzip.compress(GOOD + b"\n"))
            for path in Path(name).iterdir():
                assert ask(path)[0] == 1
        yield ask
        run.stdin.close()


@pytest.fixture
def probe(reading):
    """Return ``probe(path)`` → accepted, reasons with their first line, and MiB grown."""

    def run(path):
        accepted, reasons, grown = reading(path)
        sys.stdout.write(f"{path.name}: {accepted} accepted, {reasons}, {grown} MiB more\n")
        return accepted, reasons, grown

    return run


def test_a_line_of_a_gigabyte_is_passed_over(tmp_path, probe):
    """A line of 1 GB costs one reject and hardly any memory; the line after it is read."""
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b"\n")
        # A hole reads as NUL bytes and takes no room on the disk.
        file.seek(1 << 30, io.SEEK_CUR)
        file.write(b"\n" + impression(event_id="i2") + b"\n")
    accepted, reasons, grown = probe(path)
    assert (accepted, reasons) == (2, {"too_long": 2})
    assert grown < GROWTH_MIB


def test_a_table_row_of_a_gigabyte_is_passed_over(tmp_path, probe):
    """The same of a CSV file, where an open quote makes the rest of the file one cell."""
    row = b"1,impression,%b,2026-11-02T12:00:00Z,u,c,p,x,beauty,generated\n"
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"schema,event_type,event_id,ts,unit_id,creative_id,product_id,category,")
        file.write(b"experiment,variant\n" + row % b"i1" + b'"')
        file.seek(1 << 29, io.SEEK_CUR)
        file.write(b"\n" + row % b"i2")
    accepted, reasons, grown = probe(path)
    assert (accepted, reasons) == (2, {"too_long": 3})
    assert grown < GROWTH_MIB


@pytest.mark.parametrize("inner", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"}"])
def test_deep_nesting_is_refused_in_place(tmp_path, probe, inner):
    """An object nested 100,000 deep is one reject and hardly any memory."""
    path = tmp_path / "deep.jsonl"
    deep = GOOD[:-1] + b',"attributes":' + inner + b"}"
    path.write_bytes(b"\n".join([GOOD, deep, impression(event_id="i2")]) + b"\n")
    accepted, reasons, grown = probe(path)
    assert accepted == 2
    assert set(reasons) <= {"too_deep", "wrong_type", "not_json", "truncated"}
    assert list(reasons.values()) == [2]
    assert grown < GROWTH_MIB


def bomb(pieces, last=b""):
    """Return a gzip file of blanks, 1 GiB a piece, made of one compressed mebibyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush every further mebibyte is compressed to the same bytes.
    more = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + more * (1024 * pieces - 1) + packer.compress(last)


@pytest.mark.parametrize("form", ["jsonl.gz", "csv.gz", "jsonl.zst", "parquet"])
def test_a_bomb_is_stopped(tmp_path, probe, form):
    """A small file that expands to 100 GB is stopped with one clear reason, early and in place."""
    path = tmp_path / f"bomb.{form}"
    if form == "parquet":
        column = pa.repeat(pa.scalar("impression"), 11_000_000).dictionary_encode()
        pq.write_table(pa.table({"event_type": column}), path, row_group_size=11_000_000)
    elif form == "jsonl.zst":
        # Concatenated frames are one stream.
        path.write_bytes(pa.compress(b" " * (64 << 20), "zstd", asbytes=True) * 1600)
    else:
        path.write_bytes(bomb(100))
    accepted, reasons, grown = probe(path)
    assert accepted == 0
    assert "bomb" in reasons
    assert set(reasons) <= {"bomb", "too_long", "missing_field"}
    assert grown < GROWTH_MIB


@pytest.mark.parametrize("form", ["jsonl.gz", "jsonl.zst"])
def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path, form):
    """Of a compressed file that breaks off, what came is taken and the rest is one reject."""
    body = b"".join(
        impression(event_id=f"i{n}", unit_id=f"u{n * n}") + b"\n" for n in range(50_000)
    )
    packed = gzip.compress(body) if form.endswith("gz") else pa.compress(body, "zstd", asbytes=True)
    path = tmp_path / f"log.{form}"
    path.write_bytes(packed[: len(packed) // 2])
    accepted, rejects = read(path)
    assert 1000 < len(accepted) < 49_000
    assert accepted == {n + 1: f"i{n}" for n in range(len(accepted))}
    assert rejects["reason"].to_list() == ["truncated"]
    assert rejects["line"].to_list() == [len(accepted) + 1]


@pytest.mark.parametrize("form", ["jsonl.gz", "jsonl.zst"])
def test_members_behind_one_another_are_one_file(tmp_path, form):
    """Compressed files written one behind the other, as log rotation does, are read as one."""
    parts = [impression(event_id=f"i{n}") + b"\n" for n in range(3)]
    pack = (
        gzip.compress if form.endswith("gz") else lambda raw: pa.compress(raw, "zstd", asbytes=True)
    )
    path = tmp_path / f"log.{form}"
    path.write_bytes(b"".join(map(pack, parts)))
    accepted, rejects = read(path)
    assert accepted == {1: "i0", 2: "i1", 3: "i2"}
    assert rejects.is_empty()


def test_a_text_of_parquet_that_is_no_text_is_refused(tmp_path):
    """Rows of a Parquet file whose bytes are no UTF-8 are told one by one; the others count."""
    rows = [json.loads(impression(event_id=f"i{n}")) for n in range(100)]
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    ids = pa.array([b"\xff\xfe" if n in {5, 77} else b"u%d" % n for n in range(100)])
    columns["unit_id"] = pa.Array.from_buffers(pa.string(), 100, ids.buffers())
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), path)
    accepted, rejects = read(path)
    assert rejects["reason"].to_list() == ["not_utf8", "not_utf8"]
    assert rejects["line"].to_list() == [6, 78]
    assert len(accepted) == 98


def test_damaged_parquet_never_stops_the_job(tmp_path):
    """Whatever byte of a Parquet file flips, reading ends with events or a reject."""
    dice = random.Random(11)
    rows = pl.DataFrame([json.loads(impression(event_id=f"i{n}")) for n in range(200)])
    held = io.BytesIO()
    rows.write_parquet(held, row_group_size=50)
    whole = held.getvalue()
    path = tmp_path / "log.parquet"
    for _ in range(200):
        raw = bytearray(whole)
        for _ in range(dice.choice([1, 4])):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        accepted, rejects = read(path)
        assert len(accepted) + len(rejects) > 0
