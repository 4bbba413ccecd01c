"""``abp forget``: a unit leaves every place, everyone else stays, and logs expire by age."""

import gzip
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.checkpoints import save_checkpoint
from abplatform.cli.forget import forget as command
from abplatform.errors import WorkspaceError
from abplatform.logs.forget import (
    find_expired,
    forget_expired,
    forget_units,
    reckon,
    search,
)
from abplatform.logs.forget.erase import erase_rows
from abplatform.logs.forget.trace import trace_units
from abplatform.logs.landing import (
    Landing,
    MappingText,
    find_segment,
    land_file,
    sealed_segments,
)
from abplatform.logs.load import check_identities, ingest
from abplatform.logs.load.declared import declared_facts
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import Door
from abplatform.settings import Privacy, Settings
from abplatform.workspace import Workspace

UNIT = "unit-1"


@pytest.fixture
def events(wire):
    """Three units; everything that follows from what unit-1 saw and bought."""
    shown = [
        wire("impression", f"i{n}", unit_id=f"unit-{n % 3}", decision_id=f"d{n}") for n in range(9)
    ]
    held = [
        wire(
            "decision",
            f"held{n}",
            decision_id=f"held{n}",
            unit_id=f"unit-{n}",
            action="hold",
            experiment="beauty",
            variant="generated",
        )
        for n in range(3)
    ]
    money = {"currency": "USD", "kind": "purchase", "value_micros": 9}
    return [
        *(wire("click", f"k{n}", impression_id=f"i{n}") for n in range(4)),
        *shown,
        *held,
        wire("click", "kd", decision_id="d4", position=1),
        wire("conversion", "o1", unit_id=UNIT, order_id="order-1", **money),
        wire("conversion", "o2", impression_id="i4", **money),
        wire("conversion", "o3", unit_id="unit-2", **money),
        wire("conversion", "r1", impression_id="i0", reverses="order-1", **money)
        | {"kind": "refund", "value_micros": -9},
        wire("cost", "c1", impression_id="i7", cost_micros=5, currency="USD"),
        wire("cost", "c2", impression_id="i8", cost_micros=5, currency="USD"),
        wire("feedback", "f1", impression_id="i1", score=0.5),
        wire("behaviour", "b1", unit_id=UNIT, action="view", item_id="p1"),
        wire("behaviour", "b2", unit_id="unit-0", action="view", item_id="p1"),
        wire("impression", "x1", unit_id="unit-2", attributes={"friend": UNIT}),
    ]


def is_theirs(event):
    """A slow, obvious reading of what is unit-1's among those events."""
    return (
        event.get("unit_id") == UNIT
        or event["event_id"] in {"k1", "kd", "o2", "r1", "c1", "f1", "x1"}
    )  # fmt: skip


def as_file(tmp_path, events, form, name="log"):
    path = tmp_path / f"{name}.{form}"
    names = list(dict.fromkeys(field for event in events for field in event))
    rows = [{field: event.get(field) for field in names} for event in events]
    if form == "parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
        return path
    text = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    if form.startswith("csv"):
        flat = [{**row, "attributes": None} for row in rows]
        text = pl.DataFrame(flat, infer_schema_length=None).write_csv().encode()
    if form.endswith(".gz"):
        text = gzip.compress(text)
    if form.endswith(".zst"):
        text = pa.Codec("zstd").compress(text, asbytes=True)
    path.write_bytes(text)
    return path


def rows_of(workspace):
    """Everything that the analysis reads, and what is kept of each event."""
    tables = {
        "exposures": "experiment, variant, unit_id, event_id, clicked, conversions, "
        "net_value_micros, cost_micros, feedbacks",
        "conversions": "event_id, unit_id",
        "behaviour": "event_id, unit_id",
    }
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert check_identities(warehouse) == []
        return {
            table: warehouse._connection.sql(
                f"SELECT {columns} FROM {table} ORDER BY ALL"  # noqa: S608 -- constants above
            ).fetchall()
            for table, columns in tables.items()
        }


def as_files(tmp_path, events, name):
    """A log in three parts of different form, so that what follows lies in another file."""
    forms = ("jsonl.gz", "csv.zst", "parquet")
    return [
        as_file(
            tmp_path, [event for event in events[n::3] if fits(event, form)], form, f"{name}{n}"
        )
        for n, form in enumerate(forms)
    ]


def fits(event, form):
    """Whether a form can hold an event: cells of CSV hold no attributes."""
    return not (form.startswith("csv") and "attributes" in event)


