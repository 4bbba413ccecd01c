"""How the prompt model that comes with the wheel is made: from the drawn catalogue alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from generators.drawn import draw_catalogue
from generators.families import FAMILIES
from generators.intake import ReadyProduct, read_products
from generators.prompt_model.model import build_model, build_processor, build_tokenizer, save_model
from generators.prompt_model.pictures import draw_scenes
from generators.prompt_model.pretrain import PretrainConfig, corpus, pretrain
from generators.prompt_model.tasks import Samples

__all__ = ["HELD_OUT", "LEARNED", "learn_prompt_model", "read_drawn"]

HELD_OUT = ("palm shade", "citrus kitchen", "city night", "silk", "autumn table", "wood flat lay")
"""Families that it never sees nor proposes: what it reads of them, it can put together itself."""

LEARNED = tuple(name for name in FAMILIES if name not in HELD_OUT)

SEEDS = MappingProxyType({"products": 5, "scenes": 11, "words": 1, "weights": 1, "samples": 3})
"""Where each part of the embedded model's chance comes from; a run's own seed is added to all."""

PRODUCTS = 145
SCENES = 4600
WORDS = 1536
_TEXTS = 6000


def learn_prompt_model(
    out: Path,
    *,
    seed: int = 0,
    config: PretrainConfig | None = None,
    rest: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Draw products and scenes, pre-train a model on them and save it.

    Args:
        out: The folder to write.
        seed: Everything comes from it; 0 is the embedded model's.
        config: How long and how fast; the embedded model's if None.
        rest: A folder for resting points, so that a run that breaks off can go on.
        advance: Told how many steps are done, and of how many.

    Returns:
        The mean loss of every hundred steps, in nats a token.
    """
    seeds = {part: number + seed for part, number in SEEDS.items()}
    config = replace(config or PretrainConfig(), seed=seeds["samples"])
    products = read_drawn(PRODUCTS, seed=seeds["products"])
    shelf = draw_scenes(products, SCENES, families=LEARNED, seed=seeds["scenes"])
    samples = Samples(products, shelf, families=LEARNED)
    tokenizer = build_tokenizer(corpus(samples, _TEXTS, seed=seeds["words"]), words=WORDS)
    model = build_model(tokenizer, seed=seeds["weights"])
    point = None if rest is None else rest / f"prompt_model-{seed}.pt"
    losses = pretrain(model, tokenizer, samples, config, rest=point, advance=advance)
    save_model(out, model, build_processor(tokenizer))
    return losses


def read_drawn(count: int, *, seed: int) -> tuple[ReadyProduct, ...]:
    """Draw products and cut them out."""
    with tempfile.TemporaryDirectory() as folder:
        return read_products(draw_catalogue(Path(folder), products=count, seed=seed)).ready
