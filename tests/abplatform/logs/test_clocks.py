"""Clocks: skewed ones, those that are moved twice a year, leap days, year ends and week 53."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.domain.events import EventRejected, decode_event
from abplatform.domain.experiment import Analysis, EventWindows
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import MappingText
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.loop.weeks import IsoWeek, parse_week
from abplatform.traffic.registry.look_days import end_of_day, look_days, start_of_day
from abplatform.workspace import Settings, Workspace

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ZONES = {
    "Europe/Berlin": "an hour forward in March, back in October",
    "America/New_York": "west of Greenwich",
    "Australia/Lord_Howe": "moves by half an hour",
    "Pacific/Kiritimati": "fourteen hours ahead, so its day begins when it is ten UTC",
    "Pacific/Pago_Pago": "west of the date line, eleven hours behind",
    "America/St_Johns": "half an hour off, and moved at one minute past midnight until 2011",
    "America/Havana": "moves at midnight itself",
    "Asia/Gaza": "moves in the middle of the night at changing dates",
}
HALVES = {"baseline": 50.0, "generated": 50.0}


def transitions(zone, first, last):
    """Find the moments between two at which a zone's clocks are moved, by halving."""
    found, moment = [], first
    while moment < last:
        low, high = moment, moment + DAY
        before = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() != before:
            while high - low > SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if middle.astimezone(zone).utcoffset() == before:
                    low = middle
                else:
                    high = middle
            found.append(high)
        moment += DAY
    return found


def edges(zone):
    """Return the moments around which days go wrong: midnights, moved clocks, ends of years."""
    middles = []
    for year in (2000, 2010, 2026):
        begin = datetime(year, 1, 1, tzinfo=UTC)
        middles += transitions(zone, begin, begin + 365 * DAY)
    days = [date(2024, 2, 29), date(2024, 3, 1), date(2025, 1, 1), date(2026, 10, 25)]
    middles += [datetime.combine(day, time(), tzinfo=zone).astimezone(UTC) for day in days]
    offsets = [*(timedelta(minutes=step) for step in range(-90, 91, 7)), -TICK, TICK, timedelta(0)]
    return sorted({middle + offset for middle in middles for offset in offsets})


def exposures_of(workspace):
    """Return the rows of the view in the order of event ids."""
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        text = "SELECT event_id, day, clicked, outside_phase FROM exposures ORDER BY event_id"
        return warehouse._connection.sql(text).to_arrow_table().to_pylist()


def moments_between(first, last):
    """Draw moments between the beginnings of two years."""
    # Hypothesis wants bounds without a zone.
    bounds = (datetime(year, 1, 1) for year in (first, last))  # noqa: DTZ001 -- see above
    return st.datetimes(*bounds, timezones=st.just(UTC))


def click(ts):
    fields = {"schema": 1, "event_type": "click", "event_id": "k", "impression_id": "i"}
    return decode_event(json.dumps({**fields, "ts": ts}).encode())


@pytest.mark.parametrize("name", ZONES)
def test_days_are_those_of_the_zone(name, tmp_path, wire, write):
    """Every impression stands on the day that a calendar on the wall of the zone shows."""
    zone = ZoneInfo(name)
    moments = edges(zone)
    clock = datetime(2027, 1, 1, tzinfo=UTC)
    workspace = Workspace(tmp_path / "ws", Settings(time_zone=zone), clock=lambda: clock)
    facts = {"beauty": ExperimentFacts("beauty", HALVES, "baseline", assignment="external")}
    months = {}
    for number, moment in enumerate(moments):
        event = wire("impression", f"i{number:05}") | {"ts": moment.isoformat()}
        months.setdefault((moment.year, moment.month), []).append(event)
    # A file a month, as logs come: days of a short stretch are looked up by the minute.
    ingest(workspace, facts, files=[write(events) for events in months.values()])
    days = [row["day"] for row in exposures_of(workspace)]
    assert days == [moment.astimezone(zone).date() for moment in moments]