def test_what_is_left_is_as_if_the_unit_had_never_been(workspace, facts, events, tmp_path):
    """In whatever form they lie, the unit and all that follows go; nothing else changes."""
    assert fits(events[-1], ("jsonl.gz", "csv.zst", "parquet")[(len(events) - 1) % 3])
    before = ingest(workspace, facts, files=as_files(tmp_path, events, "log"))
    done = forget_units(workspace, facts, [UNIT])
    gone = sum(map(is_theirs, events))
    assert done.reckoning.events == gone
    assert done.reckoning.segments == 3
    assert done.reckoning.experiments == ("beauty",)
    totals = done.receipt.totals
    assert (totals.received, totals.forgotten) == (before.totals.received, gone)
    assert totals.holds
    assert done.receipt.data_version != before.data_version
    assert done.proof.left == []
    never = replace(workspace, root=tmp_path / "never")
    others = [event for event in events if not is_theirs(event)]
    ingest(never, facts, files=as_files(tmp_path, others, "others"))
    assert rows_of(workspace) == rows_of(never)


def test_lines_nobody_can_read_go_with_the_unit_they_name(workspace, facts, write, wire):
    """Quarantined bytes that name the unit are erased; other lines keep their numbers."""
    lines = [
        b"garbage of unit-1",
        b'{"unit_id": "unit-1"',
        b"garbage of unit-11",
        json.dumps({"unit_id": UNIT, "schema": 9}).encode(),
        json.dumps({"mail": UNIT}).encode(),
        b"\xff unit-1",
        b"still bad",
    ]
    file = write([wire("impression", "i1"), *lines])
    before = ingest(workspace, facts, files=[file])
    done = forget_units(workspace, facts, [UNIT])
    assert (before.totals.quarantined, done.receipt.totals.quarantined) == (7, 2)
    assert done.receipt.totals.forgotten == 5
    assert done.proof.left == []
    assert done.receipt.examples["not_json"].place.endswith(":4")


MAPPING = MappingText(
    b"event: impression\n"
    b"fields: {unit_id: user, creative_id: banner, product_id: banner}\n"
    b"constants: {category: a/b, experiment: beauty, variant: generated}\n"
    b"row_number: {event_id: imp}\ntime: {field: when}\nclicked: clicked\n"
)


def test_mapped_logs_forget_too(workspace, facts, tmp_path):
    """A mapped row goes with its click; numbers as ids are found; the originals stay known."""
    rows = [
        {"when": "2026-11-02T12:00:00Z", "user": 5000 + n % 3, "banner": "b", "clicked": n % 2}
        for n in range(9)
    ]
    files = [tmp_path / f"own.{form}" for form in ("csv", "parquet", "jsonl")]
    table = pl.DataFrame(rows)
    for write, file in zip(
        (table.write_csv, table.write_parquet, table.write_ndjson), files, strict=True
    ):
        write(file)
    before = ingest(workspace, facts, files=files, mapping=MAPPING)
    done = forget_units(workspace, facts, ["5001"])
    gone = 3 * sum(1 + row["clicked"] for row in rows if row["user"] == 5001)
    assert done.receipt.totals.forgotten == gone
    assert done.receipt.totals.received == before.totals.received
    again = ingest(workspace, facts, files=files, mapping=MAPPING)
    assert again.counts.duplicate == before.totals.received
    assert again.totals.accepted == before.totals.accepted - gone


def test_a_short_number_is_not_mistaken_for_others(workspace, facts, wire, write):
    """Forgetting unit 7 leaves what merely holds a 7: positions, creatives and other units."""
    kept = [
        wire("impression", "i1", unit_id="77", position=7, creative_id="7"),
        wire("impression", "i2", unit_id="17", attributes={"n": "7"}),
    ]
    ingest(workspace, facts, files=[write([*kept, wire("impression", "i3", unit_id="7")])])
    done = forget_units(workspace, facts, ["7"])
    assert (done.receipt.totals.accepted, done.receipt.totals.forgotten) == (2, 1)


