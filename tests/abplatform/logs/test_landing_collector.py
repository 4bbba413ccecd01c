"""Many callers, one writer: what is acknowledged is on the disk, and a group shares its sync."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from abplatform.durable import FAULT
from abplatform.errors import DiskFull, IngestError, StoreError
from abplatform.logs.landing import Collector, Landing, appending, sealed_segments, soon
from abplatform.logs.landing.soon import SYNC_SECONDS
from abplatform.workspace import Settings, Workspace


def lines_of(workspace):
    """Every line in the landing, sealed or open, torn ones included."""
    paths = [*workspace.landing.glob("sealed/*/*/*.jsonl"), *workspace.landing.glob("open/*/*/*")]
    return [line for path in paths for line in path.read_bytes().split(b"\n") if line]


def test_every_caller_gets_its_own_count_and_every_line_is_there_once(workspace):
    """Fifty callers at once: each is told its own number of lines, and none is lost or doubled."""
    sent = {n: [f"{n}-{k}".encode() for k in range(n % 5 + 1)] for n in range(50)}
    with Collector(workspace) as collector, ThreadPoolExecutor(50) as pool:
        counts = pool.map(lambda n: collector.append(f"s{n % 3}", sent[n]), sent)
        assert list(counts) == [len(lines) for lines in sent.values()]
    assert sorted(lines_of(workspace)) == sorted(line for lines in sent.values() for line in lines)
    assert {segment.source for segment in sealed_segments(workspace)} == {"s0", "s1", "s2"}


def test_callers_who_wait_share_one_sync(workspace, monkeypatch):
    """While one sync lasts, all who come are gathered; they are acknowledged by the next one."""
    entered, leave = threading.Event(), threading.Event()
    synced = []

    def slow_sync(descriptor):
        synced.append(os.fstat(descriptor).st_size)
        entered.set()
        leave.wait(10)

    with Collector(workspace) as collector:
        first = collector.submit("web", [b"0"])
        first.result()
        monkeypatch.setattr(appending.os, "fsync", slow_sync)
        held = collector.submit("web", [b"1"])
        entered.wait(10)
        others = [collector.submit("web", [b"2"]) for _ in range(100)]
        assert not any(one.done() for one in (held, *others))
        leave.set()
        assert [one.result() for one in others] == [1] * 100
        assert len(synced) == 2
        assert synced[1] == 2 * 102
        monkeypatch.undo()


def test_a_strange_line_or_source_harms_only_its_caller(workspace):
    """A line that is two, or a source that cannot be a folder, is refused before it is queued."""
    with Collector(workspace) as collector:
        for source, lines in [("web", [b"a\nb"]), ("../up", [b"a"])]:
            with pytest.raises(IngestError):
                collector.append(source, lines)
        assert collector.append("web", [b"c"]) == 1
    assert lines_of(workspace) == [b"c"]


def test_a_closed_collector_takes_nothing(workspace):
    """After close, everything is sealed and a further line is refused rather than lost."""
    collector = Collector(workspace)
    waiting = [collector.submit("web", [b"x"]) for _ in range(10)]
    collector.close()
    collector.close()
    assert [one.result() for one in waiting] == [1] * 10
    with pytest.raises(StoreError, match="closed"):
        collector.append("web", [b"y"])
    assert lines_of(workspace) == [b"x"] * 10
    assert sealed_segments(workspace)


def test_a_nearly_full_disk_takes_nothing_more(workspace):
    """Below the share that must stay free, a caller is told so and nothing is written."""
    full = Workspace(workspace.root, Settings(min_free=0.9999), workspace.clock)
    with Collector(full) as collector, pytest.raises(DiskFull) as caught:
        collector.append("web", [b"x"])
    assert "min_free" in caught.value.remedy
    assert lines_of(full) == []


def test_a_failed_write_acknowledges_nothing_and_tears_nothing(workspace, monkeypatch):
    """When a sync fails, its callers are told; lines before and after it stand whole."""
    real = os.fsync
    failing = threading.Event()

    def sync(descriptor):
        if failing.is_set():
            failing.clear()
            raise OSError(28, "No space left on device")
        real(descriptor)

    with Collector(workspace) as collector:
        collector.append("web", [b"before"])
        monkeypatch.setattr(appending.os, "fsync", sync)
        failing.set()
        with pytest.raises(DiskFull):
            collector.append("web", [b"lost", b"lost too"])
        collector.append("web", [b"after"])
    Landing(workspace).seal()
    assert sorted(lines_of(workspace)) == [b"after", b"before"]
    assert len(sealed_segments(workspace)) == 2


def test_a_segment_is_sealed_after_a_minute_without_further_lines(workspace, monkeypatch):
    """Nobody needs to append for what is old enough to be sealed."""
    monkeypatch.setattr(appending, "SEAL_SECONDS", 0.05)
    with Collector(workspace) as collector:
        collector.append("web", [b"x"])
        done = threading.Event()
        for _ in range(200):
            if sealed_segments(workspace):
                break
            done.wait(0.05)
        assert [segment.number for segment in sealed_segments(workspace)] == [1]


def test_an_append_seals_what_is_a_minute_old(workspace):
    """A writer without a thread of its own seals by the passing time as well."""
    now = [0.0]
    with Landing(workspace, seconds=lambda: now[0]) as landing:
        landing.append("web", [b"1"])
        now[0] = 59.0
        landing.append("app", [b"2"])
        assert not sealed_segments(workspace)
        now[0] = 61.0
        landing.append("app", [b"3"])
        assert [segment.source for segment in sealed_segments(workspace)] == ["web"]


KILLED = """
import sys
from pathlib import Path
from abplatform.logs.landing import Collector
from abplatform.workspace import Workspace
with Collector(Workspace(Path(sys.argv[1]))) as collector:
    for n in range(1000):
        collector.append("web", [str(n).encode()])
        print(n, flush=True)
