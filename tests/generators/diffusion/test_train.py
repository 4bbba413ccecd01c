import numpy as np
import pytest
import torch

from generators.renderers.diffusion.renderer import open_diffusion
from generators.renderers.diffusion.train import Recipe, train_diffusion
from generators.scene import Scene

SHORT = Recipe(
    pictures=8, products=2, autoencoder_steps=2, denoiser_steps=2, rounds=2, batch=4, keep_every=1
)


class Killed(Exception):
    """Stands for a process that ends in the middle of a step."""


def kill_at(step):
    def advance(done, _total):
        if done == step:
            raise Killed

    return advance


def read_losses(state):
    """Every step's loss; each step has pictures and noise of its own, so no two are alike."""
    return torch.load(state, weights_only=True)["losses"]


@pytest.mark.slow
def test_training_that_was_killed_comes_out_as_if_it_had_not_been(tmp_path, ready):
    """Killed in every part, it loses no step and repeats none; sums may be rounded otherwise."""
    torch.set_num_threads(1)
    train_diffusion(tmp_path / "whole", work=tmp_path / "one", recipe=SHORT)
    for step in (1, 3, 5):
        with pytest.raises(Killed):
            train_diffusion(
                tmp_path / "parts", work=tmp_path / "two", recipe=SHORT, advance=kill_at(step)
            )
    train_diffusion(tmp_path / "parts", work=tmp_path / "two", recipe=SHORT)
    for part in ("autoencoder", "denoiser-0", "denoiser-1"):
        whole, parts = (read_losses(tmp_path / work / f"{part}.pt") for work in ("one", "two"))
        nearest = [int(np.abs(np.subtract(whole, loss)).argmin()) for loss in parts]
        assert nearest == list(range(len(whole))), part
    drawn = open_diffusion(str(tmp_path / "whole")).render(ready[0], Scene(), seed=1, size=(64, 64))
    assert drawn.pixels.std() > 1
