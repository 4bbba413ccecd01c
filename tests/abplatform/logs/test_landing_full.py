"""A disk that fills up: nothing acknowledged is lost, and work goes on when there is room again."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abplatform.errors import DiskFull
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Collector, Landing
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Settings, Workspace

CLOCK = datetime(2026, 11, 22, tzinfo=UTC)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
FACTS = {
    "beauty": ExperimentFacts(
        "beauty", {"baseline": 50.0, "generated": 50.0}, "baseline", running=((BEGIN, None),)
    )
}


def impression(number):
    event = {
        "schema": 1,
        "event_type": "impression",
        "event_id": f"i{number}",
        "ts": "2026-11-02T12:00:00Z",
        "unit_id": f"u{number}",
        "creative_id": "c",
        "product_id": "p",
        "category": "beauty/lip",
        "experiment": "beauty",
        "variant": "baseline",
        "attributes": {"note": f"{number * 7919:x}" * 20},
    }
    return json.dumps(event).encode()


def accepted(workspace):
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        found = warehouse._connection.sql("SELECT event_id FROM impressions").fetchall()
    return {row[0] for row in found}


def unroll(collector, count):
    """Append until the disk is full; the numbers acknowledged."""
    known = []
    for number in range(count):
        try:
            collector.append("web", [impression(number)])
        except DiskFull:
            break
        known.append(number)
    return known


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 96 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk, leave_bytes):
    """Fill a disk but for some bytes; the file that does."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leave_bytes)
    return ballast


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(small_disk):
    """Lines are refused once the disk is full, and all that were acknowledged load afterwards."""
    workspace = Workspace(small_disk / "ws", Settings(min_free=0.0), lambda: CLOCK)
    with Landing(workspace) as landing:
        landing.append("web", [impression(-1)])
    ballast = fill(small_disk, 200_000)
    collector = Collector(workspace)
    known = unroll(collector, 5000)
    assert 0 < len(known) < 5000
    with pytest.raises(DiskFull):
        collector.append("web", [impression(number) for number in range(9000, 9999)])
    ballast.unlink()
    collector.append("web", [impression(7000)])
    collector.close()
    ingest(workspace, FACTS)
    assert accepted(workspace) >= {f"i{number}" for number in [-1, *known, 7000]}


def test_a_load_that_fills_the_disk_is_undone_and_done_again(small_disk, tmp_path):
    """A job without room says so in one sentence, leaves the store whole, and succeeds later."""
    workspace = Workspace(small_disk / "ws", Settings(min_free=0.0), lambda: CLOCK)
    log = tmp_path / "first.jsonl"
    log.write_bytes(b"".join(impression(number) + b"\n" for number in range(200)))
    ingest(workspace, FACTS, files=[log])
    more = tmp_path / "more.jsonl"
    more.write_bytes(b"".join(impression(number) + b"\n" for number in range(200, 20_000)))
    ballast = fill(small_disk, more.stat().st_size + 300_000)
    with pytest.raises(DiskFull) as caught:
        ingest(workspace, FACTS, files=[more])
    assert "room" in caught.value.remedy
    ballast.unlink()
    receipt = ingest(workspace, FACTS)
    assert receipt.moved_aside is None
    assert accepted(workspace) == {f"i{number}" for number in range(20_000)}


def test_below_the_share_that_must_stay_free_nothing_is_taken_in(small_disk, tmp_path):
    """With a tenth of the disk left, appends, imports and loads stop; then all goes on."""
    workspace = Workspace(small_disk / "ws", clock=lambda: CLOCK)
    log = tmp_path / "log.jsonl"
    log.write_bytes(impression(1) + b"\n")
    with Landing(workspace) as landing:
        landing.append("web", [impression(0)])
    ballast = fill(small_disk, 2_000_000)
    with Collector(workspace) as collector, pytest.raises(DiskFull, match="free on the disk"):
        collector.append("web", [impression(2)])
    with pytest.raises(DiskFull, match="free on the disk"):
        ingest(workspace, FACTS, files=[log])
    with pytest.raises(DiskFull, match="free on the disk"):
        ingest(workspace, FACTS)
    ballast.unlink()
    ingest(workspace, FACTS, files=[log])
    assert accepted(workspace) == {"i0", "i1"}


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2]).parent))
from abplatform.errors import StoreError
from abplatform.logs.landing import Collector
from abplatform.workspace import Settings, Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
collector = Collector(Workspace(Path(sys.argv[1]), Settings(min_free=0.0)))
for number in range(100):
    try:
        collector.append("web", [str(number).encode() * 200])
    except StoreError as error:
        sys.stderr.write(f"{type(error).__name__}\\n")
    else:
        sys.stdout.write(f"{number}\\n")
collector.close()
"""


def test_a_write_that_the_system_cuts_short_tears_no_line(tmp_path):
    """Where a file may not grow, the torn line goes and the next one begins another file."""
    root = tmp_path / "ws"
    command = [sys.executable, "-c", LIMITED, str(root), str(Path(__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    known = done.stdout.split()
    assert "DiskFull" in done.stderr
    assert len(known) > 50
    workspace = Workspace(root)
    Landing(workspace).seal()
    paths = workspace.landing.glob("sealed/*/*/*.jsonl")
    lines = [line for path in paths for line in path.read_text().split()]
    assert sorted(lines) == sorted(number * 200 for number in known)
