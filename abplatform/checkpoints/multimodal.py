"""Multimodal language models of any kind, LLaVA, Qwen-VL and kin: read and asked."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from abplatform.checkpoints.pretrained import UNREADABLE, CheckedFolder
from abplatform.checkpoints.quiet import quietly
from abplatform.errors import CheckpointError

__all__ = ["add_adapter", "first_line", "put_question", "read_model", "without"]

_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def read_model(where: CheckedFolder) -> tuple[Any, Any]:
    """Read a processor and a model, in single precision and evaluation mode.

    Args:
        where: What ``save_pretrained`` wrote, checked.

    Raises:
        CheckpointError: It is no model of pictures and text.
    """
    try:
        with quietly():
            processor = _read_processor(where)
            read: Any = AutoModelForImageTextToText.from_pretrained
            model, told = read(
                where.folder,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **_SAFE,
            )
    except UNREADABLE as error:
        raise _unreadable(where, first_line(error)) from error
    if lacking := sorted(told["missing_keys"]):  # else they would be drawn at random
        raise _unreadable(where, f"{lacking[0]} is missing")
    return processor, model.train(mode=False)


def add_adapter(model: Any, adapter: CheckedFolder) -> Any:
    """Add what low-rank adaptation (LoRA, arXiv 2106.09685) has learned to a model's weights.

    Raises:
        CheckpointError: It is no adapter, or one of another model.
    """
    from peft import PeftModel

    try:
        tuned: Any = PeftModel.from_pretrained(model, str(adapter.folder))
    except UNREADABLE as error:
        raise CheckpointError(
            f"the LoRA adapter does not fit the model: {first_line(error)}",
            path=adapter.folder,
            remedy="name an adapter that was trained on this very model",
        ) from error
    return tuned.merge_and_unload().train(mode=False)


def put_question(
    processor: Any, question: str, pictures: Sequence[NDArray[np.uint8]]
) -> dict[str, Any]:
    """Return a question about pictures as tensors, ready for the answer; the question is data.

    Args:
        processor: Its chat template says how a turn is written.
        question: Of which the tokenizer's special tokens are taken out.
        pictures: uint8, height x width x 3 each; they come before the question.
    """
    tokenizer = processor.tokenizer
    special = [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]
    content = [{"type": "image"} for _ in pictures]
    content.append({"type": "text", "text": without(question, special)})
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    shown = {"images": [Image.fromarray(one) for one in pictures]} if pictures else {}
    return dict(processor(text=[text], **shown, return_tensors="pt"))


def without(text: str, special: Collection[str]) -> str:
    """Take tokens that have a meaning of their own out of a text, also those that this forms.

    Args:
        text: A question with data in it.
        special: Special tokens of the model at hand.
    """
    tokens = sorted((token for token in special if token.strip()), key=len, reverse=True)
    before = None
    while text != before:
        before = text
        for token in tokens:
            text = text.replace(token, " ")
    return text


def first_line(error: Exception) -> str:
    """Return an error's first line, or its kind where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _unreadable(where: CheckedFolder, why: str) -> CheckpointError:
    return CheckpointError(
        f"no model of pictures and text can be read here: {why}",
        path=where.folder,
        remedy="name a whole folder of a LLaVA or Qwen-VL model with its processor",
    )


def _read_processor(where: CheckedFolder) -> Any:
    """Read what turns text and pictures into tensors; what it has for films is left out.

    Processors of Qwen-VL also want one for films, which needs torchvision; a scene needs none.
    """
    config = AutoConfig.from_pretrained(where.folder, **_SAFE)
    kind: Any = PROCESSOR_MAPPING.get(type(config), None)
    if kind is None or "video_processor" not in inspect.signature(kind.__init__).parameters:
        read: Any = AutoProcessor.from_pretrained
        return read(where.folder, **_SAFE)

    def begin(
        self: Any,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        **rest: Any,
    ) -> None:
        kind.__init__(self, image_processor, tokenizer, chat_template=chat_template, **rest)

    pictures_only: Any = type(kind.__name__, (kind,), {"__init__": begin})
    return pictures_only.from_pretrained(where.folder, **_SAFE)
