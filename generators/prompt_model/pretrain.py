"""Pre-training of the embedded prompt model: samples stream, so size is only time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from generators.prompt_model.model import IMAGE_TOKEN, PATCH, frame
from generators.prompt_model.pictures import SIDE
from generators.prompt_model.tasks import GROUPS, Sample, Samples

__all__ = ["PretrainConfig", "batch_of", "corpus", "pretrain"]

IGNORED = -100
"""The label of what is not learned: pictures and questions."""


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """How long and how fast it learns.

    Args:
        steps: Batches.
        batch: Samples in each.
        learning_rate: At its highest; rises over ``warm_up`` steps, then falls as a cosine.
        warm_up: Steps.
        seed: Draws samples and first weights.
        save_every: Steps between two resting points from which training can go on.
        shares: Task to how often it comes, relative to 1.
        half: Multiply in bfloat16, a quarter faster; weights stay in single precision.
        blind: Every picture is blank: the text-only twin that shows what pictures are worth.
    """

    steps: int = 3000
    batch: int = 32
    learning_rate: float = 1.5e-3
    warm_up: int = 200
    seed: int = 0
    save_every: int = 500
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "describe product": 2.0,
            "describe background": 4.0,
            "title": 1.5,
            "rewrite": 1.5,
        }
    )
    half: bool = True
    blind: bool = False


def pretrain(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    samples: Samples,
    config: PretrainConfig,
    *,
    rest: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Teach a model to answer.

    Args:
        model: Is changed.
        tokenizer: Its vocabulary.
        samples: Where questions and answers come from.
        config: How long and how fast.
        rest: A file for resting points; where it holds one, training goes on from there and
            comes out as if it had never stopped.
        advance: Told how many steps are done, and of how many.

    Returns:
        The mean loss of every hundred steps, in nats a token.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.02
    )
    first, losses = _resume(rest, model, optimiser)
    model.train()
    for step in range(first, config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _pace(step, config)
        drawn = _draw(samples, config, step)
        inputs = batch_of(drawn, tokenizer, blind=config.blind)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.half):
            loss = model(**inputs).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        _note(losses, step, float(loss.detach()))
        if rest is not None and (step + 1) % config.save_every == 0:
            _save(rest, model, optimiser, step + 1, losses)
        if advance is not None:
            advance(step + 1, config.steps)
    model.train(mode=False)
    return losses


def corpus(samples: Samples, count: int, *, seed: int) -> Iterator[str]:
    """Return texts of all tasks from which a vocabulary can be learned."""
    tasks = [task for group in GROUPS.values() for task in group]
    for number in range(count):
        rng = np.random.default_rng([seed, 0xB0E, number])
        sample = samples.draw(tasks[number % len(tasks)], rng)
        yield f"{sample.question}\n{_said(sample)}"


def batch_of(
    samples: Sequence[Sample], tokenizer: PreTrainedTokenizerFast, *, blind: bool = False
) -> dict[str, Tensor]:
    """Turn samples into tensors; only answers carry labels.

    Args:
        samples: N of them.
        tokenizer: The vocabulary.
        blind: Show blank pictures.

    Returns:
        ``input_ids``, ``attention_mask``, ``labels`` (N x L) and ``pixel_values``
        (N x 3 x side x side).
    """
    places = (SIDE // PATCH) ** 2
    asked = [
        tokenizer(frame(sample.question).replace(IMAGE_TOKEN, IMAGE_TOKEN * places)).input_ids
        for sample in samples
    ]
    end = [tokenizer.eos_token_id]
    said = [tokenizer(_said(sample)).input_ids + end for sample in samples]
    longest = max(len(a) + len(b) for a, b in zip(asked, said, strict=True))
    ids = torch.full((len(samples), longest), tokenizer.pad_token_id)
    labels = torch.full((len(samples), longest), IGNORED)
    mask = torch.zeros((len(samples), longest), dtype=torch.long)
    for row, (question, answer) in enumerate(zip(asked, said, strict=True)):
        whole = len(question) + len(answer)
        ids[row, :whole] = torch.tensor(question + answer)
        labels[row, len(question) : whole] = torch.tensor(answer)
        mask[row, :whole] = 1
    pictures = np.stack([sample.picture for sample in samples]).astype(np.float32)
    pixels = torch.from_numpy(pictures / 127.5 - 1.0).permute(0, 3, 1, 2)
    if blind:
        pixels = torch.ones_like(pixels)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "pixel_values": pixels.contiguous(),
    }


def _said(sample: Sample) -> str:
    return f" {sample.answer}"


def _draw(samples: Samples, config: PretrainConfig, step: int) -> list[Sample]:
    tasks = [task for group in GROUPS.values() for task in group]
    shares = np.array([config.shares.get(task, 1.0) for task in tasks])
    rng = np.random.default_rng([config.seed, 0x5A3, step])
    chosen = rng.choice(len(tasks), config.batch, p=shares / shares.sum())
    return [samples.draw(tasks[number], rng) for number in chosen]


def _pace(step: int, config: PretrainConfig) -> float:
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def _note(losses: list[float], step: int, loss: float) -> None:
    if step % 100 == 0:
        losses.append(0.0)
    seen = step % 100
    losses[-1] = (losses[-1] * seen + loss) / (seen + 1)


def _save(
    rest: Path,
    model: LlavaForConditionalGeneration,
    optimiser: torch.optim.Optimizer,
    step: int,
    losses: Sequence[float],
) -> None:
    rest.parent.mkdir(parents=True, exist_ok=True)
    draft = rest.with_suffix(".draft")
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "losses": list(losses),
    }
    torch.save(state, draft)
    draft.replace(rest)


def _resume(
    rest: Path | None, model: LlavaForConditionalGeneration, optimiser: torch.optim.Optimizer
) -> tuple[int, list[float]]:
    if rest is None or not rest.is_file():
        return 0, []
    state = torch.load(rest, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), list(state["losses"])
