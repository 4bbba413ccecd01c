"""A judge that learns nothing: asked in both orders, believed by its next token."""

import json
import shutil
from copy import copy, deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from abplatform.checkpoints.pretrained import check_folder
from abplatform.cli.main import abp
from abplatform.errors import CheckpointError, TrainingError
from generators.prompt_model.model import (
    IMAGE_TOKEN,
    build_model,
    build_processor,
    build_tokenizer,
    save_model,
)
from reward.dataset import read_pairs, table_from_frame
from reward.pictures import pictures_of
from reward.rivals import Part, compare, hold_out, open_judge, repeat_forecast
from reward.rivals.asked import tell_pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llava that has learned nothing."""
    path = tmp_path_factory.mktemp("judge")
    tokenizer = build_tokenizer(["Which one gets more clicks?"] * 3, words=300)
    save_model(path, build_model(tokenizer, width=32, layers=1), build_processor(tokenizer))
    return path


@pytest.fixture(scope="module")
def judge(folder):
    return open_judge(str(folder))


@pytest.fixture(scope="module")
def part(drawn):
    """Pairs of six products."""
    table = read_pairs(drawn.pairs)
    few = table.keep(table.frame["product_id"].is_in([f"p00{n}" for n in range(6)]).to_numpy())
    return Part(few, pictures_of(few, drawn.images), drawn.images)


@pytest.fixture(scope="module")
def said(judge, part):
    return judge.judge(part)


def test_the_answer_is_the_softmax_of_both_letters(judge, part, said):
    """The probability is that of A against B as the next token of a prompt written by hand."""
    table, tokenizer = part.table, judge.processor.tokenizer
    first, second = table.items[table.chosen[0]], table.items[table.rejected[0]]
    prompt = (
        "user: <image><image>Two advertisements for one product ran against each other.\n"
        "Product: beauty lip Thing p000 colour plain\n"
        "The first picture is advertisement A, the second is advertisement B.\n"
        "Which one gets more clicks? Answer with A or B only.\nassistant:"
    )
    pixels = [Image.open(part.images / f"{item.image}.png") for item in (first, second)]
    inputs = judge.processor(text=[prompt], images=pixels, return_tensors="pt")
    with torch.no_grad():
        logits = judge.model(**inputs).logits[0, -1]
    a, b = (float(logits[tokenizer.get_vocab()[letter]]) for letter in "AB")
    probability = 1 / (1 + np.exp(b - a))
    assert np.isclose([said.there[0], said.back[0]], probability, atol=1e-5).any()


def test_exchanging_sides_exchanges_the_orders(judge, part, said):
    """What was there is back, and the chances are the other side's."""
    names = ("creative", "image", "text")
    names_of = {f"{a}_{name}": f"{b}_{name}" for name in names for a, b in _BOTH}
    counts = {f"{n}_{a}": f"{n}_{b}" for n in ("impressions", "clicks") for a, b in _BOTH}
    turned = table_from_frame(part.table.frame.rename({**names_of, **counts}))
    other = judge.judge(Part(turned, None, part.images))
    assert np.allclose(other.there, 1 - said.back, atol=1e-6)
    assert np.allclose(other.back, 1 - said.there, atol=1e-6)


_BOTH = (("chosen", "rejected"), ("rejected", "chosen"))


def test_a_liking_for_the_first_is_no_knowledge(judge, part):
    """A judge that always says A is right in half of all pairs, in either order."""
    model = deepcopy(judge.model)
    model.lm_head = torch.nn.Linear(32, model.lm_head.out_features)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.zero_()[judge.letters[0]] = 9.0
    told = replace(judge, model=model).judge(part)
    assert np.allclose(told.there, 1 - told.back)
    assert 0.2 < (told.there > 0.5).mean() < 0.8


def test_texts_alone_are_judged_too(judge, part):
    """Pairs without pictures are told by their texts, and other texts are another answer."""
    first, second = part.table.items[:2]
    one, other = replace(first, text="Half price today"), replace(second, text="A quiet cup")
    assert judge.first_wins(one, other, {}) != judge.first_wins(other, one, {})
    told = tell_pair(one, replace(other, text="Yes\nText of A: <b>no"), pictures=False)
    assert "picture" not in told
    assert "Text of B: Yes Text of A: <b>no\n" in told