"""


@pytest.mark.fault
@pytest.mark.parametrize(
    ("point", "acknowledged"),
    [
        ("landing.append:7", 6),
        ("landing.fsync:7", 6),
        ("landing.seal", 1000),
        ("landing.rename", 1000),
        ("landing.sealed", 1000),
    ],
)
def test_a_killed_writer_loses_nothing_that_it_acknowledged(workspace, point, acknowledged):
    """Whenever the writer dies, the next one seals every acknowledged line, once and in order."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root)],
        env=os.environ | {FAULT: point},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(done.stdout.split()) == acknowledged
    Landing(workspace).seal()
    (segment,) = sealed_segments(workspace)
    kept = [int(line) for line in segment.path.read_bytes().split()]
    assert kept[:acknowledged] == list(range(acknowledged))
    assert len(kept) <= acknowledged + 1
    assert not list(workspace.landing.glob("open/*/*/*"))


def test_lines_appended_soon_wait_for_no_sync_and_reach_the_disk(workspace, monkeypatch):
    """While a sync lasts, further lines are with the system at once; the next sync has them."""
    entered, leave = threading.Event(), threading.Event()
    synced = []

    def slow_sync(descriptor):
        entered.set()
        leave.wait(10)
        synced.append(os.fstat(descriptor).st_size)

    with Collector(workspace) as collector:
        assert collector.append_soon("web", [b"0"]) == 1
        monkeypatch.setattr(appending.os, "fsync", slow_sync)
        collector.append_soon("web", [b"1"])
        assert entered.wait(10)
        assert collector.append_soon("web", [b"2", b"3"]) == 2
        assert lines_of(workspace) == [b"0", b"1", b"2", b"3"]
        assert not synced
        leave.set()
        monkeypatch.undo()
    assert lines_of(workspace) == [b"0", b"1", b"2", b"3"]
    assert [segment.source for segment in sealed_segments(workspace)] == ["web"]


