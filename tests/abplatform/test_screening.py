"""What a reward model's screening is worth, in a market whose true taste is known."""

import hashlib
import io
import json
import math

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.special import ndtr

from abplatform.creatives import read_master
from abplatform.simulation.taste import Picture, Taste, look_at
from generators.drawn import draw_catalogue
from generators.generate import generate_creatives
from generators.intake import read_products
from generators.propose import FamilyScenes
from generators.renderers.baseline import Baseline
from generators.renderers.studio import Studio
from reward.dataset import read_pairs
from reward.pictures import pictures_of
from reward.score import RewardScorer
from reward.train import TrainingConfig, train

PREVIEW = (128, 128)
SHOWN = 60_000
"""Impressions of each creative in the week that the model learns from."""


def seen(rendered):
    return Picture(rendered.pixels, rendered.placement)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Products, and what shoppers truly like."""
    ready = read_products(draw_catalogue(tmp_path_factory.mktemp("c"), products=24, seed=5)).ready
    return ready, Taste(3, sorted({one.product.category.path for one in ready}))


def draw_week(ready, taste, rng, images):
    """One week's pairs: each product's baseline and five scenes, by clicks that were drawn."""
    for product in ready:
        scenes = [None, *FamilyScenes().propose(product, 5, rng)]
        made = [
            (Studio() if scene else Baseline()).render(product, scene, seed=n, size=PREVIEW)
            for n, scene in enumerate(scenes)
        ]
        category = product.product.category.path
        appeal = taste.appeal(category, look_at(map(seen, made)))
        clicks = rng.binomial(SHOWN, 0.03 * np.exp(appeal))
        names = [save(images, one.pixels) for one in made]
        for one in range(len(made)):
            for two in range(one):
                yield pair(product.product, (names[one], names[two]), (clicks[one], clicks[two]))


def save(images, pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    (images / f"{name}.png").write_bytes(buffer.getvalue())
    return name


def pair(product, names, clicks):
    ahead = math.log(clicks[0] / clicks[1]) / math.sqrt(1 / clicks[0] + 1 / clicks[1])
    win = float(ndtr(ahead))
    first, second = (0, 1) if win >= 0.5 else (1, 0)
    sure = max(win, 1 - win)
    told = {"pair_id": f"{names[0][:20]}-{names[1][:20]}", "experiment": "week", "week": "2026-W40"}
    told |= {"product_id": product.product_id, "category": product.category.path}
    told |= {"title": product.title, "attributes": json.dumps(dict(product.attributes))}
    for side, index in (("chosen", first), ("rejected", second)):
        told |= {f"{side}_creative": names[index], f"{side}_image": names[index]}
        told |= {f"{side}_text": None, f"impressions_{side}": SHOWN}
        told |= {f"clicks_{side}": int(clicks[index])}
    return told | {"p_win": sure, "weight": (2 * sure - 1) ** 2 / 3}


@pytest.mark.slow
def test_screened_creatives_are_liked_better_than_unscreened_ones(market, tmp_path, monkeypatch):
    """On products it has not seen, a trained reward model's choice has the higher true appeal.

    Measured over the baselines of the same products, beside creatives that nothing screened.
    """
    ready, taste = market
    rng = np.random.default_rng(7)
    images = tmp_path / "images"
    images.mkdir()
    learned = [one for n, one in enumerate(ready) if n % 4]
    pl.DataFrame(list(draw_week(learned, taste, rng, images))).write_parquet(tmp_path / "p.parquet")
    table = read_pairs(tmp_path / "p.parquet")
    shape = (("image_size", 32), ("patch", 8), ("width", 24), ("image_layers", 1), ("heads", 2))
    config = TrainingConfig(epochs=24, members=2, shape=(*shape, ("words", 8), ("buckets", 256)))
    pictures = pictures_of(table, images, size=config.image_size)
    trained = train(table, pictures, config)
    scorer = RewardScorer(trained.model.eval())

    others = [one for n, one in enumerate(ready) if not n % 4]
    liked = {}
    monkeypatch.setattr("generators.generate.screening._UNSCREENED_ONE_IN", 10**9)
    for name, judge in (("screened", scorer), ("free", None)):
        root = tmp_path / name
        run = generate_creatives(
            others, generator="caig", per_product=2, seed=2, root=root, scorer=judge
        )
        liked[name] = appeals(taste, others, root, run)
    plain = generate_creatives(others, generator="baseline", seed=2, root=tmp_path / "plain")
    base = dict(appeals(taste, others, tmp_path / "plain", plain))
    gains = {
        name: np.mean([effect - base[product] for product, effect in shown])
        for name, shown in liked.items()
    }
    assert len(liked["screened"]) >= len(others)
    assert gains["screened"] > gains["free"] + 0.02, gains
    assert gains["screened"] > 0.05, gains


def appeals(taste, ready, root, run):
    """Each creative's product and true effect on the logarithm of the click rate."""
    category = {one.product.product_id: one.product.category.path for one in ready}
    found = []
    for row in run.lineages:
        picture = Picture(read_master(root, row.creative_id), row.placement)
        effect = float(taste.appeal(category[row.product_id], look_at([picture]))[0])
        found.append((row.product_id, effect))
    return found
