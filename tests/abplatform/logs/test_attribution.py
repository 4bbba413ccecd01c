"""The attribution truth table, by hand, and the pure function against a slow obvious one."""

import random
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from abplatform.domain.experiment import EventWindows
from abplatform.errors import StoreError
from abplatform.logs.attribution import (
    MOST_A_DAY,
    MOST_A_MINUTE,
    MOST_AN_HOUR,
    exposures_known_at,
)
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Settings, Workspace

MS = timedelta(milliseconds=1)
DAY = timedelta(days=1)
BOTH = [
    {"experiment": "beauty", "variant": "generated"},
    {"experiment": "layout", "variant": "b"},
]


def exposures_then(warehouse, version, until=None):
    """Return the rows that the view has in a question about the past."""
    with exposures_known_at(warehouse, version, until=until):
        rows = warehouse._connection.sql("SELECT * FROM exposures").to_arrow_table()
    return pl.from_arrow(rows)


def test_a_click_counts_within_the_window(take_in, wire, exposures):
    """From 5 s before its impression to the end of the attribution window, to the millisecond."""
    delays = {
        timedelta(seconds=-5): 1,
        timedelta(seconds=-5) - MS: 0,
        timedelta(0): 1,
        DAY: 1,
        DAY + MS: 0,
        DAY - MS: 1,
    }
    events = []
    for delay in delays:
        events.append(wire("impression", f"i {delay}"))
        events.append(wire("click", f"k {delay}", after=delay, impression_id=f"i {delay}"))
    take_in(events)
    rows = exposures()
    assert {delay: rows["beauty", f"i {delay}"]["clicked"] for delay in delays} == delays


def test_ten_clicks_on_one_impression_count_once(take_in, wire, exposures):
    """An impression is clicked or not, however often somebody clicks."""
    clicks = [
        wire("click", f"k{n}", after=timedelta(seconds=n), impression_id="i1") for n in range(10)
    ]
    assert take_in([wire("impression", "i1"), *clicks]).counts.accepted == 11
    assert exposures()["beauty", "i1"]["clicked"] == 1


def test_an_orphan_waits_for_its_impression(take_in, wire, exposures):
    """A click without its impression is accepted and counted as an orphan until that comes."""
    receipt = take_in([wire("click", "k1", after=MS, impression_id="i1")])
    assert receipt.counts.accepted == 1
    assert receipt.left_over["orphan_clicks"] == 1
    receipt = take_in([wire("impression", "i1")])
    assert receipt.left_over["orphan_clicks"] == 0
    assert exposures()["beauty", "i1"]["clicked"] == 1


def test_two_layers_count_once_each(take_in, wire, exposures):
    """One impression in two experiments is a row in each; each has its own window."""
    within_one = timedelta(hours=2)
    take_in(
        [
            wire("impression", "i1", assignments=BOTH),
            wire("click", "k1", after=within_one, impression_id="i1"),
            wire("impression", "i2", assignments=BOTH, unit_id="u2"),
            wire("click", "k2", after=MS, impression_id="i2"),
        ]
    )
    rows = exposures()
    assert {key: row["clicked"] for key, row in rows.items()} == {
        ("beauty", "i1"): 1,
        ("beauty", "i2"): 1,
        ("layout", "i1"): 0,
        ("layout", "i2"): 1,
    }
    assert all(row["impressions"] == 1 for row in rows.values())
    assert rows["layout", "i1"]["variant"] == "b"


def test_a_click_by_decision_finds_its_position(take_in, wire, exposures):
    """A click that names decision and position counts for that impression alone."""
    take_in(
        [
            wire("impression", "i1", decision_id="d1", position=0),
            wire("impression", "i2", decision_id="d1", position=1),
            wire("click", "k1", after=MS, decision_id="d1", position=1),
            wire("click", "k2", after=MS, decision_id="d1", position=7),
        ]
    )
    rows = exposures()
    assert (rows["beauty", "i1"]["clicked"], rows["beauty", "i2"]["clicked"]) == (0, 1)


