import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import torch

from abplatform.errors import CheckpointError, TrainingError
from reward.dataset import join_tables, read_pairs, table_from_frame
from reward.evaluate import evaluate
from reward.members import Members
from reward.pictures import pictures_of
from reward.score import RewardScorer, save_model
from reward.train import train

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def load(drawn, size=32):
    table = read_pairs(drawn.pairs)
    return table, pictures_of(table, drawn.images, size=size)


def weights(trained):
    return {name: value.numpy() for name, value in trained.model.state_dict().items()}


@pytest.fixture(scope="module")
def trained(drawn, tiny):
    return train(*load(drawn), tiny(epochs=24, members=1))


def test_a_planted_rule_is_learned(trained, other):
    """Which background colours sell in which category is learned and holds for new products."""
    table, pictures = load(other)
    scorer = RewardScorer(trained.model)
    said = scorer.forecast(table, pictures)
    numbers = evaluate(table, said.there, said.back).numbers
    assert numbers["accuracy"] > 0.85 * numbers["noise_ceiling"]
    assert numbers["accuracy_low"] > 0.65
    assert numbers["accuracy_swapped"] == numbers["accuracy"]
    assert numbers["log_loss"] < math.log(2)


def test_the_learned_score_follows_the_truth(trained, other):
    """Within a category, scores of unseen pictures rise with their true appeal."""
    table, pictures = load(other)
    score = RewardScorer(trained.model).score_items(table.items, pictures)
    truth = np.array([other.appeal[item.creative] for item in table.items])
    for category in ("beauty/lip", "home/lamp"):
        rows = np.array([item.category == category for item in table.items])
        assert np.corrcoef(score[rows], truth[rows])[0, 1] > 0.6


def test_same_seed_same_bytes(drawn, tmp_path, tiny):
    """The same pairs and seed give the same file, bit for bit; another seed gives another."""
    table, pictures = load(drawn)
    names = []
    for turn, seed in enumerate((3, 3, 4)):
        torch.manual_seed(turn)
        made = train(table, pictures, tiny(seed=seed, epochs=2))
        saved = save_model(tmp_path / str(turn), made, metadata={}, created_at=NOW)
        names.append(saved.files["model.safetensors"])
    assert names[0] == names[1] != names[2]


