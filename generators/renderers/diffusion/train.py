"""Training of the embedded model: first its autoencoder, then text encoder, U-Net, ControlNet.

The denoiser learns v-prediction (Salimans & Ho, arXiv 2202.00512) under noise that ends without
any signal (Lin et al., arXiv 2305.08891), weighted by min-SNR-5 (Hang et al., arXiv 2303.09556),
with a tenth of the prompts left empty for classifier-free guidance. What it keeps is a moving
average of its weights. Every step draws from a generator of its own, so a training that was
stopped goes on as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionControlNetInpaintPipeline
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTokenizer

from generators.renderers.diffusion.architecture import (
    SIDE,
    Networks,
    build_networks,
    build_scheduler,
    build_tokenizer,
)
from generators.renderers.diffusion.captions import captions_of, mirrored
from generators.renderers.diffusion.controls import NEUTRAL, find_edges
from generators.renderers.diffusion.manner import Manner, write_manner
from generators.renderers.diffusion.pictures import LearningPictures, draw_pictures
from generators.scene import Scene

__all__ = ["Recipe", "learning_pictures", "train_diffusion"]

_SMALL_BATCH = 8
"""Pictures a step of the autoencoder: it wants many steps more than large ones."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and with what to train.

    Args:
        pictures: Studio pictures to draw.
        products: Products that stand in them.
        autoencoder_steps: Steps of the autoencoder, each of 8 pictures.
        denoiser_steps: Steps of the rest in each round, each of ``batch`` pictures.
        rounds: How often the rest is trained so; each round goes on from the averaged weights of
            the one before, with the learning rate high again (warm restarts; Loshchilov & Hutter,
            arXiv 1608.03983).
        batch: Pictures a step of the rest.
        rate: Highest learning rate; it rises for 2 % of its steps and falls along a cosine.
        seed: Decides pictures, weights, order and noise.
        keep_every: Steps between two states on disk.
    """

    pictures: int = 6000
    products: int = 72
    autoencoder_steps: int = 1500
    denoiser_steps: int = 2400
    rounds: int = 3
    batch: int = 32
    rate: float = 1e-3
    seed: int = 1
    keep_every: int = 250


def train_diffusion(
    out: Path,
    *,
    work: Path,
    recipe: Recipe | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> None:
    """Train the embedded diffusion model and save it as a diffusers folder.

    Args:
        out: Folder for the model, in half precision.
        work: Folder for pictures and states; training goes on from what it finds there.
        recipe: How long and with what; the shipped model's if None.
        advance: Told how many steps are done, of how many.
    """
    recipe = recipe or Recipe()
    torch.manual_seed(recipe.seed)
    pictures = learning_pictures(recipe, work=work)
    scenes = pictures.scenes()
    tokenizer = build_tokenizer(text for scene in scenes for text in captions_of(scene))
    networks = build_networks(tokenizer)
    total = recipe.autoencoder_steps + recipe.rounds * recipe.denoiser_steps

    def report(done: int) -> None:
        if advance is not None:
            advance(done, total)

    def report_after(done: int, steps: int) -> None:
        report(done + steps)

    train_autoencoder(networks.vae, pictures, recipe, work=work, report=report)
    lessons = prepare_lessons(networks, pictures)
    for turn in range(recipe.rounds):
        done = recipe.autoencoder_steps + turn * recipe.denoiser_steps
        train_denoiser(
            networks,
            tokenizer,
            lessons,
            recipe,
            turn=turn,
            work=work,
            report=partial(report_after, done),
        )
    save(networks, tokenizer, out)


def learning_pictures(recipe: Recipe, *, work: Path) -> LearningPictures:
    """Draw a recipe's pictures, or read them where they were drawn before."""
    work.mkdir(parents=True, exist_ok=True)
    return draw_pictures(
        recipe.pictures,
        side=SIDE,
        seed=recipe.seed,
        products=recipe.products,
        keep=work / "pictures.npz",
    )