def test_a_click_counts_for_one_of_two_impressions_of_a_decision(take_in, wire, exposures):
    """Where a decision was shown twice, its click belongs to the latest showing before it."""
    take_in(
        [
            wire("impression", "i1", decision_id="d1"),
            wire("impression", "i2", decision_id="d1", after=timedelta(minutes=1)),
            wire("impression", "i3", decision_id="d1", after=timedelta(minutes=3)),
            wire("click", "k1", after=timedelta(minutes=2), decision_id="d1"),
        ]
    )
    rows = exposures()
    assert [rows["beauty", name]["clicked"] for name in ("i1", "i2", "i3")] == [0, 1, 0]


def test_a_held_unit_stays_with_no_impressions(take_in, wire, exposures):
    """A held decision is a row that was decided but not shown; a shown one makes no row."""
    decision = {"unit_id": "u9", "experiment": "beauty", "variant": "generated"}
    held = wire("decision", "e1", decision_id="d1", action="hold", reason="frequency_cap")
    shown = wire("decision", "e2", decision_id="d2", action="show")
    take_in([held | decision, shown | decision, wire("impression", "i1", decision_id="d2")])
    rows = exposures()
    assert set(rows) == {("beauty", "e1"), ("beauty", "i1")}
    row = rows["beauty", "e1"]
    counted = ("impressions", "shown", "decisions", "clicked", "conversions")
    assert [row[name] for name in counted] == [0, 0, 1, 0, 0]
    assert row["reason"] == "assigned"
    assert row["unit_id"] == "u9"


def test_a_conversion_counts_within_its_window(take_in, wire, exposures):
    """By impression from its click on, by unit from the first exposure on, to the millisecond."""
    week, hour = timedelta(days=7), timedelta(hours=1)
    table = [
        ("impression_id", week, 1),
        ("impression_id", week + hour, 1),
        ("impression_id", week + hour + MS, 0),
        ("unit_id", week, 1),
        ("unit_id", week + MS, 0),
        ("unit_id", -MS, 0),
    ]
    money = {"kind": "purchase", "value_micros": 5_000_000, "currency": "USD"}
    events = []
    for number, (name, after, _) in enumerate(table):
        target = f"{name} {number}"
        events.append(wire("impression", f"impression_id {number}", unit_id=f"unit_id {number}"))
        events.append(
            wire("click", f"k{number}", after=hour, impression_id=f"impression_id {number}")
        )
        events.append(wire("conversion", f"v{number}", after=after, **{name: target}, **money))
    events.append(wire("conversion", "v", after=hour, unit_id="somebody else", **money))
    take_in(events)
    rows = exposures()
    found = [rows["beauty", f"impression_id {number}"] for number in range(len(table))]
    assert [row["conversions"] for row in found] == [counts for _, _, counts in table]
    assert [row["net_value_micros"] for row in found] == [5_000_000 * n for _, _, n in table]


def test_a_units_conversion_counts_on_its_first_exposure_in_each_experiment(
    take_in, wire, exposures
):
    """Whatever was clicked, the value goes to the first exposure, once in each experiment."""
    take_in(
        [
            wire("impression", "i2", after=timedelta(hours=1), assignments=BOTH),
            wire("impression", "i1"),
            wire("click", "k1", after=timedelta(hours=2), impression_id="i2"),
            wire(
                "conversion",
                "v1",
                after=timedelta(hours=3),
                unit_id="u1",
                kind="lead",
                value_micros=7,
                currency="USD",
            ),
        ]
    )
    rows = exposures()
    assert {key: row["net_value_micros"] for key, row in rows.items()} == {
        ("beauty", "i1"): 7,
        ("beauty", "i2"): 0,
        ("layout", "i2"): 7,
    }