def test_training_leaves_the_global_generator_alone(drawn, tiny):
    """Training draws from its own seed and gives torch's generator back as it was."""
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(*load(drawn), tiny(epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_after", [0.1, 0.4, 0.9])
def test_a_stopped_training_goes_on_as_if_nothing_had_been(drawn, tmp_path, stop_after, tiny):
    """Stopped in any epoch and called again, training ends at the same weights."""
    table, pictures = load(drawn)
    whole = train(table, pictures, tiny(epochs=3))
    resume = tmp_path / "state"

    def stop(done, total):
        if done > stop_after * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, pictures, tiny(epochs=3), resume=resume, advance=stop)
    told = []
    again = train(
        table,
        pictures,
        tiny(epochs=3),
        resume=resume,
        advance=lambda done, total: told.append(done / total),
    )
    finished = int(stop_after * 6) / 6  # of two nets with three epochs each
    assert all(finished <= done for done in told[1:])
    assert told == sorted(told)
    assert told[-1] == 1
    assert not list(tmp_path.iterdir())
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(value, weights(again)[name])
    assert again.facts == whole.facts


def test_a_state_of_other_pairs_is_not_used(drawn, tmp_path, tiny):
    """A kept state counts only for the very inputs it came from; a torn one counts for none."""
    table, pictures = load(drawn)
    resume = tmp_path / "state"

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(table, pictures, tiny(epochs=2, seed=1), resume=resume, advance=stop)
    fresh = train(table, pictures, tiny(epochs=2))
    resumed = train(table, pictures, tiny(epochs=2), resume=resume)
    assert resumed.facts == fresh.facts
    for number in range(2):
        (tmp_path / f"state-{number}.safetensors").write_bytes(b"torn")
    assert train(table, pictures, tiny(epochs=2), resume=resume).facts == fresh.facts


def test_early_stopping_keeps_the_best_epoch(drawn, tiny):
    """A net stops when validation gets no better and returns the weights of its best epoch."""
    facts = train(*load(drawn), tiny(epochs=30, patience=2, learning_rate=0.03)).facts
    told = (facts["epochs"], facts["best_epochs"], facts["validation_losses"])
    for epochs, best, losses in zip(*told, strict=True):
        assert epochs == len(losses) < 30
        assert best == 1 + int(np.argmin(losses))
        assert epochs - best == 2


def test_every_net_holds_out_other_products(drawn, tiny):
    """Each member's validation pairs are another fold of the products."""
    facts = train(*load(drawn), tiny(epochs=1, members=3, folds=4)).facts
    assert facts["validation_pairs"] == [36, 36, 36]


def test_the_click_branch_predicts_click_rates(drawn, tiny):
    """Over a category's pictures, predicted and observed click rates agree on average."""
    table, pictures = load(drawn)
    model = train(table, pictures, tiny(epochs=10, members=1, pointwise=1.0)).model
    from reward.inputs import Inputs

    with torch.no_grad():
        batch = Inputs.of(table.items, pictures, model.config).batch(np.arange(len(table.items)))
        rate = torch.sigmoid(model(batch)[1]).numpy()
    assert rate.mean() == pytest.approx(table.clicks.sum() / table.impressions.sum(), rel=0.2)
    assert np.corrcoef(rate, table.clicks / table.impressions)[0, 1] > 0.4


def test_texts_alone_are_enough(drawn, other, tiny):
    """Pairs without pictures train on their texts, and the better word wins on new products."""
    table, later = (
        as_texts(read_pairs(one.pairs), seed) for seed, one in enumerate((drawn, other))
    )
    scorer = RewardScorer(train(table, None, tiny(epochs=8, members=1)).model)
    assert not scorer.reads_images
    predicted = scorer.predict(later, None)
    assert evaluate(later, predicted, predicted).numbers["accuracy"] > 0.9


def as_texts(table, seed):
    """Replace pictures by texts of which the winner's says `fresh` and the loser's says `old`."""
    names = [f"item{seed}{row}" for row in range(len(table))]
    return table_from_frame(
        table.frame.with_columns(
            chosen_image=pl.lit(""),
            rejected_image=pl.lit(""),
            chosen_text=pl.Series([f"A fresh thing {name}" for name in names]),
            rejected_text=pl.Series([f"An old thing {name}" for name in names]),
            p_win=pl.lit(0.95),
            weight=pl.lit(0.8),
        )
    )


def test_pictures_and_texts_together(drawn, tiny):
    """Pairs with both are scored by both: changing either changes the score."""
    table, pictures = load(drawn)
    both = table_from_frame(
        table.frame.with_columns(chosen_text=pl.lit("fresh"), rejected_text=pl.lit("old"))
    )
    pictures = pictures_of(both, drawn.images, size=32)
    scorer = RewardScorer(train(both, pictures, tiny(epochs=1)).model)
    items = [both.items[0], both.items[0], both.items[-1]]
    first = scorer.score_items(items, pictures[[0, 1, 0]])
    assert len(set(first.tolist())) == 3


def test_what_cannot_teach_is_refused(drawn, tiny):
    """Pairs that all say nothing are refused, and a model of pictures asks for pictures."""
    table, pictures = load(drawn)
    nothing = table_from_frame(table.frame.with_columns(weight=pl.lit(0.0), p_win=pl.lit(0.5)))
    with pytest.raises(TrainingError, match="every weight is 0"):
        train(nothing, pictures, tiny())
    with pytest.raises(TrainingError, match="neither images nor ad texts"):
        train(table, None, tiny())
    scorer = RewardScorer(train(table, pictures, tiny(epochs=1)).model)
    with pytest.raises(TrainingError, match="--images"):
        scorer.predict(table, None)


def test_saved_models_score_the_same(drawn, tmp_path, tiny):
    """A model that was saved and loaded gives the same scores; a damaged one is refused."""
    table, pictures = load(drawn)
    made = train(table, pictures, tiny(epochs=1))
    save_model(tmp_path / "model", made, metadata={"week": "2026-W48"}, created_at=NOW)
    loaded = RewardScorer.load(tmp_path / "model")
    expected = RewardScorer(made.model).predict(table, pictures)
    np.testing.assert_array_equal(loaded.predict(table, pictures), expected)
    path = tmp_path / "model" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="corrupt"):
        RewardScorer.load(tmp_path / "model")