def train_autoencoder(
    vae: Any,
    pictures: LearningPictures,
    recipe: Recipe,
    *,
    work: Path,
    report: Callable[[int], None],
) -> None:
    """Teach the autoencoder to bring pictures back from a twelfth of their numbers."""
    hurried = replace(recipe, rate=1.5 * recipe.rate)
    schedule = _Schedule(vae, hurried, recipe.autoencoder_steps, work / "autoencoder.pt")
    while schedule.step < recipe.autoencoder_steps:
        rng = np.random.default_rng([recipe.seed, 1, schedule.step])
        light = _to_light(pictures.pixels[rng.integers(len(pictures.pixels), size=_SMALL_BATCH)])
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(light).latents
            noise = 0.05 * _noise(latents.shape, rng)
            again = vae.decode(latents + noise).sample.float()
        schedule.learn(_unlikeness(again, light) + 0.02 * _unevenness(latents.float()))
        report(schedule.step)
    schedule.finish(vae)


def _unevenness(latents: Tensor) -> Tensor:
    """How far each channel is from mean 0 and deviation 1, where noise and signal compare."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    return (mean**2 + (deviation - 1.0) ** 2).sum()


def _unlikeness(again: Tensor, light: Tensor) -> Tensor:
    """Difference of light and, for sharpness, of its slopes at two sizes."""
    loss = functional.l1_loss(again, light) + functional.mse_loss(again, light)
    for _ in range(2):
        for axis in (2, 3):
            loss = loss + 0.5 * functional.l1_loss(again.diff(dim=axis), light.diff(dim=axis))
        again, light = functional.avg_pool2d(again, 2), functional.avg_pool2d(light, 2)
    return loss


@dataclass(frozen=True, slots=True)
class Lessons:
    """Everything that a step of the denoiser draws from; each picture also mirrored."""

    latents: Tensor
    """2·count x 4 x side/4 x side/4."""
    weights: Tensor
    """2·count x 1 x side/4 x side/4: how much each place counts."""
    edges: Tensor
    """uint8, 2·count x side x side."""
    scenes: Sequence[Scene]


def prepare_lessons(networks: Networks, pictures: LearningPictures) -> Lessons:
    """Encode pictures as they are and, where their scene allows it, mirrored."""
    latents, weights, edges, scenes = [], [], [], []
    given = pictures.scenes()
    flips = [mirrored(scene) for scene in given]
    for flip in (False, True):
        pixels = pictures.pixels[:, :, ::-1] if flip else pictures.pixels
        alphas = pictures.alphas[:, :, ::-1] if flip else pictures.alphas
        kept = [n for n in range(len(given)) if not flip or flips[n] is not None]
        scenes += [flips[n] or given[n] if flip else given[n] for n in kept]
        for first in range(0, len(kept), 64):
            part = kept[first : first + 64]
            with torch.no_grad():
                latents.append(networks.vae.encode(_to_light(pixels[part])).latents)
            cover = torch.from_numpy(alphas[part].astype(np.float32) / 255.0)[:, None]
            weights.append(1.0 - 0.85 * functional.avg_pool2d(cover, 4))
            edges.append(torch.from_numpy(_edges(pixels[part], alphas[part])))
    return Lessons(torch.cat(latents), torch.cat(weights), torch.cat(edges), scenes)


def _edges(pixels: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    share = alphas[..., None].astype(np.float32) / 255.0
    alone = (pixels * share + NEUTRAL * (1.0 - share) + 0.5).astype(np.uint8)
    return np.stack([find_edges(picture)[..., 0] for picture in alone])


def train_denoiser(
    networks: Networks,
    tokenizer: CLIPTokenizer,
    lessons: Lessons,
    recipe: Recipe,
    *,
    turn: int,
    work: Path,
    report: Callable[[int], None],
) -> None:
    """Teach text encoder, U-Net and ControlNet to paint: one round of a recipe.

    Args:
        networks: Those of the round before, or new ones; changed in place.
        tokenizer: Reads the captions.
        lessons: What is painted.
        recipe: How long and with what.
        turn: Which round, from 0.
        work: Folder for the state.
        report: Told how many of its steps are done.
    """
    learner = nn.ModuleList(networks.denoising())
    schedule = _Schedule(learner, recipe, recipe.denoiser_steps, work / f"denoiser-{turn}.pt")
    scheduler: Any = build_scheduler()
    signal: Tensor = scheduler.alphas_cumprod.float()
    while schedule.step < recipe.denoiser_steps:
        rng = np.random.default_rng([recipe.seed, 2 + turn, schedule.step])
        chosen = rng.integers(len(lessons.scenes), size=recipe.batch)
        texts = [_caption(lessons.scenes[n], rng) for n in chosen]
        tokens = tokenizer(
            texts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        times = torch.from_numpy(rng.integers(len(signal), size=recipe.batch))
        clean = lessons.latents[chosen]
        noise = _noise(clean.shape, rng)
        share = signal[times].view(-1, 1, 1, 1)
        noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
        target = share.sqrt() * noise - (1 - share).sqrt() * clean
        edges = lessons.edges[chosen][:, None].expand(-1, 3, -1, -1).float() / 255.0
        guess = _predict(networks, noisy, times, tokens, edges)
        snr = share / (1 - share)
        weight = snr.clamp(max=5.0) / (snr + 1) + 0.1
        loss = (weight * lessons.weights[chosen] * (guess - target) ** 2).mean()
        schedule.learn(loss)
        report(schedule.step)
    schedule.finish(learner)


def _predict(
    networks: Networks, noisy: Tensor, times: Tensor, tokens: Tensor, edges: Tensor
) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        words = networks.text_encoder(tokens).last_hidden_state
        down, middle = networks.controlnet(noisy, times, words, edges, return_dict=False)
        guess: Tensor = networks.unet(
            noisy,
            times,
            words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
    return guess.float()


def _caption(scene: Scene, rng: np.random.Generator) -> str:
    """One of a scene's texts, sometimes short of some phrases, sometimes empty."""
    if rng.random() < 0.1:
        return ""
    texts = captions_of(scene)
    phrases = texts[int(rng.integers(len(texts)))].split(", ")
    kept = [phrase for phrase in phrases if rng.random() > 0.05]
    return ", ".join(kept)