def test_the_old_file_is_known_and_a_new_one_is_refused(workspace, facts, events, tmp_path):
    """Redelivery of the file is a duplicate; the unit's events in another one are forgotten."""
    file = as_file(tmp_path, events, "jsonl")
    first = ingest(workspace, facts, files=[file])
    (segment,) = sealed_segments(workspace)
    done = forget_units(workspace, facts, [UNIT])
    (rewritten,) = sealed_segments(workspace)
    assert find_segment(workspace, segment.sha256, None) == rewritten
    assert rewritten.earlier == (segment.sha256,)
    again = ingest(workspace, facts, files=[file])
    assert again.counts.duplicate == first.counts.received
    assert again.data_version == done.receipt.data_version
    mixed = as_file(tmp_path, events[::-1], "jsonl", "mixed")
    third = ingest(workspace, facts, files=[mixed])
    named = sum(event.get("unit_id") == UNIT for event in events)
    assert third.counts.forgotten == named
    assert third.totals.holds
    (left,) = search(workspace, [UNIT]).left[:1]
    # Only the event of somebody else that mentions the unit: it is no event of the unit's own.
    landed = (workspace.root / left).read_bytes()
    assert landed.count(b"unit-1") == landed.count(b'"friend"') == 1


def test_a_collector_refuses_and_counts_the_forgotten(workspace, facts, events):
    """A line of a forgotten unit is acknowledged, never written, and counted."""
    lines = [json.dumps(event).encode() for event in events if event["event_id"] != "x1"]
    forget_units(workspace, facts, [UNIT])
    with Landing(workspace) as landing:
        landing.append("web", lines)
        assert search(workspace, [UNIT]).left == []
    receipt = ingest(workspace, facts)
    named = sum(event.get("unit_id") == UNIT for event in events)
    assert (receipt.counts.received, receipt.counts.forgotten) == (len(lines), named)


def test_a_writer_that_was_open_all_the_time_obeys(workspace, facts, events):
    """A collector keeps running: its open segment is waited for, and then it refuses the unit."""
    lines = [json.dumps(event).encode() for event in events]
    landing = Landing(workspace)
    landing.append("web", lines)
    with pytest.raises(WorkspaceError, match="keeps a segment open"):
        forget_units(workspace, facts, [UNIT], patience_seconds=0)
    landing.append("web", [line for line in lines if b'"friend"' not in line])
    landing.seal()
    done = forget_units(workspace, facts, [UNIT])
    assert done.proof.left == []
    assert done.receipt.totals.holds


def test_with_pseudonyms_people_are_named_by_their_raw_ids(workspace, facts, events, write):
    """The raw id finds the stored one; neither is left."""
    workspace.root.mkdir(parents=True)
    (workspace.root / "abp.key").write_text("k" * 40)
    masked = replace(workspace, settings=Settings(privacy=Privacy(key_file="abp.key")))
    ingest(masked, facts, files=[write([event for event in events if event["event_id"] != "x1"])])
    done = forget_units(masked, facts, [UNIT])
    assert done.receipt.totals.forgotten == sum(map(is_theirs, events)) - 1
    assert done.proof.left == []


def test_what_was_written_from_events_is_cleaned(workspace, facts, events, tmp_path):
    """Receipts of turns and Parquet lose the id; pairs and models that learned are listed."""
    ingest(workspace, facts, files=[as_file(tmp_path, events, "jsonl")])
    turn = workspace.runs / "2026-W45" / "ingest" / "_SUCCESS"
    turn.parent.mkdir(parents=True)
    told = {"examples": {"not_json": {"raw": "bad line of unit-1"}}, "accepted": 3}
    turn.write_text(json.dumps(told))
    workspace.pairs.mkdir()
    pairs = pl.DataFrame({"experiment": ["beauty", "other"], "chosen_creative": ["a", "b"]})
    pairs.write_parquet(workspace.pairs / "2026-W45.parquet")
    pairs.filter(experiment="other").write_parquet(workspace.pairs / "2026-W46.parquet")
    odd = workspace.data / "odd.parquet"
    pl.DataFrame({"who": [UNIT, "unit-2"]}).write_parquet(odd)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.txt").write_text("none")
    at = datetime(2026, 11, 20, tzinfo=UTC)
    trained = {
        week: save_checkpoint(
            workspace.checkpoints, folder, kind="reward", metadata={"weeks": [week]}, created_at=at
        ).sha256
        for week in ("2026-W45", "2026-W46")
    }
    done = forget_units(workspace, facts, [UNIT])
    assert done.reckoning.weeks == ("2026-W45",)
    assert done.reckoning.checkpoints == (trained["2026-W45"],)
    assert sorted(done.changed) == ["data/odd.parquet", "data/runs/2026-W45/ingest/_SUCCESS"]
    assert json.loads(turn.read_bytes())["examples"]["not_json"]["raw"] == "(forgotten)"
    assert pl.read_parquet(odd)["who"].to_list() == ["unit-2"]
    assert done.proof.left == []


