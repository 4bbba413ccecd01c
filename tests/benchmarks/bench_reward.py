"""How fast reward models learn and score, and how long a weekly retraining takes.

Run it as ``python tests/benchmarks/bench_reward.py [--pairs N]``; with ``--pairs 100000`` the
retraining is that of the aim (ten minutes on two cores), from thumbnails that are kept. Pictures
are drawn at 64 px. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import polars as pl
import torch
from transformers import ViTConfig, ViTModel

from reward.dataset import PairTable, read_pairs
from reward.recipe import choose_config, choose_config_for
from reward.retrain import retrain
from reward.score import RewardScorer
from reward.source import Source
from reward.thumbnails import keep_thumbnail
from reward.train import train

CREATIVES = 4
CLICK_RATE = 0.03
IMPRESSIONS = 8_000
SIZE = 64
VIT_BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6_000)
    asked = parser.parse_args()
    frame, pictures = draw(asked.pairs, "2026-W48", seed=0)
    few = read(frame.head(1_800))
    items = np.stack([pictures[item.image] for item in few.items])
    click.echo(f"{len(os.sched_getaffinity(0))} cores")
    for workers in (1, 2):
        learn(few, items, workers)
    score(few, items)
    if torch.cuda.is_available():
        encode_on_accelerator()
    weekly(frame, pictures, asked.pairs)


def read(frame: pl.DataFrame) -> PairTable:
    """Return pairs as `abp` reads them from a file."""
    with tempfile.TemporaryDirectory() as place:
        frame.write_parquet(Path(place) / "pairs.parquet")
        return read_pairs(Path(place) / "pairs.parquet")


def draw(pairs: int, week: str, *, seed: int) -> tuple[pl.DataFrame, dict[str, np.ndarray]]:
    """Return pairs of products on coloured grounds, and each creative's picture by name."""
    rng = np.random.default_rng(seed)
    rows, pictures = [], {}
    for product in range(pairs // 6 + 1):
        colour = rng.uniform(0, 255, 3)
        names, clicks = [], []
        for number in range(CREATIVES):
            ground = rng.uniform(0, 255, 3)
            pixels = np.tile(ground, (SIZE, SIZE, 1)) + rng.normal(0, 8, (SIZE, SIZE, 3))
            pixels[20:44, 22:42] = colour
            name = f"{seed:032x}{product:024x}{number:08x}"
            pictures[name] = pixels.clip(0, 255).astype(np.uint8)
            names.append(name)
            rate = CLICK_RATE * np.exp((ground[0] - ground[2]) / 400)
            clicks.append(int(rng.binomial(IMPRESSIONS, rate)))
        for one in range(CREATIVES):
            for two in range(one + 1, CREATIVES):
                first, second = (one, two) if clicks[one] >= clicks[two] else (two, one)
                gap = np.log((clicks[first] + 0.5) / (clicks[second] + 0.5))
                p_win = 1 / (1 + np.exp(-1.7 * gap / np.sqrt(1 / clicks[one] + 1 / clicks[two])))
                rows.append(
                    {
                        "pair_id": f"{week}-{seed}-{product}-{one}-{two}",
                        "experiment": "drawn",
                        "week": week,
                        "product_id": f"{seed}-{product}",
                        "category": ("beauty", "home", "toys")[product % 3],
                        "title": f"thing {product % 50}",
                        "attributes": "",
                        "chosen_creative": names[first],
                        "rejected_creative": names[second],
                        "chosen_image": names[first],
                        "rejected_image": names[second],
                        "chosen_text": "",
                        "rejected_text": "",
                        "p_win": float(p_win),
                        "weight": float((2 * p_win - 1) ** 2 * 2 / CREATIVES),
                        "impressions_chosen": IMPRESSIONS,
                        "clicks_chosen": clicks[first],
                        "impressions_rejected": IMPRESSIONS,
                        "clicks_rejected": clicks[second],
                    }
                )
    return pl.DataFrame(rows[:pairs]), pictures


def learn(table: PairTable, pictures: np.ndarray, workers: int) -> None:
    config = choose_config(table, images=True, epochs=12)
    begun = time.perf_counter()
    train(table, pictures, config, workers=workers)
    seconds = time.perf_counter() - begun
    visits = len(table) * config.epochs * config.members * (config.folds - 1) / config.folds
    click.echo(f"learning with {workers} at a time: {visits / seconds:,.0f} pairs/s")


def score(table: PairTable, pictures: np.ndarray) -> None:
    scorer = RewardScorer(train(table, pictures, choose_config(table, images=True, epochs=1)).model)
    begun = time.perf_counter()
    scorer.score_items(table.items, pictures)
    seconds = time.perf_counter() - begun
    click.echo(f"scoring on one core: {len(table.items) / seconds:,.0f} pictures/s (two nets)")


def encode_on_accelerator() -> None:
    """Train a ViT-B at 224 px on drawn noise in bfloat16, compiled: what share of the peak is that?

    A picture costs 3 x 35.1 GFLOP, forward and backward (Dosovitskiy et al. 2021, ViT-B/16); the
    peak is that of a large matrix product in the same numbers, measured here.
    """
    device = torch.device("cuda")
    big = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    peak = 2 * 8192**3 / _seconds(lambda: big @ big)
    encoder = ViTModel(ViTConfig(), add_pooling_layer=False).to(device)
    run = torch.compile(encoder)
    pictures = torch.randn(VIT_BATCH, 3, 224, 224, device=device)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = run(pixel_values=pictures).last_hidden_state.float().square().mean()
        loss.backward()

    rate = VIT_BATCH / _seconds(step)
    click.echo(
        f"ViT-B/16 at 224 px on {torch.cuda.get_device_name()}: {rate:,.0f} pictures/s learning, "
        f"{rate * 3 * 35.1e9 / peak:.0%} of the peak of {peak / 1e12:,.0f} TFLOP/s"
    )


def _seconds(step: Callable[[], object]) -> float:
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / 10


def weekly(frame: pl.DataFrame, pictures: dict[str, np.ndarray], pairs: int) -> None:
    """Retrain on a week of that many pairs and judge on one with a tenth of them."""
    newer, more = draw(max(600, pairs // 10), "2026-W49", seed=1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "images").mkdir()
        paths = {"2026-W48": folder / "2026-W48.parquet", "2026-W49": folder / "2026-W49.parquet"}
        for path, rows in zip(paths.values(), (frame, newer), strict=True):
            rows.write_parquet(path)
        for name, pixels in (pictures | more).items():
            keep_thumbnail(folder / "kept", name, pixels)
            (folder / "images" / f"{name}.webp").touch()
        source = Source(paths, folder / "images", thumbnails=folder / "kept")
        begun = time.perf_counter()
        config = choose_config_for(source, "2026-W49", seed=0)
        at = datetime(2026, 12, 7, tzinfo=UTC)
        done = retrain(source, root=folder / "store", week="2026-W49", at=at, config=config)
        seconds = time.perf_counter() - begun
    numbers = done.metrics["challenger"]
    click.echo(
        f"retraining on {pairs:,} pairs of {len(pictures):,} pictures: {seconds:,.0f} s, "
        f"{config.epochs} epochs; right on {numbers['accuracy']:.1%} of a new week "
        f"(ceiling {numbers['noise_ceiling']:.1%}), {'promoted' if done.promoted else 'refused'}"
    )


if __name__ == "__main__":
    main()
