import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from abplatform import checkpoints
from abplatform.checkpoints.report_cards import Grade, ReportCard, keep_card
from abplatform.cli.main import abp
from abplatform.errors import AbplatformError, TrainingError
from abplatform.traffic.journal import Journal

FEW = ("--epochs", "1")


def call(*arguments):
    result = CliRunner().invoke(abp, [str(one) for one in arguments])
    if isinstance(result.exception, AbplatformError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def model(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    told = json.loads(call("reward", "train", *where(drawn), "--out", out, *FEW, "--json"))
    return out, told


def where(drawn):
    return "--pairs", drawn.pairs, "--images", drawn.images


def test_train_writes_weights_and_manifest(model):
    """Training leaves model.safetensors and manifest.json, and nothing else."""
    out, told = model
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "manifest.json"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["sha256"] == told["sha256"]
    assert told["pairs"] == 144
    assert told["epochs"] == [1, 1]


def test_evaluate_prints_what_the_contract_says(model, other):
    """The JSON has every number of the contract; swapped pairs give the same accuracy."""
    numbers = json.loads(
        call("reward", "evaluate", "--checkpoint", model[0], *where(other), "--json")
    )
    for name in ("accuracy", "accuracy_significant", "noise_ceiling", "log_loss", "ece"):
        assert 0 <= numbers[name] <= 2
        assert f"{name}_weighted" in numbers or name == "noise_ceiling"
    assert numbers["pairs"] == 144
    assert numbers["accuracy_swapped"] == numbers["accuracy"]
    assert set(numbers["by_category"]) == {"beauty/lip", "home/lamp"}
    told = call("reward", "evaluate", "--checkpoint", model[0], *where(other))
    assert "beauty/lip" in told


def test_score_writes_a_probability_for_each_pair(model, other, tmp_path):
    """Scores come in the file's order, and evaluate's accuracy follows from them."""
    out = tmp_path / "scores.parquet"
    call("reward", "score", "--checkpoint", model[0], *where(other), "--out", out)
    scores, pairs = pl.read_parquet(out), pl.read_parquet(other.pairs)
    assert scores["pair_id"].to_list() == pairs["pair_id"].to_list()
    assert scores["p_chosen"].is_between(0, 1).all()
    numbers = json.loads(
        call("reward", "evaluate", "--checkpoint", model[0], *where(other), "--json")
    )
    assert numbers["accuracy"] == pytest.approx((scores["p_chosen"] > 0.5).mean())


def test_errors_are_one_line(model, drawn, tmp_path):
    """A missing image, a foreign folder and a wrong file exit 1 with one line and no traceback."""
    command = Path(sys.executable).with_name("abp")
    (tmp_path / "none").mkdir()
    nowhere = replace(drawn, images=tmp_path / "none")
    calls = {
        "images are missing": ("train", *where(nowhere), "--out", tmp_path / "out"),
        "manifest.json is missing": ("evaluate", "--checkpoint", tmp_path, "--pairs", drawn.pairs),
    }
    for message, arguments in calls.items():
        done = subprocess.run(
            [command, "reward", *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    with pytest.raises(AbplatformError, match="--images"):
        call("reward", "evaluate", "--checkpoint", model[0], "--pairs", drawn.pairs)


@pytest.fixture
def workspace(drawn, other, tmp_path):
    (tmp_path / "abp.yaml").write_text("currency: EUR\n")
    (tmp_path / "data" / "pairs").mkdir(parents=True)
    shutil.copytree(drawn.images, tmp_path / "data" / "creatives")
    shutil.copytree(other.images, tmp_path / "data" / "creatives", dirs_exist_ok=True)
    shutil.copy(drawn.pairs, tmp_path / "data" / "pairs" / "2026-W48.parquet")
    return tmp_path


@pytest.mark.parametrize("content", [b"", b"no Parquet" * 50])
def test_retrain_names_a_week_that_cannot_be_read(workspace, content):
    """An empty or broken file of pairs is an error that names it and says what to do."""
    (workspace / "data" / "pairs" / "2026-W49.parquet").write_bytes(content)
    with pytest.raises(TrainingError, match=r"2026-W49.parquet: the pairs cannot be read") as told:
        call("retrain", *FEW, "-w", workspace)
    assert "write the week's pairs again" in str(told.value).lower()


def test_retrain_passes_over_a_week_without_pairs(workspace, drawn):
    """A week whose experiments had nothing to teach does not stand in the way of the others."""
    nothing = pl.read_parquet(drawn.pairs).clear()
    nothing.write_parquet(workspace / "data" / "pairs" / "2026-W49.parquet")
    there = ("-w", workspace)
    assert json.loads(call("retrain", *FEW, *there, "--json"))["week"] == "2026-W48"
    nothing.write_parquet(workspace / "data" / "pairs" / "2026-W48.parquet")
    with pytest.raises(TrainingError, match="there are no preference pairs yet"):
        call("retrain", *FEW, *there)


def test_retrain_promote_rollback_list(workspace, other):
    """A workspace's models are retrained, promoted, rolled back, listed; the journal knows."""
    there = ("-w", workspace)
    with pytest.raises(AbplatformError, match="no pairs up to"):
        call("retrain", "--week", "2026-W40", *there)
    first = json.loads(call("retrain", *FEW, *there, "--json"))
    assert first["week"] == "2026-W48"
    assert not first["promoted"]
    assert "nothing done" in call("retrain", *FEW, *there)
    shutil.copy(other.pairs, workspace / "data" / "pairs" / "2026-W49.parquet")
    second = json.loads(call("retrain", *FEW, *there, "--json"))
    assert second["week"] == "2026-W49"
    assert second["checkpoint_sha256"] == first["checkpoint_sha256"]
    assert second["metrics"]["challenger"]["pairs"] == 144
    third = json.loads(call("retrain", *FEW, "--seed", "1", *there, "--json"))
    names = [first["checkpoint_sha256"], third["checkpoint_sha256"]]
    listed = json.loads(call("reward", "list", *there, "--json"))
    assert sorted(row["sha256"] for row in listed) == sorted(names)
    for name in names:
        call("reward", "promote", name[:12], *there)
    named = json.loads(call("reward", "rollback", *there, "--json"))
    assert named["champion"] == names[0]
    actions = [row.action for row in Journal(workspace / "data" / "journal").rows()]
    assert actions[-3:] == ["promote", "promote", "rollback"]
    assert "champion" in call("reward", "list", *there)


def test_scores_say_how_sure_they_are(model, other, drawn, tmp_path):
    """Beside each probability: how far the nets differ, and whether its category was learned."""
    new = tmp_path / "new.parquet"
    pl.read_parquet(other.pairs).with_columns(
        category=pl.when(pl.col("category") == "beauty/lip")
        .then(pl.lit("toys"))
        .otherwise("category")
    ).write_parquet(new)
    out = tmp_path / "scores.parquet"
    there = ("--checkpoint", model[0], "--pairs", new, "--images", other.images)
    call("reward", "score", *there, "--out", out)
    scores = pl.read_parquet(out)
    assert scores["logit_sd"].min() >= 0
    known = pl.read_parquet(new)["category"] == "home/lamp"
    assert scores["evidence"].to_list() == known.to_list()
    rows = json.loads(call("reward", "evaluate", *there, "--json"))["by_category"]
    assert {name: row["evidence"] for name, row in rows.items()} == {
        "home/lamp": True,
        "toys": False,
    }
    assert "no evidence" in call("reward", "evaluate", *there)


def test_a_training_draws_its_curves(drawn, tmp_path):
    """TensorBoard finds one run for each net, with a point for each epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = tmp_path / "curves"
    out = ("--out", tmp_path / "model", "--curves", curves, "--epochs", "2")
    call("reward", "train", *where(drawn), *out)
    assert sorted(path.name for path in curves.iterdir()) == ["net-1", "net-2"]
    run = EventAccumulator(str(curves / "net-2")).Reload()
    assert set(run.Tags()["scalars"]) == {"loss/learned", "loss/held out", "rate"}
    assert [point.step for point in run.Scalars("loss/learned")] == [1, 2]


def test_the_report_card_tells_alarms_and_what_to_do(workspace, other):
    """`abp reward card` shows promised and realised wins, the alarm, the way back, as JSON too."""
    there = ("-w", workspace)
    first = json.loads(call("retrain", *FEW, *there, "--json"))["checkpoint_sha256"]
    call("reward", "promote", first, *there)
    assert "No week has been judged" in call("reward", "card", *there)
    shutil.copy(other.pairs, workspace / "data" / "pairs" / "2026-W49.parquet")
    call("retrain", *FEW, *there)
    told = call("reward", "card", *there)
    assert "2026-W49" in told
    assert "No alarm" in told
    assert "nothing is due" in call("retrain", "--due", *there)
    page = workspace / "data" / "checkpoints" / "retrains" / "2026-W49.html"
    assert "Report card" in page.read_text()
    root = workspace / "data" / "checkpoints"
    for week in ("2026-W50", "2026-W51"):
        below = Grade(None, 100, 0.8, 0.7, 0.9, realised=0.5)
        keep_card(root, ReportCard(week, first, (below,)))
    told = call("reward", "card", *there)
    assert "Alarm" in told
    assert "abp reward promote" in told
    found = json.loads(call("reward", "card", *there, "--json"))
    assert len(found["alarms"]) == 1
    assert found["live_creatives"] == []
    assert [card["week"] for card in found["cards"]] == ["2026-W49", "2026-W50", "2026-W51"]


def test_weeks_of_a_sale_count_less(workspace, other):
    """What abp.yaml's calendar says of a week is part of how its pairs are learned."""
    shutil.copy(other.pairs, workspace / "data" / "pairs" / "2026-W49.parquet")
    (workspace / "abp.yaml").write_text(
        "calendar: [{day: 2026-11-27, name: Black Friday, learn: 30%}]\n"
    )
    call("retrain", *FEW, "-w", workspace)
    listed = checkpoints.list_checkpoints(workspace / "data" / "checkpoints", kind="reward")
    shares = listed[0].metadata["train"]["training"]["week_shares"]
    assert shares == [["2026-W48", 0.3]]