def test_the_proof_finds_what_forgetting_cannot_reach(workspace, facts, events, tmp_path):
    """A file of unknown kind that names the unit is told of; its neighbour is not."""
    ingest(workspace, facts, files=[as_file(tmp_path, events, "jsonl")])
    (workspace.data / "notes.txt").write_text("call unit-1 back")
    (workspace.data / "notes.txt.gz").write_bytes(gzip.compress(b"and (unit-1)"))
    (workspace.data / "other.txt").write_text("call unit-11 back, and unit-1x")
    proof = forget_units(workspace, facts, [UNIT]).proof
    assert proof.left == ["data/notes.txt", "data/notes.txt.gz"]


def test_reckoning_changes_nothing(workspace, facts, events, tmp_path):
    """Saying how much will go leaves every byte of the landing as it is."""
    ingest(workspace, facts, files=[as_file(tmp_path, events, "csv")])
    files = {path: path.read_bytes() for path in workspace.landing.rglob("*") if path.is_file()}
    found = reckon(workspace, facts, [UNIT])
    # In CSV the attributes that name the unit are left out.
    assert found.events == sum(map(is_theirs, events)) - 1
    assert found.segments == 1
    assert files == {
        path: path.read_bytes() for path in workspace.landing.rglob("*") if path.is_file()
    }


def test_forgetting_twice_changes_nothing(workspace, facts, events, tmp_path):
    """The second time there is nothing to remove, and the store stays as it is."""
    ingest(workspace, facts, files=[as_file(tmp_path, events, "jsonl")])
    first = forget_units(workspace, facts, [UNIT])
    built = workspace.warehouse.stat().st_ino
    (workspace.data / "warehouse.duckdb.aside-1").write_bytes(b"an old copy of unit-1")
    again = forget_units(workspace, facts, [UNIT])
    assert again.reckoning.events == 0
    assert again.proof.left == []
    assert workspace.warehouse.stat().st_ino == built
    assert again.receipt.totals == first.receipt.totals
    assert again.receipt.data_version == first.receipt.data_version
    other = forget_units(workspace, facts, ["unit-2"])
    (segment,) = sealed_segments(workspace)
    assert len(segment.earlier) == 2
    assert other.receipt.totals.received == first.receipt.totals.received


