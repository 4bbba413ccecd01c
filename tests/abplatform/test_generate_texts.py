"""Texts that come with creatives, from the command line to what is kept."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
import torch
from safetensors.torch import save_file

from abplatform.checkpoints import write_manifest
from abplatform.cli.main import main
from abplatform.creatives import read_catalogue, read_lineage
from abplatform.creatives.texts import read_texts
from abplatform.errors import CheckpointError
from generators.ad_text.headlines import open_headlines
from generators.drawn import draw_catalogue
from generators.intake import read_products
from generators.renderers.baseline import Baseline
from reward.model import RewardConfig, RewardModel
from reward.score import RewardScorer


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)
    draw_catalogue(tmp_path / "catalog", products=2)

    def call(*words):
        command = ["abp", "generate", "--products", "catalog", "--out", "ads", "--per-product", "1"]
        monkeypatch.setattr(sys, "argv", [*command, "--json", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, json.loads(printed.out or "null"), printed.err

    return call


@pytest.fixture
def kept(tmp_path):
    return lambda: [one for texts in read_texts(tmp_path / "ads").values() for one in texts]


def save_reward(folder, *, texts):
    """A reward model with random weights, as ``abp reward train`` lays it down."""
    torch.manual_seed(5)
    config = RewardConfig(
        images=True,
        texts=texts,
        categories=["beauty"],
        members=1,
        image_size=32,
        patch=16,
        width=16,
        image_layers=1,
        heads=2,
        words=8,
        buckets=256,
    )
    model = RewardModel(config)
    with torch.no_grad():
        for net in model.nets:
            net.deviation.normal_(std=0.1)
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    write_manifest(
        folder,
        kind="reward",
        metadata={"model": asdict(config)},
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    return folder


def test_texts_are_written_once_for_each_set(abp, kept):
    """Every creative gets its product's texts; a second call writes none."""
    code, answer, err = abp("--texts", "2")
    assert (code, err) == (0, "")
    assert answer["texts"] == 8
    assert {one.creative_id for one in kept()} == {
        row["creative_id"] for row in answer["creatives"]
    }
    assert all(-1 <= one.scores["sentiment"] <= 1 for one in kept())
    before = kept()
    assert abp("--texts", "2")[1]["texts"] == 0
    assert kept() == before


def test_headlines_rank_texts(abp, kept):
    """What clicked headlines taught is each text's rank."""
    try:
        headlines = open_headlines()
    except CheckpointError as missing:
        pytest.skip(str(missing))
    code, _, err = abp("--texts", "3", "--text-scorer", "headlines", "--generator", "baseline")
    assert (code, err) == (0, "")
    for one in kept():
        assert one.scores["rank"] == pytest.approx(headlines.score([one.text])[0], abs=1e-3)


def test_a_reward_model_ranks_texts(abp, kept, tmp_path):
    """The model that screens also ranks, beside the product's own baseline; the best is kept."""
    folder = save_reward(tmp_path / "model", texts=True)
    words = ("--checkpoint", str(folder), "--texts", "2", "--text-scorer", "reward")
    code, _, err = abp(*words)
    assert (code, err) == (0, "")
    scorer = RewardScorer.load(folder)
    ready = {one.product.product_id: one for one in read_products(tmp_path / "catalog").ready}
    found = kept()
    assert len({one.text for one in found}) >= 3
    for one in found:
        product = ready[one.product_id]
        plain = Baseline().render(product, seed=0, size=(32, 32))
        expected = scorer.score_text(one.text, product.product, plain.pixels)
        assert one.scores["rank"] == pytest.approx(expected, abs=1e-3)
        assert scorer.score_text("Other words", product.product, plain.pixels) != expected


def test_a_reward_model_that_cannot_read_is_refused(abp, tmp_path):
    """Without a model, or with one of pictures alone, nothing is drawn and the remedy is told."""
    code, _, err = abp("--texts", "1", "--text-scorer", "reward")
    assert code == 1
    assert "--checkpoint" in err
    folder = save_reward(tmp_path / "model", texts=False)
    words = ("--checkpoint", str(folder), "--texts", "1", "--text-scorer", "reward")
    code, _, err = abp(*words)
    assert code == 1
    assert "headlines" in err
    assert not (tmp_path / "ads").exists()


@pytest.mark.slow
def test_paintings_have_texts_and_renditions(abp, kept, tmp_path):
    """Painted, written and drawn for a channel in one call; lineage names the painter's bytes."""
    code, answer, err = abp(
        *("--renderer", "diffusion", "--channels", "feed", "--texts", "1", "--segment", "students")
    )
    assert (code, err) == (0, "")
    painted = [
        one for one in read_lineage(tmp_path / "ads").values() if one.renderer.startswith("diff")
    ]
    assert len(painted) == 2
    assert all(len(one.checkpoints["diffusion"]) == 64 for one in painted)
    assert answer["channels"]["feed"]["unfit"] == []
    assert answer["channels"]["feed"]["pictures"] >= len(answer["creatives"])
    products = {one.product_id for one in read_catalogue(tmp_path / "catalog").products}
    assert {one.product_id for one in kept()} == products
    assert any("students" in one.text.lower() for one in kept())
