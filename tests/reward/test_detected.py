"""Texts and products on pictures: found where they are, counted right, learned from."""

import hashlib
import io

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from abplatform.checkpoints.salient import can_find_salient
from abplatform.cli.main import abp
from abplatform.errors import NotInstalled, TrainingError
from reward.dataset import read_pairs
from reward.pictures import pictures_of
from reward.rivals import READ, RIVALS, Part, choose_rivals, compare, hold_out
from reward.rivals.detected import STANCE, _detect, can_detect, detected_looks, stance
from reward.rivals.lettering import LETTERING, can_read, lettering, read_boxes

reads = pytest.mark.skipif(
    not can_read(), reason="rapidocr is not installed (pip install 'abplatform[ocr]')"
)
finds = pytest.mark.skipif(
    not can_find_salient(), reason="U²-Net-p or onnxruntime is not installed"
)
detects = pytest.mark.skipif(not can_detect(), reason="neither rapidocr nor U²-Net-p is installed")

SALE, PRICE = "SALE 50% OFF", "only $19.99"


def _poster(*texts, ground="#cfe8d5", side=320):
    """Draw texts as (what, x, y, size) on a plain ground."""
    image = Image.new("RGB", (side, side), ground)
    for what, x, y, size in texts:
        ImageDraw.Draw(image).text((x, y), what, fill="black", font=ImageFont.load_default(size))
    return np.asarray(image)


def _about(pixels):
    return dict(zip(LETTERING, lettering(pixels), strict=True))


@reads
def test_a_text_is_read_where_it_stands():
    """The box that is read is the box that was drawn, within a few pixels."""
    boxes, texts, sure = read_boxes(_poster((SALE, 30, 40, 36)))
    left, top, right, bottom = ImageFont.load_default(36).getbbox(SALE)
    assert list(texts) == [SALE]
    assert min(sure) > 0.9
    assert np.allclose(boxes[0].min(0), (30 + left, 40 + top), atol=12)
    assert np.allclose(boxes[0].max(0), (30 + right, 40 + bottom), atol=12)


@reads
def test_lettering_is_counted():
    """Boxes, area, height, characters and digits are those of what was drawn."""
    looks = _about(_poster((SALE, 30, 40, 36), (PRICE, 30, 250, 24)))
    letters = (SALE + PRICE).replace(" ", "")
    drawn = [ImageFont.load_default(size).getbbox(text) for text, size in ((SALE, 36), (PRICE, 24))]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in drawn) / 320**2
    assert looks["text boxes"] == 2
    assert looks["characters"] == len(letters)
    assert looks["share of digits"] == pytest.approx(sum(map(str.isdigit, letters)) / len(letters))
    assert looks["currency or percent"] == 1
    assert looks["confidence"] > 0.9
    assert area < looks["share of the area"] < 2.5 * area
    assert looks["height"] == pytest.approx(0.35, abs=0.1)


@reads
def test_height_follows_the_text():
    """The same text further down has a larger height, and words have no price."""
    above, below = (_about(_poster(("Calm mornings", 30, y, 30))) for y in (20, 270))
    assert above["height"] == pytest.approx(0.12, abs=0.05)
    assert below["height"] == pytest.approx(0.90, abs=0.05)
    assert above["currency or percent"] == above["share of digits"] == 0


@reads
def test_a_picture_without_text_has_none():
    assert lettering(_poster()) == [0, 0, 0.5, 0, 0, 0, 0]


@reads
def test_other_currencies_are_prices_too():
    assert _about(_poster(("£ 25", 90, 120, 60)))["currency or percent"] == 1


@pytest.mark.skipif(can_read(), reason="rapidocr is installed")
def test_without_the_reader_the_extra_is_named():
    with pytest.raises(NotInstalled, match="rapidocr"):
        lettering(_poster())


