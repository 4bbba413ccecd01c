"""Makers of workspaces, events and logs for the tests of ``abplatform.logs``."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from abplatform.domain.experiment import EventWindows
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import check_identities, ingest
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


@pytest.fixture(scope="session")
def driver():
    """Return ``driver(workspace, side)``, which yields a function that takes a turn, and kills."""

    @contextmanager
    def begin(workspace, side):
        """Yield ``order(fault=…, kill_after=…, pieces=…, turn=…)`` → (wait status, seconds)."""
        command = [
            sys.executable,
            str(Path(__file__).with_name("fault_driver.py")),
            str(workspace.root),
            str(side),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:

            def order(*, pieces, turn, fault=None, kill_after=None):
                told = {"fault": fault, "kill_after": kill_after, "pieces": pieces, "turn": turn}
                process.stdin.write(json.dumps(told) + "\n")
                process.stdin.flush()
                return json.loads(process.stdout.readline())

            yield order
            process.stdin.close()

    return begin


@pytest.fixture(scope="session")
def make_pieces():
    """Return ``make_pieces(random.Random(…), count)`` → lists of lines to append at once."""

    def make(chance, count):
        """Lists of wire lines: impressions, clicks, purchases, redeliveries and contradictions."""
        pieces, shown = [], 0
        for _ in range(count):
            lines = []
            for _ in range(8):
                unit = f"u{chance.randrange(60)}"
                ts = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(minutes=shown)
                common = {"schema": 1, "ts": ts.isoformat()}
                impression = common | {
                    "event_type": "impression",
                    "event_id": f"i{shown}",
                    "unit_id": unit,
                    "creative_id": f"c{chance.randrange(3)}",
                    "product_id": "p",
                    "category": f"beauty/{chance.randrange(4)}",
                    "experiment": "beauty",
                    "variant": ("baseline", "generated")[sum(unit.encode()) % 2],
                }
                lines.append(impression)
                if chance.random() < 0.4:
                    click = {"event_type": "click", "event_id": f"k{shown}"}
                    lines.append(common | click | {"impression_id": f"i{shown}"})
                if chance.random() < 0.2:
                    bought = {"event_type": "conversion", "event_id": f"b{shown}", "unit_id": unit}
                    money = {"kind": "purchase", "value_micros": 5_000_000, "currency": "USD"}
                    lines.append(common | bought | money)
                if chance.random() < 0.1 and shown:
                    lines.append(impression | {"event_id": f"i{chance.randrange(shown)}"})
                shown += 1
            pieces.append([json.dumps(line) for line in lines])
        return pieces

    return make


@pytest.fixture(scope="session")
def facts_of():
    """Return ``facts_of(workspace)`` → exposures, accepted ids and conflicts, once they add up."""

    def read(workspace):
        """What the store says: exposures, conflicts and the sums of the ledger."""
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            assert check_identities(warehouse) == []
            text = "SELECT * EXCLUDE (source_watermark) FROM exposures"
            exposures = pl.from_arrow(warehouse._connection.sql(text).to_arrow_table())
            text = "SELECT event_id FROM {} WHERE withdrawn_by IS NULL"
            ids = [
                row[0]
                for table in ("impressions", "clicks", "conversions")
                for row in warehouse._connection.sql(text.format(table)).fetchall()
            ]
            text = "SELECT DISTINCT event_key FROM quarantine WHERE reason = 'conflicting_id'"
            conflicts = {row[0] for row in warehouse._connection.sql(text).fetchall()}
        places = [
            name for name in exposures.columns if "segment" in name or name in {"line", "place"}
        ]
        rows = exposures.drop(places).sort("experiment", "event_id")
        return rows, Counter(ids), conflicts

    return read
