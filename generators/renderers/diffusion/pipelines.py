"""Which class of diffusers paints, by what a checkpoint's folder says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers
import torch
from diffusers import EulerAncestralDiscreteScheduler
from PIL import Image

from abplatform.errors import CheckpointError
from generators.renderers.diffusion.manner import Manner
from generators.renderers.diffusion.quiet import quietly

__all__ = ["Painting", "Way", "load_pipeline", "paint", "side_of", "way_of"]


@dataclass(frozen=True, slots=True)
class Way:
    """How one kind of diffusion model is loaded and asked.

    Args:
        pipeline: Its inpainting class in diffusers.
        outlines: Whether it takes a ControlNet's outlines of the product.
        controlnet: The ControlNet's class.
        ancestral: Whether it samples by Euler's ancestral steps; flow models keep their own.
        renamed: What the class calls what others call ``image`` … where it differs; None where
            it has no use for it.
        said: What else it has to be told.
    """

    pipeline: str
    outlines: bool = False
    controlnet: str = "ControlNetModel"
    ancestral: bool = True
    renamed: Mapping[str, str | None] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)


_WHOLE = MappingProxyType({"strength": 1.0})
"""Nothing of the grey around the product is kept."""

_CFG = MappingProxyType({"guidance_scale": "true_cfg_scale"})

WAYS: Mapping[str, tuple[Way, Way]] = MappingProxyType(
    {
        "StableDiffusionXL": (
            Way("StableDiffusionXLControlNetInpaintPipeline", outlines=True, said=_WHOLE),
            Way("StableDiffusionXLInpaintPipeline", said=_WHOLE),
        ),
        "StableDiffusion": (
            Way("StableDiffusionControlNetInpaintPipeline", outlines=True, said=_WHOLE),
            Way("StableDiffusionInpaintPipeline", said=_WHOLE),
        ),
        "Flux": (
            Way(
                "FluxControlNetInpaintPipeline",
                outlines=True,
                controlnet="FluxControlNetModel",
                ancestral=False,
                said=_WHOLE,
            ),
            Way("FluxInpaintPipeline", ancestral=False, said=_WHOLE),
        ),
        "QwenImage": (
            Way(
                "QwenImageControlNetInpaintPipeline",
                outlines=True,
                controlnet="QwenImageControlNetModel",
                ancestral=False,
                # its ControlNet reads the picture with a hole instead of outlines
                renamed={
                    **_CFG,
                    "image": "control_image",
                    "mask_image": "control_mask",
                    "control_image": None,
                },
                said={"negative_prompt": " "},
            ),
            Way(
                "QwenImageInpaintPipeline",
                ancestral=False,
                renamed=_CFG,
                said={**_WHOLE, "negative_prompt": " "},
            ),
        ),
    }
)
"""Beginning of a pipeline's class to how it paints with a ControlNet, and without."""


@dataclass(frozen=True, slots=True)
class Painting:
    """One picture that a pipeline is asked for.

    Args:
        prompt: The scene in words.
        image: The product on grey.
        mask: White where to paint.
        outlines: White on the product's outlines.
        seed: Decides the noise.
    """

    prompt: str
    image: Image.Image
    mask: Image.Image
    outlines: Image.Image
    seed: int


def way_of(folder: Path, *, controlnet: Path | None = None) -> Way:
    """Tell how a checkpoint's model paints.

    Args:
        folder: What ``save_pretrained`` of a pipeline wrote.
        controlnet: Folder of a ControlNet that was named beside it.

    Raises:
        CheckpointError: It is no pipeline, or of a kind that cannot paint around a product.
    """
    index = folder / "model_index.json"
    try:
        parts: dict[str, Any] = json.loads(index.read_bytes())
        kind = str(parts["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            "the folder holds no diffusion pipeline (model_index.json)",
            path=folder,
            remedy="name a folder that a diffusers pipeline's `save_pretrained` wrote",
        ) from error
    _refuse_foreign_classes(parts, index)
    for beginning, (guided, free) in WAYS.items():
        if kind.startswith(beginning):
            return guided if controlnet is not None or parts.get("controlnet") else free
    raise CheckpointError(
        f"{kind} cannot paint around a product",
        path=index,
        remedy=f"name a model of one of these kinds: {', '.join(WAYS)}",
    )


def _refuse_foreign_classes(parts: Mapping[str, Any], index: Path) -> None:
    """Refuse parts whose classes come from anywhere but diffusers and transformers."""
    for name, where in parts.items():
        if name.startswith("_") or not isinstance(where, list):
            continue
        library = where[0] if where else None
        if library not in {None, "diffusers", "transformers", "stable_diffusion"}:
            raise CheckpointError(
                f"its {name} asks to run code from {library!r}, which is never done",
                path=index,
                remedy="use a checkpoint of classes that transformers or diffusers brings",
            )


@cache
def load_pipeline(folder: Path, controlnet: Path | None = None) -> Any:
    """Load a checked checkpoint once for this process; half precision on an accelerator.

    Args:
        folder: The pipeline's.
        controlnet: Its ControlNet's, unless the pipeline has one.
    """
    way = way_of(folder, controlnet=controlnet)
    device, number = "cpu", torch.float32
    if torch.cuda.is_available():
        device, number = "cuda", torch.float16
    common = {"use_safetensors": True, "local_files_only": True}
    parts: dict[str, Any] = {}
    with quietly():
        if controlnet is not None:
            kind = getattr(diffusers, way.controlnet)
            parts["controlnet"] = kind.from_pretrained(controlnet, **common)
        pipeline = getattr(diffusers, way.pipeline).from_pretrained(
            folder, **common, **parts, trust_remote_code=False
        )
        pipeline = pipeline.to(device, number)
        if way.ancestral:
            euler: Any = EulerAncestralDiscreteScheduler
            pipeline.scheduler = euler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def side_of(pipeline: Any) -> int:
    """Return the width and height at which a model was trained, in pixels."""
    unet = getattr(pipeline, "unet", None)
    cells = pipeline.default_sample_size if unet is None else unet.config.sample_size
    return int(cells * pipeline.vae_scale_factor)


def paint(
    pipeline: Any, way: Way, manner: Manner, paintings: Sequence[Painting]
) -> list[Image.Image]:
    """Paint around products.

    Args:
        pipeline: Loaded by :func:`load_pipeline`.
        way: What its class is told.
        manner: How the checkpoint wants to be asked.
        paintings: What to paint; all of the model's own size.
    """
    side = paintings[0].image.size[0]
    asked: dict[str, Any] = {
        "prompt": [painting.prompt for painting in paintings],
        "image": [painting.image for painting in paintings],
        "mask_image": [painting.mask for painting in paintings],
        "num_inference_steps": manner.steps,
        "guidance_scale": manner.guidance,
        "height": side,
        "width": side,
        # seeded on the CPU, so that every device starts from the same noise
        "generator": [torch.Generator().manual_seed(painting.seed) for painting in paintings],
    }
    if way.outlines:
        asked["control_image"] = [painting.outlines for painting in paintings]
    named = ((way.renamed.get(name, name), value) for name, value in asked.items())
    told = {name: value for name, value in named if name is not None}
    with quietly(), torch.inference_mode():
        return list(pipeline(**told, **way.said).images)