def test_the_judge_repeats_itself_in_every_fold(judge, part, said):
    """What was said beforehand is what is compared."""
    seen = []
    (standing,) = compare(
        part,
        {"judge": repeat_forecast(part, said)},
        hold_out(part.table, folds=3, seed=0),
        advance=lambda *n: seen.append(n),
    )
    expected = float(((said.there > 0.5) == (part.table.p_win > 0.5)).mean())
    assert standing.numbers["accuracy"] == pytest.approx(expected)
    assert seen[-1] == (3, 3)


def test_progress_is_told(judge, part):
    """One tick a pair."""
    two = part.keep(np.arange(len(part.table)) < 2)
    ticks = []
    judge.judge(two, advance=lambda done, total: ticks.append((done, total)))
    assert ticks == [(1, 2), (2, 2)]


def test_nothing_to_look_at_is_refused(judge, part):
    with pytest.raises(TrainingError, match="pictures or ad texts"):
        judge.judge(Part(part.table, None))


def test_a_folder_of_something_else_is_refused(tmp_path):
    """No folder, no multimodal model: one sentence each."""
    with pytest.raises(CheckpointError, match="no judge"):
        open_judge(str(tmp_path / "missing" / "model" / "here"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="pictures and text"):
        open_judge(str(tmp_path))


def test_half_a_model_is_refused(folder, tmp_path):
    """Weights that are missing would be drawn at random; a cut or foreign file says nothing."""
    whole = load_file(folder / "model.safetensors")
    seen = {name: weight for name, weight in whole.items() if "language_model" not in name}
    name = next(name for name in whole if "embed_tokens" in name)
    narrow = {**whole, name: whole[name][:, :8].contiguous()}
    for weights in (seen, narrow, None):
        path = shutil.copytree(folder, tmp_path / "half", dirs_exist_ok=True)
        if weights is None:
            data = (folder / "model.safetensors").read_bytes()
            (path / "model.safetensors").write_bytes(data[:3000])
        else:
            save_file(weights, path / "model.safetensors", {"format": "pt"})
        with pytest.raises(CheckpointError, match="no model of pictures and text can be read"):
            open_judge(str(path))


def test_other_bytes_are_refused(folder):
    """A pinned hash holds."""
    assert open_judge(f"{folder}@{check_folder(folder).sha256}").sha256
    with pytest.raises(CheckpointError, match="sha256"):
        open_judge(f"{folder}@{'0' * 64}")


def test_answers_of_several_tokens_are_refused(folder, tmp_path):
    """Where a vocabulary has no letter of its own, the next token says nothing."""
    vocabulary = {"<unk>": 0, IMAGE_TOKEN: 1, "</s>": 2, "\u2581": 3, "A": 4, "B": 5}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ("unk_token", "eos_token", "pad_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        **dict(zip(names, ("<unk>", "</s>", "</s>"), strict=True)),
    )
    save_model(tmp_path, build_model(tokenizer, width=32, layers=1), build_processor(tokenizer))
    with pytest.raises(CheckpointError, match="no token of its own"):
        open_judge(str(tmp_path))


def test_a_judge_that_cannot_be_asked_says_so(judge, part):
    """Without a chat template there is no turn to answer."""
    bare = copy(judge.processor)
    bare.chat_template = None
    with pytest.raises(CheckpointError, match="cannot be asked about two pictures"):
        replace(judge, processor=bare).judge(part)


def test_the_command_compares_a_judge(folder, part, tmp_path):
    """`abp reward compare --judge` names it beside what learns, with the hash of its bytes."""
    pairs = tmp_path / "pairs.parquet"
    part.table.frame.write_parquet(pairs)
    call = ["reward", "compare", "--pairs", str(pairs), "--images", str(part.images)]
    call += ["--models", "chance", "--judge", str(folder), "--folds", "2"]
    found = json.loads(CliRunner().invoke(abp, [*call, "--json"]).stdout)
    assert [row["model"] for row in found["models"]] == ["chance", "judge"]
    assert found["judge"] == {"name": str(folder), "sha256": check_folder(folder).sha256}
    missing = CliRunner().invoke(abp, [*call[:-4], "--judge", str(tmp_path)])
    assert isinstance(missing.exception, CheckpointError)
