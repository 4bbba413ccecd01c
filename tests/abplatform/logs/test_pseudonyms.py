"""Pseudonyms at the door: no raw id is ever written, and nothing else changes."""

import csv
import gzip
import json
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from abplatform.cli.assigning import assign
from abplatform.domain.assignment import assign as assign_unit
from abplatform.domain.events import EventRejected, decode_event
from abplatform.errors import IngestError, MappingError, WorkspaceError
from abplatform.logs.forget import search
from abplatform.logs.landing import Landing, MappingText, land_file, sealed_segments
from abplatform.logs.load import ingest
from abplatform.logs.privacy import Guard, Pseudonyms, Tombstones, pseudonyms_of
from abplatform.logs.store.warehouse import Warehouse
from abplatform.settings import Privacy, Settings
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

KEY = "c0ffee" * 11
UNITS = [f"unit-{number}" for number in range(4)]


@pytest.fixture
def masked(workspace):
    """The workspace with a key, outside of its data."""
    workspace.root.mkdir(parents=True)
    (workspace.root / "abp.key").write_text(KEY + "\n")
    return replace(workspace, settings=Settings(privacy=Privacy(key_file="abp.key")))


@pytest.fixture
def events(wire):
    """Impressions of four units with their clicks and a purchase."""
    shown = [wire("impression", f"i{n}", unit_id=UNITS[n % 4]) for n in range(12)]
    clicks = [wire("click", f"k{n}", impression_id=f"i{n}") for n in range(0, 12, 3)]
    bought = wire("conversion", "o1", unit_id=UNITS[1], kind="purchase", currency="USD")
    return [*shown, *clicks, bought | {"value_micros": 5}]


def as_file(tmp_path, events, form):
    """The same events in each form that lands."""
    path = tmp_path / f"log.{form}"
    names = list(dict.fromkeys(name for event in events for name in event))
    table = pl.DataFrame([{name: event.get(name) for name in names} for event in events])
    if form == "parquet":
        table.write_parquet(path)
        return path
    text = (
        table.write_csv().encode()
        if form.startswith("csv")
        else b"".join(json.dumps(event).encode() + b"\n" for event in events)
    )
    if form.endswith(".gz"):
        text = gzip.compress(text)
    if form.endswith(".zst"):
        text = pa.Codec("zstd").compress(text, asbytes=True)
    path.write_bytes(text)
    return path


def sums(workspace):
    """What the analysis reads, without who it was."""
    text = "SELECT experiment, variant, impressions, clicked, conversions, count(*) AS n, "
    text += "count(DISTINCT unit_id) AS units FROM exposures GROUP BY ALL ORDER BY ALL"
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        return warehouse._connection.sql(text).fetchall()


def test_no_raw_id_is_written_in_any_form(workspace, masked, facts, events, tmp_path):
    """Whatever the form, a byte search finds no raw id, and the analysis sees the same sums."""
    forms = ("jsonl.gz", "csv.zst", "parquet", "csv", "jsonl.zst")
    files = [as_file(tmp_path, events[n::5], form) for n, form in enumerate(forms)]
    receipt = ingest(masked, facts, files=files)
    assert receipt.counts.accepted == receipt.counts.received == len(events)
    assert search(masked, UNITS).left == []
    plain = replace(workspace, root=tmp_path / "plain")
    assert ingest(plain, facts, files=files).counts == receipt.counts
    assert search(plain, UNITS).left
    assert sums(masked) == sums(plain)


def test_the_stored_id_is_the_hmac_of_the_raw_one(masked, facts, events, tmp_path, rows_of):
    """A unit is stored as the hex HMAC-SHA256 of its id under the key."""
    ingest(masked, facts, files=[as_file(tmp_path, events, "jsonl")])
    stored = {row[0] for row in rows_of("SELECT unit_id FROM impressions")}
    assert stored == {Pseudonyms(KEY.encode()).stored(unit) for unit in UNITS}
    # RFC 4231, test case 2.
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Pseudonyms(b"Jefe").stored("what do ya want for nothing?") == known


BAD_LINES = [
    b"garbage about unit-1",
    b'{"unit_id": "unit-1',
    b'"unit-1"',
    b"unit-1 \xff",
    b'{"":' * 3000 + b'"unit-1"',
    b"unit-1" * 200_000,
    b'{"unit_id": "unit-1"}',
    b'{"schema": 1, "event_type": "nonsense", "unit_id": "unit-1", "event_id": "x"}',
]


def test_refused_lines_keep_their_reason_and_nothing_else(
    workspace, masked, facts, wire, write, *, tmp_path
):
    """A line that cannot be read is refused for the same reason, on the same line, without text."""
    shown = wire("impression", "q", unit_id="unit-1")
    wrong = [shown | {"unit_id": ["unit-1"]}, shown | {"ts": "unit-1"}, shown | {"unit_id": 7}]
    file = write([shown, b"", *BAD_LINES, *wrong], name="bad.jsonl")
    receipt = ingest(masked, facts, files=[file])
    plain = replace(workspace, root=tmp_path / "plain")
    expected = ingest(plain, facts, files=[file])
    assert receipt.counts == expected.counts
    assert receipt.reasons == expected.reasons
    places = {reason: one.place for reason, one in receipt.examples.items()}
    assert places == {reason: one.place for reason, one in expected.examples.items()}
    assert search(masked, ["unit-1"]).left == []