def test_every_zone_moves_at_whole_minutes():
    """Days may be looked up by the minute: since 2000 no zone of the tables moves within one."""
    for name in sorted(available_timezones())[::9]:
        for begin in range(2000, 2028, 9):
            year = datetime(begin, 1, 1, tzinfo=UTC)
            for moment in transitions(ZoneInfo(name), year, year + 365 * DAY):
                assert moment.second == 0, name


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(sorted(ZONES)).map(ZoneInfo),
    start=moments_between(2023, 2029),
    shortest=st.integers(0, 9),
    days=st.integers(1, 40),
)
def test_looks_are_at_the_ends_of_the_zone_s_days(zone, start, shortest, days):
    """Looks are every midnight of the wall's clock between the runtimes, and the run's end."""
    plan = Analysis(
        test="sequential",
        min_runtime=timedelta(days=min(shortest, days)),
        max_runtime=timedelta(days=days),
    )
    looks = look_days(plan, start, zone)
    wall = start.astimezone(zone)
    end = (wall + timedelta(days=days)).astimezone(UTC)
    first = (wall + plan.min_runtime).astimezone(UTC)
    # Slowly: each calendar day's beginning, asked of the calendar.
    begins = [
        datetime.combine(wall.date() + timedelta(days=step), time(), tzinfo=zone).astimezone(UTC)
        for step in range(days + 2)
    ]
    expected = [moment for moment in begins if first <= moment < end]
    assert [look.at for look in looks] == [*expected, end]
    assert [look.day for look in looks] == [
        (look.at - TICK).astimezone(zone).date() for look in looks
    ]
    assert len({look.day for look in looks}) == len(looks)


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(sorted(ZONES)).map(ZoneInfo),
    moment=moments_between(2012, 2029),
)
def test_a_day_s_ends_enclose_it(zone, moment):
    """A moment lies in its day, whose ends are one day apart on the calendar."""
    begin, end = start_of_day(moment, zone), end_of_day(moment, zone)
    assert begin <= moment < end
    assert timedelta(hours=22) < end - begin < timedelta(hours=26)
    assert start_of_day(end, zone) == end


@pytest.mark.parametrize("zone", [ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")])
def test_running_time_is_absolute_also_where_clocks_move(zone, tmp_path, wire, write):
    """Events of the hour that comes twice, or of its edges, are inside or outside exactly."""
    clock = datetime(2027, 1, 1, tzinfo=UTC)
    workspace = Workspace(tmp_path / "ws", Settings(time_zone=zone), clock=lambda: clock)
    (back,) = transitions(zone, datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    running = ((back - timedelta(minutes=30), back + timedelta(minutes=30)),)
    facts = {"beauty": ExperimentFacts("beauty", HALVES, "baseline", running=running)}
    begin, end = running[0]
    moments = [begin - TICK, begin, back - TICK, back, end - TICK, end]
    events = [
        # Written with the wall's offset, as a local logger does: 02:15 comes twice.
        wire("impression", f"i{n}") | {"ts": moment.astimezone(zone).isoformat()}
        for n, moment in enumerate(moments)
    ]
    ingest(workspace, facts, files=[write(events)])
    outside = [row["outside_phase"] for row in exposures_of(workspace)]
    assert outside == [True, False, False, False, False, True]
    assert outside == [not begin <= moment < end for moment in moments]


def test_clicks_outside_the_window_are_counted(wire, take_in):
    """A click after the window of its impression counts nowhere, and the receipt says so."""
    shown = [wire("impression", f"i{n}", unit_id=f"u{n}") for n in range(3)]
    clicks = [
        wire("click", f"k{n}", after=after, impression_id=f"i{n}")
        for n, after in enumerate([DAY, DAY + TICK, 3 * DAY])
    ]
    receipt = take_in([*shown, *clicks, wire("click", "lost", impression_id="nowhere")])
    told = {kind: receipt.left_over[kind] for kind in ("early_clicks", "late_clicks")}
    assert told == {"early_clicks": 0, "late_clicks": 2}
    assert receipt.left_over["orphan_clicks"] == 1


def test_skewed_clocks(wire, take_in, exposures, workspace):
    """A click 288 s early is no click of its impression; a day ahead is taken, more is not."""
    skews = {"ahead": 288, "behind": -288, "tolerated": -5}
    events = []
    for unit, skew in skews.items():
        events.append(wire("impression", unit, unit_id=unit))
        events.append(wire("click", f"k-{unit}", after=timedelta(seconds=skew), impression_id=unit))
    now = workspace.clock()
    ahead = [timedelta(seconds=288), DAY, DAY + TICK]
    events += [
        wire("impression", f"late{n}") | {"ts": (now + skew).isoformat()}
        for n, skew in enumerate(ahead)
    ]
    receipt = take_in(events)
    assert receipt.reasons == {"from_the_future": 1}
    assert (receipt.left_over["early_clicks"], receipt.left_over["late_clicks"]) == (1, 0)
    rows = exposures()
    assert {unit: rows["beauty", unit]["clicked"] for unit in skews} == {
        "ahead": 1,
        "behind": 0,
        "tolerated": 1,
    }


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
        ("2016-12-31T18:59:60.25-05:00", "2016-12-31T18:59:59.250000-05:00"),
        ("2015-07-01T05:29:60+05:30", "2015-07-01T05:29:59+05:30"),
        ("2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999999+00:00"),
    ],
)
def test_a_leap_second_is_the_second_before(told, meant):
    """RFC 3339 writes a 60th second; it stays in its minute, its day and its year."""
    assert click(told).ts == datetime.fromisoformat(meant)


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-02T12:59:60Z",
        "2016-12-31T23:59:61Z",
        "2023-02-29T00:00:00Z",
        "2026-11-02T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-02T12:00:00+24:00",
        "2026-11-02T12:00Z",
    ],
)
def test_moments_that_never_were_are_refused(told):
    """A 60th second elsewhere, 29 February of a common year and their like are no moments."""
    with pytest.raises(EventRejected, match="bad_timestamp"):
        click(told)


