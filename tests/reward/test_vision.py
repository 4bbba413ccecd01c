"""Pictures seen by an encoder that was pre-trained elsewhere."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from abplatform.checkpoints.carried import carried_file, is_carried
from abplatform.cli.main import abp
from abplatform.errors import CheckpointError, TrainingError
from reward.dataset import read_pairs
from reward.efficientnet import BLOCKS, EfficientNetLite0, fold
from reward.pictures import pictures_of
from reward.recipe import choose_config
from reward.score import RewardScorer, save_model
from reward.train import train
from reward.vision import EFFICIENTNET, VisionEncoder, open_pretrained_vision

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PHOTOGRAPHS = Path("../shared/data/products/grocery/natural/val/Fruit")
GRANNY_SMITH, ORANGE, LEMON = 948, 950, 951  # their numbers in ImageNet
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
NARROW = {**SMALL, "intermediate_size": 32}
READS = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

needs_efficientnet = pytest.mark.skipif(
    not is_carried(EFFICIENTNET), reason="the package that carries EfficientNet-Lite0 is missing"
)


def clip():
    """Make a model of which only half sees."""
    return CLIPModel(CLIPConfig(vision_config=NARROW, text_config=READS))


KINDS = {
    "vit": lambda: ViTModel(ViTConfig(**NARROW)),
    "vit-classifier": lambda: ViTForImageClassification(ViTConfig(**NARROW)),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL)),
    "clip-vision": lambda: CLIPVisionModel(CLIPVisionConfig(**NARROW)),
    "siglip-vision": lambda: SiglipVisionModel(SiglipVisionConfig(**NARROW)),
    "clip": clip,
}


@pytest.fixture
def folder(tmp_path):
    """Keep a small ViT as it would be published."""
    torch.manual_seed(0)
    KINDS["vit"]().save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]})
    )
    return tmp_path / "vit"


@pytest.mark.parametrize("kind", KINDS)
def test_any_transformer_of_pictures_is_opened_by_folder(tmp_path, kind):
    """It says what the published model says at its last block, without its head."""
    torch.manual_seed(0)
    KINDS[kind]().save_pretrained(tmp_path / kind)
    found = open_pretrained_vision(str(tmp_path / kind))
    encoder = VisionEncoder(found.config)
    encoder.body.load_state_dict(found.weights)
    pictures = torch.rand(2, 3, 32, 32)
    published = AutoModel.from_pretrained(tmp_path / kind).train(mode=False)
    sees = getattr(published, "vision_model", published)
    expected = sees(pixel_values=(pictures - 0.5) / 0.5).last_hidden_state
    torch.testing.assert_close(encoder.train(mode=False)(pictures), expected)


def test_colours_are_standardised_as_the_processor_says(folder):
    """Mean and deviation come from the file beside the weights."""
    config = open_pretrained_vision(str(folder)).config
    assert config["mean"] == [0.4, 0.5, 0.6]
    assert config["std"] == [0.2, 0.3, 0.4]
    assert config["size"] == 32


@needs_efficientnet
@pytest.mark.parametrize(
    ("name", "label"),
    [("Apple/Granny-Smith", GRANNY_SMITH), ("Orange", ORANGE), ("Lemon", LEMON)],
)
def test_efficientnet_knows_photographs(name, label):
    """With its published classifier behind ours it names fruit that it was never shown."""
    paths = sorted((PHOTOGRAPHS / name).glob("*.jpg"))
    if not paths:
        pytest.skip("photographs of fruit are not at hand")
    published = torch.load(carried_file(EFFICIENTNET), weights_only=True)
    net = EfficientNetLite0()
    net.load_state_dict(fold(published, blocks=BLOCKS))
    photographs = [Image.open(path).convert("RGB").resize((224, 224)) for path in paths]
    pictures = torch.from_numpy(np.stack(photographs)).permute(0, 3, 1, 2)
    with torch.no_grad():
        seen = net((pictures.float() - 127) / 128)
        names = ("running_mean", "running_var", "weight", "bias")
        normal = [published[f"_bn1.{part}"] for part in names]
        wide = torch.nn.functional.conv2d(seen, published["_conv_head.weight"])
        head = torch.nn.functional.batch_norm(wide, *normal, eps=1e-3).clamp(0, 6).mean((2, 3))
        logits = head @ published["_fc.weight"].T + published["_fc.bias"]
    five = logits.topk(5).indices
    assert (five == label).any(1).float().mean() > 0.5


def test_a_fine_tuned_model_needs_no_encoder_beside_it(folder, tmp_path, draw_week):
    """Saved and loaded it scores the same, bit for bit, where the encoder's folder is gone."""
    drawn = draw_week(tmp_path, products=8, creatives=3)
    table = read_pairs(drawn.pairs)
    config = choose_config(table, images=True, epochs=2, picture_encoder=str(folder))
    pictures = pictures_of(table, drawn.images, size=config.image_size)
    assert pictures.shape[1:] == (32, 32, 3)
    trained = train(table, pictures, replace(config, members=1))
    shutil.rmtree(folder)
    assert trained.facts["picture_encoder"]["name"] == str(folder)
    before = RewardScorer(trained.model).predict(table, pictures)
    save_model(tmp_path / "model", trained, metadata={}, created_at=NOW)
    np.testing.assert_array_equal(
        RewardScorer.load(tmp_path / "model").predict(table, pictures), before
    )


