"""Events that come for final rows wait, and a backfill lets them in for good."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from abplatform.cli.backfill import backfill as command
from abplatform.logs.attribution import exposures_known_at
from abplatform.logs.forget import forget_units
from abplatform.logs.landing import Hours, Landing
from abplatform.logs.load import backfill, check_identities, ingest
from abplatform.logs.store.warehouse import Warehouse

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FINAL = 4 * DAY
"""A row of the experiment is final this long after it: a day's window, three for late data."""


@pytest.fixture
def live(take_in, wire):
    """Read a source at noon, and again when the rows of its second day are final by a millisecond.

    The source told of two impressions and a later one.
    """
    take_in([wire("impression", "i0", after=-HOUR)], as_of=NOON)
    shown = [wire("impression", name, after=HOUR, unit_id=name) for name in ("i1", "i2")]
    newest = wire("impression", "i3", after=2 * DAY)
    take_in([*shown, newest], as_of=NOON + FINAL + HOUR + timedelta(milliseconds=1))


def standing(workspace):
    """Everything that a store knows of late events and what they change."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        assert check_identities(warehouse) == []
        text = "SELECT * EXCLUDE (source_watermark) FROM exposures ORDER BY experiment, event_id"
        rows = warehouse._connection.sql(text).fetchall()
        late = sorted(warehouse._connection.table("late_events").fetchall())
        return (
            rows,
            late,
            warehouse.query("load/total").rows(),
            warehouse.query("load/segments").rows(),
        )


def test_what_comes_for_a_final_row_waits(live, take_in, wire, exposures):
    """A click for a final row is accepted and waits; one for a row that is not final counts."""
    receipt = take_in(
        [
            wire("click", "k1", after=2 * HOUR, impression_id="i1"),
            wire("click", "k3", after=2 * DAY + HOUR, impression_id="i3"),
        ]
    )
    assert receipt.counts.accepted == 2
    assert receipt.left_over["late_events"] == 1
    rows = exposures()
    assert rows["beauty", "i1"]["clicked"] == 0
    assert rows["beauty", "i3"]["clicked"] == 1


def test_a_row_is_final_to_the_millisecond(take_in, wire, exposures):
    """A watermark that has just reached the end of a row's time makes nothing late."""
    take_in([wire("impression", "i0")], as_of=NOON)
    shown = [wire("impression", f"i{n}", after=n * HOUR) for n in (1, 2, 60)]
    take_in(shown, as_of=NOON + FINAL + HOUR)
    clicks = [wire("click", f"k{n}", after=(n + 1) * HOUR, impression_id=f"i{n}") for n in (1, 2)]
    assert take_in(clicks).left_over["late_events"] == 0
    assert exposures()["beauty", "i1"]["clicked"] == 1


def test_history_is_never_late(take_in, wire, exposures):
    """Logs from before a source was first read come in any order and pieces, and all count."""
    take_in([wire("impression", "i2", after=DAY)])
    take_in([wire("click", "k1", after=HOUR, impression_id="i1")])
    receipt = take_in([wire("impression", "i1")])
    assert receipt.left_over["late_events"] == 0
    assert exposures()["beauty", "i1"]["clicked"] == 1


@pytest.mark.usefixtures("live")
def test_what_follows_a_silence_is_not_late(take_in, wire, workspace, facts, exposures):
    """The first that a source tells of a time counts, however long it was silent."""
    ingest(workspace, facts, as_of=NOON + 18 * DAY)
    told = [wire("impression", "i4", after=3 * DAY), wire("impression", "i5", after=-DAY)]
    receipt = take_in(told)
    assert receipt.left_over["late_events"] == 0
    assert {("beauty", "i4"), ("beauty", "i5")} <= exposures().keys()


def test_another_source_has_a_watermark_of_its_own(live, take_in, wire, exposures):
    """What is late in one source is not late in one that was never read before."""
    receipt = take_in([wire("click", "k1", after=2 * HOUR, impression_id="i1")], source="other")
    assert receipt.left_over["late_events"] == 0
    assert exposures()["beauty", "i1"]["clicked"] == 1


def test_a_conversion_has_longer(live, take_in, wire, exposures):
    """What is bought counts until the windows of conversions and refunds have passed, too."""
    money = {"kind": "purchase", "value_micros": 5, "currency": "USD"}
    take_in([wire("conversion", "v1", after=2 * HOUR, impression_id="i1", **money)])
    assert exposures()["beauty", "i1"]["conversions"] == 1


@pytest.mark.usefixtures("live")
def test_a_backfill_lets_late_events_in(take_in, wire, workspace, facts, exposures):
    """They count from then on, the data version is another, and doing it again changes nothing."""
    late = [
        wire("click", "k1", after=2 * HOUR, impression_id="i1"),
        wire("impression", "i9", after=HOUR / 2, unit_id="i9"),
    ]
    before = take_in(late).data_version
    done = backfill(workspace, facts)
    assert done.entered == {"clicks": 1, "impressions": 1}
    assert done.waiting == {}
    change = done.counts["beauty"]
    assert (change["impressions"].before, change["impressions"].after) == (4, 5)
    assert (change["clicked"].before, change["clicked"].after) == (0, 1)
    assert done.data_version != before
    rows = exposures()
    assert rows["beauty", "i1"]["clicked"] == 1
    again = backfill(workspace, facts)
    assert (again.entered, again.data_version) == ({}, done.data_version)
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        with exposures_known_at(warehouse, before):
            sums = warehouse.query("late/sums").rows()
        assert sums == [("beauty", 4, 0, 0, 0, 0)]
        assert warehouse.query("late/sums").rows() == [("beauty", 5, 1, 0, 0, 0)]


