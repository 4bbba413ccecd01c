"""The embedded model's four networks: classes of Stable Diffusion, made small by configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderTiny,
    ControlNetModel,
    EulerAncestralDiscreteScheduler,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, trainers
from tokenizers.models import BPE
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from generators.renderers.diffusion.quiet import quietly

__all__ = ["Networks", "build_networks", "build_scheduler", "build_tokenizer"]

SIDE = 64
"""Width and height of the pictures that the embedded model paints, in pixels."""

WORDS = 64
"""Tokens of a prompt that the text encoder reads."""

_VOCABULARY = 1024
_PLANES = 40
_WIDTHS = (80, 128)
_TEXT_WIDTH = 96
_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True, slots=True)
class Networks:
    """What a picture passes on its way from words and noise to pixels.

    Args:
        vae: An ``AutoencoderTiny``.
        text_encoder: A ``CLIPTextModel``.
        unet: A ``UNet2DConditionModel``.
        controlnet: A ``ControlNetModel``.
    """

    vae: Any
    text_encoder: Any
    unet: Any
    controlnet: Any

    def denoising(self) -> tuple[torch.nn.Module, ...]:
        """The networks that learn together once the autoencoder is done."""
        return self.text_encoder, self.unet, self.controlnet


def build_networks(tokenizer: CLIPTokenizer) -> Networks:
    """Make the networks with random weights; torch's seed decides them.

    The autoencoder (without normalisation, so that colours survive) halves the picture twice:
    64 pixels become 16 x 16 x 4. The ControlNet has
    the U-Net's way down without its attention: outlines need no words.
    """
    vae = AutoencoderTiny(  # type: ignore[no-untyped-call]  # diffusers has no annotations
        encoder_block_out_channels=(_PLANES,) * 3,
        decoder_block_out_channels=(_PLANES,) * 3,
        num_encoder_blocks=(1, 1, 2),
        num_decoder_blocks=(2, 1, 1),
        latent_channels=4,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=_TEXT_WIDTH,
            intermediate_size=3 * _TEXT_WIDTH,
            projection_dim=_TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=WORDS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(  # type: ignore[no-untyped-call]  # diffusers has no annotations
        sample_size=SIDE // 4,
        block_out_channels=_WIDTHS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=_TEXT_WIDTH,
        norm_num_groups=4,
    )
    controlnet = ControlNetModel(  # type: ignore[no-untyped-call]  # diffusers has no annotations
        block_out_channels=_WIDTHS,
        down_block_types=("DownBlock2D",) * 2,
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=_TEXT_WIDTH,
        norm_num_groups=4,
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=(8, 16, 32),
    )
    return Networks(vae, text_encoder, unet, controlnet)


def build_scheduler() -> EulerAncestralDiscreteScheduler:
    """The noise of training and sampling: v-prediction, down to no signal at all at its end."""
    with quietly():
        return EulerAncestralDiscreteScheduler(  # type: ignore[no-untyped-call]  # diffusers has no annotations
            prediction_type="v_prediction",
            timestep_spacing="trailing",
            rescale_betas_zero_snr=True,
            **_BETAS,
        )


def build_tokenizer(texts: Iterable[str]) -> CLIPTokenizer:
    """Learn CLIP's kind of byte pairs from texts of scenes."""
    blank = CLIPTokenizer()
    learner: Tokenizer = blank.backend_tokenizer
    learner.model = BPE(
        end_of_word_suffix="</w>",
        continuing_subword_prefix="",
        unk_token=blank.unk_token,
    )
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=_VOCABULARY,
            min_frequency=2,
            end_of_word_suffix="</w>",
            special_tokens=[blank.bos_token, blank.eos_token],
            show_progress=False,
        ),
    )
    model = json.loads(learner.to_str())["model"]
    merges: Any = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(
        vocab=model["vocab"],
        merges=merges,
        model_max_length=WORDS,
    )
