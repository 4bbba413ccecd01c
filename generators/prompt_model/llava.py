"""The prompt model at work: looks at a product and writes scenes for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
)

from abplatform.errors import CheckpointError
from generators.arrays import Pixels
from generators.checkpoint_files import CheckedFolder, find_checkpoint
from generators.intake import ReadyProduct
from generators.prompt_model.constrained import SceneGrammar, SceneOnly, Vocabulary, token_texts
from generators.prompt_model.pictures import show_product
from generators.prompt_model.questions import ask, neutralise, tell_product
from generators.scene import VOCABULARY, Scene, scene_from_text
from generators.weights import embedded

__all__ = ["LlavaPromptModel", "open_prompt_model"]

SEEN = 336
"""Width and height of the picture that a large model is shown; small ones shrink it further."""

LONGEST_ANSWER = 160
"""Tokens; a scene takes about 30 in the embedded model, up to 80 in others."""


def open_prompt_model(named: str = "embedded", *, adapter: str | None = None) -> LlavaPromptModel:
    """Open a multimodal language model.

    Args:
        named: ``embedded``, a folder, or a hub id; ``@<sha256>`` at its end pins the bytes.
        adapter: A folder with a LoRA adapter for it.

    Raises:
        CheckpointError: It is missing, refused, or no model of pictures and text.
    """
    where = (
        embedded("prompt_model")
        if named == "embedded"
        else find_checkpoint(named, kind="prompt model")
    )
    processor, model = _load(where)
    checkpoints = {"prompt_model": where.sha256}
    if adapter is not None:
        from peft import PeftModel

        tuned = find_checkpoint(adapter, kind="LoRA adapter")
        model = PeftModel.from_pretrained(model, str(tuned.folder)).merge_and_unload()
        checkpoints["prompt_model_adapter"] = tuned.sha256
    kind = str(model.config.model_type)
    return LlavaPromptModel(f"{kind}/1", checkpoints, model.train(mode=False), processor)


def _load(where: CheckedFolder) -> tuple[Any, Any]:
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        read: Any = AutoProcessor.from_pretrained
        processor = read(where.folder, **safe)
        model = AutoModelForImageTextToText.from_pretrained(
            where.folder, use_safetensors=True, dtype=torch.float32, **safe
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise CheckpointError(
            f"no model of pictures and text can be read here: {str(error).splitlines()[0]}",
            path=where.folder,
            remedy="name a folder of a LLaVA or Qwen-VL model with its processor",
        ) from error
    return processor, model


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
    _texts: list[str] = field(default_factory=list, repr=False)

    def propose(self, product: ReadyProduct, count: int, rng: np.random.Generator) -> list[Scene]:
        """Return scenes for a product; the title is data and is told as such."""
        question = ask("propose", product=tell_product(product.product))
        seed = int(rng.integers(1 << 31))
        written = self.write_scenes(show_product(product.cutout, side=SEEN), question, count, seed)
        return [scene_from_text(text) for text in written]

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
        inputs = self._inputs(picture, question)
        asked = inputs["input_ids"].shape[1]
        ends = self._ends()
        only = SceneOnly(SceneGrammar.of(self.vocabulary), self._token_texts(), ends, asked)
        torch.manual_seed(seed)
        said = self.model.generate(
            **inputs,
            do_sample=sample,
            temperature=self.temperature if sample else None,
            top_p=None,
            top_k=None,
            num_return_sequences=count,
            max_new_tokens=LONGEST_ANSWER,
            logits_processor=LogitsProcessorList([only]),
            eos_token_id=list(ends),
            pad_token_id=ends[0],
        )
        return [self._read(row[asked:].tolist(), ends) for row in said]

    @torch.no_grad()
    def answer(self, picture: Pixels, question: str, *, longest: int = 48) -> str:
        """Answer a question freely, with the likeliest words."""
        inputs = self._inputs(picture, question)
        ends = self._ends()
        said = self.model.generate(
            **inputs,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            max_new_tokens=longest,
            eos_token_id=list(ends),
            pad_token_id=ends[0],
        )
        return self._read(said[0, inputs["input_ids"].shape[1] :].tolist(), ends)

    @property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        tokenizer: PreTrainedTokenizerBase = self.processor.tokenizer
        return tokenizer

    def _inputs(self, picture: Pixels, question: str) -> dict[str, Any]:
        special = [*self._tokenizer.all_special_tokens, *self._tokenizer.get_added_vocab()]
        content = [{"type": "image"}, {"type": "text", "text": neutralise(question, special)}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        return dict(
            self.processor(text=[text], images=[Image.fromarray(picture)], return_tensors="pt")
        )

    def _ends(self) -> tuple[int, ...]:
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        return tuple(ends) if isinstance(ends, Sequence) else (int(ends),)

    def _token_texts(self) -> list[str]:
        if not self._texts:
            self._texts.extend(token_texts(self._tokenizer))
        return self._texts

    def _read(self, said: list[int], ends: tuple[int, ...]) -> str:
        kept = [token for token in said if token not in ends]
        return str(self._tokenizer.decode(kept, skip_special_tokens=True)).strip()