def test_week_53_and_the_days_around_new_year(workspace, tmp_path):
    """Weeks are ISO weeks: 2026 has 53 of them, the last of which ends in 2027."""
    mapping = MappingText(
        b"event: impression\n"
        b"fields: {unit_id: u, creative_id: c, product_id: p, category: k}\n"
        b"constants: {experiment: x, variant: baseline}\n"
        b"row_number: {event_id: row}\n"
        b"time: {field: week, format: iso_week}\n"
    )
    later = replace(workspace, clock=lambda: datetime(2028, 1, 1, tzinfo=UTC))
    weeks = ["2026-W53", "202653", "2027-W01", "2020-W53", "2027-W00", "2025-W53", "2026-W54"]
    path = tmp_path / "weeks.csv"
    rows = "".join(f"u,c,p,k,{week}\n" for week in weeks)
    path.write_text("u,c,p,k,week\n" + rows, encoding="utf-8")
    facts = {"x": ExperimentFacts("x", HALVES, "baseline", assignment="external")}
    receipt = ingest(later, facts, files=[path], mapping=mapping)
    assert receipt.reasons == {"bad_timestamp": 2}
    days = [row["day"].isoformat() for row in exposures_of(later)]
    assert days == ["2026-12-28", "2026-12-28", "2027-01-04", "2020-12-28", "2026-12-28"]


@given(st.dates(date(2000, 1, 3), date(2099, 12, 20)))
def test_weeks_follow_one_another(day):
    """Every day lies in exactly one week, which ends where the next begins."""
    year, number, _ = day.isocalendar()
    week = parse_week(f"{year}-W{number:02}")
    assert week == IsoWeek(year, number)
    assert week.monday <= day < week.monday + 7 * DAY
    year, number, _ = (week.monday + 7 * DAY).isocalendar()
    assert parse_week(f"{year}-W{number:02}").monday == week.monday + 7 * DAY


@pytest.mark.parametrize("begin", ["2026-03-29T00:30:00+00:00", "2026-10-25T00:30:00+00:00"])
def test_windows_are_stopwatch_time(begin, tmp_path, wire, write):
    """An hour's window lasts an hour, also through the hour that is left out or comes twice."""
    gaps = [-5_000_001, -5_000_000, -1, 0, 1, 3_600_000_000, 3_600_000_001]
    zone = ZoneInfo("Europe/Berlin")
    clock = datetime(2027, 1, 1, tzinfo=UTC)
    workspace = Workspace(tmp_path / "ws", Settings(time_zone=zone), clock=lambda: clock)
    windows = EventWindows(attribution_window=timedelta(hours=1))
    facts = {
        "beauty": ExperimentFacts(
            "beauty", HALVES, "baseline", assignment="external", windows=windows
        )
    }
    shown = datetime.fromisoformat(begin)
    events = []
    for number, gap in enumerate(gaps):
        name = f"i{number}"
        events.append(wire("impression", name) | {"ts": shown.astimezone(zone).isoformat()})
        clicked = (shown + gap * TICK).astimezone(zone).isoformat()
        events.append(wire("click", f"k{number}", impression_id=name) | {"ts": clicked})
    ingest(workspace, facts, files=[write(events)])
    counted = [row["clicked"] for row in exposures_of(workspace)]
    assert counted == [int(-5_000_000 <= gap <= 3_600_000_000) for gap in gaps]


def test_moved_clocks_are_found():
    """The slow model itself: halving finds Berlin's two known changes of 2026."""
    found = transitions(
        ZoneInfo("Europe/Berlin"),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    known = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
    assert found == known
