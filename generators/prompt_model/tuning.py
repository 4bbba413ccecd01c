"""Fine-tuning of a prompt model by low-rank adaptation, on products and scenes that did well.

LoRA (arXiv 2106.09685): every linear layer of the language model gets a trained product of two thin
matrices; the model itself stays as it is, so that the adapter is small. How a picture is seen is
not changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

from abplatform.errors import CatalogueError
from generators.intake import ReadyProduct
from generators.prompt_model.llava import SEEN, LlavaPromptModel
from generators.prompt_model.pictures import show_product
from generators.scene import Scene

__all__ = ["TuneConfig", "fine_tune_lora", "surprise"]

_TUNED = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
_IGNORED = -100


@dataclass(frozen=True, slots=True)
class TuneConfig:
    """How long and how fast an adapter learns.

    Args:
        steps: Updates.
        batch: Examples in each; they are shown one by one, so memory does not depend on it.
        rank: Of the two thin matrices.
        learning_rate: Of AdamW, constant.
        seed: Draws examples and first weights.
    """

    steps: int = 200
    batch: int = 8
    rank: int = 8
    learning_rate: float = 2e-4
    seed: int = 0


def fine_tune_lora(
    model: LlavaPromptModel,
    examples: Sequence[tuple[ReadyProduct, Scene]],
    out: Path,
    *,
    config: TuneConfig | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Teach an adapter to propose such scenes for such products.

    Args:
        model: Stays as it is.
        examples: Products with scenes that should be proposed for them.
        out: The adapter's folder; ``open_prompt_model(…, adapter=out)`` reads it.
        config: How long and how fast.
        advance: Told how many updates are done, and of how many.

    Returns:
        The mean loss of every update, in nats a token.

    Raises:
        CatalogueError: There are no examples.
    """
    if not examples:
        raise CatalogueError("there are no examples to learn from", remedy="name at least one")
    config = config or TuneConfig()
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    lora = LoraConfig(r=config.rank, lora_alpha=2 * config.rank, target_modules=_TUNED)
    tuned: Any = get_peft_model(copy.deepcopy(model.model), lora)
    learned = [weight for weight in tuned.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=config.learning_rate)
    tuned.train()
    losses = []
    for step in range(config.steps):
        loss = 0.0
        for index in rng.integers(len(examples), size=config.batch):
            part = tuned(**_taught(model, *examples[int(index)])).loss / config.batch
            part.backward()
            loss += float(part.detach())
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss)
        if advance is not None:
            advance(step + 1, config.steps)
    tuned.save_pretrained(out)
    return losses


@torch.no_grad()
def surprise(model: LlavaPromptModel, product: ReadyProduct, scene: Scene) -> float:
    """Return how little a model expects a scene for a product: nats a token, before the grammar."""
    return float(model.model(**_taught(model, product, scene)).loss)


def _taught(model: LlavaPromptModel, product: ReadyProduct, scene: Scene) -> dict[str, Any]:
    """Return one example as tensors; only the answer carries labels."""
    inputs = model.inputs(show_product(product.cutout, side=SEEN), model.question(product))
    tokenize: Any = model.processor.tokenizer
    said = tokenize(f" {scene.to_text()}", add_special_tokens=False).input_ids
    answer = torch.tensor([[*said, model.ends[0]]])
    asked = inputs["input_ids"]
    taught = {
        **inputs,
        "input_ids": torch.cat([asked, answer], dim=1),
        "attention_mask": torch.ones(1, asked.shape[1] + answer.shape[1], dtype=torch.long),
        "labels": torch.cat([torch.full_like(asked, _IGNORED), answer], dim=1),
    }
    if "mm_token_type_ids" in inputs:  # which tokens are pictures: none of the answer's
        kinds = inputs["mm_token_type_ids"]
        nothing = torch.zeros(1, answer.shape[1], dtype=kinds.dtype)
        taught["mm_token_type_ids"] = torch.cat([kinds, nothing], dim=1)
    return taught
