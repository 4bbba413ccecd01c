import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from abplatform.creatives.perceptual import NEAR_BITS, differing_bits, is_near, perceptual_hash
from generators.drawn import draw_catalogue
from generators.intake import read_products
from generators.renderers.baseline import Baseline
from generators.renderers.studio import Studio
from generators.scene import Scene


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three products, each as a baseline and in two scenes."""
    ready = read_products(draw_catalogue(tmp_path_factory.mktemp("c"), products=3, seed=3)).ready
    scenes = [
        Scene(surface="oak", backdrop="garden", light="golden left", props="leaves"),
        Scene(surface="black marble", backdrop="dark studio", light="spot", palette="ink"),
    ]
    return [
        [
            Baseline().render(product, None, seed=1).pixels,
            *(Studio().render(product, scene, seed=1, size=(256, 256)).pixels for scene in scenes),
        ]
        for product in ready
    ]


def hash_slowly(pixels):
    """The definition: blocks averaged, cosines summed one by one, compared with the median."""
    luma = np.asarray(Image.fromarray(pixels).convert("L"), dtype=float)
    side = luma.shape[0] // 32
    small = luma.reshape(32, side, 32, side).mean(axis=(1, 3)).round()
    place = np.arange(32)
    wave = [np.cos(np.pi * (place + 0.5) * frequency / 32) for frequency in range(9)]
    sums = [float((small * np.outer(wave[u], wave[v])).sum()) for u in range(1, 9)
            for v in range(1, 9)]  # fmt: skip
    middle = np.median(sums)
    return "".join("1" if one > middle else "0" for one in sums)


def test_hash_is_the_sign_of_the_lowest_waves(pictures):
    """It equals a slow sum of cosines over averaged blocks, bit by bit but for near ties."""
    for pixels in (picture for product in pictures for picture in product):
        bits = f"{int(perceptual_hash(pixels), 16):064b}"
        slow = hash_slowly(pixels)
        assert sum(a != b for a, b in zip(bits, slow, strict=True)) <= 2


def compressed(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def halved(pixels):
    return np.asarray(Image.fromarray(pixels).resize((200, 200)))


def darkened(pixels):
    return (pixels * 0.85).astype(np.uint8)


def cropped(pixels):
    edge = pixels.shape[0] // 100
    return pixels[edge:-edge, edge:-edge]


@pytest.mark.parametrize("edit", [compressed, halved, darkened, cropped])
def test_an_edited_copy_is_near(pictures, edit):
    """Compression, another size, less light and a small crop leave a picture near itself."""
    for pixels in (picture for product in pictures for picture in product):
        assert is_near(perceptual_hash(pixels), perceptual_hash(edit(pixels)))


def test_other_scenes_of_a_product_are_not_near(pictures):
    """A product's baseline and its pictures in two unlike scenes are all told apart."""
    for product in pictures:
        looks = [perceptual_hash(picture) for picture in product]
        pairs = [(a, b) for a in looks for b in looks if a != b]
        assert len(pairs) == 6
        assert not any(is_near(a, b) for a, b in pairs)


@settings(max_examples=60, deadline=None)
@given(look=st.integers(0, 2**64 - 1), flipped=st.sets(st.integers(0, 63)))
def test_nearness_counts_bits(look, flipped):
    """Two hashes are as far apart as bits were flipped, either way round."""
    other = look
    for bit in flipped:
        other ^= 1 << bit
    first, second = f"{look:016x}", f"{other:016x}"
    assert differing_bits(first, second) == differing_bits(second, first) == len(flipped)
    assert is_near(first, second) == (len(flipped) <= NEAR_BITS)
