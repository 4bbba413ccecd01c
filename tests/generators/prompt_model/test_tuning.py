import copy

import numpy as np
import pytest
import torch

from abplatform.errors import CatalogueError, CheckpointError
from generators.prompt_model.llava import open_prompt_model
from generators.prompt_model.tuning import TuneConfig, fine_tune_lora, surprise
from generators.scene import Scene

pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft 0.21 still reads it
)

SHORE = Scene("sand", "sea", "golden left", "sand", "pebbles", "deep", "summer", "fresh")
CONFIG = TuneConfig(steps=8, batch=1, rank=4, learning_rate=3e-2)


@pytest.mark.parametrize("kind", ["untrained", "qwen"])
def test_an_adapter_learns_what_did_well(kind, request, bottle, tmp_path):
    """With the adapter a model expects what it was taught; without, it is as it was."""
    model = request.getfixturevalue(kind)
    # louder words, so that an untrained model can be taught by a thin adapter
    loud = copy.deepcopy(model.model)
    with torch.no_grad():
        loud.get_output_embeddings().weight.mul_(30)
    loud.save_pretrained(tmp_path / "model")
    model.processor.save_pretrained(tmp_path / "model")
    model = open_prompt_model(str(tmp_path / "model"))
    before = model.propose(bottle, 2, np.random.default_rng(1))
    losses = fine_tune_lora(model, [(bottle, SHORE)], tmp_path / "adapter", config=CONFIG)
    assert len(losses) == CONFIG.steps
    assert model.propose(bottle, 2, np.random.default_rng(1)) == before
    tuned = open_prompt_model(str(tmp_path / "model"), adapter=str(tmp_path / "adapter"))
    assert set(tuned.checkpoints) == {"prompt_model", "prompt_model_adapter"}
    assert surprise(tuned, bottle, SHORE) < 0.6 * surprise(model, bottle, SHORE)


def test_an_adapter_of_another_model_is_refused(untrained, bottle, qwen_folder, tmp_path):
    """An adapter that does not fit is named, with what to do."""
    short = TuneConfig(steps=1, batch=1)
    fine_tune_lora(untrained, [(bottle, SHORE)], tmp_path / "adapter", config=short)
    with pytest.raises(CheckpointError, match="does not fit"):
        open_prompt_model(str(qwen_folder), adapter=str(tmp_path / "adapter"))


def test_nothing_is_learned_from_nothing(untrained, tmp_path):
    """Fine-tuning without examples is refused."""
    with pytest.raises(CatalogueError, match="no examples"):
        fine_tune_lora(untrained, [], tmp_path / "adapter")
