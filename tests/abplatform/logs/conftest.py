"""Makers of workspaces, events and logs for the tests of ``abplatform.logs``."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from abplatform.domain.experiment import EventWindows
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CLOCK = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws", clock=lambda: CLOCK)


@pytest.fixture
def facts():
    """Two experiments of different layers, with different windows, running all November."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    windows = EventWindows(
        attribution_window=timedelta(hours=24),
        conversion_window=timedelta(days=7),
        refund_window=timedelta(days=2),
    )
    short = EventWindows(attribution_window=timedelta(hours=1))
    halves = {"baseline": 50.0, "generated": 50.0}
    return {
        "beauty": ExperimentFacts(
            "beauty", halves, "baseline", windows=windows, running=((begin, None),)
        ),
        "layout": ExperimentFacts(
            "layout", {"a": 50.0, "b": 50.0}, "a", windows=short, running=((begin, None),)
        ),
    }


@pytest.fixture
def wire():
    """Return ``wire(event_type, event_id, after=…, **fields)`` → one wire event as a dict."""

    def make(event_type, event_id, *, after=timedelta(0), **fields):
        event = {
            "schema": 1,
            "event_type": event_type,
            "event_id": event_id,
            "ts": (NOON + after).isoformat(),
        }
        if event_type == "impression":
            event |= {
                "unit_id": "u1",
                "creative_id": "c1",
                "product_id": "p1",
                "category": "beauty/lip",
                "experiment": "beauty",
                "variant": "generated",
            }
        if "assignments" in fields:
            event.pop("experiment", None)
            event.pop("variant", None)
        return event | fields

    return make


@pytest.fixture
def write(tmp_path):
    """Return ``write(events, name=…)`` → a JSON-lines file; bytes pass as they are."""
    count = iter(range(10_000))

    def make(events, name=None):
        path = tmp_path / (name or f"log{next(count)}.jsonl")
        lines = [
            event if isinstance(event, bytes) else json.dumps(event).encode() for event in events
        ]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return make


@pytest.fixture
def take_in(workspace, facts, write):
    """Return ``take_in(events)`` → the receipt of one file with these events."""

    def make(events, **options):
        return ingest(workspace, facts, files=[write(events)], **options)

    return make


@pytest.fixture
def exposures(workspace):
    """Return ``exposures()`` → the rows of the table, by experiment and event."""

    def read():
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            text = "SELECT * FROM exposures ORDER BY experiment, event_id"
            rows = warehouse._connection.sql(text).to_arrow_table()
        return {
            (row["experiment"], row["event_id"]): row
            for row in pl.from_arrow(rows).iter_rows(named=True)
        }

    return read


@pytest.fixture
def rows_of(workspace):
    """Return ``rows_of(sql)`` → the rows of a query, as tuples."""

    def read(sql):
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            return warehouse._connection.sql(sql).fetchall()

    return read
