"""Processes that are killed while they collect, load and publish: nothing is lost or doubled."""

import random
import signal
from collections import Counter
from datetime import UTC, datetime

import pytest

from abplatform.errors import StoreError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Landing
from abplatform.logs.load import ingest
from abplatform.logs.store.published import read_published
from abplatform.workspace import Workspace

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
    "refresh.commit",
    "warehouse.checkpoint",
    "warehouse.close",
    "publish.rename",
    "publish.switch",
]
KILLS = 30
PIECES_A_TURN = 12


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
def test_thirty_kills_lose_and_double_nothing(tmp_path, request, driver, make_pieces, facts_of):
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
