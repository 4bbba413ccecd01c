"""``abp ingest --replace``: a re-emitted log in the place of some hours, once, and for good."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from abplatform.analysis.scorecard import Question, known_then
from abplatform.cli.logs import ingest as command
from abplatform.durable import FAULT
from abplatform.errors import IngestError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Hours, Landing, sealed_segments
from abplatform.logs.load import Change, check_identities, ingest
from abplatform.logs.store.warehouse import Warehouse

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST_HOUR = Hours("web", NOON, NOON + HOUR)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HALVES = {"baseline": 50.0, "generated": 50.0}


@pytest.fixture
def log(wire):
    """Return ``log(keep, **said)`` → an impression every ten minutes from noon, each clicked."""

    def make(keep=range(12), **said):
        minute = timedelta(minutes=10)
        shown = [
            wire("impression", f"i{n}", after=n * minute, unit_id=f"u{n}", **said) for n in keep
        ]
        clicked = [wire("click", f"k{n}", after=n * minute, impression_id=f"i{n}") for n in keep]
        return shown + clicked

    return make


def everything(workspace):
    """What counts, what the ledger says of it, and whether both agree."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert check_identities(warehouse) == []
        text = "SELECT * EXCLUDE (source_watermark) FROM exposures ORDER BY experiment, event_id"
        rows = warehouse._connection.sql(text).fetchall()
        return rows, warehouse.query("load/ledger").rows(), warehouse.query("load/total").rows()


def test_what_the_file_holds_counts_and_what_stood_there_does_not(take_in, log, exposures):
    """The source's hours hold the new log alone; other hours and other sources stay."""
    before = take_in(log(), source="web")
    take_in([event | {"event_id": "app" + event["event_id"]} for event in log()[:12]], source="app")
    receipt = take_in(log(keep=[0, 1, 2], creative_id="c2"), replace=FIRST_HOUR)
    rows = exposures()
    shown = {key for _, key in rows}
    assert shown == {f"i{n}" for n in (0, 1, 2, *range(6, 12))} | {f"appi{n}" for n in range(12)}
    assert {rows["beauty", f"i{n}"]["creative_id"] for n in range(3)} == {"c2"}
    assert rows["beauty", "i6"]["creative_id"] == "c1"
    assert receipt.totals.superseded == 12
    assert receipt.totals.holds
    assert receipt.counts.accepted == 6
    assert receipt.data_version != before.data_version


def test_the_receipt_tells_the_change_in_counts(take_in, log):
    """By event type, within the hours."""
    take_in(log(), source="web")
    (correction,) = take_in(log(keep=[0, 1, 2]), replace=FIRST_HOUR).corrections
    assert (correction.kind, correction.source, correction.rows) == ("replaced", "web", 12)
    assert correction.counts == {"impressions": Change(6, 3), "clicks": Change(6, 3)}


def test_the_same_replacement_again_changes_nothing(workspace, facts, write, log):
    """It is a delivery more, and nothing else, in whatever zone the hours are written."""
    ingest(workspace, facts, files=[write(log())], source="web")
    file = write(log(keep=[0, 1]))
    first = ingest(workspace, facts, files=[file], replace=FIRST_HOUR)
    rows, _, _ = everything(workspace)
    east = timezone(timedelta(hours=8))
    hours = Hours("web", NOON.astimezone(east), (NOON + HOUR).astimezone(east))
    second = ingest(workspace, facts, files=[file], replace=hours)
    assert second.data_version == first.data_version
    assert (second.counts.received, second.counts.duplicate) == (4, 4)
    assert second.corrections == ()
    assert everything(workspace)[0] == rows


def test_a_rebuild_replaces_in_the_same_order(workspace, facts, take_in, log):
    """From the landing alone come the same rows, ledger, totals and version."""
    take_in(log(), source="web")
    take_in(log(keep=[0, 1], creative_id="c2"), replace=FIRST_HOUR)
    take_in(log(keep=[3], creative_id="c3"), source="web")
    last = take_in(log(keep=[1, 2]), replace=Hours("web", NOON, NOON + HOUR / 2))
    before = everything(workspace)
    workspace.warehouse.unlink()
    again = ingest(workspace, facts)
    assert everything(workspace) == before
    assert again.data_version == last.data_version


def test_the_old_log_delivered_again_stays_replaced(take_in, log, workspace):
    """Its events are known: all are duplicates, none is in conflict with what replaced it."""
    take_in(log(), source="web")
    take_in(log(keep=[0, 1], creative_id="c2"), replace=FIRST_HOUR)
    rows, _, _ = everything(workspace)
    receipt = take_in([*log(), b"", b""], source="web")
    assert receipt.counts.duplicate == receipt.counts.received == 24
    assert everything(workspace)[0] == rows