def test_a_refund_takes_back_within_its_window(take_in, wire, exposures):
    """A refund lowers the value but is no conversion; late ones change nothing."""
    table = [  # what it reverses, when it comes, what is left
        ("v{}", 3 * DAY, 2_000_000),
        ("v{}", 4 * DAY, 5_000_000),
        ("o{}", 3 * DAY, 2_000_000),
        ("o{}", 4 * DAY, 5_000_000),
        (None, 9 * DAY, 2_000_000),
        (None, 9 * DAY + MS, 5_000_000),
    ]
    events = []
    for number, (reverses, after, _) in enumerate(table):
        owner = {"unit_id": f"u{number}", "currency": "USD"}
        bought = {"kind": "purchase", "value_micros": 5_000_000, "order_id": f"o{number}"}
        taken = {"kind": "refund", "value_micros": -3_000_000}
        if reverses:
            taken["reverses"] = reverses.format(number)
        events.append(wire("impression", f"i{number}", unit_id=f"u{number}"))
        events.append(wire("conversion", f"v{number}", after=DAY + MS, **bought, **owner))
        events.append(wire("conversion", f"r{number}", after=after, **taken, **owner))
    take_in(events)
    rows = exposures()
    found = [rows["beauty", f"i{number}"] for number in range(len(table))]
    assert [row["net_value_micros"] for row in found] == [net for _, _, net in table]
    assert [row["conversions"] for row in found] == [1] * len(table)


def test_costs_and_opinions_belong_to_impressions(take_in, wire, exposures):
    """A day's cost is spread over that day's impressions and adds up to the last millionth."""
    take_in(
        [
            *(wire("impression", f"i{n}", after=timedelta(minutes=n)) for n in range(3)),
            wire("impression", "b1", variant="baseline", unit_id="u2"),
            wire("cost", "c1", impression_id="i1", cost_micros=50, currency="USD"),
            wire(
                "cost",
                "c2",
                experiment="beauty",
                variant="generated",
                day="2026-11-02",
                cost_micros=100,
                currency="USD",
            ),
            wire("feedback", "f1", impression_id="i2", score=-1),
            wire("feedback", "f2", impression_id="i2", score=0.25),
        ]
    )
    rows = exposures()
    costs = {event: row["cost_micros"] for (_, event), row in rows.items()}
    assert costs == {"i0": 34, "i1": 33 + 50, "i2": 33, "b1": 0}
    row = rows["beauty", "i2"]
    assert (row["score_micros"], row["feedbacks"]) == (-750_000, 2)


def test_money_is_read_in_the_workspaces_currency(tmp_path, facts, wire, write):
    """Values are converted by the workspace's rates; a currency without one is quarantined."""
    settings = Settings(currency="EUR", rates={"USD": 0.9})
    clock = lambda: datetime(2026, 11, 22, tzinfo=UTC)  # noqa: E731 -- a clock is a function
    workspace = Workspace(tmp_path / "euro", settings, clock)
    money = {"kind": "purchase", "value_micros": 1_000_001, "unit_id": "u1"}
    events = [
        wire("impression", "i1"),
        wire("conversion", "v1", after=DAY, currency="USD", **money),
        wire("conversion", "v2", after=DAY, currency="EUR", **money),
        wire("conversion", "v3", after=DAY, currency="XAU", **money),
    ]
    receipt = ingest(workspace, facts, files=[write(events)])
    assert receipt.reasons == {"unknown_currency": 1}
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        row = exposures_then(warehouse, receipt.data_version).row(0, named=True)
    assert row["net_value_micros"] == 1_000_001 + 900_001


def test_units_in_two_variants_are_flagged(take_in, wire, exposures):
    """Only assigned exposures mix; a forced one in the other variant does not."""
    take_in(
        [
            wire("impression", "m1", unit_id="mixed"),
            wire("impression", "m2", unit_id="mixed", variant="baseline"),
            wire("impression", "f1", unit_id="forced"),
            wire("impression", "f2", unit_id="forced", variant="baseline", reason="forced"),
            wire("impression", "h1", unit_id="other", variant="baseline", reason="holdout"),
        ]
    )
    rows = exposures()
    assert {event: row["mixed"] for (_, event), row in rows.items()} == {
        "m1": True,
        "m2": True,
        "f1": False,
        "f2": False,
        "h1": False,
    }
    assert rows["beauty", "h1"]["reason"] == "holdout"


