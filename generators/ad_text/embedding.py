"""The small embedded text model: a GPT-2 of the common class, trained on composed texts.

Facts are placeholders there, each a token of its own (``generators.ad_text.brief``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from generators.ad_text.brief import PLACEHOLDERS
from generators.ad_text.composing import compose_many

__all__ = ["END", "learn_ad_text"]

END: Final = "<|end|>"
"""Ends a text, and fills batches up."""
_LONGEST: Final = 128
_VOCABULARY: Final = 1024
_PEAK: Final = 3e-3


def learn_ad_text(
    folder: Path,
    *,
    steps: int = 4000,
    batch: int = 32,
    seed: int = 1,
    advance: Callable[[int, int], None] | None = None,
) -> Path:
    """Train the embedded model and save it as transformers reads it (fp16 safetensors).

    Args:
        folder: Where to.
        steps: Batches.
        batch: Texts in a batch.
        seed: Of texts, weights and their order.
        advance: Told how many steps are done of how many.

    Returns:
        The folder.
    """
    torch.manual_seed(seed)
    stream = compose_many(np.random.default_rng(seed))
    tokenizer = _learn_tokenizer(["".join(one) for one in islice(stream, 8000)])
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=_LONGEST + 64,
            n_embd=128,
            n_layer=3,
            n_head=4,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=_PEAK, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK, total_steps=steps, pct_start=0.1)
    for step in range(1, steps + 1):
        ids, labels = _batch(tokenizer, list(islice(stream, batch)))
        loss = model(input_ids=ids, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        plan.step()
        if advance is not None:
            advance(step, steps)
    shipped: Any = model
    shipped.half().save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    note = {"steps": steps, "batch": batch, "seed": seed, "loss": round(float(loss.detach()), 4)}
    (folder / "training.json").write_text(json.dumps(note) + "\n")
    return folder


def _learn_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Learn byte pairs, so that any language can be read; digits stay single."""
    inner = Tokenizer(models.BPE())
    splitter: Any = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.pre_tokenizer = splitter
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=_VOCABULARY,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    make: Any = PreTrainedTokenizerFast  # its constructor has no types
    read: PreTrainedTokenizerFast = make(
        tokenizer_object=inner, eos_token=END, pad_token=END, bos_token=END
    )
    # no special ones: those would be left out of what is decoded
    read.add_tokens([AddedToken(place, normalized=False) for place in PLACEHOLDERS])
    return read


def _batch(
    tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and labels, N x T; only the texts are learned, not their prompts."""
    rows = []
    for prompt, text in pairs:
        first, second = (
            tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, text)
        )
        rows.append((first, [*second, tokenizer.eos_token_id]))
    longest = min(_LONGEST, max(len(first) + len(second) for first, second in rows))
    ids = torch.full((len(rows), longest), tokenizer.eos_token_id)
    labels = torch.full((len(rows), longest), -100)
    for number, (first, second) in enumerate(rows):
        whole = [*first, *second][:longest]
        ids[number, : len(whole)] = torch.tensor(whole)
        labels[number, len(first) : len(whole)] = torch.tensor(whole[len(first) :])
    return ids, labels