def test_replacing_twice_lets_the_last_log_count(take_in, log, exposures):
    """The first content may come back, and what the second log left out is gone."""
    take_in(log(), source="web")
    take_in(log(keep=[0, 1], creative_id="c2"), replace=FIRST_HOUR)
    receipt = take_in(log(keep=[0]), replace=FIRST_HOUR)
    rows = exposures()
    assert rows["beauty", "i0"]["creative_id"] == "c1"
    assert ("beauty", "i1") not in rows
    assert receipt.counts.accepted == 2
    assert receipt.totals.superseded == 16


def test_the_first_file_brought_again_undoes_a_wrong_one(workspace, facts, write, log, exposures):
    """It counts once more, says so, and a retry of it is a repetition; a rebuild says the same."""
    right, wrong = (write(log(keep=[0, 1], creative_id=name)) for name in ("right", "wrong"))
    late = Hours("web", NOON, NOON + 2 * HOUR)

    def shown():
        return {row["creative_id"] for (key, _), row in exposures().items() if key == "beauty"}

    def bring(file, hours=FIRST_HOUR):
        return ingest(workspace, facts, files=[file], replace=hours)

    first = bring(right)
    bring(wrong, late)
    assert shown() == {"wrong"}
    back = bring(right)
    assert shown() == {"right"}
    assert (back.counts.accepted, back.counts.duplicate) == (4, 0)
    assert [(one.kind, one.rows) for one in back.corrections] == [("replaced", 4)]
    assert back.data_version != first.data_version
    retry = bring(right)
    assert (retry.counts.accepted, retry.counts.duplicate) == (0, 4)
    assert (retry.data_version, retry.corrections) == (back.data_version, ())
    bring(wrong, late)
    last = bring(right)
    assert last.counts.accepted == 4
    before = everything(workspace)
    workspace.warehouse.unlink()
    assert ingest(workspace, facts).data_version == last.data_version
    assert everything(workspace) == before


def test_other_hours_leave_a_replacement_standing(workspace, facts, write, log):
    """Only a log for the same hours of the same source makes room for the first one again."""
    file = write(log(keep=[0, 1]))
    ingest(workspace, facts, files=[file], replace=FIRST_HOUR)
    after = Hours("web", NOON + HOUR, NOON + 2 * HOUR)
    ingest(workspace, facts, files=[write(log(keep=[6, 7]))], replace=after)
    app = [event | {"event_id": "app" + event["event_id"]} for event in log(keep=[0])[:1]]
    ingest(workspace, facts, files=[write(app)], replace=Hours("app", NOON, NOON + HOUR))
    again = ingest(workspace, facts, files=[file], replace=FIRST_HOUR)
    assert (again.counts.accepted, again.counts.duplicate) == (0, 4)


def test_ids_in_conflict_are_replaced_too(take_in, log, exposures, rows_of):
    """Every version of them counts as superseded, and the new one counts."""
    take_in(log(), source="web")
    clash = take_in(log(keep=[0], creative_id="other")[:1], source="web")
    assert clash.conflicting_ids == 1
    assert clash.totals.quarantined == 2
    receipt = take_in(log(keep=[0, 1, 2, 3, 4, 5]), replace=FIRST_HOUR)
    assert ("beauty", "i0") in exposures()
    assert (receipt.totals.quarantined, receipt.totals.superseded) == (0, 13)
    assert receipt.reasons == {}
    kept = rows_of("SELECT count(*), count(raw), count(superseded_by) FROM quarantine")
    assert kept == [(2, 2, 2)]


def test_sources_that_agree_after_a_replacement_are_believed(
    workspace, facts, take_in, wire, exposures
):
    """If the new log says what the other source said, the event counts, rebuilt or not."""
    mine, theirs = (wire("impression", "i0", creative_id=told) for told in ("c1", "c2"))
    take_in([mine], source="web")
    assert take_in([theirs], source="app").conflicting_ids == 1
    receipt = take_in([theirs, wire("impression", "i1")], replace=FIRST_HOUR)
    assert receipt.counts.accepted == 2
    assert exposures()["beauty", "i0"]["creative_id"] == "c2"
    before = everything(workspace)
    workspace.warehouse.unlink()
    ingest(workspace, facts)
    assert everything(workspace) == before


