"""Smaller forms of a reward model: what they say, what they refuse, and what they cost."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig

from abplatform import checkpoints
from abplatform.cli.main import abp
from abplatform.domain.spec import parse_experiment
from abplatform.errors import CheckpointError, TrainingError
from reward.attribution import attribute
from reward.dataset import Item, read_pairs
from reward.efficientnet import _Convolution
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.onnx_form import OnnxModel, to_float32, to_int8
from reward.pictures import pictures_of
from reward.pruning import prune
from reward.score import RewardScorer, save_form, save_model
from reward.train import Trained
from reward.vision import EFFICIENTNET

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WORDS = ("fresh", "bold", "soft", "warm", "cold", "tea", "lamp", "shoe", "for", "you")
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
SMALL = {
    "image_size": 32,
    "width": 16,
    "image_layers": 1,
    "heads": 2,
    "words": 8,
    "buckets": 256,
}


def make_model(*, images=False, texts=True, encoder=True, members=2):
    """A model with random weights; its scores differ, which is all that is needed here."""
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(MARKS) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    ).to_diff_dict()
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate((*MARKS, *WORDS))}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    shape = RewardConfig(
        images=images,
        texts=texts,
        categories=["beauty/lip", "home"],
        text_encoder=config if encoder else None,
        members=members,
        **SMALL,
    )
    model = RewardModel(shape, tokenizer if encoder else None)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        model.temperature.fill_(1.6)
    model.round_pretrained()
    return model.eval()


def write_pairs(path):
    rng = np.random.default_rng(2)
    rows = []
    for number in range(60):
        texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(2)]
        rows.append(
            {
                "pair_id": str(number),
                "product_id": f"p{number}",
                "title": "Thing" if number % 3 else f"A thing {number}",
                "category": ("home", "beauty/lip", "toys")[number % 3],
                "chosen_creative": f"{number}-a",
                "rejected_creative": f"{number}-b",
                "chosen_text": f"{texts[0]} {number}",
                "rejected_text": f"{texts[1]} {number}",
                "p_win": float(rng.choice([0.55, 0.8, 0.99])),
            }
        )
    pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.parquet")


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def form(model):
    return to_int8(model)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """The model as `abp reward train` leaves it."""
    out = tmp_path_factory.mktemp("model")
    save_model(out, Trained(model, {"pairs": 60}), metadata={"weeks": []}, created_at=NOW)
    return out


@pytest.fixture(scope="module")
def shrunk(folder, pairs, tmp_path_factory):
    """What `abp reward shrink --prune` leaves, and says."""
    out = tmp_path_factory.mktemp("forms") / "small"
    there = ("--checkpoint", folder, "--pairs", pairs, "--out", out)
    return out, json.loads(call("reward", "shrink", *there, "--prune", "0.25", "--json"))


@pytest.fixture(scope="module")
def offered(drawn, tmp_path_factory):
    """A workspace where `abp reward shrink --experiment` made a model of pictures smaller."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "abp.yaml").write_text("currency: EUR\n")
    table = read_pairs(drawn.pairs)
    pictures = pictures_of(table, drawn.images, size=32)
    model = make_model(images=True, texts=False, encoder=False, members=1)
    model.standardise([torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).float() / 255])
    save_model(root / "model", Trained(model, {"pairs": 144}), metadata={}, created_at=NOW)
    there = ("--pairs", drawn.pairs, "--images", drawn.images, "--out", root / "small")
    asked = ("--experiment", root / "experiments" / "small.yaml", "-w", root, "--json")
    told = call("reward", "shrink", "--checkpoint", root / "model", *there, *asked)
    return root, json.loads(told)


