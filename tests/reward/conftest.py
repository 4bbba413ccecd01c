"""Drawn advertisements whose click rate follows one statistic of their pixels."""

import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from scipy.special import ndtr

from reward.train import TrainingConfig

CATEGORIES = ("beauty/lip", "home/lamp")
TINY = (
    ("image_size", 32),
    ("patch", 16),
    ("width", 16),
    ("image_layers", 1),
    ("heads", 2),
    ("words", 8),
    ("buckets", 256),
)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Drawn:
    """A folder of pictures, a Parquet file of pairs, and each creative's true appeal."""

    pairs: Path
    images: Path
    appeal: dict[str, float]


def _tiny(**changes):
    return TrainingConfig(**{"epochs": 8, "members": 2, "shape": TINY, **changes})


@pytest.fixture(scope="session")
def tiny():
    """Make a training configuration small enough for tests, with changes."""
    return _tiny


@pytest.fixture(scope="session")
def draw_week():
    """Draw a week of pictures and pairs into a folder."""
    return _draw_week


def _draw_week(
    folder,
    *,
    week="2026-W48",
    products=24,
    creatives=4,
    seed=0,
    rule="warmth",
    impressions=20_000,
):
    """Draw products on coloured backgrounds; ``rule`` says what shoppers like.

    ``warmth``: red over blue in beauty, blue over red at home. ``noise``: nothing at all.
    """
    rng = np.random.default_rng([seed, int(week[-2:])])
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    rows, appeal = [], {}
    for number in range(products):
        category = CATEGORIES[number % 2]
        colour = rng.uniform(0.1, 0.9, 3)
        sides = [_draw(images, colour, rng) for _ in range(creatives)]
        for name, warmth in sides:
            sign = 1 if category == CATEGORIES[0] else -1
            appeal[name] = sign * warmth if rule == "warmth" else float(rng.normal(0, 0.4))
        about = (f"p{number:03d}", category, week)
        rows += _pairs(about, [name for name, _ in sides], appeal, rng, impressions)
    path = folder / f"{week}.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return Drawn(path, images, appeal)


def _draw(images, colour, rng):
    background = rng.uniform(0.1, 0.9, 3)
    pixels = np.ones((48, 48, 3)) * background
    pixels[16:34, 16:32] = colour
    pixels += rng.normal(0, 0.02, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)).save(buffer, "PNG")
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    (images / f"{name}.png").write_bytes(buffer.getvalue())
    return name, float(background[0] - background[2])


def _pairs(about, names, appeal, rng, impressions):
    product, category, week = about
    clicks = [int(rng.binomial(impressions, 0.03 * math.exp(appeal[name]))) for name in names]
    rate = [math.log((count + 0.5) / impressions) for count in clicks]
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            spread = math.sqrt(1 / (clicks[first] + 0.5) + 1 / (clicks[second] + 0.5))
            win = float(ndtr((rate[first] - rate[second]) / spread))
            one, two = (first, second) if win >= 0.5 else (second, first)
            p_win = max(win, 1 - win)
            yield {
                "pair_id": f"{week}-{product}-{first}{second}",
                "experiment": f"drawn-{week.lower()}",
                "week": week,
                "product_id": product,
                "category": category,
                "title": f"Thing {product}",
                "attributes": json.dumps({"colour": "plain"}),
                "chosen_creative": names[one],
                "rejected_creative": names[two],
                "chosen_image": names[one],
                "rejected_image": names[two],
                "chosen_text": None,
                "rejected_text": None,
                "p_win": p_win,
                "weight": (2 * p_win - 1) ** 2 * 2 / len(names),
                "impressions_chosen": impressions,
                "clicks_chosen": clicks[one],
                "impressions_rejected": impressions,
                "clicks_rejected": clicks[two],
            }


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    return _draw_week(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Other products with the same taste."""
    return _draw_week(tmp_path_factory.mktemp("other"), week="2026-W49", seed=5)