def test_units_faster_than_people_are_flagged_as_bots(take_in, wire, exposures):
    """More impressions a minute, hour or day than anyone looks at flag a unit and drop nothing."""
    begin = -timedelta(hours=12)
    paces = {
        MOST_A_MINUTE: timedelta(milliseconds=10),
        MOST_AN_HOUR: timedelta(seconds=7),
        MOST_A_DAY: timedelta(seconds=20),
    }
    events, expected = [wire("impression", "other", unit_id="person")], {"person": False}
    for most, pause in paces.items():
        for count in (most, most + 1):
            unit = f"{count} times"
            expected[unit] = count > most
            events += [
                wire("impression", f"{unit} {n}", unit_id=unit, after=begin + n * pause)
                for n in range(count)
            ]
    take_in(events)
    rows = exposures()
    assert {row["unit_id"]: row["bot"] for row in rows.values()} == expected
    assert len(rows) == len(events)


def test_known_agents_are_flagged_as_bots(take_in, wire, exposures):
    """A unit that once said it is a bot is one in all its rows."""
    agents = {
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": True,
        "python-requests/2.32": True,
        "curl/8.5.0": True,
        "Mozilla/5.0 HeadlessChrome/120.0": True,
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 Chrome/100": False,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1": False,
    }
    events = [wire("impression", "i", unit_id="silent")]
    for agent in agents:
        events.append(wire("impression", f"1 {agent}", unit_id=agent, user_agent=agent))
        events.append(wire("impression", f"2 {agent}", unit_id=agent, after=DAY))
    take_in(events)
    found = {}
    for row in exposures().values():
        found.setdefault(row["unit_id"], set()).add(row["bot"])
    assert found == {agent: {bot} for agent, bot in agents.items()} | {"silent": {False}}


def test_products_and_requests_are_never_too_fast(workspace, wire, write, exposures):
    """Where a unit is no person, its pace says nothing."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    halves = {"baseline": 50.0, "generated": 50.0}
    facts = ExperimentFacts(
        "beauty", halves, "baseline", unit="product_id", running=((begin, None),)
    )
    events = [wire("impression", f"i{n}", after=n * MS) for n in range(MOST_A_MINUTE + 1)]
    ingest(workspace, {"beauty": facts}, files=[write(events)])
    assert not any(row["bot"] for row in exposures().values())


def test_events_outside_the_running_time_are_kept_and_marked(workspace, wire, write, exposures):
    """Before the start, in a pause and after the end: accepted, marked, counted."""
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    facts = ExperimentFacts(
        "beauty",
        {"baseline": 50.0, "generated": 50.0},
        "baseline",
        running=((noon, noon + hour), (noon + 2 * hour, noon + 3 * hour)),
    )
    offsets = {"early": -MS, "first": 0 * MS, "pause": hour, "again": 2 * hour, "late": 3 * hour}
    events = [wire("impression", name, after=after) for name, after in offsets.items()]
    receipt = ingest(workspace, {"beauty": facts}, files=[write(events)])
    assert receipt.counts.accepted == 5
    assert receipt.left_over["outside_phase"] == 3
    outside = {event for (_, event), row in exposures().items() if row["outside_phase"]}
    assert outside == {"early", "pause", "late"}


def test_rows_are_final_once_nothing_can_come_any_more(take_in, wire, exposures):
    """final_at is ts + attribution_window + late_data; the watermark is the clock, or lower."""
    receipt = take_in(
        [wire("impression", "i1")], as_of=datetime(2026, 11, 20, tzinfo=UTC), source="web"
    )
    assert receipt.watermarks == {"web": "2026-11-20T00:00:00+00:00"}
    row = exposures()["beauty", "i1"]
    assert row["final_at"] == datetime(2026, 11, 6, 12)  # noqa: DTZ001 -- UTC without saying so
    assert row["source_watermark"] == datetime(2026, 11, 20)  # noqa: DTZ001 -- likewise


def test_days_are_those_of_the_workspace(tmp_path, facts, wire, write):
    """A workspace day begins at its own midnight, also across a change of the clocks."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    clock = lambda: datetime(2026, 11, 22, tzinfo=UTC)  # noqa: E731 -- a clock is a function
    workspace = Workspace(tmp_path / "york", Settings(time_zone=zone), clock)
    moments = {
        "summer": datetime(2026, 11, 1, 3, 59, tzinfo=UTC),
        "still": datetime(2026, 11, 1, 4, 0, tzinfo=UTC),
        "winter": datetime(2026, 11, 2, 4, 59, tzinfo=UTC),
        "next": datetime(2026, 11, 2, 5, 0, tzinfo=UTC),
    }
    events = [wire("impression", name, ts=moment.isoformat()) for name, moment in moments.items()]
    receipt = ingest(workspace, facts, files=[write(events)])
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        rows = exposures_then(warehouse, receipt.data_version)
    assert dict(rows.select("event_id", "day").iter_rows()) == {
        "summer": date(2026, 10, 31),
        "still": date(2026, 11, 1),
        "winter": date(2026, 11, 1),
        "next": date(2026, 11, 2),
    }


