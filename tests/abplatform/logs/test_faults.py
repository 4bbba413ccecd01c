"""Processes that are killed while they collect, load and publish: nothing is lost or doubled."""

import random
import signal
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
    "totals.commit",
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
    plan = [*[None] * (KILLS - len(POINTS)), *chance.sample(POINTS, len(POINTS))]
    waiting, kills, turn = list(pieces), 0, 0
    with driver(workspace, side) as order:

        def take_turn(fault=None, kill_after=None):
            """Send again what was not acknowledged, and something new; whether it was killed."""
            nonlocal waiting, turn
            acknowledged = {int(number) for number in side.read_text().split()}
            sent = set(pieces) - set(waiting) - acknowledged
            now, waiting = waiting[:PIECES_A_TURN], waiting[PIECES_A_TURN:]
            again = [(number, pieces[number]) for number in [*sorted(sent), *now]]
            turn += 1
            status, seconds = order(pieces=again, turn=turn, fault=fault, kill_after=kill_after)
            assert status in (0, signal.SIGKILL)
            check_published(workspace)
            return status == signal.SIGKILL, seconds

        killed, lasted = take_turn()
        assert not killed
        while plan:
            moment = None if plan[-1] else chance.uniform(0, lasted)
            killed, seconds = take_turn(plan[-1], moment)
            if killed:
                plan.pop()
                kills += 1
            else:  # it was done before the moment came: how long a turn takes varies
                assert plan[-1] is None, f"{plan[-1]} was never reached"
                lasted = seconds
        while waiting:
            take_turn()
        assert not take_turn()[0]
    assert kills == KILLS
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
