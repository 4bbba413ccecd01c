"""Forgets a unit in copies of a workspace, killed at one point after the other, then finishes.

Arguments: the workspace, the unit, and the points. Prints one JSON object a point: the signal that
ended the first run, and the totals, data version, places left and segments after the second one.
Forks a process for each run, since starting an interpreter costs more than the run.
"""

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from abplatform.durable import FAULT
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.forget import forget_units
from abplatform.logs.landing import sealed_segments
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


def run(workspace, unit, answer):
    """Forget, and write down what came of it."""
    done = forget_units(workspace, FACTS, [unit])
    totals = done.receipt.totals
    told = {
        "totals": [totals.received, totals.accepted, totals.quarantined, totals.forgotten],
        "data_version": done.receipt.data_version,
        "left": done.proof.left,
        "segments": [[one.path.name, one.forgotten] for one in sealed_segments(workspace)],
        "files": sorted(path.name for path in workspace.landing.glob("sealed/*/*/*")),
    }
    answer.write_text(json.dumps(told))


def in_a_process(work):
    """Run work in a forked process and return the signal that ended it, or 0."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main(folder, unit, points):
    """Kill at every point, finish, and tell."""
    for point in points:
        root = folder.with_name(f"{folder.name}-{point.replace(':', '-')}")
        shutil.copytree(folder, root)
        workspace = Workspace(root, clock=lambda: CLOCK)
        answer = root / "answer.json"

        def killed(workspace=workspace, answer=answer, point=point):
            os.environ[FAULT] = point
            run(workspace, unit, answer)

        ended = in_a_process(killed)
        again = in_a_process(
            lambda workspace=workspace, answer=answer: run(workspace, unit, answer)
        )
        told = json.loads(answer.read_bytes())
        row = {"point": point, "signal": ended, "again": again, **told}
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
