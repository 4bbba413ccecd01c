"""Loading: every event counted once, whatever the order, the batches and the faults."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.durable import FAULT
from abplatform.errors import IngestError, StoreError, WorkspaceLocked
from abplatform.logs.attribution import refresh_exposures
from abplatform.logs.checkup.landing import check_landing
from abplatform.logs.landing import Landing, Segment, sealed_segments
from abplatform.logs.load import ingest
from abplatform.logs.load.admission import door_of
from abplatform.logs.load.loader import Loader, Store
from abplatform.logs.load.versions import _SILENT
from abplatform.logs.store.tables import EVENT_TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
COUNTS = ("received", "accepted", "quarantined", "duplicate", "superseded", "forgotten")


def impression(number, unit="u1", **fields):
    event = {
        "schema": 1,
        "event_type": "impression",
        "event_id": f"i{number}",
        "ts": f"2026-11-02T12:{number:02d}:00Z",
        "unit_id": unit,
        "creative_id": "c1",
        "product_id": "p1",
        "category": "beauty",
        "assignments": [{"experiment": "beauty", "variant": "generated"}],
    }
    return json.dumps(event | fields).encode()


def click(number, second):
    event = {"schema": 1, "event_type": "click", "event_id": f"k{number}"}
    event |= {"ts": f"2026-11-02T13:00:{second:02d}Z", "impression_id": f"i{number}"}
    return json.dumps(event).encode()


def report(number, revision, clicks):
    event = {
        "schema": 1,
        "event_type": "aggregate",
        "event_id": f"whatever {number} {revision} {clicks}",
        "ts": "2026-11-03T00:00:00Z",
        "experiment": "beauty",
        "variant": "generated",
        "category": "beauty",
        "product_id": f"p{number}",
        "creative_id": "c1",
        "day": "2026-11-02",
        "impressions": 100,
        "clicks": clicks,
        "revision": revision,
    }
    return json.dumps(event).encode()


# A small world, so that redeliveries, contradictions and revisions meet all the time.
deliveries = st.lists(
    st.one_of(
        st.builds(impression, st.integers(0, 4), st.sampled_from(["u1", "u2"])),
        st.builds(click, st.integers(0, 5), st.integers(0, 1)),
        st.builds(report, st.integers(0, 2), st.integers(1, 3), st.integers(0, 1)),
        st.sampled_from([b"not json", b'{"schema":1,"event_type":"click","event_id":"x"}']),
    ),
    max_size=40,
)


def expected_counts(lines):
    """Count by the promise, in the slowest way: versions of ids, revisions of keys."""
    versions, bad = defaultdict(Counter), 0
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            bad += 1
            continue
        if event["event_type"] == "click" and "impression_id" not in event:
            bad += 1
        elif event["event_type"] == "aggregate":
            versions["report", event["product_id"], event["revision"]][event["clicks"]] += 1
        else:
            versions[event["event_id"]][line] += 1
    single = {key: found for key, found in versions.items() if len(found) == 1}
    highest = {}
    for key in single:
        if key[0] == "report":
            highest[key[1]] = max(highest.get(key[1], 0), key[2])
    old = sum(1 for key in single if key[0] == "report" and key[2] < highest[key[1]])
    conflicting = sum(len(found) for found in versions.values() if len(found) > 1)
    deliveries_of_good = sum(sum(found.values()) for found in versions.values())
    return {
        "received": len(lines),
        "accepted": len(single) - old,
        "quarantined": bad + conflicting,
        "duplicate": deliveries_of_good - sum(len(found) for found in versions.values()),
        "superseded": old,
        "forgotten": 0,
    }


def load_in_batches(workspace, facts, folder, batches):
    """Load each batch as a segment of its own and return totals and exposures."""
    segments = {}
    for number, lines in enumerate(batches, start=1):
        path = folder / f"{number}.jsonl"
        # Blank lines tell batches of equal lines apart, which else were one segment sent twice.
        path.write_bytes(b"".join(line + b"\n" for line in lines) + b"\n" * number)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        segments[number] = Segment(number, path, "web", sha256, CLOCK)
    with Warehouse.in_memory() as warehouse:
        store = Store(warehouse, segments, workspace.settings.time_zone)
        loader = Loader(store, lambda segment: door_of(workspace, facts, segment))
        list(loader.load(segments.values()))
        refresh_exposures(warehouse, facts.values())
        totals = warehouse.query("load/total").to_dicts()[0]
        raws = warehouse._connection.sql("SELECT raw FROM quarantine").fetchall()
        rows = warehouse._connection.sql(
            "SELECT experiment, variant, unit_id, event_id, clicked FROM exposure_rows ORDER BY ALL"
        ).fetchall()
        reports = warehouse._connection.sql(
            "SELECT product_id, clicks FROM aggregates_current ORDER BY ALL"
        ).fetchall()
    return totals, rows, reports, sorted(raw for (raw,) in raws)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lines=deliveries, data=st.data())
def test_order_batches_and_redelivery_change_nothing(workspace, facts, tmp_path, lines, data):
    """Any order and any batching give the same totals, rows, reports and quarantined bytes."""
    shuffled = data.draw(st.permutations(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3)))
    edges = [0, *cuts, len(lines)]
    batches = [shuffled[low:high] for low, high in pairwise(edges)]
    batches = [batch for batch in batches if batch] or [[]]
    folders = (tmp_path / "one", tmp_path / "many")
    for folder in folders:
        folder.mkdir(exist_ok=True)
    one = load_in_batches(workspace, facts, folders[0], [lines])
    many = load_in_batches(workspace, facts, folders[1], batches)
    assert one == many
    assert one[0] == expected_counts(lines)


def test_every_bad_line_is_kept_with_its_bytes_place_and_reason(take_in, rows_of, wire):
    """Quarantine holds raw bytes, line number, source and one reason; the good lines count."""
    lines = [
        b"\xef\xbb\xbf" + json.dumps(wire("impression", "i1")).encode(),
        b"\xff\x00 what is this",
        wire("click", "k1"),
        b"",
        wire("impression", "i2", experiment="unheard-of"),
        wire("impression", "i3", variant="third"),
        wire("impression", "i4", ts="1999-12-31T23:59:59Z"),
        wire("impression", "i5", ts="2026-11-23T00:00:00.000001Z"),
        wire("impression", "i6", ts="2026-11-23T00:00:00Z", category="beauty//lip"),
        wire("impression", "i7", ts="2026-11-02T12:00:00"),
        b"x" * 1_000_001,
        b'{"schema":1,"event_type":"click","event_id":"k',
    ]
    receipt = take_in(lines, source="web")
    assert receipt.counts.accepted == 1
    assert receipt.by_source["web"] == receipt.counts
    found = rows_of("SELECT line, source, reason, raw FROM quarantine ORDER BY line")
    assert [(line, source, reason) for line, source, reason, _ in found] == [
        (2, "web", "not_utf8"),
        (3, "web", "click_without_target"),
        (5, "web", "unknown_experiment"),
        (6, "web", "unknown_variant"),
        (7, "web", "before_2000"),
        (8, "web", "from_the_future"),
        (9, "web", "wrong_value"),
        (10, "web", "naive_timestamp"),
        (11, "web", "too_long"),
        (12, "web", "truncated"),
    ]
    assert found[0][3] == b"\xff\x00 what is this"
    assert json.loads(found[1][3])["event_id"] == "k1"
    assert len(found[8][3]) == 4096
    assert receipt.examples["unknown_variant"].place.endswith(":6")


def test_a_file_delivered_again_changes_nothing(workspace, facts, write, wire, exposures):
    """Received N, duplicate N, accepted 0, the same data version; totals count both deliveries."""
    file = write([wire("impression", "i1"), wire("click", "k1", impression_id="i1"), b"bad"])
    first = ingest(workspace, facts, files=[file])
    before = exposures()
    renamed = file.with_name("renamed.jsonl")
    renamed.write_bytes(file.read_bytes())
    second = ingest(workspace, facts, files=[renamed])
    assert asdict(second.counts) == dict.fromkeys(COUNTS, 0) | {"received": 3, "duplicate": 3}
    assert second.data_version == first.data_version
    assert asdict(second.totals) == asdict(first.totals) | {"received": 6, "duplicate": 3}
    assert exposures() == before
    assert len(sealed_segments(workspace)) == 1


def test_the_same_bytes_sealed_twice_are_one_delivery_more(workspace, facts, wire):
    """A collector that sends a whole segment again adds nothing but duplicates."""
    versions = []
    for _ in range(2):
        with Landing(workspace) as landing:
            landing.append("web", [json.dumps(wire("impression", "i1")).encode(), b"bad"])
        receipt = ingest(workspace, facts)
        versions.append(receipt.data_version)
    assert versions[0] == versions[1]
    assert asdict(receipt.counts) == dict.fromkeys(COUNTS, 0) | {"received": 2, "duplicate": 2}


def test_one_id_with_two_contents_counts_no_more(take_in, wire, exposures, rows_of):
    """Every version moves to the quarantine, with its bytes and place, and the ledger follows."""
    first = take_in([wire("impression", "i1"), wire("impression", "i2")])
    assert first.totals.accepted == 2
    second = take_in([wire("impression", "i1", unit_id="other"), wire("impression", "i3")])
    assert second.reasons == {"conflicting_id": 1}
    assert second.withdrawn == 1
    assert (second.totals.accepted, second.totals.quarantined) == (2, 2)
    assert set(exposures()) == {("beauty", "i2"), ("beauty", "i3")}
    found = rows_of("SELECT segment_number, line, raw FROM quarantine ORDER BY ALL")
    assert [(number, line) for number, line, _ in found] == [(1, 1), (2, 1)]
    assert [json.loads(raw)["unit_id"] for _, _, raw in found] == ["u1", "other"]
    third = take_in([wire("impression", "i1"), wire("impression", "i1", unit_id="a third")])
    assert (third.counts.duplicate, third.counts.quarantined) == (1, 1)
    assert third.totals.holds


def test_a_delivery_is_judged_with_all_its_assignments(take_in, wire):
    """With the same assignments an event is told again; with one less, or another, it is not."""
    beauty = {"experiment": "beauty", "variant": "generated"}
    layout = [{"experiment": "layout", "variant": name} for name in ("a", "b")]

    def shown(name, *assignments):
        return wire("impression", name, assignments=[beauty, *assignments])

    first = [shown(f"i{n}", layout[0]) for n in range(4)] + [shown("i4")]
    assert take_in(first).counts.accepted == 5
    again = [
        shown("i0", layout[0]),
        shown("i1"),
        shown("i2", layout[1]),
        *(shown("i3", layout[0]), shown("i3", layout[0])),
        shown("i4", layout[0]),
    ]
    second = take_in(again)
    assert second.counts.duplicate == 3
    assert second.reasons == {"conflicting_id": 3}
    assert (second.withdrawn, second.totals.accepted) == (3, 2)


def test_what_is_told_again_is_compared_where_it_stands(take_in, wire, monkeypatch):
    """Of a second delivery nothing but hashes is read out of the store: a log may be long."""
    events = [wire("impression", f"i{n}") for n in range(50)]
    clicks = [wire("click", f"c{n}", impression_id=f"i{n}") for n in range(5)]
    take_in(events + clicks)
    answers = {}

    ask = Warehouse.query

    def overhear(self, name, /, **values):
        rows = ask(self, name, **values)
        answers[name] = answers.get(name, 0) + len(rows)
        return rows

    monkeypatch.setattr(Warehouse, "query", overhear)
    changed = wire("impression", "i0", unit_id="other")
    receipt = take_in([changed, *events[1:], *clicks, wire("impression", "new")])
    assert (receipt.counts.duplicate, receipt.counts.accepted) == (54, 1)
    assert answers["load/told_again"] == 54
    assert answers["load/versions"] == 2


def test_every_column_is_content_or_tells_where_an_event_stands():
    """Whoever adds a column decides whether it makes two deliveries different events."""
    silent = set(_SILENT)
    with Warehouse.in_memory() as warehouse:
        content = {
            table: set(warehouse.query("load/no_rows", table=table).columns) - silent
            for table in EVENT_TABLES
        }
    shown = {"ordinal", "experiment", "variant", "day", "unit_id", "creative_id", "product_id"}
    shown |= {"category", "decision_id", "channel", "placement", "position", "country", "segment"}
    shown |= {"propensity", "explored", "stratum", "reason", "user_agent", "attributes"}
    counts = {"impressions", "clicks", "conversions", "value_micros", "cost_micros", "revision"}
    report = {"experiment", "variant", "category", "product_id", "creative_id", "day", "event_key"}
    paid = {"paid_micros", "currency"}
    found = {table: columns - {"event_id", "ts_micros"} for table, columns in content.items()}
    assert found == {
        "impressions": shown,
        "decisions": shown | {"action"},
        "clicks": {"impression_id", "decision_id", "position"},
        "conversions": {"impression_id", "unit_id", "kind", "order_id", "reverses"} | paid,
        "costs": {"impression_id", "experiment", "variant", "day"} | paid,
        "feedback": {"impression_id", "score_micros"},
        "behaviour": {
            *("unit_id", "action", "item_id", "query", "text", "rating_micros", "value_micros"),
        },
        "aggregates": report | counts,
    }


def test_an_id_may_not_be_used_by_two_kinds_of_event(take_in, wire):
    """Ids are unique over all event types."""
    receipt = take_in([wire("impression", "x"), wire("click", "x", impression_id="x")])
    assert receipt.reasons == {"conflicting_id": 2}


def test_the_highest_revision_of_a_report_counts(take_in, rows_of):
    """Networks restate recent days; earlier numbers are kept and counted as superseded."""
    first = take_in([report(1, 1, 5), report(2, 1, 5)])
    second = take_in([report(1, 3, 9)])
    third = take_in([report(1, 2, 7)])
    assert (first.counts.accepted, second.counts.accepted) == (2, 1)
    assert second.withdrawn == 1
    assert (third.counts.accepted, third.counts.superseded) == (0, 1)
    assert (third.totals.accepted, third.totals.superseded) == (2, 2)
    current = "SELECT product_id, clicks FROM aggregates_current ORDER BY ALL"
    assert rows_of(current) == [("p1", 9), ("p2", 5)]


def test_a_report_without_revision_is_as_new_as_its_landing(workspace, facts, write, rows_of):
    """What was fetched later counts, and reports of two sources add up."""
    for day, clicks, source in [(1, 5, "meta"), (2, 8, "meta"), (1, 1, "google")]:
        row = json.loads(report(1, 1, clicks))
        del row["revision"]
        later = Workspace(workspace.root, clock=lambda day=day: CLOCK + timedelta(days=day))
        ingest(later, facts, files=[write([row])], source=source)
    current = "SELECT source, clicks FROM aggregates_current ORDER BY ALL"
    assert rows_of(current) == [("google", 1), ("meta", 8)]


def test_events_count_for_the_source_they_name(take_in, wire):
    """An event that names a source counts there; its file's source takes the rest."""
    receipt = take_in(
        [wire("impression", "i1", source="app"), wire("impression", "i2"), b"bad"], source="web"
    )
    assert {name: asdict(counts)["received"] for name, counts in receipt.by_source.items()} == {
        "app": 1,
        "web": 2,
    }
    assert set(receipt.watermarks) == {"app", "web"}