@finds
def test_the_product_is_found_where_it_stands():
    """A disc of known size and place has its area, its middle and π/4 of its box, in one part."""
    image = Image.new("RGB", (320, 320), "#d8d4cc")
    ImageDraw.Draw(image).ellipse((50, 110, 190, 250), fill="#b01020")
    looks = dict(zip(STANCE, stance(np.asarray(image)), strict=True))
    assert looks["share of the area"] == pytest.approx(np.pi * 70**2 / 320**2, rel=0.1)
    assert looks["middle x"] == pytest.approx(120 / 320, abs=0.03)
    assert looks["middle y"] == pytest.approx(180 / 320, abs=0.03)
    assert looks["filling of its box"] == pytest.approx(np.pi / 4, abs=0.06)
    assert looks["parts"] == 1


@finds
def test_two_things_are_two_parts():
    image = Image.new("RGB", (320, 320), "#d8d4cc")
    for x in (40, 190):
        ImageDraw.Draw(image).ellipse((x, 110, x + 90, 200), fill="#b01020")
    assert stance(np.asarray(image))[-1] == 2


def _world(folder, *, products):
    """Draw two pictures a product, one the other's mirror image; whose text can be read wins.

    Noise of each picture's own hides what even a mirror changes in the last digits of a feature.
    """
    draw, rows = np.random.default_rng(0), []
    for number in range(products):
        ground = tuple(int(value) for value in draw.integers(120, 230, 3))
        text = (str(draw.choice(["New today", "Half price", "Best of all"])), 30, 10, 34)
        straight = _poster(text, ground=ground, side=256)
        names = []
        for pixels in (straight, straight[:, ::-1]):
            buffer = io.BytesIO()
            noisy = (pixels + draw.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(buffer, "PNG")
            name = hashlib.sha256(buffer.getvalue()).hexdigest()
            (folder / f"{name}.png").write_bytes(buffer.getvalue())
            names.append(name)
        rows.append(
            {
                "pair_id": f"{number}",
                "product_id": f"p{number}",
                "category": "home/lamp",
                "chosen_creative": names[0],
                "rejected_creative": names[1],
                "chosen_image": names[0],
                "rejected_image": names[1],
                "p_win": 0.99,
                "weight": 1.0,
                "impressions_chosen": 10_000,
                "clicks_chosen": 400,
                "impressions_rejected": 10_000,
                "clicks_rejected": 300,
            }
        )
    pl.DataFrame(rows).write_parquet(folder / "pairs.parquet")
    table = read_pairs(folder / "pairs.parquet")
    return Part(table, pictures_of(table, folder), folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return _world(tmp_path_factory.mktemp("world"), products=8)


@reads
@pytest.mark.slow
def test_a_liking_for_texts_is_learned(world):
    """Only who reads finds out that readable texts win, on products it never saw.

    A mirror image has the same ink, light and edges, so hand features alone cannot tell.
    """
    rivals = {name: RIVALS[name].learn for name in ("hand-picture", READ)}
    counted, read = compare(world, rivals, hold_out(world.table, folds=4, seed=0))
    assert 0.3 < counted.numbers["accuracy"] < 0.7
    assert read.numbers["accuracy"] == 1.0


@detects
def test_a_picture_is_looked_at_once(world):
    """Asked again, features come back at once and alike, in the order of items."""
    one = world.keep(np.arange(len(world.table)) < 1)
    ticks = []
    first = detected_looks(one, advance=lambda done, total: ticks.append((done, total)))
    assert ticks == [(1, 2), (2, 2)]
    before = _detect.cache_info()
    assert (detected_looks(one) == first).all()
    after = _detect.cache_info()
    assert (after.hits - before.hits, after.misses) == (2, before.misses)


@detects
def test_it_runs_only_when_named(world):
    """A second a picture is too slow to be anyone's default; without a folder it is refused."""
    assert READ not in choose_rivals(world)
    assert list(choose_rivals(world, [READ])) == [READ]
    with pytest.raises(TrainingError, match="reads pictures"):
        detected_looks(Part(world.table, world.pictures))


@detects
def test_the_command_runs_it(world, tmp_path):
    """`abp reward compare --models hand-picture-read` reads the pictures in the folder."""
    call = ["reward", "compare", "--pairs", str(world.images / "pairs.parquet")]
    call += ["--images", str(world.images), "--models", f"chance,{READ}", "--folds", "2"]
    told = CliRunner().invoke(abp, call)
    assert told.exit_code == 0, told.output
    assert READ in told.output
