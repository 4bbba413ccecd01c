"""Two processes that train one model together, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reward.dataset import read_pairs
from reward.pictures import pictures_of
from reward.train import train

HERE = Path(__file__)


def main(pairs, images, out):
    """Train as one of several processes, and leave the weights that this one came to."""
    from safetensors.torch import save_file

    from reward import ranks
    from reward.fit import TrainingConfig

    shape = (("image_size", 32), ("patch", 16), ("width", 16), ("image_layers", 1), ("heads", 2))
    config = TrainingConfig(epochs=3, members=1, shape=(*shape, ("dropout", 0.0)))
    table = read_pairs(Path(pairs))
    with ranks.join_ranks():
        pictures = pictures_of(table, Path(images), size=32)
        made = train(table, pictures, config, resume=Path(out) / "state")
        facts = {"losses": made.facts["validation_losses"], "count": ranks.count()}
        (Path(out) / f"rank-{ranks.rank()}.json").write_text(json.dumps(facts))
        save_file(made.model.state_dict(), Path(out) / f"rank-{ranks.rank()}.safetensors")


@pytest.mark.slow
def test_two_ranks_have_equal_weights(drawn, tmp_path):
    """Both come to the same bytes, near those of one process that sees whole batches."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    call = [*run, str(HERE), str(drawn.pairs), str(drawn.images), str(tmp_path)]
    path = f"{HERE.parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / f"rank-{one}.safetensors") for one in (0, 1))
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
    facts = json.loads((tmp_path / "rank-0.json").read_text())
    assert facts["count"] == 2
    alone = tmp_path / "alone"
    alone.mkdir()
    main(drawn.pairs, drawn.images, alone)
    expected = json.loads((alone / "rank-0.json").read_text())["losses"][0]
    assert facts["losses"][0] == pytest.approx(expected, rel=0.1)
    assert not list(tmp_path.glob("state*"))


if __name__ == "__main__":
    main(*sys.argv[1:])