def test_watermarks_rise_with_the_clock_and_never_fall(workspace, facts, write, wire):
    """Reading again raises a source's watermark; an earlier --as-of does not lower it."""
    one = ingest(workspace, facts, files=[write([wire("impression", "i1")])], source="web")
    later = replace(workspace, clock=lambda: CLOCK + timedelta(days=3))
    two = ingest(later, facts)
    three = ingest(later, facts, as_of=CLOCK - timedelta(days=3), source="web")
    assert one.watermarks == {"web": "2026-11-22T00:00:00+00:00"}
    assert two.watermarks == three.watermarks == {"web": "2026-11-25T00:00:00+00:00"}


@pytest.mark.parametrize("damage", ["deleted", "overwritten", "torn", "another schema"])
def test_the_warehouse_is_made_anew_from_the_landing(workspace, facts, write, exposures, damage):
    """Missing or damaged, it is moved aside and rebuilt with equal totals, rows and watermarks."""
    lines = [impression(n) for n in range(5)] + [click(2, 0), click(2, 0), report(1, 1, 5), b"bad"]
    file = write(lines)
    ingest(workspace, facts, files=[file], source="web")
    ingest(workspace, facts, files=[file], source="web")
    ingest(workspace, facts, files=[write([impression(3, "other"), report(1, 2, 6)])])
    before, rows = ingest(workspace, facts), exposures()
    path = workspace.warehouse
    if damage == "deleted":
        path.unlink()
    elif damage == "overwritten":
        path.write_bytes(b"\x00" * 10_000)
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            warehouse.execute("load/set_meta", name="stamp", value="older")
    much_later = replace(workspace, clock=lambda: CLOCK + timedelta(days=300))
    after = ingest(much_later, facts, source="web")
    assert after.totals == before.totals
    assert after.data_version == before.data_version
    moved = {("beauty", key): row for (_, key), row in exposures().items()}
    for found in (rows, moved):
        for row in found.values():
            row.pop("source_watermark")
    assert moved == rows
    aside = list(workspace.data.glob("warehouse.duckdb.aside-*"))
    assert len(aside) == (0 if damage == "deleted" else 1)
    assert (after.moved_aside is None) is (damage == "deleted")


