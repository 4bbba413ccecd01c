import pytest
import torch
from safetensors.torch import load_file

from generators.renderers.diffusion.renderer import open_diffusion
from generators.renderers.diffusion.train import Recipe, train_diffusion
from generators.scene import Scene

SHORT = Recipe(
    pictures=8, products=2, autoencoder_steps=2, denoiser_steps=3, batch=4, fall=3, keep_every=1
)


STEP = SHORT.rate
"""About how far one step moves a weight: what a lost or repeated step would show."""


class Killed(Exception):
    """Stands for a process that ends in the middle of a step."""


def kill_at(step):
    def advance(done, _total):
        if done == step:
            raise Killed

    return advance


def read_weights(folder):
    (path,) = folder.glob("*.safetensors")
    return {name: part.float() for name, part in load_file(path).items()}


@pytest.mark.slow
def test_training_that_was_killed_comes_out_as_if_it_had_not_been(tmp_path, ready):
    """Killed in both of its parts, it still learns the same weights, but for rounding."""
    torch.set_num_threads(1)
    train_diffusion(tmp_path / "whole", work=tmp_path / "one", recipe=SHORT)
    for step in (1, 4):
        with pytest.raises(Killed):
            train_diffusion(
                tmp_path / "parts", work=tmp_path / "two", recipe=SHORT, advance=kill_at(step)
            )
    train_diffusion(tmp_path / "parts", work=tmp_path / "two", recipe=SHORT)
    for part in ("vae", "text_encoder", "unet", "controlnet"):
        whole, parts = (read_weights(tmp_path / name / part) for name in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        apart = max(float((whole[name] - parts[name]).abs().max()) for name in whole)
        assert apart < STEP / 5
    drawn = open_diffusion(str(tmp_path / "whole")).render(ready[0], Scene(), seed=1, size=(64, 64))
    assert drawn.pixels.std() > 1
