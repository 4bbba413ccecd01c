"""Whatever is delivered, in whatever order and pieces, however often: the totals are a model's.

The model is a dictionary of versions that a person can check by reading. The loader is driven as a
state machine through deliveries, redeliveries, contradictions, restated reports, replacements and
rebuilds.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Hours, Segment
from abplatform.logs.load import check_identities
from abplatform.logs.load.admission import door_of
from abplatform.logs.load.loader import Loader, Store
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HALVES = {"a": 50.0, "b": 50.0}
FACTS = {key: ExperimentFacts(key, HALVES, "a", running=((BEGIN, None),)) for key in ("one", "two")}


def moment(number):
    """Events of one number have one time; four numbers are an hour."""
    return NOON + timedelta(minutes=15 * number)


def impression(number, unit, layers):
    return {
        "schema": 1,
        "event_type": "impression",
        "event_id": f"i{number}",
        "ts": moment(number).isoformat(),
        "unit_id": unit,
        "creative_id": "c1",
        "product_id": "p1",
        "category": "beauty",
        "assignments": [{"experiment": key, "variant": variant} for key, variant in layers],
        "attributes": {"age": number},
    }


def click(number, target, impression_kind):
    """A click's id may be an impression's: that is a contradiction, too."""
    return {
        "schema": 1,
        "event_type": "click",
        "event_id": f"{'i' if impression_kind else 'k'}{number}",
        "ts": moment(number).isoformat(),
        "impression_id": f"i{target}",
    }


def report(number, revision, clicks):
    return {
        "schema": 1,
        "event_type": "aggregate",
        "event_id": f"{number}.{revision}.{clicks}",
        "ts": moment(number).isoformat(),
        "experiment": "one",
        "variant": "a",
        "category": "beauty",
        "product_id": f"p{number}",
        "creative_id": "c1",
        "day": "2026-11-02",
        "impressions": 100,
        "clicks": clicks,
        "revision": revision,
    }


LAYERS = [[("one", "a")], [("one", "a"), ("two", "b")], [("two", "b"), ("one", "a")]]
numbers = st.integers(0, 5)
events = st.one_of(
    st.builds(impression, numbers, st.sampled_from(["u1", "u2"]), st.sampled_from(LAYERS)),
    st.builds(click, numbers, numbers, st.booleans()),
    st.builds(report, numbers, st.integers(1, 3), st.integers(0, 1)),
    st.none(),
)
sources = st.sampled_from(["web", "app"])
deliveries = st.tuples(sources, st.lists(events, min_size=1, max_size=8))


class Model:
    """What counts, by the promise: versions of ids, revisions of reports, hours replaced."""

    def __init__(self):
        self.versions = []  # [key, content, state, source, ts, table]
        self.counts = Counter()
        self.bad = 0

    def deliver(self, source, found, hours=None):
        """Take in a segment; None stands for a line that is no event."""
        if hours is not None:
            for version in self.versions:
                inside = hours.since <= version["ts"] < hours.until
                if inside and version["source"] == hours.source:
                    version["state"] = "superseded"
        for event in found:
            self.counts["received"] += 1
            if event is None:
                self.bad += 1
            else:
                self.take(source, event, replacing=hours is not None)

    def take(self, source, event, *, replacing):
        """Tell a new version from a known one and from one that contradicts."""
        key, content = event["event_id"], json.dumps(event)
        if event["event_type"] == "aggregate":
            key = (source, event["product_id"], event["revision"])
            content = event["clicks"]
        same = [version for version in self.versions if version["key"] == key]
        known = [
            version for version in same if not (replacing and version["state"] == "superseded")
        ]
        if any(version["content"] == content for version in known):
            self.counts["duplicate"] += 1
            return
        rivals = [version for version in known if version["state"] != "superseded"]
        for rival in rivals:
            rival["state"] = "conflict"
        self.versions.append(
            {
                "key": key,
                "content": content,
                "state": "conflict" if rivals else "live",
                "source": source,
                "ts": datetime.fromisoformat(event["ts"]),
                "event": event,
            }
        )

    def deliver_again(self, contained):
        """Count a segment whose bytes came before."""
        self.counts["received"] += contained
        self.counts["duplicate"] += contained

    @property
    def reports(self):
        """The highest revision of each report."""
        highest = {}
        for version in self.versions:
            if version["state"] == "live" and version["event"]["event_type"] == "aggregate":
                place = version["source"], version["event"]["product_id"]
                if place not in highest or highest[place]["key"][2] < version["key"][2]:
                    highest[place] = version
        return highest

    @property
    def totals(self):
        """The six counts of the identity."""
        states = Counter(version["state"] for version in self.versions)
        live_reports = sum(
            version["state"] == "live" and version["event"]["event_type"] == "aggregate"
            for version in self.versions
        )
        outranked = live_reports - len(self.reports)
        return {
            "received": self.counts["received"],
            "accepted": states["live"] - outranked,
            "quarantined": self.bad + states["conflict"],
            "duplicate": self.counts["duplicate"],
            "superseded": states["superseded"] + outranked,
            "forgotten": 0,
        }

    @property
    def live(self):
        """Key and what tells its content apart, of everything that counts."""
        return sorted(
            (version["key"], version["source"], version["event"].get("unit_id"))
            for version in self.versions
            if version["state"] == "live" and version["event"]["event_type"] != "aggregate"
        )


class AnyOrder(RuleBasedStateMachine):
    """Drives the loader and the model side by side."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.workspace = Workspace(self.folder, clock=lambda: CLOCK)
        self.model = Model()
        self.segments = []
        self.waiting = []
        self.opened = Warehouse.in_memory()
        self.warehouse = self.opened.__enter__()

    def teardown(self):
        """Leave nothing behind."""
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def seal(self, source, found, hours=None):
        """Write a segment; blank lines make bytes differ where the events are equal."""
        number = len(self.segments) + 1
        lines = ["not json" if event is None else json.dumps(event) for event in found]
        path = self.folder / f"{number}.jsonl"
        path.write_text("\n".join(lines) + "\n" * number)
        self.add(path, source, hours)
        self.model.deliver(source, found, hours)

    def add(self, path, source, hours=None):
        """Put a segment in line; nothing reads it yet."""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        number = len(self.segments) + 1
        segment = Segment(number, path, source, sha256, CLOCK, supersedes=hours)
        self.segments.append(segment)
        self.waiting.append(segment)

    def load(self, warehouse, segments, chunk_events):
        """Load as an ingest does."""
        store = Store(warehouse, {one.number: one for one in self.segments}, ZoneInfo("UTC"))
        loader = Loader(
            store, lambda one: door_of(self.workspace, FACTS, one), chunk_events=chunk_events
        )
        for _ in loader.load(segments):
            pass

    @rule(delivery=deliveries)
    def deliver(self, delivery):
        """A segment is sealed; nobody has loaded it yet."""
        self.seal(*delivery)

    @precondition(lambda self: self.segments)
    @rule(data=st.data())
    def deliver_again(self, data):
        """The bytes of an earlier segment come once more."""
        first = data.draw(st.sampled_from(self.segments))
        lines = [line for line in first.path.read_text().split("\n") if line]
        self.add(first.path, first.source, first.supersedes)
        self.model.deliver_again(len(lines))

    @rule(source=sources, found=st.lists(events, max_size=6), since=numbers, span=st.integers(1, 4))
    def replace(self, source, found, since, span):
        """A log is re-emitted for some hours of its source; it holds no event of another time."""
        hours = Hours(source, moment(since), moment(since + span))
        inside = [
            event
            for event in found
            if event is None or hours.since <= datetime.fromisoformat(event["ts"]) < hours.until
        ]
        self.seal(source, inside, hours)

    @rule(chunk_events=st.sampled_from([1, 5, 500_000]))
    def take_in(self, chunk_events):
        """What waits is loaded; segments share transactions and chunks as they come."""
        self.load(self.warehouse, self.waiting, chunk_events)
        self.waiting = []

    @precondition(lambda self: self.segments)
    @rule(chunk_events=st.sampled_from([1, 500_000]))
    def rebuild(self, chunk_events):
        """The store is lost and made anew from all segments at once: it says the same."""
        self.take_in(500_000)
        with Warehouse.in_memory() as anew:
            self.load(anew, self.segments, chunk_events)
            assert picture(anew) == picture(self.warehouse)

    @invariant()
    def counts_as_the_model(self):
        """Once everything is loaded, totals, events and reports are the model's."""
        if self.waiting:
            return
        assert check_identities(self.warehouse) == []
        assert self.warehouse.query("load/total").to_dicts() == [self.model.totals]
        text = """
            SELECT event_id, source, unit_id FROM impressions
            WHERE withdrawn_by IS NULL AND ordinal = 0
            UNION ALL
            SELECT event_id, source, NULL FROM clicks WHERE withdrawn_by IS NULL
            ORDER BY ALL
        """
        found = sorted(self.warehouse._connection.sql(text).fetchall(), key=str)
        assert found == sorted(self.model.live, key=str)
        text = "SELECT source, product_id, clicks FROM aggregates_current ORDER BY ALL"
        assert self.warehouse._connection.sql(text).fetchall() == sorted(
            (*place, version["content"]) for place, version in self.model.reports.items()
        )


def picture(warehouse):
    """Everything in the store that may not depend on how it came in."""
    connection = warehouse._connection
    texts = (
        "SELECT * FROM ledger ORDER BY ALL",
        "SELECT * FROM impressions ORDER BY ALL",
        "SELECT * FROM clicks ORDER BY ALL",
        "SELECT * FROM aggregates ORDER BY ALL",
        "SELECT * FROM quarantine ORDER BY ALL",
        "SELECT * FROM segments ORDER BY ALL",
        "SELECT * FROM covariates ORDER BY ALL",
    )
    return data_version(warehouse), [connection.sql(text).fetchall() for text in texts]


# `make soak` asks for more.
AnyOrder.TestCase.settings = settings(
    max_examples=int(os.environ.get("ABPLATFORM_EXAMPLES", "12")),
    stateful_step_count=12,
    deadline=None,
    # What fails is replayed by hand; making it smaller would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
test_any_order_gives_the_models_totals = AnyOrder.TestCase