def test_events_of_an_experiment_described_later_come_in(workspace, facts, write, wire):
    """Lines quarantined for an unknown experiment or variant count once its YAML is there."""
    lines = [
        wire("impression", "i1"),
        wire("impression", "i2", experiment="layout", variant="b"),
        wire("impression", "i3", variant="third"),
    ]
    only = {"beauty": facts["beauty"]}
    first = ingest(workspace, only, files=[write(lines)])
    assert first.reasons == {"unknown_experiment": 1, "unknown_variant": 1}
    more = replace(facts["beauty"], weights={"baseline": 50.0, "generated": 25.0, "third": 25.0})
    for known, accepted in ((only, 1), (facts, 2), (facts | {"beauty": more}, 3)):
        receipt = ingest(workspace, known)
        assert receipt.totals.accepted == accepted
        assert (receipt.totals.received, receipt.data_version) == (3, first.data_version)


def test_a_segment_that_went_missing_is_named_and_never_forgotten_in_silence(
    workspace, facts, write
):
    """A load stops and names it, store or no store; only who accepts the loss goes on."""
    ingest(workspace, facts, files=[write([impression(1)])])
    ingest(workspace, facts, files=[write([impression(2)])])
    path = sealed_segments(workspace)[0].path
    bytes_lost = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreError, match=f"{path.name} is missing") as caught:
        ingest(workspace, facts)
    assert "backup" in caught.value.remedy
    path.write_bytes(bytes_lost)
    assert ingest(workspace, facts).totals.accepted == 2
    path.unlink()
    Warehouse.move_aside(workspace)
    with pytest.raises(StoreError, match=f"{path.name} is missing"):
        ingest(workspace, facts)
    assert [one.check for one in check_landing(workspace) if one.status == "fail"] == ["missing"]
    assert ingest(workspace, facts, accept_loss=True).totals.accepted == 1
    assert not [one for one in check_landing(workspace) if one.status == "fail"]
    workspace.warehouse.unlink()
    assert ingest(workspace, facts).totals.accepted == 1
    path.write_bytes(bytes_lost)
    assert ingest(workspace, facts).totals.accepted == 2