def call(*arguments):
    result = CliRunner().invoke(abp, [str(one) for one in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def forms_of(model, form):
    return RewardScorer(model), RewardScorer(OnnxModel(model.config, model.tokenizer, form))


@pytest.mark.slow
def test_the_exported_model_scores_the_same(model, pairs):
    """In float32 scores, click rates and what nets differ by stay; so does the model itself."""
    table = read_pairs(pairs)
    before = RewardScorer(model).forecast(table, None)
    ours, theirs = forms_of(model, to_float32(model))
    ours, theirs = ours.forecast(table, None), theirs.forecast(table, None)
    np.testing.assert_array_equal(ours.there, before.there)
    np.testing.assert_allclose(theirs.there, ours.there, rtol=0, atol=1e-6)
    np.testing.assert_allclose(theirs.back, ours.back, rtol=0, atol=1e-6)
    np.testing.assert_allclose(theirs.click_rates, ours.click_rates, rtol=1e-5)
    np.testing.assert_allclose(theirs.logit_sd, ours.logit_sd, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_int8_scores_are_near(model, form, pairs):
    """Rounded, scores still go with the model's, far beyond what chance would do."""
    items = read_pairs(pairs).items
    ours, theirs = (scorer.score_items(items, None) for scorer in forms_of(model, form))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.abs(ours - theirs).max() < 0.3 * ours.std()


@pytest.mark.slow
def test_a_score_is_a_fact(model, form, pairs):
    """Scored again alike, bit for bit; an item's score beside others is near that alone."""
    items = read_pairs(pairs).items
    _, small = forms_of(model, form)
    among = small.score_items(items, None)
    np.testing.assert_array_equal(small.score_items(items, None), among)
    alone = np.array([small.score_items([item], None)[0] for item in items])
    assert np.abs(alone - among).max() < 0.3 * among.std()
    backwards = small.score_items(items[::-1], None)[::-1]
    assert np.abs(backwards - among).max() < 0.3 * among.std()


@pytest.mark.slow
def test_pictures_have_a_form(drawn, offered):
    """Int8 says nearly the same of pictures, whose fixed statistics are not rounded."""
    root, _ = offered
    table = read_pairs(drawn.pairs)
    pictures = pictures_of(table, drawn.images, size=32)
    ours, theirs = (RewardScorer.load(root / name) for name in ("model", "small"))
    expected = ours.score_items(table.items, pictures)
    found = theirs.score_items(table.items, pictures)
    assert np.corrcoef(expected, found)[0, 1] > 0.99
    with pytest.raises(TrainingError, match="int8 tells no slopes"):
        attribute(theirs, table.items[0], pictures[0])


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(model, form):
    """Nothing of the machine, the hour or the folder gets into a form."""
    assert to_int8(model) == form
    assert b"/reward/" not in form
    assert b"stack_trace" not in form


def test_nothing_pruned_is_the_same_model(model, pairs):
    """With a share of 0 every score is the same, bit for bit."""
    table = read_pairs(pairs)
    inputs = Inputs.of(table.items, None, model.config, model.tokenizer)
    same = RewardScorer(prune(model, inputs, share=0)).score_items(table.items, None)
    np.testing.assert_array_equal(same, RewardScorer(model).score_items(table.items, None))


def test_a_pruned_model_is_really_smaller(model, pairs):
    """A quarter of the inner neurons gone: two matrices of each block have a quarter less."""
    table = read_pairs(pairs)
    inputs = Inputs.of(table.items, None, model.config, model.tokenizer)
    small = prune(model, inputs, share=0.25)
    assert small.config.text_encoder["intermediate_size"] == 48
    weights = sum(weight.numel() for weight in model.parameters())
    gone = 2 * 16 * (32 + 32 + 1)  # nets, neurons, the weights of one
    assert sum(weight.numel() for weight in small.parameters()) == weights - gone


def test_what_matters_most_stays(model, pairs):
    """Silent neurons go first: with them alone gone, scores stay."""
    table = read_pairs(pairs)
    inputs = Inputs.of(table.items, None, model.config, model.tokenizer)
    quiet = make_model()
    with torch.no_grad():
        for net in quiet.nets:
            for block in net.sentences.transformer.encoder.layer:
                block.output.dense.weight[:, ::4] = 0
    before = RewardScorer(quiet).score_items(table.items, None)
    after = RewardScorer(prune(quiet, inputs, share=0.25)).score_items(table.items, None)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_forms_are_held_against_the_model_as_it_is(shrunk):
    """Every form has its accuracy, its paired difference, its size and its speed."""
    forms = shrunk[1]["forms"]
    names = ["as it is", "one net", "pruned", "int8", "pruned, int8"]
    assert [one["form"] for one in forms] == names
    whole, one_net, pruned, int8, both = forms
    assert whole["change"] is None
    assert whole["agreement"] == 1
    for one in forms[1:]:
        change = one["change"]
        assert change["mean"] == pytest.approx(one["accuracy"] - whole["accuracy"])
        assert change["low"] <= change["mean"] <= change["high"]
        assert one["change_significant"]["low"] <= one["change_significant"]["high"]
        assert 0.5 < one["agreement"] <= 1
        assert one["items_per_second"] > 0
    assert one_net["size"] < pruned["size"] < whole["size"]
    assert both["size"] < int8["size"]


@pytest.mark.slow
def test_the_command_leaves_a_model_that_works_everywhere(shrunk, pairs, tmp_path, folder):
    """`abp reward evaluate` and `score` read the int8 folder as any other; it says what it is."""
    out, told = shrunk
    assert {path.name for path in out.iterdir()} == {
        "manifest.json",
        "model.onnx",
        "tokenizer.json",
    }
    metadata = json.loads((out / "manifest.json").read_text())["metadata"]
    assert metadata["form"] == "int8"
    assert metadata["pruned"] == 0.25
    assert metadata["train"] == {"pairs": 60}
    assert metadata["made_from"] == checkpoints.read_folder(folder, kind="reward").sha256
    assert [one["form"] for one in told["forms"]][-1] == "pruned, int8"
    there = ("--checkpoint", out, "--pairs", pairs)
    numbers = json.loads(call("reward", "evaluate", *there, "--json"))
    assert numbers["checkpoint"] == told["sha256"]
    assert numbers["accuracy"] == pytest.approx(told["forms"][-1]["accuracy"])
    assert numbers["accuracy_swapped"] == numbers["accuracy"]
    call("reward", "score", *there, "--out", tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert scores["p_chosen"].is_between(0, 1).all()
    assert scores["evidence"].sum() == 40


@pytest.mark.slow
def test_the_table_is_read_by_people_too(pairs, tmp_path):
    """Without --json the same numbers come as a table; here of one net that hashes words."""
    model = make_model(encoder=False, members=1)
    trained = Trained(model, {})
    save_model(tmp_path / "one", trained, metadata={"training_key": "3f"}, created_at=NOW)
    there = ("--checkpoint", tmp_path / "one", "--pairs", pairs, "--out", tmp_path / "small")
    told = call("reward", "shrink", *there)
    for word in ("as it is", "int8", "items/s", "MB", str(tmp_path / "small")):
        assert word in told
    assert "pruned" not in told
    assert "one net" not in told
    small = RewardScorer.load(tmp_path / "small")
    # what a retraining looks for is the model itself, not a form of it
    assert "training_key" not in small.checkpoint.metadata
    items = read_pairs(pairs).items
    expected = RewardScorer(model).score_items(items, None)
    assert np.corrcoef(small.score_items(items, None), expected)[0, 1] > 0.99


@pytest.mark.slow
def test_the_experiment_compares_both_models(offered):
    """The YAML is valid, plans, names both models of the store, and decides by the margin."""
    root, told = offered
    path = root / "experiments" / "small.yaml"
    assert "1 valid experiment, 0 errors, 0 warnings" in call("validate", path)
    experiment = parse_experiment(path.read_text(), path=path)
    named = [variant.creatives.checkpoint for variant in experiment.variants]
    assert named == [told["made_from"], told["sha256"]]
    for sha256 in named:
        checkpoints.load_checkpoint(root / "data" / "checkpoints", sha256, kind="reward")
    (guardrail,) = experiment.guardrails
    assert guardrail.non_inferiority_margin == 0.01
    told = call("power", experiment.key, "-w", root, "--rate", "2%", "--units-per-day", "600000")
    assert "1%" in told


@pytest.mark.slow
def test_a_small_form_can_be_the_champion(offered):
    """Once the experiment has shipped, the form is promoted like any other model."""
    root, told = offered
    there = ("-w", root, "--json")
    named = json.loads(call("reward", "promote", told["sha256"][:12], *there))
    assert named["champion"] == told["sha256"]
    listed = json.loads(call("reward", "list", *there))
    assert {row["sha256"] for row in listed} == {told["made_from"], told["sha256"]}


@pytest.mark.slow
def test_a_damaged_form_is_refused(shrunk, model, form, tmp_path):
    """A changed byte, and bytes that are no ONNX at all, end in one clear error."""
    damaged = tmp_path / "damaged"
    save_form(damaged, form, model, metadata={}, created_at=NOW)
    data = bytearray(form)
    data[len(data) // 2] ^= 4
    (damaged / "model.onnx").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.onnx is corrupt"):
        RewardScorer.load(damaged)
    save_form(damaged, b"nothing of the kind", model, metadata={}, created_at=NOW)
    with pytest.raises(CheckpointError, match="no model of ONNX"):
        RewardScorer.load(damaged)


@pytest.mark.slow
def test_a_form_of_another_shape_is_refused(form, model):
    """Metadata that tell of another model are found out before anything is scored."""
    for changes in ({"parts": 3}, {"images": True}, {"text_encoder": None}):
        config = replace(model.config, **changes)
        with pytest.raises(CheckpointError, match="another shape"):
            OnnxModel(config, model.tokenizer, form)


@pytest.mark.slow
def test_convolutions_stay_as_they_are():
    """A net that looks through EfficientNet holds it once, and in float, where that is faster."""
    torch.manual_seed(0)
    seen = {
        "kind": EFFICIENTNET,
        "size": 32,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "settings": {"blocks": 3},
    }
    shape = make_model(images=True, texts=False, encoder=False).config
    model = RewardModel(replace(shape, picture_encoder=seen)).eval()
    form = to_int8(model)
    found = Counter(node.op_type for node in onnx.load_from_string(form).graph.node)
    assert found["ConvInteger"] == 0
    assert found["MatMulInteger"] > 0
    assert found["Conv"] == sum(isinstance(one, _Convolution) for one in model.modules())
    items = [Item(str(n), "", "", "p", f"Thing {n}", "home", "{}") for n in range(40)]
    pictures = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    ours, theirs = (one.score_items(items, pictures) for one in forms_of(model, form))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99


@pytest.mark.slow
def test_what_cannot_be_shrunk_is_refused(shrunk, offered, folder, pairs, tmp_path):
    """A shrunk model, a share of 1, a model without an encoder, one that screens nothing."""
    shop, _ = offered
    out = ("--out", tmp_path / "again")
    with pytest.raises(CheckpointError, match="int8 already"):
        call("reward", "shrink", "--checkpoint", shrunk[0], "--pairs", pairs, *out)
    there = ["reward", "shrink", "--checkpoint", str(folder), "--pairs", str(pairs)]
    wrong = CliRunner().invoke(abp, [*there, *map(str, out), "--prune", "1"])
    assert wrong.exit_code == 2
    assert "0<=x<1" in wrong.output
    same = CliRunner().invoke(abp, [*there, "--out", str(folder)])
    assert same.exit_code == 2
    assert "own folder" in same.output
    screens = CliRunner().invoke(
        abp, [*there, *map(str, out), "--experiment", str(tmp_path / "e.yaml"), "-w", str(shop)]
    )
    assert screens.exit_code == 2
    assert "screens no pictures" in screens.output
    assert not (tmp_path / "again").exists()
    table = read_pairs(pairs)
    hashed = make_model(encoder=False)
    inputs = Inputs.of(table.items, None, hashed.config)
    with pytest.raises(CheckpointError, match="no pre-trained encoder"):
        prune(hashed, inputs, share=0.2)
    with pytest.raises(CheckpointError, match="impossible"):
        prune(make_model(), inputs, share=1)


@pytest.mark.slow
def test_nothing_that_is_there_is_overwritten(offered, shrunk, folder, pairs, tmp_path):
    """An experiment that someone filled in and another model's folder stay; one's own form goes."""
    root, _ = offered
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    there = ["reward", "shrink", "--checkpoint", str(folder), "--pairs", str(pairs)]
    taken = ["--experiment", str(root / "experiments" / "small.yaml"), "-w", str(root)]
    for out, words, why in (
        (tmp_path / "new", taken, "is there already"),
        (root / "model", [], "holds another model"),
        (root / "small", [], "holds another model"),
    ):
        run = CliRunner().invoke(abp, [*there, "--out", str(out), *words])
        assert run.exit_code == 2
        assert why in run.output
    foreign = tmp_path / "minilm"
    foreign.mkdir()
    (foreign / "model.safetensors").write_bytes(b"of someone else")
    run = CliRunner().invoke(abp, [*there, "--out", str(foreign)])
    assert "holds another model" in run.output
    assert (foreign / "model.safetensors").read_bytes() == b"of someone else"
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    call(*there, "--out", shrunk[0], "--prune", "0.25")  # made again, as it was
    assert checkpoints.read_folder(shrunk[0], kind="reward").sha256 == shrunk[1]["sha256"]
