"""A workspace with pseudonyms tells what its twin without them tells, whatever happens to both.

Logs are delivered, redelivered, replaced and brought back, pulled from a source, forgotten and
expired; late events are let in, categories renamed, rates changed. After every step both count the
same. In the end a store that is made anew equals the one that lived through it, and answers the
same about every version that could still be asked.
"""

import os
import random
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.logs.attribution import exposures_known_at
from abplatform.logs.forget import forget_expired, forget_units
from abplatform.logs.landing import Hours
from abplatform.logs.load import backfill, check_identities, ingest
from abplatform.logs.sources import pull_due
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.totals import are_current
from abplatform.settings import Privacy, Settings, Source
from abplatform.workspace import Workspace

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
HISTORIES = int(os.environ.get("ABPLATFORM_EXAMPLES", "12")) // 12
STEPS = 6
PULLED = Source("pulled", "logs/*.jsonl", every=timedelta(seconds=1))

COUNTED = """
SELECT experiment, event_id, variant, category, impressions, clicked, conversions,
    gross_value_micros, net_value_micros, cost_micros
FROM exposures
"""
SHARED = {
    "exposures": COUNTED,
    "units": "SELECT experiment, variant, count(DISTINCT unit_id) FROM exposures GROUP BY ALL",
    "ledger": "FROM ledger",
    "quarantine": "SELECT segment_number, line, source, reason, superseded_by FROM quarantine",
    "late": "FROM late_events",
    "reports": "FROM aggregates_current",
    "watermarks": "FROM sources",
    "left_over": "FROM left_over",
}
OWN = SHARED | {
    "exposures": "SELECT * EXCLUDE (source_watermark) FROM exposures",
    "quarantine": "SELECT * FROM quarantine",
    "totals": "FROM unit_category_totals",
    "buckets": "FROM bucket_sums",
    "versions": "SELECT segment_number, data_version FROM segments",
}


def asked(warehouse, queries):
    """Return the rows of some queries, each sorted."""
    rows = {name: warehouse._connection.sql(text).fetchall() for name, text in queries.items()}
    return {name: sorted(found, key=repr) for name, found in rows.items()}


@dataclass
class Twin:
    """A workspace, and what it counted at each version that it can be asked about."""

    workspace: Workspace
    known: dict = field(default_factory=dict)

    def look(self, queries=SHARED):
        """Return what counts now; the same version always counts the same."""
        with self.workspace.lock("test"), Warehouse.open(self.workspace) as warehouse:
            assert check_identities(warehouse) == []
            assert are_current(warehouse)
            found = asked(warehouse, queries)
            if warehouse.query("load/segments").height:
                counted = asked(warehouse, {"then": COUNTED})
                assert self.known.setdefault(data_version(warehouse), counted) == counted
        return found

    def ask_again(self):
        """Every version that is known answers as it did when it was the present one."""
        for version, counted in self.known.items():
            with (
                self.workspace.lock("test"),
                Warehouse.open(self.workspace) as warehouse,
                exposures_known_at(warehouse, version),
            ):
                assert asked(warehouse, {"then": COUNTED}) == counted

    def settle(self, **settings):
        """Go on with other settings; what was known before is another story then."""
        self.workspace = replace(
            self.workspace, settings=replace(self.workspace.settings, **settings)
        )
        self.known.clear()


def random_events(wire, draw, count):
    """Return events of few ids and units, so that they meet, repeat and contradict each other."""

    def make(kind, k):
        after = 3 * k * HOUR
        shown = {"after": after, "impression_id": f"i{k}"}
        money = {"kind": "purchase", "value_micros": 5, "currency": ("USD", "EUR")[k % 2]}
        report = {"experiment": "beauty", "variant": "baseline", "product_id": "p"}
        report |= {"creative_id": "c", "day": "2026-11-02", "clicks": 3}
        told = {
            "impression": {
                "after": after,
                "unit_id": f"u{k % 6}",
                "category": draw.choice(["beauty/lip"] * 8 + ["beauty/lips", "mode"]),
            },
            "click": shown | {"after": after + timedelta(minutes=draw.choice([5, 5, 9]))},
            "conversion": money | {"after": after + HOUR, "unit_id": f"u{k % 6}"},
            "cost": shown | {"cost_micros": draw.choice([3, 3, 4]), "currency": "USD"},
            "feedback": shown | {"score": 0.5},
            "aggregate": report
            | {"after": after, "category": draw.choice(["beauty/lip", "beauty/lips"])}
            | {"impressions": 100 + draw.randrange(3), "revision": draw.randrange(1, 4)},
        }
        return wire(kind, f"{kind}{k}" if kind != "impression" else f"i{k}", **told[kind])

    kinds = ["impression", "click", "conversion", "cost", "feedback", "aggregate"]
    drawn = draw.choices(kinds, weights=[4, 3, 2, 1, 1, 1], k=count)
    return [make(kind, draw.randrange(14)) for kind in drawn]


