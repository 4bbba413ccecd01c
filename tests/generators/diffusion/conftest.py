import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    ControlNetModel,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetInpaintPipeline,
    FluxControlNetModel,
    FluxInpaintPipeline,
    FluxTransformer2DModel,
    QwenImageInpaintPipeline,
    QwenImageTransformer2DModel,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)

from generators.families import FAMILIES, draw_scene
from generators.renderers.diffusion.architecture import build_tokenizer

TEXT = 32


@pytest.fixture(scope="session")
def tokenizer():
    rng = np.random.default_rng(0)
    return build_tokenizer(draw_scene(family, rng).to_text() for family in FAMILIES.values())


def unet(**more):
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=4,
        **{"cross_attention_dim": TEXT, **more},
    )


def controlnet(**more):
    """A ControlNet that says something; a fresh one ends in layers of zeros."""
    model = ControlNetModel(
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=4,
        conditioning_embedding_out_channels=(8, 16),
        **{"cross_attention_dim": TEXT, **more},
    )
    for layer in model.controlnet_down_blocks.parameters():
        torch.nn.init.normal_(layer, std=0.2)
    return model


def vae(channels=4):
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        shift_factor=0.0,
    )


def clip(tokenizer, kind=CLIPTextModel):
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT,
            intermediate_size=TEXT,
            projection_dim=TEXT,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def stable_diffusion(tokenizer, *, outlines=True):
    kind = StableDiffusionControlNetInpaintPipeline if outlines else StableDiffusionInpaintPipeline
    return kind(
        vae=vae(),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        unet=unet(),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **({"controlnet": controlnet()} if outlines else {}),
    )


def stable_diffusion_xl(tokenizer):
    sizes = {
        "cross_attention_dim": 2 * TEXT,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + TEXT,
        "transformer_layers_per_block": (1, 1),
    }
    return StableDiffusionXLControlNetInpaintPipeline(
        vae=vae(),
        text_encoder=clip(tokenizer),
        text_encoder_2=clip(tokenizer, CLIPTextModelWithProjection),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet(**sizes),
        controlnet=controlnet(**sizes),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False),
    )


def words_of(*, length=64):
    known = ["<pad>", "<unk>", "</s>", *["a", "b", "c", "d", "e", "f", "g", "h"]]
    plain = Tokenizer(WordLevel({word: n for n, word in enumerate(known)}, unk_token=known[1]))
    plain.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token=known[0],
        unk_token=known[1],
        eos_token=known[2],
        model_max_length=length,
    )


def flux(tokenizer, *, outlines=True):
    sizes = {
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": TEXT,
        "pooled_projection_dim": TEXT,
        "axes_dims_rope": (4, 4, 8),
        "guidance_embeds": True,
    }
    config = T5Config(vocab_size=16, d_model=TEXT, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    kind = FluxControlNetInpaintPipeline if outlines else FluxInpaintPipeline
    return kind(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(config),
        tokenizer_2=words_of(),
        transformer=FluxTransformer2DModel(**sizes),
        **({"controlnet": FluxControlNetModel(**sizes)} if outlines else {}),
    )


def qwen_image(tokenizer):
    del tokenizer
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 16,
            "hidden_size": TEXT,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": TEXT,
        },
    )
    return QwenImageInpaintPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=words_of(length=256),
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=TEXT,
            axes_dims_rope=(4, 4, 8),
        ),
    )


MAKERS = {
    "stable diffusion": stable_diffusion,
    "stable diffusion, no outlines": lambda words: stable_diffusion(words, outlines=False),
    "stable diffusion xl": stable_diffusion_xl,
    "flux": flux,
    "flux, no outlines": lambda words: flux(words, outlines=False),
    "qwen-image": qwen_image,
}


@pytest.fixture(scope="session")
def checkpoint(tokenizer, tmp_path_factory):
    """Write a small random checkpoint of a kind, once for the session."""
    written = {}

    def write(kind):
        if kind not in written:
            torch.manual_seed(0)
            written[kind] = tmp_path_factory.mktemp("checkpoint")
            MAKERS[kind](tokenizer).save_pretrained(written[kind])
        return written[kind]

    return write
