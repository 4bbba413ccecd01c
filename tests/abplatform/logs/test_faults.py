"""Processes that are killed while they collect, load and publish: nothing is lost or doubled."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from abplatform.errors import StoreError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Landing
from abplatform.logs.load import check_identities, ingest
from abplatform.logs.store.published import read_published
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

DRIVER = Path(__file__).with_name("fault_driver.py")
CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
FACTS = {
    "beauty": ExperimentFacts(
        "beauty",
        {"baseline": 50.0, "generated": 50.0},
        "baseline",
        running=((datetime(2026, 11, 1, tzinfo=UTC), None),),
    )
}
POINTS = [
    "landing.append:2",
    "landing.fsync:2",
    "landing.seal",
    "landing.rename",
    "landing.sealed",
    "load.begin",
    "load.insert",
    "load.commit",
    "warehouse.checkpoint",
    "warehouse.close",
    "publish.rename",
    "publish.switch",
]
KILLS = 30
PIECES_A_TURN = 12


@contextmanager
def driver(workspace, side):
    """Yield ``order(fault=…, kill_after=…, pieces=…, turn=…)`` → (wait status, seconds)."""
    command = [sys.executable, str(DRIVER), str(workspace.root), str(side)]
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


def make_pieces(chance, count):
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
                "variant": ("baseline", "generated")[hash_of(unit) % 2],
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


def hash_of(unit):
    return sum(unit.encode())


def facts_of(workspace):
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
    places = [name for name in exposures.columns if "segment" in name or name in {"line", "place"}]
    rows = exposures.drop(places).sort("experiment", "event_id")
    return rows, Counter(ids), conflicts


def check_published(workspace):
    """A reader sees one turn's tables or, before the first, none."""
    try:
        published = read_published(workspace.published)
    except StoreError as error:
        assert error.message == "nothing is published yet"  # noqa: PT017 -- the only one allowed
        return
    (turn,) = published.table("experiments")["key"]
    assert published.table("scorecards")["experiment"].to_list() == [turn]


@pytest.mark.fault
@pytest.mark.slow
def test_thirty_kills_lose_and_double_nothing(tmp_path, request):
    """Killed at every point and at random, the store says what one says that nobody killed."""
    callspec = getattr(request.node, "callspec", None)
    chance = random.Random(callspec.params.get("repetition", 0) if callspec else 0)
    workspace = Workspace(tmp_path / "killed", clock=lambda: CLOCK)
    side = tmp_path / "acknowledged"
    side.touch()
    pieces = dict(enumerate(make_pieces(chance, PIECES_A_TURN * (KILLS + 2))))
    plan = [(point, False) for point in POINTS] + [(None, True)] * (KILLS - len(POINTS))
    chance.shuffle(plan)
    waiting, killed, seen = list(pieces.items()), Counter(), set()
    with driver(workspace, side) as order:
        first, waiting = waiting[:PIECES_A_TURN], waiting[PIECES_A_TURN:]
        status, seconds = order(pieces=first, turn=0)
        assert status == 0
        for turn, (point, at_random) in enumerate(plan, start=1):
            acknowledged = {int(number) for number in side.read_text().split()}
            again = [one for one in seen_pieces(pieces, seen) if one[0] not in acknowledged]
            now, waiting = waiting[:PIECES_A_TURN], waiting[PIECES_A_TURN:]
            seen |= {number for number, _ in now}
            moment = chance.uniform(0, seconds) if at_random else None
            status, _ = order(pieces=again + now, turn=turn, fault=point, kill_after=moment)
            killed[status == signal.SIGKILL] += 1
            check_published(workspace)
        acknowledged = {int(number) for number in side.read_text().split()}
        rest = [one for one in pieces.items() if one[0] not in acknowledged]
        status, _ = order(pieces=rest, turn=len(plan) + 1)
        assert status == 0
    assert killed[True] >= KILLS * 0.8, killed
    unkilled = Workspace(tmp_path / "unkilled", clock=lambda: CLOCK)
    with Landing(unkilled) as landing:
        for lines in pieces.values():
            landing.append("web", [line.encode() for line in lines])
    ingest(unkilled, FACTS)
    rows, ids, conflicts = facts_of(workspace)
    assert len(rows) > 1000
    assert conflicts
    expected_rows, expected_ids, expected_conflicts = facts_of(unkilled)
    assert ids == expected_ids
    assert conflicts == expected_conflicts
    assert rows.equals(expected_rows)
    check_published(workspace)


def seen_pieces(pieces, seen):
    return [(number, pieces[number]) for number in sorted(seen)]