ids = st.sampled_from(["ann-1", "bob-22", "cy-333", "münze-4", 'quo"te-5', "back\\slash-6"])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shown=st.lists(st.tuples(ids, st.booleans()), min_size=1, max_size=12),
    cuts=st.sets(st.integers(1, 23), max_size=3),
    gone=ids,
    ascii_only=st.booleans(),
)
def test_any_log_forgets_exactly_one_unit(tmp_path_factory, wire, *, shown, cuts, gone, ascii_only):
    """However a log is cut into files and its ids are spelt, exactly the unit's lines go."""
    rows = []
    for number, (unit, clicked) in enumerate(shown):
        rows.append((unit, wire("impression", f"i{number}", unit_id=unit)))
        if clicked:
            rows.insert(0, (unit, wire("click", f"k{number}", impression_id=f"i{number}")))
    folder = tmp_path_factory.mktemp("forget")
    workspace = Workspace(folder / "ws", clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    lines = [(json.dumps(event, ensure_ascii=ascii_only), unit) for unit, event in rows]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        file = folder / f"{number}.jsonl"
        file.write_text("".join(line + "\n" for line, _ in lines[begin:end]))
        land_file(workspace, file, source="web")
    everything = sealed_segments(workspace)
    trace, held = trace_units(workspace, everything, [gone])
    now = workspace.clock()
    door = Door({"beauty": frozenset({"generated"})}, now, frozenset())
    erased = sum(
        erase_rows(workspace, trace, segment, door).total()
        for segment in everything
        if segment.number in held
    )
    assert erased == sum(unit == gone for _, unit in lines)
    left = [one.path.read_text().splitlines() for one in sealed_segments(workspace)]
    expected = [" " if unit == gone else line for line, unit in lines]
    assert list(itertools.chain(*left)) == expected
    assert search(workspace, [gone]).left == []


EVERY_POINT = [
    "forget.bury",
    "forget.rewrite",
    "forget.rewrite:2",
    "forget.remove",
    "forget.erased",
    "forget.rebuild",
    "load.begin",
    "load.insert",
    "load.commit",
    "forget.built",
]


@pytest.mark.fault
def test_killed_anywhere_and_run_again_it_is_done(workspace, facts, events, tmp_path, pytestconfig):
    """Killed at any point of its way, the command finishes when it is run again."""
    files = [as_file(tmp_path, part, "jsonl", f"log{n}") for n, part in enumerate(
        (events[:9], events[9:18], events[18:])
    )]  # fmt: skip
    only = {"beauty": facts["beauty"]}
    ingest(workspace, only, files=files)
    points = ["forget.rewrite:2", "forget.rebuild", "nowhere"]
    if pytestconfig.getoption("repeat") > 1:
        points = [*EVERY_POINT, "nowhere"]
    driver = Path(__file__).with_name("forget_driver.py")
    ran = subprocess.run(
        [sys.executable, str(driver), str(workspace.root), UNIT, *points],
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    *killed, whole = told
    assert [one["signal"] for one in told] == [9] * len(killed) + [0]
    for one in told:
        assert one["again"] == 0, one["point"]
        assert one["left"] == []
        for fact in ("totals", "data_version", "segments", "files"):
            assert one[fact] == whole[fact], (one["point"], fact)


@pytest.fixture
def aged(workspace, facts, wire, write):
    """A workspace that keeps logs for ten days: one old segment, one young one, one of no event."""
    old = [wire("impression", f"i{n}", unit_id=f"unit-{n}") for n in range(3)]
    young = [wire("impression", f"y{n}", after=timedelta(days=15)) for n in range(2)]
    kept = replace(workspace, settings=Settings(privacy=Privacy(retention=timedelta(days=10))))
    for events in (old, [*young, old[0]], [b"nothing but garbage"]):
        ingest(kept, facts, files=[write(events)])
    return kept


def test_old_logs_expire_by_their_newest_event(aged, facts):
    """Segments whose newest event is too old are emptied and counted; younger ones stay whole."""
    (one,) = find_expired(aged, facts)
    assert (one.segment.number, one.events) == (1, 3)
    before = ingest(aged, facts, read_sources=False)
    expired, receipt = forget_expired(aged, facts)
    assert [one.segment.number for one in expired] == [1]
    totals = receipt.totals
    # The young segment's copy of an old event was a duplicate and now counts by itself.
    assert (totals.received, totals.forgotten, totals.accepted) == (7, 3, 3)
    assert before.totals.received == totals.received
    assert totals.holds
    (aged.data / "warehouse.duckdb.aside-1").write_bytes(b"a copy of unit-1")
    assert forget_expired(aged, facts) == ([], None)
    assert search(aged, ["unit-1"]).left == []


def test_an_expired_file_does_not_come_back(aged, facts, tmp_path):
    """The same file delivered again is known, lands no second time and brings nothing."""
    file = tmp_path / "log0.jsonl"
    forget_expired(aged, facts)
    again = ingest(aged, facts, files=[file])
    assert (again.counts.duplicate, again.counts.accepted) == (3, 0)


def test_every_form_can_be_emptied(aged, facts, wire, tmp_path):
    """An emptied segment of each form is read as one without events, and keeps its columns."""
    forms = ("csv", "csv.gz", "parquet", "jsonl.zst")
    files = [
        as_file(tmp_path, [wire("impression", f"{form}{n}") for n in range(3)], form)
        for form in forms
    ]
    ingest(aged, facts, files=files)
    _, receipt = forget_expired(aged, facts)
    assert receipt.totals.forgotten == 3 + 3 * len(forms)
    assert receipt.totals.holds
    emptied = {one.form: one.path for one in sealed_segments(aged) if one.forgotten}
    assert emptied.keys() == {"jsonl", *forms}
    assert "unit_id" in pl.read_parquet_schema(emptied["parquet"])
    assert emptied["csv"].read_text().splitlines()[0].startswith("schema,event_type")


def test_retention_must_be_set(workspace, facts):
    """Without a length of time nothing expires, and the remedy says how to set one."""
    with pytest.raises(WorkspaceError, match="retention: 400d"):
        find_expired(workspace, facts)


@pytest.fixture
def folder(tmp_path, events, write):
    """A workspace on the disk with a running experiment and a loaded log."""
    root = tmp_path / "shop"
    (root / "experiments").mkdir(parents=True)
    (root / "abp.yaml").write_text("privacy: {retention: 400d}\n")
    (root / "experiments" / "beauty.yaml").write_text(
        "key: beauty\nassignment: external\n"
        "variants: {baseline: {control: true, weight: 50}, generated: {weight: 50}}\n"
        "metrics: {primary: ctr}\n"
    )
    with Landing(Workspace(root)) as landing:
        landing.append("web", [json.dumps(event).encode() for event in events])
    return root


def call(folder, *words, answer=None):
    return CliRunner().invoke(
        command, [*words, "-w", str(folder)], input=answer, catch_exceptions=False
    )


def test_the_command_asks_first(folder):
    """It says how much will go and asks; no means that nothing changes."""
    result = call(folder, UNIT, answer="n\n")
    assert result.exit_code == 1
    assert "13 events in 1 segment will go (experiments: beauty)." in result.stdout
    assert search(Workspace(folder), [UNIT]).left
    done = call(folder, UNIT, answer="y\n")
    assert done.exit_code == 0
    assert "0 still hold an id" in done.stdout
    assert "27 received = 14 accepted" in done.stdout
    assert "13 forgotten" in done.stdout


def test_the_command_prints_one_object(folder):
    """--json with --yes prints what went, the proof and the identity."""
    told = json.loads(call(folder, UNIT, "--yes", "--json").stdout)
    assert told["events"] == told["totals"]["forgotten"]
    assert told["proof"]["left"] == []
    assert told["checkpoints"] == []
    assert call(folder, UNIT, "--json").exit_code == 2


@pytest.mark.parametrize("words", [(), (UNIT, "--expired")])
def test_the_command_takes_units_or_age(folder, words):
    """Units and age are two questions, and one must be asked."""
    assert call(folder, *words).exit_code == 2


def test_what_cannot_be_reached_fails_the_command(folder):
    """An id that is left somewhere is named, and the exit status says so."""
    (folder / "data" / "notes.txt").write_text("unit-1")
    result = call(folder, UNIT, "--yes")
    assert result.exit_code == 1
    assert "error: data/notes.txt still holds an id" in result.stderr


def test_the_command_expires(folder):
    """--expired says what is too old; a young log stays."""
    result = call(folder, "--expired", "--yes")
    assert result.exit_code == 0
    assert "No log is older" in result.stdout
    (folder / "abp.yaml").write_text("privacy: {retention: 1d}\n")
    told = json.loads(call(folder, "--expired", "--dry-run", "--json").stdout)
    assert told["dry_run"]
    done = call(folder, "--expired", "--yes")
    assert "Emptied" in done.stdout or not told["segments"]


DECLARING = MappingText(
    b"event: impression\n"
    b"fields: {unit_id: user, experiment: test, variant: side, creative_id: ad, product_id: ad}\n"
    b"constants: {category: beauty}\n"
    b"row_number: {event_id: row}\n"
    b"time: {field: when}\n"
    b"experiment: {assignment: external, control: first}\n"
)


@pytest.fixture
def declared(workspace, tmp_path):
    """A log of two sides that no YAML describes; the first row is one unit's."""
    rows = [f"2026-11-02T12:00:0{n}Z,unit-{n},own,{'ab'[n % 2]},c1" for n in range(1, 7)]
    rows = [row.replace(",b,", ",new,").replace(",a,", ",old,") for row in rows]
    path = tmp_path / "sides.csv"
    path.write_text("\n".join(["when,user,test,side,ad", *rows]) + "\n")
    ingest(workspace, {}, files=[path], mapping=DECLARING)
    return path


def sides_of(workspace):
    """The declared experiment's variants in order, the control first by its rule."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        return {
            key: (list(facts.variants), facts.control)
            for key, facts in declared_facts(warehouse).items()
        }


@pytest.mark.parametrize("unit", ["unit-1", "unit-2"])
def test_forgetting_a_unit_leaves_the_control_the_control(workspace, declared, unit):
    """A log's first row names the control, also when that row is forgotten."""
    assert declared.exists()
    before = sides_of(workspace)
    assert before == {"own": (["new", "old"], "new")}
    forget_units(workspace, {}, [unit])
    assert sides_of(workspace) == before


def test_what_expired_stays_declared(workspace, declared, tmp_path):
    """A later log that begins with the other side does not make that one the control."""
    before = sides_of(workspace)
    old = replace(workspace, settings=Settings(privacy=Privacy(retention=timedelta(days=1))))
    assert forget_expired(old, {})[0]
    assert sides_of(workspace) == before
    lines = declared.read_text().replace("2026-11-02", "2026-11-03").splitlines()
    later = tmp_path / "later.csv"
    later.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    ingest(workspace, {}, files=[later], mapping=DECLARING)
    assert sides_of(workspace) == before