BAD_ROWS = [
    "u,unit-1,too,many,cells,in,it,x,y,z,a,b,c,d",
    "unit-1,short",
    '"unit-1"x,2,3,4,5,6',
    "b1,2026-11-02T12:00:00,unit-1,beauty,generated,x",
]


def test_mapped_logs_keep_only_what_the_mapping_reads(workspace, masked, facts, tmp_path):
    """Columns nobody maps do not land; bad rows keep their reasons and lines, not their text."""
    rows = ["banner,when,user,test,group,email"]
    rows += [
        f"b1,2026-11-02T12:00:00Z,unit-{number % 4},beauty,generated,unit-{number % 4}@shop"
        for number in range(6)
    ]
    rows.append('"b\n1",2026-11-02T12:00:00Z,unit-2,beauty,generated,')
    file = tmp_path / "own.csv"
    file.write_text("\n".join([*rows, *BAD_ROWS, ""]))
    with file.open("ab") as more:
        more.write(b"b1,2026-11-02T12:00:00Z,unit-1\xff,beauty,generated,x\n")
    mapping = MappingText(
        b"event: impression\n"
        b"fields: {unit_id: user, creative_id: banner, experiment: test, variant: group}\n"
        b"constants: {product_id: p, category: a/b}\n"
        b"time: {field: when}\n"
    )
    receipt = ingest(masked, facts, files=[file], mapping=mapping)
    plain = replace(workspace, root=tmp_path / "plain")
    expected = ingest(plain, facts, files=[file], mapping=mapping)
    assert receipt.counts == expected.counts
    assert receipt.reasons == expected.reasons
    places = {reason: one.place for reason, one in receipt.examples.items()}
    assert places == {reason: one.place for reason, one in expected.examples.items()}
    assert search(masked, UNITS).left == []
    (segment,) = sealed_segments(masked)
    with segment.path.open(errors="replace") as landed:
        assert next(csv.reader(landed)) == ["banner", "when", "user", "test", "group"]
    assert sums(masked) == sums(plain)


def test_numbers_may_be_ids(masked, facts, tmp_path, rows_of):
    """A column of whole numbers is pseudonymised as its text, in Parquet and in CSV alike."""
    table = pl.DataFrame({"when": ["2026-11-02T12:00:00Z"] * 2, "user": [123456, 123457]})
    mapping = MappingText(
        b"event: behaviour\nfields: {unit_id: user}\nconstants: {action: view, item_id: x}\n"
        b"time: {field: when}\n"
    )
    table.write_parquet(tmp_path / "a.parquet")
    table.write_csv(tmp_path / "b.csv")
    for name in ("a.parquet", "b.csv"):
        ingest(masked, facts, files=[tmp_path / name], mapping=mapping)
    stored = {row[0] for row in rows_of("SELECT unit_id FROM behaviour")}
    assert stored == {Pseudonyms(KEY.encode()).stored(text) for text in ("123456", "123457")}


def test_a_constant_unit_is_refused(masked, facts, tmp_path):
    """A unit's id in the mapping itself would land as it is."""
    file = tmp_path / "a.csv"
    file.write_text("when\n2026-11-02T12:00:00Z\n")
    mapping = MappingText(
        b"event: behaviour\nconstants: {unit_id: u, action: view, item_id: x}\n"
        b"time: {field: when}\n"
    )
    with pytest.raises(MappingError, match="constant `unit_id`"):
        ingest(masked, facts, files=[file], mapping=mapping)
    assert not sealed_segments(masked)


def test_a_collectors_lines_are_pseudonymised(masked, facts, events):
    """What is appended line by line never touches the disk with a raw id, not even when open."""
    with Landing(masked) as landing:
        landing.append("web", [json.dumps(event).encode() for event in events] + BAD_LINES)
        assert search(masked, UNITS).left == []
    receipt = ingest(masked, facts)
    assert receipt.counts.accepted == len(events)
    assert search(masked, UNITS).left == []


def test_no_file_lands_past_the_door(masked, events, tmp_path):
    """Landing a file byte for byte is refused where units are pseudonyms."""
    with pytest.raises(IngestError, match="through the door"):
        land_file(masked, as_file(tmp_path, events, "jsonl"), source="web")
    assert not sealed_segments(masked)


def test_the_same_file_again_is_known_by_its_own_hash(masked, facts, events, tmp_path):
    """A redelivered original is recognised, though what landed of it has another hash."""
    file = as_file(tmp_path, events, "csv.gz")
    ingest(masked, facts, files=[file])
    again = ingest(masked, facts, files=[file])
    assert (again.counts.accepted, again.counts.duplicate) == (0, len(events))
    assert len(sealed_segments(masked)) == 1


