import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from abplatform import checkpoints
from abplatform.checkpoints.report_cards import Grade, ReportCard, keep_card, read_cards
from abplatform.errors import CheckpointError, TrainingError
from reward.dataset import read_pairs
from reward.evaluate import evaluate
from reward.gates import Gates
from reward.judge import shuffle_labels, train_challenger
from reward.pictures import pictures_of
from reward.retrain import read_decisions, retrain
from reward.score import RewardScorer, save_model
from reward.source import Source
from reward.train import train

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
GATES = Gates(max_ece=0.3)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory, draw_week):
    """Two weeks of the same taste, a third of pure noise; all pictures in one folder."""
    folder = tmp_path_factory.mktemp("weeks")
    made = {
        week: draw_week(folder, week=week, seed=9, rule=rule)
        for week, rule in (("2026-W48", "warmth"), ("2026-W49", "warmth"), ("2026-W50", "noise"))
    }
    return {week: one.pairs for week, one in made.items()}, folder / "images"


def source(weeks, *names, **changes):
    pairs, images = weeks
    return Source({name: pairs[name] for name in names}, images, **changes)


def run(weeks, root, names, week, tiny, **changes):
    told = {"root": root, "week": week, "at": NOW, "gates": GATES, "config": tiny(epochs=10)}
    return retrain(source(weeks, *names), **{**told, **changes})


def champion(root):
    return checkpoints.aliases(root).get("reward", {}).get("champion")


@pytest.fixture(scope="module")
def promoted(weeks, tmp_path_factory, tiny):
    """A store after two weeks, the second of which promoted its challenger."""
    root = tmp_path_factory.mktemp("store") / "checkpoints"
    first = run(weeks, root, ["2026-W48"], "2026-W48", tiny)
    second = run(weeks, root, ["2026-W48", "2026-W49"], "2026-W49", tiny)
    return root, first, second


@pytest.fixture
def store(promoted, tmp_path):
    return shutil.copytree(promoted[0], tmp_path / "checkpoints")


def test_the_first_week_only_nominates(promoted):
    """With no newer week to be judged on, the candidate is kept as challenger."""
    _, first, _ = promoted
    assert not first.promoted
    assert first.reasons == ("no newer held-out week",)


def test_the_second_week_promotes_what_was_kept(promoted):
    """The challenger of the week before is found again by its pairs, judged and promoted."""
    root, first, second = promoted
    assert second.promoted, second.reasons
    assert second.checkpoint_sha256 == first.checkpoint_sha256 == champion(root)
    assert len(checkpoints.list_checkpoints(root)) == 1
    metrics = second.metrics
    assert metrics["trained_on"] == ["2026-W48"]
    assert metrics["challenger"]["accuracy"] > metrics["shuffled"]["accuracy"]
    assert metrics["challenger"]["accuracy"] > metrics["baselines"]["chance"]["accuracy"]
    assert "colour_histogram" in metrics["baselines"]
    assert [row["week"] for row in read_decisions(root)] == ["2026-W48", "2026-W49"]


def test_a_second_call_does_nothing(store, weeks, promoted, tiny):
    """Retraining again with the same inputs trains nothing, changes nothing and says so."""
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}

    def never(done, total):
        raise AssertionError

    again = run(weeks, store, ["2026-W48", "2026-W49"], "2026-W49", tiny, advance=never)
    assert again == replace(promoted[2], unchanged=True)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_a_rollback_by_a_person_stays(store, weeks, promoted, tiny):
    """What a person decided about the champion is not undone by calling retrain again."""
    named = json.loads((store / "ALIASES.json").read_text())
    (store / "ALIASES.json").write_text(json.dumps({"reward": {"previous": champion(store)}}))
    checkpoints.rollback(store, "reward")
    (store / "ALIASES.json").write_text(json.dumps({"reward": {}}))
    assert run(weeks, store, ["2026-W48", "2026-W49"], "2026-W49", tiny).unchanged
    assert champion(store) is None
    assert named["reward"]["champion"] == promoted[2].checkpoint_sha256


def test_killed_before_the_promotion_it_goes_on(store, weeks, promoted, tiny):
    """A decision that was kept but not carried out is carried out by the next call."""
    path = store / "retrains" / "2026-W49.json"
    path.write_text(path.read_text().replace('"applied": true', '"applied": false'))
    (store / "ALIASES.json").unlink()
    result = run(weeks, store, ["2026-W48", "2026-W49"], "2026-W49", tiny)
    assert result.promoted
    assert champion(store) == promoted[2].checkpoint_sha256


