"""The consumer of docs/kafka.md, run against a partition held in memory, with crashes."""

import json
import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.logs.landing import sealed_segments
from abplatform.logs.load import ingest
from abplatform.workspace import Workspace

PAGE = Path(__file__).parents[3] / "docs" / "kafka.md"
TOPIC, PARTITION = "impressions", 3


class Crash(Exception):
    """The consumer's process ends here."""


@dataclass(frozen=True)
class Message:
    """A record of a partition."""

    offset: int
    value: bytes


@dataclass
class Partition:
    """A partition in memory: a list with offsets, a committed one, and a client that may crash."""

    messages: list[Message]
    size: int = 10
    committed: int = 0
    position: int = 0
    crashes: dict[str, set[int]] = field(default_factory=dict)
    steps: int = 0

    def seek(self, partition, offset):
        """Go on reading from an offset."""
        assert partition == PARTITION
        self.position = offset

    def poll(self, partition, *, max_records):
        """Return the next messages, in order."""
        self._step("poll")
        waiting = [one for one in self.messages if one.offset >= self.position]
        batch = waiting[: min(self.size, max_records)]
        if batch:
            self.position = batch[-1].offset + 1
        return batch

    def commit(self, partition, offset):
        """Tell the broker up to where everything is read."""
        self._step("commit")
        self.committed = offset

    def _step(self, name):
        self.steps += 1
        if self.steps in self.crashes.get(name, ()):
            raise Crash


@pytest.fixture(scope="module")
def consumer():
    """Return what the page's Python block defines."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # the page's own code
    return names


@pytest.fixture
def messages(wire):
    """Sixty impressions: some pretty-printed, some without an id, one that is no JSON; a gap."""
    found = []
    for number in range(60):
        event = wire("impression", f"i{number}", unit_id=f"u{number % 7}")
        if number % 5 == 0:
            del event["event_id"]
        text = json.dumps(event, indent=2 if number % 3 == 0 else None)
        # Compaction and transactions leave gaps between offsets.
        found.append(Message(number * 2 if number > 30 else number, text.encode()))
    found[17] = Message(17, b"{no json")
    return found


def consume_all(consumer, workspace, partition):
    """Start the consumer again after each crash until it has read everything."""
    for _ in range(100):
        try:
            consumer["consume"](workspace, partition, TOPIC, PARTITION)
        except Crash:
            continue
        return
    raise AssertionError


def test_every_message_counts_once(consumer, workspace, facts, messages):
    """Without a crash each message is one line; what is no JSON is quarantined, not lost."""
    partition = Partition(messages)
    consume_all(consumer, workspace, partition)
    receipt = ingest(workspace, facts)
    assert (receipt.counts.received, receipt.counts.accepted) == (60, 59)
    assert partition.committed == messages[-1].offset + 1
    origins = [segment.origin for segment in sealed_segments(workspace)]
    assert origins[0] == "impressions-3-000000000000000-000000000000009.jsonl"


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_crash_anywhere_changes_nothing(consumer, facts, messages, tmp_path_factory, seed):
    """However often the consumer dies before polling or committing, the store ends up the same."""
    draw = random.Random(seed)
    crashes = {name: set(draw.sample(range(1, 40), 12)) for name in ("poll", "commit")}
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    root = tmp_path_factory.mktemp("kafka") / "ws"
    workspace = Workspace(root, clock=lambda: moment)
    partition = Partition(messages, size=draw.randrange(1, 20), crashes=crashes)
    consume_all(consumer, workspace, partition)
    ranges = [segment.origin for segment in sealed_segments(workspace)]
    assert len(ranges) == len(set(ranges))
    receipt = ingest(workspace, facts)
    assert (receipt.counts.received, receipt.counts.accepted) == (60, 59)
    assert receipt.counts.duplicate == 0


def test_a_range_that_comes_again_is_the_same_segment(consumer, workspace, messages):
    """Two consumers that read the same range land it once."""
    batch = messages[:10]
    first = consumer["land_batch"](workspace, TOPIC, PARTITION, batch)
    again = consumer["land_batch"](workspace, TOPIC, PARTITION, batch)
    assert first == again
    assert len(sealed_segments(workspace)) == 1


def test_a_range_that_overlaps_is_counted_as_duplicates(consumer, workspace, facts, messages):
    """After an offset reset with other batches, every event still counts once."""
    consume_all(consumer, workspace, Partition(messages, size=10))
    for start in range(0, 60, 15):
        consumer["land_batch"](workspace, TOPIC, PARTITION, messages[start : start + 15])
    receipt = ingest(workspace, facts)
    assert (receipt.counts.received, receipt.counts.accepted) == (120, 59)
    assert receipt.counts.quarantined == 2
    assert receipt.counts.duplicate == 59
