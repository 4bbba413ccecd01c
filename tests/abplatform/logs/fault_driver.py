"""Takes turns at collecting, loading and publishing in processes that a test kills.

Reads one JSON object a line: ``fault`` (what ABPLATFORM_FAULT says, or null), ``kill_after``
(seconds, or null), ``pieces`` (lists of lines to append), ``turn`` (a number to publish). Forks a
process for the turn, since starting an interpreter costs more than the turn, and answers with the
status of its end. Every acknowledged piece is noted in the side file by its number.
"""

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from abplatform.durable import FAULT
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Collector
from abplatform.logs.load import ingest
from abplatform.logs.store.published import TABLES, publish_tables
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


def take_turn(workspace, side, order):
    """Collect, load and publish; note each acknowledged piece."""
    with Collector(workspace) as collector, ThreadPoolExecutor(4) as pool:

        def deliver(numbered):
            number, lines = numbered
            collector.append("web", [line.encode() for line in lines])
            os.write(side, f"{number}\n".encode())

        list(pool.map(deliver, order["pieces"]))
    ingest(workspace, FACTS)
    frames = {name: TABLES[name].to_frame() for name in ("experiments", "scorecards")}
    marker = pl.DataFrame({"key": [f"turn {order['turn']}"]})
    publish_tables(
        workspace.published,
        {
            "experiments": pl.concat([frames["experiments"], marker], how="diagonal"),
            "scorecards": pl.concat(
                [frames["scorecards"], marker.rename({"key": "experiment"})], how="diagonal"
            ),
        },
        clock=workspace.clock,
    )


def main():
    """Fork a process for every order; the parent itself never touches polars or DuckDB."""
    workspace = Workspace(Path(sys.argv[1]), clock=lambda: CLOCK)
    side = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            if order["fault"]:
                os.environ[FAULT] = order["fault"]
            take_turn(workspace, side, order)
            os._exit(0)
        began = time.monotonic()
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([status, time.monotonic() - began]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
