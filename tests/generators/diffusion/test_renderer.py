import json
import pickle
import shutil

import numpy as np
import pytest

from abplatform.checkpoints.pretrained import check_folder
from abplatform.errors import CatalogueError, CheckpointError
from generators.renderers.diffusion.manner import Manner, write_manner
from generators.renderers.diffusion.renderer import open_diffusion
from generators.renderers.find import find_renderer
from generators.renderers.placing import Order
from generators.scene import Scene

KINDS = (
    "stable diffusion",
    "stable diffusion, no outlines",
    "stable diffusion xl",
    "flux",
    "flux, no outlines",
    "qwen-image",
)
SIZES = ((96, 96), (64, 112), (112, 64))


@pytest.fixture
def quick(checkpoint):
    """Write a checkpoint of a kind that paints in two steps."""

    def write(kind):
        folder = checkpoint(kind)
        write_manner(folder, Manner(steps=2))
        return folder

    return write


def assert_sacred(rendered):
    place, cutout = rendered.placement, rendered.cutout
    shown = rendered.pixels[place.y : place.y + place.height, place.x : place.x + place.width]
    solid = cutout[..., 3] == 255
    assert solid.mean() > 0.1
    assert np.array_equal(shown[solid], cutout[..., :3][solid])


@pytest.mark.filterwarnings("ignore:.FluxPosEmbed:FutureWarning")  # diffusers warns of itself
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_model_paints_around_an_untouched_product(kind, quick, ready):
    """The folder's own model_index.json selects the class; opaque pixels stay the product's."""
    renderer = find_renderer(f"diffusion:{quick(kind)}")
    for number, size in enumerate(SIZES[: 1 if "flux" in kind or "qwen" in kind else 3]):
        rendered = renderer.render(ready[number], Scene(), seed=number, size=size)
        assert rendered.pixels.shape == (size[1], size[0], 3)
        assert_sacred(rendered)


def test_a_seed_paints_the_same_picture_whatever_is_painted_beside_it(quick, ready):
    """Batched or alone, now or later, in this process or through pickle: the same bytes."""
    renderer = open_diffusion(str(quick("stable diffusion")))
    scenes = (Scene(), Scene(surface="oak", backdrop="garden"), Scene(backdrop="overhead"))
    orders = [Order(ready[n], scene, 7 + n, (64, 64)) for n, scene in enumerate(scenes)]
    together = [drawn.pixels for drawn in renderer.render_many(orders)]
    again = pickle.loads(pickle.dumps(renderer))  # noqa: S301 - written a moment ago
    for order, pixels in zip(reversed(orders), reversed(together), strict=True):
        alone = again.render(order.product, order.scene, seed=order.seed, size=order.size)
        assert np.array_equal(alone.pixels, pixels)
    other = renderer.render(ready[0], scenes[0], seed=8, size=(64, 64))
    assert not np.array_equal(other.pixels, together[0])


def test_scene_and_outlines_reach_the_model(quick, ready):
    """Another scene, or another product's outlines, gives another background."""
    renderer = open_diffusion(str(quick("stable diffusion")))

    def painted(product, scene):
        return renderer.render(product, scene, seed=1, size=(64, 64)).pixels

    usual = painted(ready[0], Scene())
    # a tiny model of random weights hardly listens: every word is another one, all pixels count
    other = Scene("sand", "sea", "golden right", "lemon", "leaves", "shallow", "summer", "bold")
    assert not np.array_equal(usual, painted(ready[0], other))
    assert not np.array_equal(usual[:8, :8], painted(ready[1], Scene())[:8, :8])


def test_a_controlnet_may_be_named_beside_a_model(quick, tmp_path, ready):
    """MODEL+CONTROLNET joins two folders, and the lineage names the hashes of both."""
    whole = quick("stable diffusion")
    plain = quick("stable diffusion, no outlines")
    beside = shutil.copytree(whole / "controlnet", tmp_path / "outlines")
    renderer = find_renderer(f"diffusion:{plain}+{beside}")
    assert renderer.checkpoints == {
        "diffusion": check_folder(plain).sha256,
        "controlnet": check_folder(beside).sha256,
    }
    alone = find_renderer(f"diffusion:{plain}")
    drawn = [one.render(ready[0], Scene(), seed=1, size=(64, 64)) for one in (renderer, alone)]
    assert not np.array_equal(drawn[0].pixels, drawn[1].pixels)


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint("stable diffusion"), tmp_path / "copy")


def test_bytes_of_another_hash_are_refused(copy):
    """A pinned checkpoint of which one byte changed is not loaded."""
    pinned = f"diffusion:{copy}@{check_folder(copy).sha256}"
    assert find_renderer(pinned).checkpoints
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="sha256"):
        find_renderer(pinned)


def test_pickled_weights_are_refused(copy):
    """Weights that only pickle can read are not read."""
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match="pickled weights"):
        find_renderer(f"diffusion:{copy}")


@pytest.mark.parametrize("way", ["python file", "auto_map", "foreign class"])
def test_a_checkpoint_that_brings_code_is_refused(way, copy):
    """No checkpoint's own Python runs: not a file, not a map to one, not another package."""
    index = copy / "model_index.json"
    parts = json.loads(index.read_bytes())
    if way == "python file":
        (copy / "pipeline.py").write_text("raise SystemExit")
    elif way == "auto_map":
        config = copy / "unet" / "config.json"
        known = json.loads(config.read_bytes())
        config.write_text(json.dumps({**known, "auto_map": {"AutoModel": "own.Model"}}))
    else:
        index.write_text(json.dumps({**parts, "unet": ["own_package", "UNet"]}))
    with pytest.raises(CheckpointError, match="never done"):
        find_renderer(f"diffusion:{copy}")


def test_a_model_that_cannot_paint_around_a_product_is_refused(copy):
    """A pipeline of another kind, or none at all, is refused by name."""
    index = copy / "model_index.json"
    parts = json.loads(index.read_bytes())
    index.write_text(json.dumps({**parts, "_class_name": "AudioLDMPipeline"}))
    with pytest.raises(CheckpointError, match="AudioLDMPipeline cannot paint"):
        find_renderer(f"diffusion:{copy}")
    index.unlink()
    with pytest.raises(CheckpointError, match="no diffusion pipeline"):
        find_renderer(f"diffusion:{copy}")


def test_a_manner_that_makes_no_sense_is_refused(copy):
    """painting.json is read with the same care as everything that a checkpoint brings."""
    for said in ({"steps": 0}, {"words": "rhymes"}, {"speed": 3}, [1]):
        (copy / "painting.json").write_text(json.dumps(said))
        with pytest.raises(CheckpointError, match=r"painting\.json"):
            find_renderer(f"diffusion:{copy}")


def test_a_renderer_that_nobody_knows_is_told_with_the_nearest():
    """A misspelt name is answered with the right one."""
    with pytest.raises(CatalogueError) as caught:
        find_renderer("difusion")
    assert "diffusion" in str(caught.value)


def test_an_enlarged_product_is_sacred_at_full_size(quick, ready):
    """A model of 32 pixels paints for a master of 512, and the product is not blurred by it."""
    renderer = open_diffusion(str(quick("stable diffusion")))
    rendered = renderer.render(ready[0], Scene(), seed=3)
    assert rendered.pixels.shape == (512, 512, 3)
    assert_sacred(rendered)
