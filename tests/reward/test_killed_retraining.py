"""A retraining that is killed at any of its steps ends the same when it is called again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reward.gates import Gates
from reward.retrain import retrain
from reward.source import Source
from reward.train import TrainingConfig

NOW = datetime(2026, 12, 7, 8, tzinfo=UTC)
WEEKS = ("2026-W48", "2026-W49")
TINY = (("image_size", 32), ("patch", 16), ("width", 16), ("image_layers", 1), ("heads", 2))
CONFIG = TrainingConfig(epochs=2, members=1, shape=TINY)
KILLS = 10
"""Moments at which the suite kills; `make soak` repeats them with others."""


def main(folder, root, kill_at):
    """Retrain, and die by SIGKILL before the n-th file is opened for writing or moved."""
    seen = {"count": 0}

    def count(audited, arguments):
        if audited in {"os.rename", "open"} and str(root) in str(arguments[0]):
            is_written = audited == "os.rename" or "w" in str(arguments[1] or "")
            seen["count"] += is_written
            if seen["count"] == int(kill_at):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    run(Path(folder), Path(root))
    sys.stdout.write(str(seen["count"]))


def run(folder, root):
    pairs = {week: folder / f"{week}.parquet" for week in WEEKS}
    source = Source(pairs, folder / "images", thumbnails=root / "thumbnails")
    gates = Gates(max_ece=1.0, min_gain=-1.0)
    told = {"root": root, "week": WEEKS[1], "at": NOW, "config": CONFIG, "gates": gates}
    return retrain(source, **told)


def call(folder, root, kill_at):
    path = str(Path(__file__).parents[2])
    words = [sys.executable, __file__, str(folder), str(root), str(kill_at)]
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=env)


def outcome(root):
    """What a retraining leaves that people and models rely on."""
    names = ("ALIASES.json", "retrains/2026-W49.json", "retrains/2026-W49.html")
    kept = {name: (root / name).read_text() for name in names}
    kept |= {path.name: path.read_text() for path in (root / "cards").glob("*.json")}
    return kept | {"models": sorted(path.name for path in root.glob("?" * 64))}


@pytest.fixture(scope="module")
def folder(draw_week, tmp_path_factory):
    place = tmp_path_factory.mktemp("weeks")
    for week in WEEKS:
        draw_week(place, week=week, products=12, seed=4)
    return place


@pytest.mark.fault
@pytest.mark.slow
def test_killed_at_any_write_it_ends_the_same(folder, tmp_path, request):
    """Before every file that it writes: the champion is the old one or the new one, never none."""
    whole = tmp_path / "whole"
    done = call(folder, whole, -1)
    assert done.returncode == 0, done.stderr
    writes, expected = int(done.stdout), outcome(whole)
    # Other moments in each round of a soak.
    turn = request.node.callspec.params["repetition"] if hasattr(request.node, "callspec") else 0
    moments = [1 + (turn + number * writes // KILLS) % writes for number in range(KILLS)]
    for moment in sorted(set(moments)):
        cut = tmp_path / f"cut-{moment}"
        killed = call(folder, cut, moment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        aliases = cut / "ALIASES.json"
        named = json.loads(aliases.read_text())["reward"] if aliases.exists() else {}
        assert set(named) <= {"champion"}
        run(folder, cut)
        assert outcome(cut) == expected
        shutil.rmtree(cut)


if __name__ == "__main__":
    main(*sys.argv[1:])