class History:
    """Draws what happens next, and does it to both."""

    def __init__(self, twins, facts, wire, write, seed):
        self.twins, self.facts, self.wire, self.write = twins, facts, wire, write
        self.draw = random.Random(seed)
        self.mark = NOON - HOUR
        self.files, self.replacements, self.told = [], [], []

    def step(self, number):
        """Let one thing happen to both."""
        names = ["deliver"] * 3 + ["replace"] * 2
        names += ["redeliver", "wait", "pull", "let_in", "forget", "expire", "rename", "price"]
        name = self.draw.choice(names) if self.files else "deliver"
        self.told.append(name)
        getattr(self, name)(number)

    def take_in(self, *files, **options):
        """Ingest in both."""
        for twin in self.twins:
            ingest(twin.workspace, self.facts, files=files, as_of=self.mark, **options)

    def new_file(self, keep=lambda _: True):
        """Write a log of events at moments to keep."""
        events = random_events(self.wire, self.draw, self.draw.randrange(1, 14))
        return self.write([event for event in events if keep(datetime.fromisoformat(event["ts"]))])

    def deliver(self, _):
        """A new log."""
        self.files.append(self.new_file())
        self.take_in(self.files[-1], source=self.draw.choice(["web", "app"]))

    def redeliver(self, _):
        """A log that was there before."""
        self.take_in(self.draw.choice(self.files), source=self.draw.choice(["web", "app"]))

    def replace(self, _):
        """Hours of a source again, or once more as before."""
        since = NOON + self.draw.randrange(30) * HOUR
        hours = Hours(self.draw.choice(["web", "app"]), since, since + 15 * HOUR)
        file = self.new_file(lambda ts: hours.since <= ts < hours.until)
        if self.replacements and self.draw.random() < 0.4:
            file, hours = self.draw.choice(self.replacements)
        if file.stat().st_size:
            self.replacements.append((file, hours))
            self.take_in(file, replace=hours)

    def wait(self, _):
        """Time goes by."""
        self.mark += timedelta(days=self.draw.choice([1, 3, 8]))
        self.take_in()

    def pull(self, number):
        """A file that a source put down."""
        file = self.new_file()
        for twin in self.twins:
            put = twin.workspace.root / "logs" / file.name
            shutil.copy(file, put)
            os.utime(put, (time.time() - 900,) * 2)
            moment = CLOCK + timedelta(minutes=number)
            twin.workspace = replace(twin.workspace, clock=lambda moment=moment: moment)
            (pull,) = pull_due(twin.workspace, self.facts)
            assert pull.files == [f"logs/{file.name}"]

    def let_in(self, _):
        """Late events."""
        for twin in self.twins:
            backfill(twin.workspace, self.facts)

    def forget(self, _):
        """One unit."""
        unit = f"u{self.draw.randrange(6)}"
        for twin in self.twins:
            forget_units(twin.workspace, self.facts, [unit])
            twin.known.clear()

    def expire(self, _):
        """Logs beyond some age."""
        age = CLOCK - NOON - self.draw.randrange(2, 40) * HOUR
        for twin in self.twins:
            twin.settle(privacy=replace(twin.workspace.settings.privacy, retention=age))
            forget_expired(twin.workspace, self.facts)

    def rename(self, number):
        """Another list of categories."""
        renames = self.draw.choice(["{beauty/lips: beauty/lip}", "{mode: beauty/lip}", "{}"])
        text = f"version: {number + 1}\nknown: [beauty/lip, fashion]\nrenames: {renames}\n"
        for twin in self.twins:
            twin.workspace.catalog.mkdir(exist_ok=True)
            (twin.workspace.catalog / "categories.yaml").write_text(text)
            twin.known.clear()
        self.take_in()

    def price(self, _):
        """Other rates."""
        rates = self.draw.choice([{}, {"EUR": 2.0}, {"EUR": 3.0}])
        for twin in self.twins:
            twin.settle(rates=rates)
        self.take_in()


@pytest.fixture
def twins(tmp_path):
    """A workspace as units are named, and one with pseudonyms."""
    made = []
    for name, privacy in (("plain", Privacy()), ("masked", Privacy(key_file="abp.key"))):
        root = tmp_path / name
        (root / "logs").mkdir(parents=True)
        (root / "abp.key").write_text("c0ffee" * 11 + "\n")
        settings = Settings(sources=(PULLED,), rates={"EUR": 2.0}, privacy=privacy)
        made.append(Twin(Workspace(root, clock=lambda: CLOCK, settings=settings)))
    return made


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_twins_tell_the_same(twins, facts, wire, write, seed):
    """Both count the same after every step, anew as live, and about the past as about today."""
    history = History(twins, facts, wire, write, seed)
    for number in range(STEPS):
        history.step(number)
        plain, masked = (twin.look() for twin in twins)
        assert plain == masked, history.told
    for twin in twins:
        live = twin.look(OWN)
        twin.ask_again()
        twin.workspace.warehouse.unlink()
        ingest(twin.workspace, facts, as_of=NOON - HOUR)
        assert twin.look(OWN) == live, history.told
        twin.ask_again()
