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
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
    VideoMAEConfig,
    VideoMAEModel,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEModel,
    ViTModel,
)

from abplatform.checkpoints.carried import carried_file, is_carried
from abplatform.cli.main import abp
from abplatform.errors import CheckpointError, TrainingError
from reward.dataset import read_pairs
from reward.members import Members
from reward.pictures import pictures_of
from reward.recipe import choose_config
from reward.score import RewardScorer, pack, save_model
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


def test_colours_are_standardised_as_the_processor_says(folder, tmp_path):
    """Mean and deviation come from the file beside the weights, old or new."""
    config = open_pretrained_vision(str(folder)).config
    assert config["mean"] == [0.4, 0.5, 0.6]
    assert config["std"] == [0.2, 0.3, 0.4]
    assert config["size"] == 32
    torch.manual_seed(0)
    clip().save_pretrained(tmp_path / "clip")
    colours = CLIPImageProcessorPil(image_mean=[0.1, 0.2, 0.3], image_std=[0.7, 0.8, 0.9])
    words = Tokenizer(WordLevel({"a": 0, "<unk>": 1}, "<unk>"))
    reads = PreTrainedTokenizerFast(tokenizer_object=words)
    reads.add_special_tokens({"pad_token": "<unk>"})
    CLIPProcessor(image_processor=colours, tokenizer=reads).save_pretrained(tmp_path / "clip")
    assert not (tmp_path / "clip" / "preprocessor_config.json").exists()
    config = open_pretrained_vision(str(tmp_path / "clip")).config
    assert config["mean"] == [0.1, 0.2, 0.3]
    assert config["std"] == [0.7, 0.8, 0.9]


def as_published(tensors, pixels):
    """EfficientNet-Lite0 as its paper and package write it down: (N, 3, 128, 128) → map.

    Normalisations stay on their own, and padding is spelled out: at an even size TensorFlow's
    "same" adds k - 2 pixels where it halves, the larger part to the right and below.
    """
    functional = torch.nn.functional

    def normalised(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(tensors[f"{name}.{one}"] for one in parts), eps=0.001)

    def wide(x, name, stride, kernel, groups=1):
        few = (kernel - stride) // 2
        sides = (few, kernel - stride - few)
        padded = functional.pad(x, 2 * sides)
        return functional.conv2d(padded, tensors[f"{name}.weight"], stride=stride, groups=groups)

    x = (255 * pixels - 127) / 128
    x = functional.hardtanh(normalised(wide(x, "_conv_stem", 2, 3), "_bn0"), 0.0, 6.0)
    stages = "r1_k3_s1_e1 r2_k3_s2_e6 r2_k5_s2_e6 r3_k3_s2_e6 r3_k5_s1_e6 r4_k5_s2_e6 r1_k3_s1_e6"
    number = 0
    for stage in stages.split():
        repeats, kernel, first, expansion = (int(part[1:]) for part in stage.split("_"))
        for again in range(repeats):
            block, before, stride = f"_blocks.{number}", x, 1 if again else first
            if expansion > 1:
                x = functional.conv2d(x, tensors[f"{block}._expand_conv.weight"])
                x = functional.hardtanh(normalised(x, f"{block}._bn0"), 0.0, 6.0)
            x = wide(x, f"{block}._depthwise_conv", stride, kernel, groups=x.shape[1])
            x = functional.hardtanh(normalised(x, f"{block}._bn1"), 0.0, 6.0)
            x = functional.conv2d(x, tensors[f"{block}._project_conv.weight"])
            x = normalised(x, f"{block}._bn2")
            if again:
                x = x + before
            number += 1
    return x


@needs_efficientnet
def test_efficientnet_sees_what_was_published():
    """Our folded net and the published layers, written down anew, make the same map of noise."""
    pixels = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(5))
    found = open_pretrained_vision(EFFICIENTNET)
    encoder = VisionEncoder(found.config)
    encoder.body.load_state_dict(found.weights)
    published = torch.load(carried_file(EFFICIENTNET), weights_only=True)
    with torch.no_grad():
        expected = as_published(published, pixels).flatten(2).transpose(1, 2)
        torch.testing.assert_close(encoder(pixels), expected, rtol=1e-4, atol=1e-4)


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
    found = open_pretrained_vision(EFFICIENTNET)
    encoder = VisionEncoder(found.config)
    encoder.body.load_state_dict(found.weights)
    photographs = [Image.open(path).convert("RGB").resize((224, 224)) for path in paths]
    pictures = torch.from_numpy(np.stack(photographs)).permute(0, 3, 1, 2)
    with torch.no_grad():
        seen = encoder(pictures.float() / 255).transpose(1, 2).unflatten(2, (7, 7))
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


def test_an_encoder_stays_as_it_was_published(folder, tmp_path, draw_week):
    """Only what reads its tokens learns, and the model holds it once, whatever its nets."""
    drawn = draw_week(tmp_path, products=8, creatives=3)
    table = read_pairs(drawn.pairs)
    config = choose_config(table, images=True, epochs=1, picture_encoder=str(folder))
    pictures = pictures_of(table, drawn.images, size=config.image_size)
    published = open_pretrained_vision(str(folder)).weights
    for changes in ({}, {"augment": True}):
        made = train(table, pictures, replace(config, members=2, **changes)).model
        for name, weight in made.vision.body.state_dict().items():
            torch.testing.assert_close(weight, published[name].half().float(), rtol=0, atol=0)
        largest = published["embeddings.patch_embeddings.projection.weight"]
        shapes = [weight.shape for weight in made.state_dict().values()]
        assert shapes.count(largest.shape) == 1


@pytest.mark.slow
def test_what_was_seen_once_is_handed_to_other_processes(folder, tmp_path, draw_week):
    """Nets that are fitted side by side learn from it as one after the other, to the same bytes."""
    drawn = draw_week(tmp_path, products=8, creatives=3)
    table = read_pairs(drawn.pairs)
    config = choose_config(table, images=True, epochs=2, picture_encoder=str(folder))
    pictures = pictures_of(table, drawn.images, size=config.image_size)
    one, two = (pack(train(table, pictures, config, workers=n).model) for n in (1, 2))
    assert one == two
    looks = Members.of(table, pictures, config)
    blind = Members.of(table, pictures, config, seen=0 * looks.inputs.seen.numpy())
    assert not blind.inputs.seen.any()  # it was not looked again


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
    torch.manual_seed(0)
    ViTMAEModel(ViTMAEConfig(**NARROW)).save_pretrained(tmp_path / "masks")
    with pytest.raises(CheckpointError, match="another thing each time"):
        open_pretrained_vision(str(tmp_path / "masks"))
    VideoMAEModel(VideoMAEConfig(**NARROW, num_frames=2)).save_pretrained(tmp_path / "films")
    with pytest.raises(CheckpointError, match="no single picture"):
        open_pretrained_vision(str(tmp_path / "films"))
    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="no encoder of pictures"):
        open_pretrained_vision(str(tmp_path / "cut"))
    told = folder / "preprocessor_config.json"
    told.write_text(json.dumps({"image_mean": 0.5}))
    with pytest.raises(CheckpointError, match=r"image_mean must be three numbers, not 0\.5"):
        open_pretrained_vision(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no encoder of pictures"):
        open_pretrained_vision(str(folder))