def test_the_last_version_left_waits_for_a_delivery(workspace, take_in, wire, exposures):
    """A replaced rival frees an id: it counts with its next delivery; a third version clashes."""
    mine, theirs, third = (wire("impression", "i0", creative_id=f"c{n}") for n in range(3))
    take_in([mine], source="web")
    take_in([theirs], source="app")
    take_in([wire("impression", "i1")], replace=FIRST_HOUR)
    assert ("beauty", "i0") not in exposures()
    take_in([mine, b""], source="web")
    assert ("beauty", "i0") not in exposures()
    take_in([theirs, b""], source="app")
    assert exposures()["beauty", "i0"]["creative_id"] == "c1"
    take_in([third], source="app")
    assert ("beauty", "i0") not in exposures()
    rows, *_ = everything(workspace)
    assert len(rows) == 1


def test_what_was_known_before_can_still_be_asked(workspace, take_in, log):
    """At the earlier data version the replaced events count, and the new ones do not."""
    earlier = take_in(log(), source="web")
    take_in(log(keep=[0], creative_id="c2"), replace=FIRST_HOUR)
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        text = "SELECT count(*), sum(clicked), max(creative_id) FROM exposures"
        assert warehouse._connection.sql(text).fetchall() == [(7, 7, "c2")]
        with known_then(warehouse, Question(data_version=earlier.data_version)):
            assert warehouse._connection.sql(text).fetchall() == [(12, 12, "c1")]


def test_what_nobody_has_loaded_yet_is_replaced(workspace, take_in, log, exposures):
    """A collector's lines that were sealed before the file came before it."""
    with Landing(workspace) as landing:
        landing.append("web", [json.dumps(event).encode() for event in log()])
    take_in(log(keep=[0]), replace=FIRST_HOUR)
    assert len(exposures()) == 7


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({"keep": [0, 6]}, r"2026-11-02T13:00:00\+00:00 is outside of what is replaced"),
        ({"keep": [0], "source": "app"}, "source 'app', not of 'web'"),
        ({"keep": [0], "variant": "third"}, "no valid event"),
        ({"keep": []}, "no valid event"),
    ],
)
def test_a_file_that_leaves_its_hours_is_refused(workspace, take_in, log, events, said):
    """The line is named, nothing lands, and what stood there still counts."""
    take_in(log(), source="web")
    rows = everything(workspace)
    shown = [event for event in log(**events) if event["event_type"] == "impression"]
    with pytest.raises(IngestError, match=said):
        take_in(shown, replace=FIRST_HOUR)
    assert len(sealed_segments(workspace)) == 1
    assert everything(workspace) == rows


KILLED = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Hours
from abplatform.logs.load import ingest
from abplatform.workspace import Workspace