def test_at_a_fine_tuning_rate_of_0_an_encoder_stays_as_it_was_published(
    folder, tmp_path, draw_week
):
    """Only what reads its tokens learns."""
    drawn = draw_week(tmp_path, products=8, creatives=3)
    table = read_pairs(drawn.pairs)
    config = choose_config(table, images=True, epochs=1, picture_encoder=str(folder))
    pictures = pictures_of(table, drawn.images, size=config.image_size)
    published = open_pretrained_vision(str(folder)).weights
    frozen = train(table, pictures, replace(config, members=1)).model
    for name, weight in frozen.nets[0].vision.body.state_dict().items():
        torch.testing.assert_close(weight, published[name].half().float(), rtol=0, atol=0)
    tuned = train(table, pictures, replace(config, members=1, picture_tuning_rate=1e-2)).model
    moved = tuned.nets[0].vision.body.state_dict()
    assert any(not torch.equal(moved[name], published[name].half().float()) for name in published)


@needs_efficientnet
def test_the_command_takes_efficientnet(tmp_path, draw_week):
    """`abp reward train --picture-encoder` says what sees; evaluate needs DIR alone."""
    drawn = draw_week(tmp_path, products=6, creatives=3)
    common = ["--pairs", str(drawn.pairs), "--images", str(drawn.images), "--json"]
    words = ["reward", "train", "--out", str(tmp_path / "model"), "--epochs", "1", *common]
    run = CliRunner().invoke(abp, [*words, "--picture-encoder", EFFICIENTNET])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["picture_encoder"]["name"] == EFFICIENTNET
    told = CliRunner().invoke(
        abp, ["reward", "evaluate", "--checkpoint", str(tmp_path / "model"), *common]
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["pairs"] == 18


def test_an_encoder_that_would_read_nothing_is_refused(folder, draw_week, tmp_path):
    """Options about texts or pictures that are not there are no matter to pass over."""
    table = read_pairs(draw_week(tmp_path, products=4, creatives=2).pairs)
    with pytest.raises(TrainingError, match="no ad texts to read"):
        choose_config(table, images=True, text_encoder="words")
    for changes in ({"picture_encoder": str(folder)}, {"augment": True}):
        with pytest.raises(TrainingError, match="no pictures to see"):
            choose_config(table, images=False, **changes)


def test_what_is_no_encoder_of_pictures_is_refused(tmp_path, folder):
    """One clear error names what is wrong with a folder."""
    BertModel(BertConfig(**{**READS, "pad_token_id": 0})).save_pretrained(tmp_path / "bert")
    with pytest.raises(CheckpointError, match="no square pictures"):
        open_pretrained_vision(str(tmp_path / "bert"))
    shutil.copytree(folder, tmp_path / "own")
    (tmp_path / "own" / "own.py").write_text("print()")
    with pytest.raises(CheckpointError, match="own Python"):
        open_pretrained_vision(str(tmp_path / "own"))
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no encoder of pictures"):
        open_pretrained_vision(str(folder))