def test_a_damaged_segment_is_refused_and_the_rest_stays(workspace, facts, write):
    """Changed bytes are never loaded; nothing of that segment is stored."""
    ingest(workspace, facts, files=[write([impression(1)])])
    with Landing(workspace) as landing:
        landing.append("web", [impression(2)])
    path = sealed_segments(workspace)[1].path
    good = path.read_bytes()
    path.write_bytes(good.replace(b"u1", b"u2"))
    with pytest.raises(StoreError, match="sha256"):
        ingest(workspace, facts)
    path.write_bytes(good)
    assert ingest(workspace, facts).totals.accepted == 2


def test_a_gzipped_log_is_read_and_a_torn_one_as_far_as_it_goes(workspace, facts, tmp_path):
    """Lines before the tear count, the rest is one truncated line, and nothing is stuck."""
    whole, torn = tmp_path / "whole.jsonl.gz", tmp_path / "torn.jsonl.gz"
    lines = b"".join(impression(n % 60, event_id=f"{n}-{n * n}") + b"\n" for n in range(20_000))
    whole.write_bytes(gzip.compress(lines, mtime=0))
    torn.write_bytes(gzip.compress(lines.replace(b"u1", b"u2"), mtime=0)[:-20_000])
    assert ingest(workspace, facts, files=[whole]).counts.accepted == 20_000
    receipt = ingest(workspace, facts, files=[torn])
    assert receipt.reasons["truncated"] == 1
    assert receipt.totals.holds


