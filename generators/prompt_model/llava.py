"""The prompt model at work: looks at a product and writes scenes for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessorList, PreTrainedTokenizerBase

from abplatform.checkpoints.multimodal import add_adapter, put_question, read_model
from abplatform.checkpoints.pretrained import find_checkpoint
from generators.arrays import Pixels
from generators.intake import ReadyProduct
from generators.prompt_model.constrained import (
    NextTokens,
    SceneGrammar,
    SceneOnly,
    Vocabulary,
    token_texts,
)
from generators.prompt_model.pictures import show_product
from generators.prompt_model.questions import ask, explain, tell_product
from generators.scene import VOCABULARY, Scene, scene_from_text
from generators.weights import embedded

__all__ = ["LlavaPromptModel", "open_prompt_model"]

SEEN = 336
"""Width and height of the picture that a large model is shown; small ones shrink it further."""

ROOM = 1024
"""Tokens from which on a model has room to be told the whole vocabulary."""


def open_prompt_model(named: str = "embedded", *, adapter: str | None = None) -> LlavaPromptModel:
    """Open a multimodal language model.

    Args:
        named: ``embedded``, a folder, or a hub id; ``@<sha256>`` at its end pins the bytes.
        adapter: A folder or hub id of a LoRA adapter for it.

    Raises:
        CheckpointError: It is missing, refused, or no model of pictures and text.
    """
    where = (
        embedded("prompt_model")
        if named == "embedded"
        else find_checkpoint(named, kind="prompt model")
    )
    processor, model = read_model(where)
    checkpoints = {"prompt_model": where.sha256}
    if adapter is not None:
        tuned = find_checkpoint(adapter, kind="LoRA adapter")
        model = add_adapter(model, tuned)
        checkpoints["prompt_model_adapter"] = tuned.sha256
    return LlavaPromptModel(f"{model.config.model_type}/1", checkpoints, model, processor)


GREEDY: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
"""Take the likeliest token each time."""


@dataclass(frozen=True, slots=True)
class LlavaPromptModel:
    """Writes scenes by sampling from a multimodal language model along the grammar of scenes.

    Args:
        name: For the lineage.
        checkpoints: Role to sha256.
        model: In evaluation mode.
        processor: Its tokenizer and what turns pictures into tensors.
        vocabulary: The words that may be written; a brand may allow fewer.
        temperature: Of sampling; 1 is the model's own distribution.
    """

    name: str
    checkpoints: Mapping[str, str]
    model: Any
    processor: Any
    vocabulary: Vocabulary = field(default_factory=lambda: VOCABULARY)
    temperature: float = 1.0
    _next: dict[SceneGrammar, NextTokens] = field(default_factory=dict, repr=False)

    def propose(self, product: ReadyProduct, count: int, rng: np.random.Generator) -> list[Scene]:
        """Return scenes for a product; the title is data and is told as such."""
        question = self.question(product)
        seed = int(rng.integers(1 << 31))
        written = self.write_scenes(show_product(product.cutout, side=SEEN), question, count, seed)
        return [scene_from_text(text) for text in written]

    def question(self, product: ReadyProduct) -> str:
        """Return how a proposal is asked for; models with room are told the words that count."""
        question = ask("propose", product=tell_product(product.product))
        text = getattr(self.model.config, "text_config", self.model.config)
        room = int(getattr(text, "max_position_embeddings", 0))
        return f"{question} {explain(self.vocabulary)}" if room >= ROOM else question

    def rewrite(
        self, product: ReadyProduct, scene: Scene, *, part: str, word: str, seed: int
    ) -> Scene:
        """Return a scene with one part changed, as the model writes it."""
        question = ask("rewrite", scene=scene.to_text(), part=part, word=word)
        picture = show_product(product.cutout, side=SEEN)
        return scene_from_text(self.write_scenes(picture, question, 1, seed)[0])

    @torch.no_grad()
    def write_scenes(
        self, picture: Pixels, question: str, count: int, seed: int, *, sample: bool = True
    ) -> list[str]:
        """Answer a question about a picture with scenes in text form.

        Args:
            picture: uint8, height x width x 3.
            question: Of which the special tokens are taken out.
            count: How many answers.
            seed: Draws them.
            sample: Draw; else take the likeliest token each time.
        """
        inputs = self.inputs(picture, question)
        asked = inputs["input_ids"].shape[1]
        following = self._following()
        torch.manual_seed(seed)
        # what a checkpoint's own settings say of sampling is overruled
        how: dict[str, Any] = (
            {"do_sample": True, "temperature": self.temperature, "top_p": 1.0, "top_k": 0}
            if sample
            else GREEDY
        )
        said = self.model.generate(
            **inputs,
            **how,
            repetition_penalty=1.0,
            num_return_sequences=count,
            max_new_tokens=following.grammar.longest + 1,
            logits_processor=LogitsProcessorList([SceneOnly(following, asked)]),
            eos_token_id=list(following.ends),
            pad_token_id=following.ends[0],
        )
        return [self._read(row[asked:].tolist(), following.ends) for row in said]

    @torch.no_grad()
    def answer(self, picture: Pixels, question: str, *, longest: int = 48) -> str:
        """Answer a question freely, with the likeliest words."""
        inputs = self.inputs(picture, question)
        ends = self.ends
        said = self.model.generate(
            **inputs,
            **GREEDY,
            max_new_tokens=longest,
            eos_token_id=list(ends),
            pad_token_id=ends[0],
        )
        return self._read(said[0, inputs["input_ids"].shape[1] :].tolist(), ends)

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        return tuple(ends) if isinstance(ends, Sequence) else (int(ends),)

    def inputs(self, picture: Pixels, question: str) -> dict[str, Any]:
        """Return a question about a picture as tensors; the question is data.

        Args:
            picture: uint8, height x width x 3.
            question: Of which the tokenizer's special tokens are taken out.
        """
        return put_question(self.processor, question, [picture])

    @property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        tokenizer: PreTrainedTokenizerBase = self.processor.tokenizer
        return tokenizer

    def _following(self) -> NextTokens:
        grammar = SceneGrammar.of(self.vocabulary)
        if grammar not in self._next:
            texts = token_texts(self._tokenizer)
            self._next[grammar] = NextTokens(grammar, texts, self.ends)
        return self._next[grammar]

    def _read(self, said: list[int], ends: tuple[int, ...]) -> str:
        kept = [token for token in said if token not in ends]
        return str(self._tokenizer.decode(kept, skip_special_tokens=True)).strip()
