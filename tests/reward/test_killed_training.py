"""A training that is killed, with nets in processes of their own, goes on from where it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ABP = Path(sys.executable).with_name("abp")
PATIENCE_S = 120


def start(out, pairs, images):
    """Train as a user does; many pairs are trained side by side."""
    words = ["reward", "train", "--pairs", str(pairs), "--images", str(images), "--out", str(out)]
    return subprocess.Popen(
        [ABP, *words, "--epochs", "3"],
        stdout=subprocess.DEVNULL,
    )


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until(done, process=None):
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end
        assert process is None or process.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope="module")
def many(draw_week, tmp_path_factory):
    """Enough pairs that nets are fitted side by side."""
    return draw_week(tmp_path_factory.mktemp("many"), products=80, creatives=8)


@pytest.mark.fault
@pytest.mark.slow
def test_killed_anywhere_it_ends_at_the_same_bytes(many, tmp_path):
    """Killed while starting and after a net's first state: the same model, nothing left."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start(whole, many.pairs, many.images).wait(600) == 0

    def states():
        return list(cut.glob(".training-?.safetensors"))

    for is_reached in (lambda: True, states):
        process = start(cut, many.pairs, many.images)
        wait_until(lambda process=process: len(children(process.pid)) > 1, process)
        wait_until(is_reached, process)
        helpers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda helpers=helpers: not any(map(is_alive, helpers)))
        assert not (cut / "manifest.json").exists()
    assert start(cut, many.pairs, many.images).wait(600) == 0
    files = {path.name for path in cut.iterdir()}
    assert files == {"model.safetensors", "manifest.json"}
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