def test_the_key_is_fixed_for_a_workspace(masked, facts, events, tmp_path):
    """Another key, no key, and a key that comes after the first log are refused with a remedy."""
    file = as_file(tmp_path, events, "jsonl")
    ingest(masked, facts, files=[file])
    (masked.root / "abp.key").write_text("another key, just as long as it has to be …")
    with pytest.raises(WorkspaceError, match="not the key"):
        ingest(masked, facts, files=[file])
    with pytest.raises(WorkspaceError, match="names no key"):
        ingest(replace(masked, settings=Settings()), facts, files=[file])
    late = replace(masked, root=tmp_path / "late", settings=Settings())
    ingest(late, facts, files=[file])
    (late.root / "abp.key").write_text(KEY)
    with pytest.raises(WorkspaceError, match="after logs had landed"):
        ingest(replace(late, settings=masked.settings), facts, files=[file])


@pytest.mark.parametrize(
    ("place", "key", "told"),
    [
        ("nix.key", None, "cannot be read.*openssl"),
        ("abp.key", "short", "has 5 bytes"),
        ("data/abp.key", KEY, "among the data"),
        ("data/../data/abp.key", KEY, "among the data"),
    ],
)
def test_a_key_that_cannot_protect_is_refused(workspace, place, key, told):
    """The key must be readable, long enough, and lie outside of the data that it protects."""
    masked = replace(workspace, settings=Settings(privacy=Privacy(key_file=place)))
    if key:
        path = workspace.root / place
        (workspace.root / "data").mkdir(parents=True)
        path.write_text(key)
    with pytest.raises(WorkspaceError, match=told):
        pseudonyms_of(masked)
    assert not (workspace.landing / "privacy.json").exists()


def test_a_link_into_the_data_is_no_hiding_place(masked, tmp_path):
    """A key that is only linked from outside is refused as well."""
    masked.data.mkdir()
    (masked.data / "key").write_text(KEY)
    (masked.root / "abp.key").unlink()
    (masked.root / "abp.key").symlink_to(masked.data / "key")
    with pytest.raises(WorkspaceError, match="among the data"):
        pseudonyms_of(masked)


def test_assign_takes_raw_ids_and_goes_by_stored_ones(tmp_path):
    """``abp assign`` answers for the stored id; ``--stored`` takes one as it is."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "abp.yaml").write_text("privacy: {pseudonyms: {key_file: abp.key}}\n")
    (tmp_path / "abp.key").write_text(KEY)
    (tmp_path / "experiments" / "lamps.yaml").write_text(
        "key: lamps\nvariants: {a: {control: true}, b: {}}\nmetrics: {primary: ctr}\n"
        "forced: {b: [qa-1]}\n"
    )

    def call(*words):
        words = ["lamps", *words, "--json", "-w", str(tmp_path)]
        result = CliRunner().invoke(assign, words, catch_exceptions=False)
        return json.loads(result.stdout)

    stored = Pseudonyms(KEY.encode()).stored("unit-1")
    workspace = open_workspace(tmp_path)
    expected = assign_unit(Registry(workspace).plan("lamps", workspace.clock()), stored)
    (row,) = call("unit-1")
    assert (row["unit_id"], row["stored_id"]) == ("unit-1", stored)
    assert (row["variant"], row["bucket"]) == (expected.variant, expected.bucket)
    (same,) = call(stored, "--stored")
    assert (same["variant"], same["bucket"]) == (expected.variant, expected.bucket)
    forced = Pseudonyms(KEY.encode()).stored("qa-1")
    for words in (["qa-1"], [forced, "--stored"]):
        (row,) = call(*words)
        assert (row["variant"], row["reason"]) == ("b", "forced")


plain_values = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
fields = st.dictionaries(
    st.sampled_from(["email", "event_id", "query", "order_id", "attributes", "country", "ts"]),
    plain_values | st.just("unit-77") | st.lists(plain_values, max_size=2),
    max_size=6,
)


@given(
    row=fields, attributes=st.dictionaries(st.text(max_size=3), plain_values | st.just("unit-77"))
)
def test_whatever_an_event_holds_its_unit_is_gone(row, attributes):
    """A raw id is left in no field that may hold one, and a readable line stays readable."""
    guard = Guard(Pseudonyms(KEY.encode()), Tombstones())
    row.pop("country", None) if row.get("country") == "unit-77" else None
    told = {**row, "unit_id": "unit-77", "attributes": attributes}
    told = {name: value for name, value in told.items() if value != ["unit-77"]}
    passed = guard.line(json.dumps(told).encode())
    assert b"unit-77" not in passed
    assert json.loads(passed)["unit_id"] == guard.unit("unit-77")


@given(raw=st.binary(max_size=60))
def test_stand_ins_are_refused_for_the_same_reason(raw):
    """Bytes that are no event are replaced by bytes that are refused alike."""
    raw = raw.replace(b"\n", b"")

    def reason(line):
        try:
            decode_event(line)
        except EventRejected as error:
            return error.reason
        return "accepted"

    passed = Guard(Pseudonyms(KEY.encode()), Tombstones()).line(raw)
    assert b"\n" not in passed
    assert reason(passed) == reason(raw) if raw.strip() else passed == raw
