"""What is decided is kept, whatever becomes of the landing."""

import asyncio
import errno
import shutil
import time

import pytest

from abplatform.errors import StoreError
from abplatform.logs.landing import Collector, appending
from abplatform.traffic.service.recorder import Recorder
from abplatform.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def kept(workspace):
    """Every line in the landing."""
    paths = workspace.landing.glob("*/*/*/*.jsonl")
    return sorted(line for path in paths for line in path.read_bytes().split(b"\n") if line)


def wait_until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_collector_takes_over(workspace):
    """When the collector has stopped, lines wait in memory until another one has them."""
    recorder = Recorder(workspace)
    assert recorder.append_soon("service", [b"1"])
    recorder._collector.close()
    assert not recorder.append_soon("service", [b"2"])
    assert recorder.spooled == 1
    wait_until(lambda: recorder.spooled == 0)
    assert recorder.append_soon("service", [b"3"])
    recorder.close()
    assert kept(workspace) == [b"1", b"2", b"3"]


def test_a_sync_that_fails_makes_it_unready_until_the_disk_works_again(workspace, monkeypatch):
    """While syncs fail there is trouble; afterwards none, though nobody writes anything more."""

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    recorder = Recorder(workspace)
    with monkeypatch.context() as patch:
        patch.setattr(appending.os, "fsync", broken)
        recorder.append_soon("service", [b"1"])
        wait_until(lambda: recorder.trouble)
    wait_until(lambda: recorder.trouble is None and recorder.alive)
    assert recorder.append_soon("service", [b"2"])
    recorder.close()
    with Collector(workspace):
        assert kept(workspace) == [b"1", b"2"]


def test_the_memory_is_bounded_and_what_it_loses_is_counted(workspace):
    """Beyond its bound the spool drops its oldest lines, and says how many."""
    recorder = Recorder(workspace, spool_bytes=100)
    recorder._closing.set()  # nobody brings anything out meanwhile
    recorder._keeper.join()
    recorder._collector.close()
    for number in range(30):
        recorder.append_soon("service", [b"%010d" % number])
    assert (recorder.spooled, recorder.lost) == (10, 20)


def test_events_are_not_acknowledged_once_the_landing_is_gone(workspace):
    """Somebody removes the landing under a running service: it says so, then makes another one."""
    recorder = Recorder(workspace)
    assert asyncio.run(recorder.append("service", [b"1"])) == 1
    shutil.rmtree(workspace.landing)
    with pytest.raises(StoreError):
        asyncio.run(recorder.append("service", [b"2"]))
    assert asyncio.run(recorder.append("service", [b"3"])) == 1
    recorder.close()
    assert kept(workspace) == [b"3"]
