"""The truth table of attribution, by hand: one short log a line, and what must come out of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.logs.attribution import FEWEST_QUICK, exposures_known_at
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
GENERATED = {"experiment": "beauty", "variant": "generated"}
BASELINE = {"experiment": "beauty", "variant": "baseline"}
LAYOUT = {"experiment": "layout", "variant": "b"}
"""Windows of beauty: clicks a day, conversions 7 days, refunds 2 days; of layout an hour."""


def bought(name, after, value=5, **fields):
    money = {"kind": "purchase", "value_micros": value, "currency": "USD"}
    return ("conversion", name, after, money | fields)


def refunded(name, after, value=-3, **fields):
    return bought(name, after, value, **{"kind": "refund"} | fields)


def shown(name="i1", after=0 * MS, **fields):
    return ("impression", name, after, {"assignments": [GENERATED]} | fields)


def click(name, after, **fields):
    return ("click", name, after, fields or {"impression_id": "i1"})


LATER = shown("i2", HOUR, assignments=[BASELINE], unit_id="u2")

TRUTH = {
    "5 s early": ([shown(), click("k", -5 * SECOND)], {"i1": {"clicked": 1}}),
    "5 s and 1 ms early": ([shown(), click("k", -5 * SECOND - MS)], {"i1": {"clicked": 0}}),
    "window less 1 ms": ([shown(), click("k", DAY - MS)], {"i1": {"clicked": 1}}),
    "window": ([shown(), click("k", DAY)], {"i1": {"clicked": 1}}),
    "window and 1 ms": ([shown(), click("k", DAY + MS)], {"i1": {"clicked": 0}}),
    "the click comes first": ([click("k", HOUR), None, shown()], {"i1": {"clicked": 1}}),
    "ten clicks": (
        [shown(), *(click(f"k{n}", n * SECOND) for n in range(10))],
        {"i1": {"clicked": 1, "impressions": 1}},
    ),
    "by decision and position": (
        [
            shown(decision_id="d", position=0),
            shown("i2", MS, decision_id="d", position=1),
            click("k", HOUR, decision_id="d", position=1),
        ],
        {"i1": {"clicked": 0}, "i2": {"clicked": 1}},
    ),
    "by decision, before its impression": (
        [click("k", HOUR, decision_id="d"), None, shown(decision_id="d")],
        {"i1": {"clicked": 1}},
    ),
    "by decision, a later showing comes late": (
        [
            shown(decision_id="d"),
            click("k", HOUR, decision_id="d"),
            None,
            shown("i2", HOUR / 2, decision_id="d"),
        ],
        {"i1": {"clicked": 0}, "i2": {"clicked": 1}},
    ),
    "another variant's impression": (
        [shown(), LATER, click("k", 2 * HOUR, impression_id="i2")],
        {"i1": {"clicked": 0}, "i2": {"clicked": 1, "variant": "baseline"}},
    ),
    "refund within its window": (
        [
            shown(),
            bought("v", HOUR, impression_id="i1"),
            refunded("r", HOUR + 2 * DAY, reverses="v", unit_id="u1"),
        ],
        {"i1": {"conversions": 1, "gross": 5, "refunded": 3, "net_value_micros": 2}},
    ),
    "refund 1 ms after its window": (
        [
            shown(),
            bought("v", HOUR, impression_id="i1"),
            refunded("r", HOUR + 2 * DAY + MS, reverses="v", unit_id="u1"),
        ],
        {"i1": {"conversions": 1, "gross": 5, "refunded": 0, "net_value_micros": 5}},
    ),
    "refund before the purchase is known": (
        [
            shown(),
            refunded("r", DAY, reverses="v", unit_id="u1"),
            None,
            bought("v", HOUR, impression_id="i1"),
        ],
        {"i1": {"conversions": 1, "gross": 5, "refunded": 3, "net_value_micros": 2}},
    ),
    "refund of an order": (
        [
            shown(),
            bought("v", HOUR, impression_id="i1", order_id="o"),
            refunded("r", DAY, reverses="o", unit_id="u1"),
        ],
        {"i1": {"gross": 5, "refunded": 3, "net_value_micros": 2}},
    ),
    "refund of what never came": (
        [shown(), refunded("r", DAY, reverses="v", unit_id="u1")],
        {"i1": {"conversions": 0, "gross": 0, "refunded": 0, "net_value_micros": 0}},
    ),
    "refund of nothing by name": (
        [shown(), refunded("r", 9 * DAY, unit_id="u1")],
        {"i1": {"conversions": 0, "gross": 0, "refunded": 3, "net_value_micros": -3}},
    ),
    "two purchases, one refund": (
        [
            shown(),
            bought("v", HOUR, impression_id="i1"),
            bought("w", HOUR, 7, impression_id="i1"),
            refunded("r", DAY, -7, reverses="w", unit_id="u1"),
        ],
        {"i1": {"conversions": 2, "gross": 12, "refunded": 7, "net_value_micros": 5}},
    ),
    "conversion by unit": (
        [shown(), LATER, shown("i3", 2 * HOUR), bought("v", 3 * HOUR, unit_id="u1")],
        {"i1": {"conversions": 1}, "i2": {"conversions": 0}, "i3": {"conversions": 0}},
    ),
    "conversion by unit, an earlier exposure comes late": (
        [shown("i3", 2 * HOUR), bought("v", 3 * HOUR, unit_id="u1"), None, shown()],
        {"i1": {"conversions": 1}, "i3": {"conversions": 0}},
    ),
    "held unit": (
        [
            (
                "decision",
                "e1",
                0 * MS,
                {**GENERATED, "unit_id": "u1", "decision_id": "d", "action": "hold"},
            )
        ],
        {"e1": {"impressions": 0, "shown": 0, "decisions": 1, "clicked": 0}},
    ),
    "held unit that buys": (
        [
            (
                "decision",
                "e1",
                0 * MS,
                {**GENERATED, "unit_id": "u1", "decision_id": "d", "action": "hold"},
            ),
            bought("v", HOUR, unit_id="u1"),
        ],
        {"e1": {"impressions": 0, "conversions": 1, "net_value_micros": 5}},
    ),
}


NAMES = ("impression_id", "decision_id", "unit_id", "order_id", "reverses")


def apart(case, kind, name, fields):
    """Give ids of their own to the events of a case, so that all cases fit into one log."""
    if kind == "impression":
        fields = {"unit_id": "u1"} | fields
    told = {key: f"{case}: {value}" if key in NAMES else value for key, value in fields.items()}
    return f"{case}: {name}", told


def test_truth(take_in, wire, exposures):
    """Every line of the table comes out as a person would say it, in one log or in two pieces."""
    pieces = [[], []]
    for case, (events, _) in TRUTH.items():
        turn = 0
        for event in events:
            if event is None:
                turn = 1
                continue
            kind, name, after, fields = event
            event_id, told = apart(case, kind, name, fields)
            pieces[turn].append(wire(kind, event_id, after=after, **told))
    for piece in pieces:
        take_in(piece)
    rows = {event: row for (_, event), row in exposures().items()}
    for case, (_, expected) in TRUTH.items():
        for name, told in expected.items():
            row = rows[f"{case}: {name}"]
            row |= {"gross": row["gross_value_micros"], "refunded": row["refunded_value_micros"]}
            assert {key: row[key] for key in told} == told, case


@pytest.mark.parametrize(
    "layers", [[GENERATED, LAYOUT], [GENERATED, LAYOUT, {"experiment": "third", "variant": "x"}]]
)
def test_one_click_counts_once_in_each_layer_and_once_in_total(  # noqa: PLR0917 -- fixtures
    workspace, facts, wire, write, exposures, rows_of, layers
):
    """An impression of several experiments is one event, and a row with one click in each."""
    third = replace(facts["layout"], key="third", weights={"x": 50.0, "y": 50.0}, control="y")
    events = [
        wire("impression", "i1", assignments=layers),
        wire("click", "k1", after=MS, impression_id="i1"),
        wire(
            "conversion",
            "v1",
            after=HOUR,
            unit_id="u1",
            kind="lead",
            value_micros=9,
            currency="USD",
        ),
    ]
    receipt = ingest(workspace, facts | {"third": third}, files=[write(events)])
    rows = exposures()
    assert receipt.counts.accepted == 3
    assert {key: (row["clicked"], row["net_value_micros"]) for key, row in rows.items()} == {
        (layer["experiment"], "i1"): (1, 9) for layer in layers
    }
    assert rows_of("SELECT count(*) FROM impressions WHERE ordinal = 0") == [(1,)]


def test_a_unit_of_two_experiments_converts_once_in_each(take_in, wire, exposures):
    """A conversion by unit counts on the first exposure in each experiment, wherever they lie."""
    take_in(
        [
            wire("impression", "i1", assignments=[LAYOUT]),
            wire("impression", "i2", after=HOUR, assignments=[GENERATED]),
            wire("impression", "i3", after=2 * HOUR, assignments=[GENERATED, LAYOUT]),
            wire(
                "conversion",
                "v",
                after=3 * HOUR,
                unit_id="u1",
                kind="lead",
                value_micros=1,
                currency="USD",
            ),
        ]
    )
    counted = {key: row["conversions"] for key, row in exposures().items() if row["conversions"]}
    assert counted == {("layout", "i1"): 1, ("beauty", "i2"): 1}


@pytest.mark.parametrize("named_by", ["impression", "decision"])
def test_hands_are_not_that_fast(workspace, take_in, wire, exposures, named_by):
    """Enough quick clicks, most of a unit's clicks, flag it from the moment that shows it."""
    pauses = {
        "robot": [SECOND - MS] * FEWEST_QUICK,
        "few": [SECOND - MS] * (FEWEST_QUICK - 1),
        "person": [SECOND] * 9,
        "one row": [0 * MS] * 9,
        "early": [-MS] * 9,
        "mostly slow": [SECOND] * FEWEST_QUICK + [MS] * FEWEST_QUICK,
        "slow afterwards": [MS] * FEWEST_QUICK + [HOUR] * 9,
    }
    events = []
    for unit, waits in pauses.items():
        for number, wait in enumerate(waits):
            name, shown_after = f"{unit} {number}", number * 2 * HOUR
            decided = {"decision_id": f"d {name}", "position": number}
            named = decided if named_by == "decision" else {"impression_id": name}
            events.append(wire("impression", name, after=shown_after, unit_id=unit, **decided))
            events.append(wire("click", f"k {name}", after=shown_after + wait, **named))
    version = take_in(events).data_version
    rows = exposures().values()
    assert {row["unit_id"] for row in rows if row["bot"]} == {"robot", "slow afterwards"}
    at = {row["unit_id"]: row["bot_at"] for row in rows}
    last = NOON.replace(tzinfo=None) + (FEWEST_QUICK - 1) * 2 * HOUR
    assert at["robot"] == last + SECOND - MS
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        for moment, flagged in ((last, 0), (last + MS, 1), (last + SECOND, 2)):
            until = moment.replace(tzinfo=UTC)
            with exposures_known_at(warehouse, version, until=until):
                found = warehouse._connection.sql(
                    "SELECT DISTINCT unit_id FROM exposures WHERE bot"
                )
                assert len(found.fetchall()) == flagged