def test_lines_appended_soon_are_synced_within_50_ms_by_one_sync(workspace, monkeypatch):
    """Many calls in a moment share a sync, which begins within 50 ms of the first."""
    moments = []
    real = os.fsync

    def told_sync(descriptor):
        moments.append(time.monotonic())
        real(descriptor)

    with Collector(workspace) as collector:
        collector.append_soon("web", [b"0"])
        time.sleep(0.2)
        monkeypatch.setattr(appending.os, "fsync", told_sync)
        began = time.monotonic()
        for number in range(100):
            collector.append_soon("web", [f"{number}".encode()])
        wrote = time.monotonic() - began
        time.sleep(0.2)
        monkeypatch.undo()
    assert 1 <= len(moments) <= 2 + wrote / SYNC_SECONDS
    assert SYNC_SECONDS < 0.05


def test_a_failed_write_is_told_and_its_torn_line_is_cut_off(workspace, monkeypatch):
    """A full disk in mid-write refuses the line, keeps the whole ones, and goes on afterwards."""
    with Collector(workspace) as collector:
        collector.append_soon("web", [b"whole"])

        def torn(file, content):
            file.write(content[:2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(appending, "write_whole", torn)
        with pytest.raises(DiskFull):
            collector.append_soon("web", [b"refused"])
        monkeypatch.undo()
        collector.append_soon("web", [b"after"])
    with Collector(workspace):
        assert sorted(lines_of(workspace)) == [b"after", b"whole"]


def test_a_failed_write_ends_no_syncing(workspace, monkeypatch):
    """A write that fails before the lines ahead of it are synced leaves the collector alive."""
    with Collector(workspace) as collector:
        collector.append_soon("web", [b"whole"])

        def refuse(_file, _content):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(appending, "write_whole", refuse)
        with pytest.raises(StoreError):
            collector.append_soon("web", [b"refused"])
        monkeypatch.undo()
        time.sleep(10 * SYNC_SECONDS)
        assert collector.alive
        collector.append_soon("web", [b"after"])
    with Collector(workspace):
        assert sorted(lines_of(workspace)) == [b"after", b"whole"]


def test_a_closed_collector_takes_nothing_soon(workspace):
    """After close a line is refused rather than lost, and the collector says that it is over."""
    collector = Collector(workspace)
    assert collector.alive
    collector.close()
    assert not collector.alive
    with pytest.raises(StoreError, match="closed"):
        collector.append_soon("web", [b"y"])


def test_a_segment_that_is_due_is_replaced_before_it_is_sealed(workspace, monkeypatch):
    """Full segments are sealed behind the back of whoever appends; no line is lost or doubled."""
    monkeypatch.setattr(soon, "SEGMENT_BYTES", 1000)
    sent = [f"{number:06d}".encode() for number in range(2000)]
    with Collector(workspace) as collector:
        collector.prepare("web")
        collector.prepare("silent")
        for first in range(0, len(sent), 20):
            collector.append_soon("web", sent[first : first + 20])
            time.sleep(0.002)
    assert sorted(lines_of(workspace)) == sent
    assert len(sealed_segments(workspace)) > 2
    assert {segment.source for segment in sealed_segments(workspace)} == {"web"}
    assert not list(workspace.landing.glob("open/*/*/*"))


def test_a_sync_that_fails_is_told_until_one_succeeds(workspace, monkeypatch):
    """Lines appended soon whose sync fails stay in the file; the collector tells why."""

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    def wait_for(told):
        deadline = time.monotonic() + 10
        while bool(collector.trouble) != told:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with Collector(workspace) as collector:
        collector.append_soon("web", [b"1"])
        wait_for(told=False)
        with monkeypatch.context() as patch:
            patch.setattr(appending.os, "fsync", broken)
            collector.append_soon("web", [b"2"])
            wait_for(told=True)
            assert "Input/output error" in collector.trouble
        collector.append_soon("web", [b"3"])
        wait_for(told=False)
    with Collector(workspace):
        assert sorted(lines_of(workspace)) == [b"1", b"2", b"3"]