POINTS = ["load.begin", "load.insert", "load.commit", "refresh.commit", "warehouse.checkpoint"]

KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.workspace import Workspace

begin = datetime(2026, 11, 1, tzinfo=UTC)
halves = {"baseline": 50.0, "generated": 50.0}
facts = {"beauty": ExperimentFacts("beauty", halves, "baseline", running=((begin, None),))}
workspace = Workspace(Path(sys.argv[1]), clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
ingest(workspace, facts, files=[Path(sys.argv[2])])
"""


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_load_loses_and_doubles_nothing(workspace, facts, write, tmp_path, point):
    """SIGKILL at any point, then the same command: the receipt is that of an unkilled run."""
    lines = [impression(n % 60, event_id=f"e{n}") for n in range(500)] + [b"bad", impression(1)]
    file = write([*lines, *lines[:7]])
    command = [sys.executable, "-c", KILLED, str(workspace.root), str(file)]
    env = os.environ | {FAULT: point}
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    receipt = ingest(workspace, facts, files=[file])
    unkilled = replace(workspace, root=tmp_path / "unkilled")
    assert receipt == ingest(unkilled, facts, files=[file])
    assert len(sealed_segments(workspace)) == 1
    assert exposure_sums(workspace) == exposure_sums(unkilled)


def exposure_sums(workspace):
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        text = "SELECT count(*), sum(impressions), sum(clicked), min(ts), max(ts) FROM exposures"
        return warehouse._connection.sql(text).fetchall()


def test_one_job_at_a_time(workspace, facts):
    """A second job waits for the workspace lock and then names the first."""
    command = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from abplatform.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).lock('the other job'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    script = [sys.executable, "-c", command, str(workspace.root)]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(WorkspaceLocked, match="the other job"),
            workspace.lock("test", wait_seconds=0.1),
        ):
            pass
        other.kill()
    assert ingest(workspace, facts).totals.received == 0


def test_wire_events_may_be_csv_or_parquet(workspace, facts, tmp_path, exposures):
    """Columns with the names of wire fields need no mapping."""
    columns = {
        "schema": [1, 1],
        "event_type": ["impression", "click"],
        "event_id": ["i1", "k1"],
        "ts": ["2026-11-02T12:00:00Z", "2026-11-02T12:00:01Z"],
        "unit_id": ["u1", None],
        "creative_id": ["c1", None],
        "product_id": ["p1", None],
        "category": ["beauty", None],
        "experiment": ["beauty", None],
        "variant": ["generated", None],
        "position": [3, None],
        "impression_id": [None, "i1"],
    }
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    nested = [[{"experiment": "beauty", "variant": "baseline"}], None]
    frame = pl.DataFrame(columns | {"event_id": ["i2", "k2"], "impression_id": [None, "i2"]})
    frame = frame.drop("experiment", "variant").with_columns(pl.Series("assignments", nested))
    frame.write_parquet(tmp_path / "log.parquet")
    files = [tmp_path / "log.csv", tmp_path / "log.parquet"]
    receipt = ingest(workspace, facts, files=files)
    assert receipt.counts.accepted == 4, receipt.examples
    rows = exposures()
    assert [rows["beauty", name]["clicked"] for name in ("i1", "i2")] == [1, 1]
    assert rows["beauty", "i2"]["variant"] == "baseline"


def test_a_table_that_is_no_wire_log_is_refused_before_it_lands(workspace, facts, tmp_path):
    """A CSV without event_type names the way out, and leaves nothing behind."""
    file = tmp_path / "foreign.csv"
    file.write_text("when,who\n1,2\n")
    with pytest.raises(IngestError, match="--draft") as caught:
        ingest(workspace, facts, files=[file])
    assert (caught.value.path, caught.value.line) == (file, 1)
    assert not sealed_segments(workspace)