begin = datetime(2026, 11, 1, tzinfo=UTC)
noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
halves = {"baseline": 50.0, "generated": 50.0}
facts = {"beauty": ExperimentFacts("beauty", halves, "baseline", running=((begin, None),))}
workspace = Workspace(Path(sys.argv[1]), clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
hours = Hours("web", noon, noon + timedelta(hours=1))
ingest(workspace, facts, files=[Path(sys.argv[2])], replace=hours)
"""


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("point", ["load.begin", "load.insert", "load.commit"])
def test_a_killed_replacement_is_finished_by_whatever_comes_next(workspace, log, tmp_path, point):
    """That the file replaces those hours is on the disk before it is loaded."""
    facts = {"beauty": ExperimentFacts("beauty", HALVES, "baseline", running=((BEGIN, None),))}
    files = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    for file, events in zip(files, [log(), log(keep=[0, 1], creative_id="c2")], strict=True):
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
    ingest(workspace, facts, files=files[:1], source="web")
    words = [sys.executable, "-c", KILLED, str(workspace.root), str(files[1])]
    done = subprocess.run(words, env=os.environ | {FAULT: point}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    receipt = ingest(workspace, facts)
    unkilled = replace(workspace, root=tmp_path / "unkilled")
    ingest(unkilled, facts, files=files[:1], source="web")
    expected = ingest(unkilled, facts, files=files[1:], replace=FIRST_HOUR)
    assert receipt == expected
    assert everything(workspace) == everything(unkilled)


def restated(revision, clicks, day=2):
    return {
        "schema": 1,
        "event_type": "aggregate",
        "event_id": f"{revision} {clicks} {day}",
        "ts": "2026-11-04T00:00:00Z",
        "experiment": "beauty",
        "variant": "generated",
        "category": "beauty",
        "product_id": "p1",
        "creative_id": "c1",
        "day": f"2026-11-{day:02d}",
        "impressions": 1000,
        "clicks": clicks,
        "revision": revision,
    }


def test_a_restated_report_tells_what_it_changed(take_in):
    """Rows and sums of the restated days, not of those reported for the first time."""
    assert take_in([restated(1, 50), restated(1, 60, day=3)], source="meta").corrections == ()
    receipt = take_in([restated(2, 45), restated(2, 7, day=4)], source="meta")
    (correction,) = receipt.corrections
    assert (correction.kind, correction.source, correction.rows) == ("restated", "meta", 1)
    assert correction.counts["clicks"] == Change(50, 45)
    assert correction.counts["impressions"] == Change(1000, 1000)
    older = take_in([restated(0, 99, day=3)], source="meta")
    assert older.corrections == ()
    assert older.counts.superseded == 1


def test_equal_revisions_with_other_counts_are_in_conflict(take_in, rows_of):
    """Neither counts; an earlier revision does again, and a later one settles it."""
    take_in([restated(1, 50)], source="meta")
    clash = take_in([restated(2, 45), restated(2, 46)], source="meta")
    assert clash.reasons == {"conflicting_id": 2}
    assert rows_of("SELECT clicks FROM aggregates_current") == [(50,)]
    receipt = take_in([restated(3, 47)], source="meta")
    assert rows_of("SELECT clicks FROM aggregates_current") == [(47,)]
    assert receipt.totals.holds


def test_verdicts_that_differ_are_named(take_in, log):
    """The judge is asked about experiments that were touched, at the version before and now."""
    earlier = take_in(log(), source="web")
    asked = []

    def judge(warehouse, experiments, version):
        asked.append((sorted(experiments), version))
        return dict.fromkeys(experiments, "ship" if version else "continue")

    (correction,) = take_in(log(keep=[0]), replace=FIRST_HOUR, judge=judge).corrections
    assert asked == [(["beauty"], earlier.data_version), (["beauty"], None)]
    assert correction.verdicts == {"beauty": Change("ship", "continue")}


def test_nobody_is_asked_when_nothing_is_corrected(take_in, log):
    """Plain deliveries cost no analysis, also when they are delivered again."""

    def judge(warehouse, experiments, version):
        raise AssertionError

    for _ in range(2):
        assert take_in(log(), source="web", judge=judge).corrections == ()


@pytest.fixture
def abp(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    (folder / "experiments").mkdir(parents=True)
    (folder / "abp.yaml").write_text("time_zone: UTC\n")
    (folder / "experiments" / "beauty.yaml").write_text(
        "key: beauty\n"
        "assignment: external\n"
        "variants: {baseline: {control: true, weight: 50}, generated: {weight: 50}}\n"
        "metrics: {primary: ctr}\n"
    )
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        return CliRunner().invoke(
            command, [*map(str, words), "-w", str(folder)], catch_exceptions=False
        )

    return call


def test_people_read_what_changed(abp, write, log):
    """Counts before and after, with the difference; --json says the same."""
    assert abp(write(log()), "--source", "web").exit_code == 0
    span = ("--from", "2026-11-02T12:00", "--to", "2026-11-02T13:00Z")
    file = write(log(keep=[0, 1]))
    result = abp(file, "--replace", "web", *span)
    assert result.exit_code == 0
    assert "12 events of web in those hours are replaced" in result.stdout
    assert "impressions: 6 → 2 (-4)" in result.stdout
    told = json.loads(abp(write(log(keep=[0])), "--replace", "web", *span, "--json").stdout)
    (correction,) = told["corrections"]
    assert correction["counts"]["clicks"] == {"before": 2, "after": 1}
    assert told["received"] == told["accepted"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replace", "web"], "all three"),
        (["--from", "2026-11-02T12:00"], "all three"),
        (["--replace", "web", "--from", "x", "--to", "2026-11-02"], "is no time"),
        (["--replace", "web", "--from", "2026-11-03", "--to", "2026-11-02"], "earlier than"),
        (["--replace", "web", "--from", "2026-11-02", "--to", "2026-11-03"], "one FILE"),
    ],
)
def test_half_a_replacement_is_a_wrong_call(abp, words, said):
    """What is missing or cannot be meant is said, with exit status 2."""
    result = abp(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_delivery_without_one_good_line_fails_with_its_receipt(abp, write, log):
    """Exit 1, the receipt and its reasons on stdout; half a good file is a success."""
    useless = abp(write([b"bad", b"worse"]), "--json")
    assert useless.exit_code == 1
    assert json.loads(useless.stdout)["reasons"] == {"not_json": 2}
    assert abp(write([b"bad", log()[0]])).exit_code == 0
    assert abp(write([b"bad", b"worst"]), "--source", "other").exit_code == 1


def test_ids_in_conflict_are_alarmed(abp, write, log):
    """The receipt says so in one line; the delivery is a success none the less."""
    abp(write(log()), "--source", "web")
    result = abp(write(log(keep=[0], creative_id="other")[:1]), "--source", "web")
    assert "Alarm: 1 id came with different content" in result.stdout
    assert result.exit_code == 0
