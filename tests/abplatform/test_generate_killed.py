"""A run of `abp generate` that is killed, and the same command again."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from abplatform.creatives import read_lineage
from generators.drawn import draw_catalogue
from generators.generate.ledger import read_refused

START = "from abplatform.cli.main import main; main()"


def command(catalogue, out, processes):
    words = ["-c", START, "generate", "--products", catalogue, "--out", out, "--per-product", "5"]
    words += ["--processes", str(processes), "--json"]
    return [sys.executable, *map(str, words)]


def finish(catalogue, out, processes=1):
    ran = subprocess.run(command(catalogue, out, processes), capture_output=True, check=True)
    return json.loads(ran.stdout)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_ends_as_a_whole_one(tmp_path, processes):
    """After SIGKILL at any moment the same command brings what one whole run would have."""
    catalogue = draw_catalogue(tmp_path / "catalog", products=3)
    out = tmp_path / "cut"
    with subprocess.Popen(
        command(catalogue, out, processes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        ends = time.monotonic() + 60
        while len(list(out.glob("*.webp"))) < 14 and running.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGKILL)
    assert len(read_lineage(out)) < 18
    again = finish(catalogue, out, processes)
    whole = finish(catalogue, tmp_path / "whole")
    assert again["creatives"] == whole["creatives"]
    assert again["refused_creatives"] == whole["refused_creatives"]
    assert read_lineage(out) == read_lineage(tmp_path / "whole")
    assert read_refused(out).keys() == read_refused(tmp_path / "whole").keys()
    third = finish(catalogue, out, processes)
    assert (third["drawn"], third["creatives"]) == (0, whole["creatives"])