def test_what_was_known_then_can_be_told_again(workspace, take_in, wire, exposures):
    """An earlier data version gives the rows of that time, also of events that conflict since."""
    first = take_in([wire("impression", "i1"), wire("impression", "i2")])
    before = exposures()
    second = take_in(
        [wire("click", "k1", impression_id="i1"), wire("impression", "i2", unit_id="x")]
    )
    assert set(exposures()) == {("beauty", "i1")}
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        then = exposures_then(warehouse, first.data_version)
        now = exposures_then(warehouse, second.data_version)
        with pytest.raises(StoreError, match="never had"):
            exposures_then(warehouse, "0" * 12)
    assert {(r["experiment"], r["event_id"]): r for r in then.iter_rows(named=True)} == before
    assert now["clicked"].to_list() == [1]


def test_what_had_happened_by_a_moment_is_told_by_event_time(workspace, take_in, wire):
    """Impression 10:00, click 12:00, conversion 13:00: each counts from its own time on."""
    ten, hour = timedelta(hours=-2), timedelta(hours=1)
    paid = {"kind": "purchase", "value_micros": 500, "currency": "USD"}
    at_one = {"after": ten + 3 * hour, "impression_id": "i1"}
    first = take_in(
        [
            wire("impression", "i1", after=ten),
            wire("click", "k1", after=ten + 2 * hour, impression_id="i1"),
            wire("conversion", "v1", **paid, **at_one),
            wire("cost", "c1", cost_micros=7, currency="USD", **at_one),
            wire("feedback", "f1", score=0.5, **at_one),
        ]
    )
    take_in([wire("click", "k0", after=ten, impression_id="i1")])
    counts = ("clicked", "conversions", "net_value_micros", "cost_micros", "feedbacks")
    moments = {-1: [], 0: [(0,) * 5], 1: [(0,) * 5], 2.5: [(1, 0, 0, 0, 0)], 4: [(1, 1, 500, 7, 1)]}
    start = datetime(2026, 11, 2, 10, tzinfo=UTC)
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        for hours, expected in moments.items():
            rows = exposures_then(
                warehouse, first.data_version, until=start + timedelta(hours=hours)
            )
            assert rows.select(counts).rows() == expected, hours
        # The click that came in later had happened by ten: the present version knows it.
        now = exposures_then(warehouse, data_version(warehouse), until=start)
    assert now["clicked"].to_list() == [1]


def test_flags_are_as_known_at_the_moment(workspace, take_in, wire):
    """A unit is a bot, or mixed, from the event on that shows it."""
    busy = [
        wire("impression", f"b{n}", after=timedelta(seconds=n / 10), unit_id="busy")
        for n in range(MOST_A_MINUTE + 1)
    ]
    seen = {"unit_id": "both", "after": timedelta(0)}
    again = wire("impression", "m2", unit_id="both", after=DAY, variant="baseline")
    version = take_in([*busy, wire("impression", "m1", **seen), again]).data_version
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
    flagged = {}
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        for after in (timedelta(seconds=5.9), timedelta(seconds=6), DAY - MS, DAY):
            rows = exposures_then(warehouse, version, until=noon + after)
            flagged[after] = (rows["bot"].any(), rows["mixed"].any())
    assert list(flagged.values()) == [(False, False), (True, False), (True, False), (True, True)]