def test_a_worse_challenger_is_refused(store, weeks, promoted, tiny):
    """A challenger that learned nothing is refused with its numbers, and the champion stays."""
    pairs, images = weeks
    swapped = Source({"2026-W47": pairs["2026-W50"], "2026-W49": pairs["2026-W49"]}, images)
    result = retrain(
        swapped, root=store, week="2026-W49", at=NOW, gates=GATES, config=tiny(epochs=4)
    )
    assert not result.promoted
    assert any("against the champion" in reason for reason in result.reasons)
    assert champion(store) == promoted[2].checkpoint_sha256 != result.checkpoint_sha256
    challenger = checkpoints.aliases(store)["reward"]["challenger"]
    assert challenger == result.checkpoint_sha256


def test_a_stale_champion_waits_for_a_person(store, weeks, promoted, tiny):
    """After two weeks below its promise a champion must be replaced by a person first."""
    stale = champion(store)
    for week in ("2026-W50", "2026-W51"):
        below = Grade(None, 100, 0.8, 0.7, 0.9, realised=0.5)
        keep_card(store, ReportCard(week, stale, (below,)))
    pairs, images = weeks
    better = Source({"2026-W47": pairs["2026-W49"], "2026-W49": pairs["2026-W48"]}, images)
    told = {"week": "2026-W49", "at": NOW, "gates": replace(GATES, min_gain=-1.0)}
    refused = retrain(better, root=store, config=tiny(epochs=3), **told)
    assert not refused.promoted
    assert any("fell below" in reason and "rollback" in reason for reason in refused.reasons)
    assert champion(store) == stale
    checkpoints.promote(store, "reward", refused.checkpoint_sha256, at=NOW)
    again = retrain(better, root=store, config=tiny(epochs=4), **told)
    assert not any("fell below" in reason for reason in again.reasons)


def test_judged_models_get_report_cards(promoted):
    """The challenger of the first week is graded on the second; nobody is on what it learned."""
    root, _, second = promoted
    cards = read_cards(root)
    assert [(card.week, card.checkpoint) for card in cards] == [
        ("2026-W49", second.checkpoint_sha256)
    ]
    overall = cards[0].overall
    assert overall.pairs == second.metrics["challenger"]["pairs"]
    assert overall.realised == pytest.approx(second.metrics["challenger"]["accuracy"])
    assert [grade.category for grade in cards[0].grades] == [None, "beauty", "home"]


def test_a_champion_sees_pictures_of_its_own_size(tmp_path, weeks, tiny):
    """A champion of larger pictures is held against a challenger of smaller ones as it is used."""
    pairs, images = weeks
    learned, week = (read_pairs(pairs[name]) for name in ("2026-W48", "2026-W49"))
    large = tiny(epochs=1, shape=(*tiny().shape, ("image_size", 48)))
    made = train(learned, pictures_of(learned, images, size=48), large)
    saved = save_model(tmp_path / "large", made, metadata={}, created_at=NOW)
    root = tmp_path / "store"
    kept = checkpoints.save_checkpoint(
        root, tmp_path / "large", kind="reward", metadata=saved.metadata, created_at=NOW
    )
    checkpoints.promote(root, "reward", kept.sha256, at=NOW)
    names = ["2026-W48", "2026-W49"]
    result = run(weeks, root, names, "2026-W49", tiny, config=tiny(epochs=1))
    scorer = RewardScorer.of(kept)
    said = scorer.forecast(week, pictures_of(week, images, size=48)).there
    told = evaluate(week, said, said).numbers
    assert result.metrics["champion"]["log_loss_adjusted"] == told["log_loss_adjusted"]


def test_pictures_are_not_made_larger_to_be_scored(tmp_path, weeks, tiny):
    """Pictures that were made smaller than the model sees are refused, not blown up."""
    pairs, images = weeks
    table = read_pairs(pairs["2026-W48"])
    made = train(table, pictures_of(table, images, size=32), tiny(epochs=1))
    with pytest.raises(ValueError, match="16 px for a model that sees 32 px"):
        RewardScorer(made.model).forecast(table, pictures_of(table, images, size=16))


def test_shuffled_labels_are_refused(tmp_path, weeks, tiny):
    """A challenger trained on shuffled labels beats not even chance and is refused."""
    pairs, images = weeks
    shuffled = shuffle_labels(read_pairs(pairs["2026-W48"]), seed=2)
    shuffled.frame.write_parquet(tmp_path / "shuffled.parquet")
    mixed = Source(
        {"2026-W48": tmp_path / "shuffled.parquet", "2026-W49": pairs["2026-W49"]}, images
    )
    root = tmp_path / "checkpoints"
    result = retrain(mixed, root=root, week="2026-W49", at=NOW, gates=GATES, config=tiny(epochs=6))
    assert not result.promoted
    assert any("against chance" in reason for reason in result.reasons)
    assert champion(root) is None