@pytest.mark.usefixtures("live")
def test_a_backfill_takes_what_it_names(take_in, wire, workspace, facts, exposures):
    """A source and a stretch of time let in those events alone; the others wait."""
    take_in([wire("click", f"k{n}", after=(n + 1) * HOUR, impression_id=f"i{n}") for n in (1, 2)])
    assert backfill(workspace, facts, source="other").entered == {}
    done = backfill(workspace, facts, source="files", since=NOON + 3 * HOUR)
    assert (done.entered, done.waiting) == ({"clicks": 1}, {"clicks": 1})
    rows = exposures()
    assert [rows["beauty", f"i{n}"]["clicked"] for n in (1, 2)] == [0, 1]


def test_a_store_that_is_made_anew_knows_what_waits_and_what_entered(
    live, take_in, wire, workspace, facts
):
    """Late events, backfills, rows, counts and every data version come back as they were."""
    take_in([wire("click", f"k{n}", after=(n + 1) * HOUR, impression_id=f"i{n}") for n in (1, 2)])
    backfill(workspace, facts, until=NOON + 3 * HOUR)
    take_in([wire("impression", "i8", after=5 * DAY)])
    take_in([wire("impression", "i7", after=HOUR / 2)])
    before = standing(workspace)
    assert len(before[1]) == 3
    workspace.warehouse.unlink()
    ingest(workspace, facts, read_sources=False)
    assert standing(workspace) == before


def test_a_late_event_that_comes_again_is_a_duplicate(live, take_in, wire, workspace, facts):
    """A second delivery changes nothing; another content withdraws both versions for good."""
    late = wire("click", "k1", after=2 * HOUR, impression_id="i1")
    take_in([late])
    assert take_in([late, wire("impression", "i6", after=6 * DAY)]).counts.duplicate == 1
    receipt = take_in([late | {"ts": (NOON + 3 * HOUR).isoformat()}])
    assert receipt.reasons == {"conflicting_id": 2} or receipt.withdrawn == 1
    assert receipt.left_over["late_events"] == 0
    assert backfill(workspace, facts).entered == {}


def test_forgetting_a_unit_lets_nothing_else_in(take_in, wire, workspace, facts, exposures):
    """What was late stays late when the unit is forgotten that showed how far the source was."""
    take_in([wire("impression", "i0", after=-HOUR, unit_id="a")], as_of=NOON)
    shown = [
        wire("impression", "i1", after=HOUR, unit_id="b"),
        wire("impression", "i2", after=2 * DAY, unit_id="newest"),
    ]
    take_in(shown, as_of=NOON + 6 * DAY)
    late = take_in([wire("click", "k1", after=2 * HOUR, impression_id="i1")])
    assert late.left_over["late_events"] == 1
    done = forget_units(workspace, facts, ["newest"])
    assert done.receipt.left_over["late_events"] == 1
    assert exposures()["beauty", "i1"]["clicked"] == 0


def test_what_a_backfill_loads_is_judged_the_same_anew(take_in, wire, workspace, facts):
    """Segments that came in with a backfill are remembered with it, whatever ingest follows."""
    take_in([wire("impression", "i0", after=-HOUR)], source="web", as_of=NOON)
    take_in(
        [wire("impression", "i9", after=9 * DAY, unit_id="u9")],
        source="web",
        as_of=NOON + 4 * DAY + 12 * HOUR,
    )
    landing = Landing(workspace)
    for event in (
        wire("click", "k1", after=20 * HOUR, impression_id="i1"),
        wire("impression", "i1", after=HOUR, unit_id="u1"),
    ):
        landing.append("web", [json.dumps(event).encode()])
        landing.seal()
    backfill(workspace, facts)
    ingest(workspace, facts)
    before = standing(workspace)
    workspace.warehouse.unlink()
    ingest(workspace, facts)
    assert standing(workspace) == before


def test_the_command_tells_what_changes(live, take_in, wire, workspace):
    """Counts before and after, in words and as JSON; wrong times are refused."""
    take_in([wire("click", "k1", after=2 * HOUR, impression_id="i1")])
    folder = ["-w", str(workspace.root)]
    workspace.root.joinpath("abp.yaml").write_text("")
    wrong = CliRunner().invoke(command, ["--from", "2026-11-03", "--to", "2026-11-02", *folder])
    assert wrong.exit_code == 2
    assert "must be earlier" in wrong.output
    nothing = CliRunner().invoke(command, ["nobody", *folder])
    assert nothing.exit_code == 0, nothing.output
    assert "No late event of nobody waits there." in nothing.output
    assert "1 late event waits still." in nothing.output
    told = CliRunner().invoke(command, ["--json", *folder])
    assert json.loads(told.output)["entered"] == {"clicks": 1}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("by", ["replacement", "conflict"])
def test_what_is_replaced_after_it_waited_leaves_the_past_as_it_was(
    by, take_in, wire, workspace, facts
):
    """An earlier version answers without what waited then, also in a store that is made anew."""
    late = wire("click", "k1", after=2 * HOUR, impression_id="i1")
    waited = take_in([late]).data_version
    if by == "conflict":
        take_in([late | {"impression_id": "i2"}])
    else:
        assert backfill(workspace, facts).entered == {"clicks": 1}
        hours = Hours("files", NOON + 2 * HOUR, NOON + 3 * HOUR)
        take_in([late | {"event_id": "k2"}], replace=hours)
    before = standing(workspace)
    for _ in range(2):
        with (
            workspace.lock("test"),
            Warehouse.open(workspace) as warehouse,
            exposures_known_at(warehouse, waited),
        ):
            assert warehouse.query("late/sums").rows() == [("beauty", 4, 0, 0, 0, 0)]
        workspace.warehouse.unlink()
        ingest(workspace, facts)
        assert standing(workspace) == before