def test_a_flag_knows_the_event_that_showed_it(workspace, take_in, wire):
    """Asked at any later time, flags up to a moment are those of the events up to that moment."""
    draw = random.Random(11)
    events = []
    for number in range(700):
        busy = number % 2
        unit = f"busy{draw.randrange(3)}" if busy else f"u{draw.randrange(60)}"
        hours = draw.random() / 60 if busy and number > 250 else draw.random() * 40
        variant = "baseline" if draw.random() < 0.1 else "generated"
        told = {"unit_id": unit, "variant": variant, "after": timedelta(hours=hours)}
        events.append(wire("impression", f"i{number}", **told))
    steady = [timedelta(seconds=1.2 * n) for n in range(MOST_AN_HOUR + 1)]
    events += [
        wire("impression", f"s{n}", unit_id="steady", after=after) for n, after in enumerate(steady)
    ]
    version = take_in(events).data_version
    start = datetime(2026, 11, 2, 12, tzinfo=UTC)
    found = {"bot": set(), "mixed": set()}
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        now = exposures_then(warehouse, version)
        for hours in (0.001, 0.0132, 0.0135, 0.0138, 0.014, 0.0167, 0.1, 0.1667, 5, 30, 41):
            moment = start + timedelta(hours=hours)
            then = exposures_then(warehouse, version, until=moment)
            for flag, totals in found.items():
                told = set(then.filter(pl.col(flag))["unit_id"])
                at = pl.col(f"{flag}_at") <= moment.replace(tzinfo=None)
                assert set(now.filter(at)["unit_id"]) == told, (hours, flag)
                totals.add(len(told))
    assert found["bot"] >= {0, 3, 4}
    assert len(found["mixed"]) == 5


def test_attribution_equals_the_slow_obvious_way(take_in, wire, exposures):
    """A thousand random events give the clicks that a loop over all pairs gives."""
    draw = random.Random(7)
    impressions, clicks = [], []
    for number in range(300):
        after = timedelta(seconds=draw.randrange(0, 200_000))
        impressions.append((f"i{number}", after))
    for number in range(700):
        name, shown = draw.choice([*impressions, ("never came", timedelta(0))])
        clicks.append((f"k{number}", name, shown + timedelta(seconds=draw.randrange(-9, 100_000))))
    events = [wire("impression", name, after=after) for name, after in impressions]
    events += [wire("click", key, after=when, impression_id=name) for key, name, when in clicks]
    draw.shuffle(events)
    take_in(events)
    expected = {
        name: int(
            any(
                target == name and timedelta(seconds=-5) <= when - shown <= DAY
                for _, target, when in clicks
            )
        )
        for name, shown in impressions
    }
    assert {event: row["clicked"] for (_, event), row in exposures().items()} == expected


def test_facts_come_from_an_experiment_and_its_phases():
    """A pause between two phases is time in which it does not run; a stop ends the last one."""
    begin, day = datetime(2026, 11, 1, tzinfo=UTC), DAY
    running = ((begin, begin + day), (begin + day, begin + 3 * day), (begin + 4 * day, None))
    facts = ExperimentFacts("x", {"a": 50.0, "b": 50.0}, "a", running=running)
    low, high = facts.running_micros
    assert (low[1] - low[0], high[0] - low[1]) == (3 * 86_400_000_000, 86_400_000_000)
    external = ExperimentFacts("x", {"a": 100.0}, "a", assignment="external")
    assert external.running_micros[0][0] < 0 < external.running_micros[0][1]
    assert ExperimentFacts("x", {"a": 100.0}, "a").running_micros == []
    assert external.windows == EventWindows()