def test_noise_is_refused(tmp_path, weeks, tiny):
    """Where shoppers like nothing in particular, no challenger is promoted."""
    result = run(weeks, tmp_path, ["2026-W48", "2026-W50"], "2026-W50", tiny, config=tiny(epochs=4))
    assert not result.promoted


def test_faults_in_the_source_are_refused(store, weeks, promoted, tiny):
    """An SRM alarm behind the week's pairs refuses the promotion whatever the accuracy."""
    (store / "ALIASES.json").unlink()
    faults = ["sample ratio mismatch in drawn-2026-w49"]
    result = run(weeks, store, ["2026-W48", "2026-W49"], "2026-W49", tiny, faults=faults)
    assert not result.promoted
    assert result.reasons == tuple(faults)
    assert champion(store) is None


def test_pairs_that_were_trained_on_are_left_out(tmp_path, weeks, tiny):
    """A week whose pairs are all known from training proves nothing and is refused as leakage."""
    pairs, images = weeks
    frame = pl.read_parquet(pairs["2026-W48"])
    again = tmp_path / "again.parquet"
    frame.with_columns(
        week=pl.lit("2026-W49"), pair_id=pl.lit("again-") + pl.col("pair_id")
    ).write_parquet(again)
    leaked = Source({"2026-W48": pairs["2026-W48"], "2026-W49": again}, images)
    result = retrain(
        leaked, root=tmp_path, week="2026-W49", at=NOW, gates=GATES, config=tiny(epochs=1)
    )
    assert not result.promoted
    assert "leakage" in result.reasons[0]


def test_a_corrupt_champion_stops_everything(store, weeks, promoted, tiny):
    """With a damaged champion nothing is promoted over it in silence."""
    sha256 = champion(store)
    (store / sha256 / "model.safetensors").write_bytes(b"broken")
    names = ["2026-W48", "2026-W49", "2026-W50"]
    with pytest.raises(CheckpointError, match="rollback"):
        run(weeks, store, names, "2026-W50", tiny, config=tiny(epochs=1))
    assert champion(store) == sha256


def test_no_pairs_no_training(tmp_path, weeks, tiny):
    """Without pairs up to the week there is one clear error and no checkpoint."""
    with pytest.raises(TrainingError, match="no pairs up to 2026-W40"):
        run(weeks, tmp_path, ["2026-W48"], "2026-W40", tiny)
    assert checkpoints.list_checkpoints(tmp_path) == []


def test_a_shuffled_table_says_nothing(weeks):
    """Half the pairs are turned, evenly over their weights, and all clicks are gone."""
    table = read_pairs(weeks[0]["2026-W48"])
    shuffled = shuffle_labels(table, seed=0)
    turned = shuffled.p_win != table.p_win
    assert turned.sum() == len(table) // 2
    sign = np.where(turned, -1, 1)
    assert abs((sign * table.weight).sum()) < 0.03 * table.weight.sum()
    assert shuffled.clicks.sum() == 0
    assert (shuffled.chosen == table.chosen).all()


def test_the_same_weights_have_one_name(tmp_path, weeks, tiny):
    """Training in an empty store on another day gives the same name for the same pairs."""
    names = [
        train_challenger(
            source(weeks, "2026-W48"),
            root=tmp_path / str(day),
            week="2026-W48",
            config=tiny(epochs=1),
            at=NOW.replace(day=day),
        ).sha256
        for day in (1, 2)
    ]
    assert names[0] == names[1]


def test_a_foreign_checkpoint_in_the_store_is_passed_over(tmp_path, weeks, tiny):
    """A model that a person trained by hand and put into the store does not confuse retraining."""
    table = read_pairs(weeks[0]["2026-W48"])
    made = train(table, pictures_of(table, weeks[1], size=32), tiny(epochs=1))
    saved = save_model(tmp_path / "hand", made, metadata={}, created_at=NOW)
    checkpoints.save_checkpoint(
        tmp_path / "store",
        tmp_path / "hand",
        kind="reward",
        metadata=saved.metadata,
        created_at=NOW,
    )
    result = run(weeks, tmp_path / "store", ["2026-W48"], "2026-W48", tiny, config=tiny(epochs=1))
    assert result.checkpoint_sha256 != saved.sha256