class _Schedule:
    """Optimizer, learning rate, moving average and the state on disk of one training."""

    def __init__(self, learner: nn.Module, recipe: Recipe, steps: int, state: Path) -> None:
        self.learner = learner
        self.keep_every = recipe.keep_every
        self.state = state
        self.step = 0
        self.losses: list[float] = []
        self.optimizer = torch.optim.AdamW(
            learner.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        rise = max(1, steps // 50)
        self.rates = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: (
                min(1.0, (step + 1) / rise) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))
            ),
        )
        keep = get_ema_multi_avg_fn(0.997)  # type: ignore[no-untyped-call]  # torch has no annotation
        self.average = AveragedModel(learner, multi_avg_fn=keep)
        if state.is_file():
            self._read()

    def learn(self, loss: Tensor) -> None:
        """Take one step down a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self.rates.step()
        self.step += 1
        self.average.update_parameters(self.learner)
        self.losses.append(loss.item())
        if self.step % self.keep_every == 0:
            self._write()

    def finish(self, learner: nn.Module) -> None:
        """Give the learner its averaged weights."""
        learner.load_state_dict(self.average.module.state_dict())
        learner.eval()

    def _write(self) -> None:
        state = {
            "step": self.step,
            "losses": self.losses,
            "learner": self.learner.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
        }
        beside = self.state.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(self.state)

    def _read(self) -> None:
        state = torch.load(self.state, weights_only=True)
        self.step = state["step"]
        self.losses = state["losses"]
        self.learner.load_state_dict(state["learner"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rates.load_state_dict(state["rates"])


def _to_light(pixels: np.ndarray) -> Tensor:
    """Bytes, n x h x w x 3, to light -1 … 1, n x 3 x h x w."""
    light = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    return (light / 127.5 - 1.0).contiguous()


def _noise(shape: Sequence[int], rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def save(networks: Networks, tokenizer: CLIPTokenizer, out: Path) -> None:
    """Write the networks in half precision, as the pipeline's ``from_pretrained`` reads them."""
    pipeline: Any = StableDiffusionControlNetInpaintPipeline(  # type: ignore[no-untyped-call]  # diffusers has no annotations
        vae=networks.vae,
        text_encoder=networks.text_encoder,
        tokenizer=tokenizer,
        unet=networks.unet,
        controlnet=networks.controlnet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(out)
    write_manner(out, Manner(words="phrases", guidance=3.0))
