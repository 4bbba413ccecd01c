"""The embedded prompt model: a small Llava from configuration, with its tokenizer and processor.

Deviations from LLaVA (arXiv 2304.08485): vision tower, language model and projector are trained
together from nothing, because no pre-trained part is small enough to come along; the vision tower
sees 64 x 64 pixels in patches of 16; the vocabulary is byte-level BPE, so that any script can be
written; questions and answers are plain turns without a system prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from generators.prompt_model.pictures import SIDE

__all__ = [
    "IMAGE_TOKEN",
    "build_model",
    "build_processor",
    "build_tokenizer",
    "frame",
    "save_model",
]

IMAGE_TOKEN = "<image>"  # noqa: S105 - a token of a vocabulary, no secret
PATCH = 16
_SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
_MEAN = (0.5, 0.5, 0.5)

TURNS = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
"""The chat template: one turn a line."""


def frame(question: str) -> str:
    """Return a question about one picture as the template writes it, ready for the answer."""
    return f"user: {IMAGE_TOKEN}{question}\nassistant:"


def build_tokenizer(texts: Iterable[str], *, words: int = 2048) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE vocabulary.

    Args:
        texts: What will be written and read.
        words: Size of the vocabulary, special tokens included.
    """
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=[*_SPECIAL.values(), IMAGE_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    make: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = make(
        tokenizer_object=inner,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        padding_side="left",
        clean_up_tokenization_spaces=False,
        **_SPECIAL,
    )
    return tokenizer


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Join the tokenizer with what turns pictures into tensors."""
    square = {"height": SIDE, "width": SIDE}
    pictures = CLIPImageProcessorPil(
        size=square, crop_size=square, do_center_crop=False, image_mean=_MEAN, image_std=_MEAN
    )
    make: Any = LlavaProcessor
    processor: LlavaProcessor = make(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TURNS,
    )
    return processor


def build_model(
    tokenizer: PreTrainedTokenizerFast, *, width: int = 144, layers: int = 4, seed: int = 0
) -> LlavaForConditionalGeneration:
    """Build the untrained model.

    Args:
        tokenizer: Its vocabulary.
        width: Of the language model's hidden states.
        layers: Of the language model.
        seed: Draws the first weights.
    """
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=128,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=int(2.5 * width),
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.get_vocab()[IMAGE_TOKEN],
        image_seq_length=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    return LlavaForConditionalGeneration(config)


def save_model(
    folder: Path, model: LlavaForConditionalGeneration, processor: LlavaProcessor
) -> None:
    """Write the model in half precision and its processor, as ``from_pretrained`` reads them."""
    halve: Any = model.half
    halve().save_pretrained(folder)
    processor.save_pretrained(folder)
