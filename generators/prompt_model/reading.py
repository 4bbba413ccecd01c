"""Reads multimodal language models of any kind from a checked folder: LLaVA, Qwen-VL and kin."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from abplatform.checkpoints.pretrained import CheckedFolder
from abplatform.errors import CheckpointError
from generators.quiet import quietly

__all__ = ["add_adapter", "read_model"]

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
            model = AutoModelForImageTextToText.from_pretrained(
                where.folder, use_safetensors=True, dtype=torch.float32, **_SAFE
            )
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"no model of pictures and text can be read here: {_first_line(error)}",
            path=where.folder,
            remedy="name a folder of a LLaVA or Qwen-VL model with its processor",
        ) from error
    return processor, model.train(mode=False)


def add_adapter(model: Any, adapter: CheckedFolder) -> Any:
    """Add what low-rank adaptation (LoRA, arXiv 2106.09685) has learned to a model's weights.

    Raises:
        CheckpointError: It is no adapter, or one of another model.
    """
    from peft import PeftModel

    try:
        tuned: Any = PeftModel.from_pretrained(model, str(adapter.folder))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"the LoRA adapter does not fit the model: {_first_line(error)}",
            path=adapter.folder,
            remedy="name an adapter that was trained on this very model",
        ) from error
    return tuned.merge_and_unload().train(mode=False)


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


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
