"""Seconds a picture of the embedded diffusion model at 64 and 128 pixels, beside the bare pipeline.

With an accelerator also a full-size Stable Diffusion U-Net and ControlNet (random weights) at 512
pixels: pictures painted through the renderer against the bare pipeline. Run it as
``python tests/benchmarks/bench_diffusion.py``; with ``--agreement N`` it paints N pictures at 64
pixels instead, of families by turns, and tells in how many of them the embedded scene classifier,
which was taught on studio pictures, sees the family that was asked for.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionControlNetInpaintPipeline,
    UNet2DConditionModel,
)
from ratio_table import Row, measure, print_ratios
from statsmodels.stats.proportion import proportion_confint

from abplatform.checkpoints.pretrained import check_folder
from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.intake import read_products
from generators.renderers.diffusion.architecture import (
    build_networks,
    build_scheduler,
    build_tokenizer,
)
from generators.renderers.diffusion.classifier import load_classifier
from generators.renderers.diffusion.manner import read_manner
from generators.renderers.diffusion.pipelines import load_pipeline, paint, side_of, way_of
from generators.renderers.diffusion.renderer import Diffusion, draft_of, open_diffusion
from generators.renderers.placing import Order
from generators.renderers.studio import Studio
from generators.weights import embedded

BATCH = 4


def orders(side: int, count: int) -> list[Order]:
    with tempfile.TemporaryDirectory() as folder:
        products = read_products(draw_catalogue(Path(folder), products=count)).ready
    rng = np.random.default_rng(0)
    kinds = list(FAMILIES.values())
    return [
        Order(product, draw_scene(kinds[n % len(kinds)], rng), n, (side, side))
        for n, product in enumerate(products)
    ]


def bare(renderer: Diffusion, side: int, asked: list[Order]) -> Any:
    """The same paintings by nothing but the pipeline: no product placed, nothing composed."""
    pipeline = load_pipeline(renderer.model.folder)
    way, manner = way_of(renderer.model.folder), read_manner(renderer.model.folder)
    paintings = [draft_of(order).ask(side, manner.prompt(order.scene)) for order in asked]
    return lambda: paint(pipeline, way, manner, paintings)


def embedded_model() -> None:
    renderer, studio = open_diffusion(), Studio()
    side = side_of(load_pipeline(renderer.model.folder))
    small, large = orders(64, BATCH), orders(128, BATCH)
    taken = measure(
        {
            "bare": bare(renderer, side, small),
            "64": lambda: renderer.render_many(small),
            "128": lambda: renderer.render_many(large),
            "studio": lambda: studio.render_many(small),
        },
        items=BATCH,
        rounds=2,
    )
    ms = {name: value / 1e6 for name, value in taken.items()}
    floor = f"bare pipeline, batch of {BATCH}"
    print_ratios(
        "Embedded diffusion model, 30 steps",
        [
            Row(floor, ms["bare"], f"at the model's own {side} px"),
            Row("renderer, 64 px", ms["64"], f"{renderer.batch} at once"),
            Row("renderer, 128 px", ms["128"], f"painted at {side} px, enlarged"),
            Row("studio, 64 px", ms["studio"], "the default renderer"),
        ],
        floor=floor,
        peer="studio, 64 px",
        unit="ms a picture",
    )


def full_size(folder: Path, *, widths: tuple[int, ...] = (320, 640, 1280, 1280)) -> None:
    """Time a Stable Diffusion of full size with random weights, at 512 pixels."""
    save_random(folder, widths)
    renderer = Diffusion(check_folder(folder))
    asked = orders(512, BATCH)
    taken = measure(
        {"bare": bare(renderer, 512, asked), "ours": lambda: renderer.render_many(asked)},
        items=BATCH,
        rounds=3,
    )
    rows = [Row("bare pipeline", taken["bare"] / 1e6), Row("renderer", taken["ours"] / 1e6)]
    print_ratios(
        "Full-size U-Net and ControlNet, random weights, 512 px, 30 steps",
        rows,
        floor="bare pipeline",
        peer="bare pipeline",
        unit="ms a picture",
    )


def save_random(folder: Path, widths: tuple[int, ...]) -> None:
    tokenizer = build_tokenizer(order.scene.to_prose() for order in orders(64, 8))
    small = build_networks(tokenizer)
    deep = len(widths) - 1
    common: dict[str, Any] = {
        "block_out_channels": widths,
        "down_block_types": ("CrossAttnDownBlock2D",) * deep + ("DownBlock2D",),
        "attention_head_dim": 8,
        "cross_attention_dim": small.text_encoder.config.hidden_size,
    }
    up = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * deep
    StableDiffusionControlNetInpaintPipeline(
        vae=AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        ),
        text_encoder=small.text_encoder,
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(sample_size=64, up_block_types=up, **common),
        controlnet=ControlNetModel(**common),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(torch.float16).save_pretrained(folder)


def agreement(count: int) -> None:
    """Count the pictures whose family is recognised, with a Wilson interval of 95 %."""
    renderer, classifier = open_diffusion(), load_classifier(embedded("scene_classifier").folder)
    with tempfile.TemporaryDirectory() as folder:
        products = read_products(draw_catalogue(Path(folder), products=36)).ready
    rng, names, seen = np.random.default_rng(2026), list(FAMILIES), []
    wanted = [number % len(names) for number in range(count)]
    asked = [
        Order(
            products[number % len(products)],
            draw_scene(FAMILIES[names[family]], rng),
            int(rng.integers(2**31)),
            (64, 64),
        )
        for number, family in enumerate(wanted)
    ]
    with click.progressbar(range(0, count, BATCH), label="painting") as starts:
        for start in starts:
            painted = renderer.render_many(asked[start : start + BATCH])
            seen += classifier.tell(np.stack([picture.pixels for picture in painted])).tolist()
    right = sum(told == family for told, family in zip(seen, wanted, strict=True))
    low, high = proportion_confint(right, count, method="wilson")
    click.echo(f"{right} of {count} recognised: {right / count:.0%} ({low:.0%} to {high:.0%})")
    missed = [
        f"{names[family]} seen as {names[told]}"
        for told, family in zip(seen, wanted, strict=True)
        if told != family
    ]
    click.echo("\n".join(sorted(missed)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agreement", type=int, metavar="N")
    wanted = parser.parse_args().agreement
    torch.set_num_threads(1)
    if wanted is not None:
        agreement(wanted)
        raise SystemExit
    embedded_model()
    if torch.cuda.is_available():
        with tempfile.TemporaryDirectory() as place:
            full_size(Path(place))
    else:
        click.echo("\nNo accelerator here: the full-size U-Net is not timed.")