def test_few_products_train_without_validation(tmp_path, tiny, draw_week):
    """With fewer than four products nothing is held out and every epoch is used."""
    few = draw_week(tmp_path, products=2)
    facts = train(*load(few), tiny(epochs=3)).facts
    assert facts["validation_pairs"] == [0, 0]
    assert facts["epochs"] == facts["best_epochs"] == [3, 3]


def test_nets_of_processes_are_those_of_one(drawn, tmp_path, tiny):
    """Fitted side by side, nets are the same bit for bit, and every step is told."""
    table, pictures = load(drawn)
    alone = train(table, pictures, tiny(epochs=2))
    told = []
    together = train(
        table,
        pictures,
        tiny(epochs=2),
        resume=tmp_path / "state",
        advance=lambda done, total: told.append(done / total),
        workers=2,
    )
    assert told == sorted(told)
    assert told[-1] == 1
    for name, value in weights(alone).items():
        np.testing.assert_array_equal(value, weights(together)[name])
    assert together.facts == alone.facts
    assert not list(tmp_path.iterdir())


def test_a_week_that_counts_nothing_teaches_nothing(drawn, tmp_path, draw_week, tiny):
    """With a share of 0 a week of another taste changes no weight; with 1 it does."""
    table = read_pairs(drawn.pairs)
    sale = draw_week(tmp_path, week="2026-W45", products=24, seed=77, rule="noise").pairs
    both = join_tables([table, read_pairs(sale)])
    pictures = np.zeros((len(both.items), 32, 32, 3), dtype=np.uint8)
    for number, item in enumerate(both.items):
        pictures[number] = int(item.image[:2], 16)
    shares = [(("2026-W45", share),) for share in (0.0, 1.0)]
    turned = both.frame.with_columns(
        p_win=pl.when(pl.col("week") == "2026-W45")
        .then(1 - pl.col("p_win"))
        .otherwise(pl.col("p_win"))
    )
    other = table_from_frame(turned)
    for share, changes in zip(shares, (False, True), strict=True):
        config = tiny(epochs=1, members=1, pointwise=0.0, week_shares=share)
        one, two = (weights(train(rows, pictures, config)) for rows in (both, other))
        same = all(np.array_equal(one[name], two[name]) for name in one if name != "temperature")
        assert same != changes


def test_new_categories_borrow_from_above(trained, drawn):
    """A new category below a known one has its parent's base rate, and no evidence of its own."""
    scorer = RewardScorer(trained.model)
    known = scorer.knows(["beauty/lip", "beauty/eye", "beauty", "toys", ""])
    assert known.tolist() == [True, False, False, False, False]
    table = read_pairs(drawn.pairs)
    from reward.inputs import Inputs

    paths = ["beauty/eye", "beauty", "toys"]
    items = [replace(table.items[0], category=path) for path in paths]
    pictures = np.zeros((3, 32, 32, 3), dtype=np.uint8)
    base = Inputs.of(items, pictures, trained.model.config).base.tolist()
    assert base[0] == base[1] > 0
    assert base[2] == 0


@pytest.mark.slow
def test_bfloat16_learns_the_same_taste(tmp_path, draw_week, tiny):
    """Half as many bits in the sums still find the colour that is clicked; weights stay whole."""
    drawn = draw_week(tmp_path, products=32)
    table = read_pairs(drawn.pairs)
    pictures = pictures_of(table, drawn.images, size=32)
    whole, half = (
        train(table, pictures, tiny(epochs=16, bf16=bf16)).model for bf16 in (False, True)
    )
    assert all(weight.dtype == torch.float32 for weight in half.state_dict().values())
    said = [RewardScorer(model).predict(table, pictures) for model in (whole, half)]
    assert not np.array_equal(*said)
    agree = (said[0] > 0.5) == (said[1] > 0.5)
    assert agree.mean() > 0.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_nets_say_the_same(drawn, tiny):
    """torch.compile changes how fast a net is, and its scores by rounding alone."""
    table, pictures = load(drawn)
    fit = Members.of(table, pictures, tiny(members=1, compiled=True)).fits[0]
    fit.net.train(mode=False)
    batch = fit.inputs.batch(np.arange(12))
    assert fit.run is not fit.net
    with torch.no_grad():
        torch.testing.assert_close(fit.run(batch), fit.net(batch))
