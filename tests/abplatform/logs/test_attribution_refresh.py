"""A refresh that computes only what was touched equals a computation from the beginning."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from abplatform.domain.experiment import EventWindows
from abplatform.logs.attribution import exposures_known_at, refresh, refresh_exposures
from abplatform.logs.facts import Rates
from abplatform.logs.load import backfill, ingest
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.totals import refresh_totals

BEGIN = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RATES = Rates.of("USD", {})
LAYERS = [
    [{"experiment": "beauty", "variant": "generated"}, {"experiment": "layout", "variant": "b"}],
    [{"experiment": "beauty", "variant": "generated"}, {"experiment": "layout", "variant": "a"}],
    [{"experiment": "beauty", "variant": "baseline"}],
    [],
]


class Log:
    """Makes batches of events that name those of other batches, earlier and later ones."""

    def __init__(self, seed, wire):
        self.draw = random.Random(seed)
        self.wire = wire
        self.sent = []

    def batch(self, size):
        """Return events of a batch, some of them sent before, some in contradiction to those."""
        events = [self.event() for _ in range(size)]
        if self.some(0.3):
            events += self.burst()
        if self.some(0.7):
            events += self.hasty()
        again = self.draw.sample(self.sent, min(len(self.sent), 4))
        wrong = [one | {"ts": "2026-11-03T00:00:00Z"} for one in again[:2] if self.some(0.5)]
        self.sent += events
        return events + again[2:] + wrong

    def told_in_two(self, turns):
        """Return a list of events a turn: stories, each begun in one turn and ended in a later one.

        Half of them are told in order, so that the end changes what the beginning had shown; of the
        others any part comes first.
        """
        pieces = [[] for _ in range(turns)]
        for copy in range(6):
            for tell in (
                self.spared,
                self.caught,
                self.moved_click,
                self.moved_refund,
                self.earlier_first,
                self.two_variants,
                self.waited,
                self.shared_cost,
                self.hurried,
                self.admitted,
            ):
                begun, ended = tell(f"{tell.__name__}{copy}", copy)
                if copy > 2:
                    both = begun + ended
                    self.draw.shuffle(both)
                    cut = self.draw.randrange(1, len(both))
                    begun, ended = both[:cut], both[cut:]
                first, second = sorted(self.draw.sample(range(turns), 2))
                pieces[first] += begun
                pieces[second] += ended
        return pieces

    def shown(self, name, hours, **told):
        """Return an impression of a story, of its own unit."""
        fields = {"unit_id": name.split()[0], "assignments": LAYERS[2]} | told
        return self.wire("impression", name, after=timedelta(hours=hours), **fields)

    def clicked(self, name, hours, **told):
        """Return a click of a story."""
        return self.wire("click", f"k{name}", after=timedelta(hours=hours), **told)

    def paces(self, name, pauses, *, decided):
        """Return impressions and their clicks after so many seconds."""
        seen, clicks = [], []
        for number, pause in enumerate(pauses):
            one = f"{name} {number}"
            named = {"decision_id": f"d{one}", "position": number}
            seen.append(self.shown(one, number, **named))
            named = named if decided else {"impression_id": one}
            clicks.append(self.clicked(one, number + pause / 3600, **named))
        return seen, clicks

    def spared(self, name, copy):
        """A unit with as many slow clicks as quick ones, of which a slow one is taken back."""
        seen, clicks = self.paces(name, [9] * 5 + [0.5] * 5, decided=copy % 2)
        return seen + clicks, [clicks[0] | {"ts": "2026-11-03T00:00:00Z"}]

    def caught(self, name, copy):
        """A unit caught by quick clicks, of which slow clicks, or more impressions, come later."""
        seen, clicks = self.paces(name, [9] * 5 + [0.5] * 5, decided=copy % 2)
        late = clicks[:5] if copy % 3 else [self.shown(f"{name} more", 50)]
        return seen + clicks[5:], late

    def moved_click(self, name, copy):
        """A click by decision that is for another impression once that comes, or goes."""
        told = {"decision_id": f"d{name}", "position": 1}
        both = [self.shown(f"{name} {n}", n / 60, **told) for n in range(2)]
        click = self.clicked(name, 0.1, **told)
        if copy % 2:
            return [*both, click], [both[1] | {"ts": "2026-11-03T00:00:00Z"}]
        return [both[0], click], [both[1]]

    def moved_refund(self, name, copy):
        """A refund by order that is of another purchase once that comes, by order or by its id."""
        order, money = f"o{name}", {"currency": "USD", "value_micros": 70}
        seen = [self.shown(f"{name} {n}", n) for n in range(2)]

        def change(key, hours, number, **told):
            owner = {"impression_id": f"{name} {number}"}
            return self.wire(
                "conversion", key, after=timedelta(hours=hours), **owner, **(money | told)
            )

        bought = change(f"p{name}", 4, 0, kind="purchase", order_id=order)
        refund = change(f"r{name}", 6, 1, kind="refund", reverses=order, value_micros=-30)
        key, hours, told = ((order, 5, {}), (f"q{name}", 3, {"order_id": order}))[copy % 2]
        other = change(key, hours, 1, kind="purchase", **told)
        if copy == 0:
            return [*seen, bought], [refund]
        return [*seen, bought, refund], [other]

    def earlier_first(self, name, copy):
        """A conversion of a unit, whose first exposure comes later, or whose second is clicked."""
        seen = [self.shown(f"{name} {n}", n) for n in range(2)]
        money = {"currency": "USD", "value_micros": 90}
        after = timedelta(hours=5)
        bought = self.wire(
            "conversion", f"p{name}", after=after, unit_id=name, kind="lead", **money
        )
        click = self.clicked(name, 1.5, impression_id=f"{name} 1")
        if copy % 3 == 0:
            return [*seen, click], [bought]
        return ([*seen, bought], [click]) if copy % 3 == 1 else ([seen[1], bought, click], seen[:1])

    def two_variants(self, name, copy):
        """A unit that is seen in a second variant, which moves, or is taken back."""
        first, other = (
            self.shown(f"{name} 0", 9),
            self.shown(f"{name} 1", 10, assignments=LAYERS[1]),
        )
        if copy % 3 == 0:
            return [first], [other]
        if copy % 3 == 1:
            return [first, other], [self.shown(f"{name} 2", 8, assignments=LAYERS[1])]
        return [first, other], [other | {"ts": "2026-11-03T00:00:00Z"}]

    def waited(self, name, copy):
        """An impression of which something is told before it comes, or afterwards."""
        seen, named = [self.shown(f"{name} 0", 30 + 24 * copy)], {"impression_id": f"{name} 0"}
        soon = timedelta(hours=31 + 24 * copy)
        day = f"2026-11-{3 + copy:02}"
        cell = {"experiment": "beauty", "variant": "baseline", "day": day}
        paid, worth = {"currency": "USD", "cost_micros": 8}, {"currency": "USD", "value_micros": 5}
        others = [
            [self.wire("conversion", f"p{name}", after=soon, kind="lead", **named, **worth)],
            [self.wire("cost", f"c{name}", **named, **paid)],
            [self.wire("cost", f"c{name}", **cell, **paid)],
            [self.wire("feedback", f"f{name}", **named, score=0.5)],
        ]
        told = others[copy % 4]
        return (told, seen) if self.some(0.6) else (seen, told)

    def shared_cost(self, name, copy):
        """A day's cost over two impressions, which is taken back, or one of them is."""
        seen = [self.shown(f"{name} {n}", 24 * (9 + copy) + n) for n in range(2)]
        cell = {"experiment": "beauty", "variant": "baseline", "day": f"2026-11-{11 + copy}"}
        cost = self.wire("cost", f"c{name}", **cell, currency="USD", cost_micros=9)
        wrong = cost | {"cost_micros": 8} if copy % 2 else seen[0] | {"creative_id": "other"}
        return [*seen, cost], [wrong]

    def hurried(self, name, copy):
        """A unit that is shown too much in a minute only when both parts have come."""
        size = 1 if copy else 61
        seen = [self.shown(f"{name} {n}", 100 + n / 7200) for n in range(size)]
        return seen[:40], seen[40:] or [self.shown(f"{name} later", 101)]

    def admitted(self, name, copy):
        """A unit that nobody clicks for, whose agent says later that it is a bot."""
        agent = {"user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}
        if copy % 2:
            return [self.shown(f"{name} 0", 1)], [self.shown(f"{name} 1", 2, **agent)]
        held = {"decision_id": name, "action": "hold", "unit_id": name, "assignments": LAYERS[2]}
        told = self.wire("decision", f"e{name}", after=timedelta(hours=2), **held, **agent)
        return [self.shown(f"{name} 0", 1)], [told]

    def some(self, share):
        """Decide something by chance."""
        return self.draw.random() < share

    def event(self):  # noqa: PLR0911 -- one return a kind of event
        """Return an event about one of ninety impressions, whether that one came or not."""
        number = self.draw.randrange(90)
        shown = timedelta(hours=2 * number)
        soon = shown + timedelta(seconds=self.draw.choice([-4, 0.5, 0.7, 30, 4000, 90_000]))
        name, unit = f"i{number}", f"u{number % 30}"
        key = f"{self.draw.randrange(10**9)}"
        kind = self.draw.choices(range(8), [12, 9, 1, 6, 5, 2, 2, 2])[0]
        if kind == 0:
            return self.impression(number, name, unit, shown)
        if kind == 1:
            return self.wire("click", f"k{key}", after=soon, impression_id=name)
        if kind == 2:
            decided = {"decision_id": f"d{number % 4}"}
            return self.wire("click", f"l{key}", after=soon, **decided)
        money = {"currency": "USD", "value_micros": self.draw.randrange(10**6)}
        owner = {"unit_id": unit} if number % 30 < 6 else {"impression_id": name}
        if kind == 3:
            told = {"kind": "purchase", "order_id": f"o{self.draw.randrange(4)}"}
            bought = f"v{self.draw.randrange(40)}"
            return self.wire("conversion", bought, after=soon, **told, **owner, **money)
        if kind == 4:
            money["value_micros"] *= -1
            named = self.draw.choice(
                [{}, {"reverses": f"v{self.draw.randrange(40)}"}, {"reverses": f"o{number % 4}"}]
            )
            told = {"kind": "refund"} | named
            return self.wire("conversion", f"r{key}", after=soon, **told, **owner, **money)
        paid = {"currency": "USD", "cost_micros": self.draw.randrange(100)}
        if kind == 5:
            cell = {
                "experiment": "beauty",
                "variant": "generated",
                "day": f"2026-11-0{2 + number % 5}",
            }
            return self.wire(
                "cost", f"c{key}", **(cell if self.some(0.5) else {"impression_id": name}), **paid
            )
        if kind == 6:
            return self.wire("feedback", f"f{key}", impression_id=name, score=0.5)
        return self.wire(
            "decision",
            f"e{number}",
            after=shown,
            decision_id=f"x{number}",
            action="hold",
            unit_id=unit,
            assignments=LAYERS[number % 3],
        )

    def impression(self, number, name, unit, shown):
        """Return an impression of the market."""
        told = {"assignments": LAYERS[number % 4], "decision_id": f"d{number % 50}"}
        if number % 17 == 0:
            told["user_agent"] = "Googlebot/2.1 (+http://www.google.com/bot.html)"
        if number % 13 == 0:
            told["reason"] = "forced"
        return self.wire("impression", name, after=shown, unit_id=unit, **told)

    def hasty(self):
        """Return clicks of which some are too quick for a hand, now and then for other moments."""
        unit = f"h{self.draw.randrange(2)}"
        events = []
        for number in self.draw.sample(range(12), 7):
            shown = timedelta(hours=number)
            pause = timedelta(seconds=self.draw.choice([0, 0.5, 0.5, 0.5, 7]))
            name, told = f"{unit} {number}", {"unit_id": unit, "assignments": LAYERS[2]}
            events.append(self.wire("impression", name, after=shown, **told))
            key = f"{name} {self.draw.randrange(2)}"
            events.append(self.wire("click", key, after=shown + pause, impression_id=name))
        return events

    def burst(self):
        """Return a minute in which a unit sees half, or all, of too much."""
        unit, first = f"u{self.draw.randrange(30)}", self.draw.choice([0, 40])
        return [
            self.wire(
                "impression",
                f"b{unit}{n}",
                after=timedelta(hours=5, seconds=n / 2),
                unit_id=unit,
                assignments=LAYERS[n % 2],
            )
            for n in range(first, first + 40)
        ]


@pytest.fixture
def log(wire, request):
    """Return a log that each repetition draws anew."""
    drawn = getattr(request.node, "callspec", None)
    return Log(drawn.params.get("repetition", 0) if drawn else 0, wire)


def rows_of(warehouse):
    table = warehouse._connection.sql("SELECT * EXCLUDE (source_watermark) FROM exposures")
    frame = pl.from_arrow(table.to_arrow_table())
    return frame.sort("experiment", "event_id", "ts")


def totals_of(warehouse):
    frames = [
        pl.from_arrow(warehouse._connection.table(name).to_arrow_table())
        for name in ("unit_category_totals", "bucket_sums")
    ]
    return [sorted(map(repr, frame.rows())) for frame in frames]


def flags_of(warehouse):
    kept = ("kept_bots", "kept_mixed")
    return [sorted(warehouse._connection.table(name).fetchall()) for name in kept]


@pytest.mark.fault  # so that `make soak` draws other logs
def test_a_refresh_equals_a_computation_from_the_beginning(workspace, facts, log, write):
    """Whatever comes in whatever pieces, every row is what all events together say."""
    stories = log.told_in_two(8)
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for turn in range(8):
        if turn == 3:
            paused = ((begin, begin + timedelta(days=3)), (begin + timedelta(days=4), None))
            facts = facts | {"beauty": replace(facts["beauty"], running=paused)}
        if turn == 5:
            longer = EventWindows(attribution_window=timedelta(hours=30))
            facts = facts | {"layout": replace(facts["layout"], windows=longer)}
        ingest(workspace, facts, files=[write(log.batch(50) + stories[turn])])
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            kept, flags = rows_of(warehouse), flags_of(warehouse)
            with exposures_known_at(warehouse, data_version(warehouse)):
                assert kept.equals(rows_of(warehouse)), turn
            marked = warehouse._connection.sql(
                "SELECT (SELECT count(*) FROM impressions WHERE marked)"
                " + (SELECT count(*) FROM decisions WHERE marked),"
                " (SELECT count(*) FROM exposure_outcomes)"
            ).fetchall()[0]
            assert marked[0] == marked[1]
            left = warehouse.query("load/left_over")
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        warehouse.execute("load/set_meta", name="exposures", value="")
        assert refresh_exposures(warehouse)
        assert rows_of(warehouse).equals(kept)
        assert flags_of(warehouse) == flags
        assert warehouse.query("load/left_over").equals(left)
        assert not refresh_exposures(warehouse)
    for name in ("clicked", "conversions", "refunded_value_micros", "cost_micros", "feedbacks"):
        assert kept[name].sum() > 0, name
    assert all(kept[flag].any() for flag in ("bot", "mixed", "outside_phase"))


@pytest.fixture
def passes(monkeypatch):
    """Return a list that gets the segment after which each pass of a refresh computes anew."""
    since, original = [], refresh.attribute_since

    def told(*positional, **named):
        since.append(named["since"])
        original(*positional, **named)

    monkeypatch.setattr(refresh, "attribute_since", told)
    return since


@pytest.mark.fault  # so that `make soak` draws other logs
def test_a_backfill_computes_what_its_events_touch(workspace, facts, log, take_in, passes):
    """Bit by bit, with other logs between, rows, flags and totals are those of a fresh start."""
    first, *late = log.told_in_two(4)
    take_in([log.wire("impression", "oldest", after=-30 * DAY)], as_of=BEGIN)
    first += log.batch(60)
    take_in([*first, log.wire("impression", "newest", after=40 * DAY)], as_of=BEGIN + 60 * DAY)
    for events in late:
        take_in(events + log.batch(30), as_of=BEGIN + 60 * DAY)
    passes.clear()
    steps = [0.1, 0.2, 0.4, 1, 3, 30]
    for number, days in enumerate(steps):
        done = backfill(workspace, facts, until=BEGIN + days * DAY)
        assert done.entered, days
        if number % 2:
            named = {"impression_id": f"waited{number} 0"}
            take_in([log.wire("click", f"k{days}", after=number * DAY, **named)])
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            kept, flags, totals = rows_of(warehouse), flags_of(warehouse), totals_of(warehouse)
            with exposures_known_at(warehouse, data_version(warehouse)):
                assert kept.equals(rows_of(warehouse)), days
    assert min(passes) > 0
    assert len(passes) >= len(steps)
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        left = warehouse.query("load/left_over")
        for name in ("exposures", "totals"):
            warehouse.execute("load/set_meta", name=name, value="")
        assert refresh_exposures(warehouse)
        assert refresh_totals(warehouse)
        assert rows_of(warehouse).equals(kept)
        assert flags_of(warehouse) == flags
        assert totals_of(warehouse) == totals
        assert warehouse.query("load/left_over").equals(left)
