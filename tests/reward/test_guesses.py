"""Pairs whose labels a model has guessed."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from abplatform.cli.main import abp
from abplatform.errors import TrainingError
from reward.dataset import deal_folds, read_pairs, table_from_frame
from reward.guesses import add_guesses, check_kinds, join_pictures, shares_nothing
from reward.members import Members
from reward.pictures import pictures_of


@pytest.fixture
def weeks(tmp_path, draw_week):
    """Draw a week with labels and one whose labels nobody has."""
    return (
        draw_week(tmp_path, products=12, creatives=3),
        draw_week(tmp_path, week="2026-W49", products=8, creatives=3),
    )


def test_guesses_teach_and_decide_nothing(weeks, tiny):
    """They are never held out, tell no clicks, and hang together with what they share."""
    known, new = (read_pairs(week.pairs) for week in weeks)
    joined = add_guesses(known, new, np.full(len(new), 0.8))
    assert joined.is_guessed.sum() == len(new)
    assert set(joined.p_win[joined.is_guessed]) == {0.8}
    at = {item.creative: index for index, item in enumerate(joined.items)}
    assert all(joined.impressions[at[item.creative]] == 0 for item in new.items)
    pictures = join_pictures(
        joined,
        [
            (known, pictures_of(known, weeks[0].images, size=32)),
            (new, pictures_of(new, weeks[1].images, size=32)),
        ],
    )
    np.testing.assert_array_equal(pictures, pictures_of(joined, weeks[0].images, size=32))
    fits = Members.of(joined, pictures, tiny()).fits
    folds = deal_folds(joined, count=3, seed=0)
    for number, fit in enumerate(fits):
        assert not (fit.held & joined.is_guessed).any()
        assert not (fit.learned & (folds == number)).any()
        assert (fit.learned & joined.is_guessed).any()


def test_pairs_that_have_labels_are_not_guessed(weeks):
    """The same pair among the unlabelled ones is left out."""
    known = read_pairs(weeks[0].pairs)
    assert not add_guesses(known, known, np.full(len(known), 0.5)).is_guessed.any()


def test_labels_of_unlabelled_pairs_are_not_looked_at(weeks, tmp_path):
    """Exchanged winners among them leave every byte of the model as it is."""
    turned = pl.read_parquet(weeks[1].pairs).with_columns(p_win=1 - pl.col("p_win"), weight=0.1)
    turned.write_parquet(tmp_path / "turned.parquet")
    made = []
    for name, path in (("one", weeks[1].pairs), ("two", tmp_path / "turned.parquet")):
        words = ["reward", "train", "--pairs", str(weeks[0].pairs), "--out", str(tmp_path / name)]
        words += ["--images", str(weeks[0].images), "--unlabelled", str(path), "--epochs", "2"]
        run = CliRunner().invoke(abp, [*words, "--json"])
        assert run.exit_code == 0, run.output
        assert json.loads(run.stdout)["guessed"] == 24
        made.append((tmp_path / name / "model.safetensors").read_bytes())
        assert not list((tmp_path / name).glob(".*"))
    assert made[0] == made[1]


@pytest.mark.slow
def test_models_that_guess_are_compared(weeks):
    """`abp reward compare --unlabelled` adds one, judged on the same pairs as all others."""
    words = ["reward", "compare", "--pairs", str(weeks[0].pairs), "--images", str(weeks[0].images)]
    words += ["--models", "reward,reward-augmented", "--folds", "2", "--json"]
    run = CliRunner().invoke(abp, [*words, "--unlabelled", str(weeks[1].pairs)])
    assert run.exit_code == 0, run.output
    found = {one["model"]: one for one in json.loads(run.stdout)["models"]}
    assert list(found) == ["reward", "reward-augmented", "reward-guessed"]
    assert {one["pairs"] for one in found.values()} == {36}
    assert len({one["log_loss"] for one in found.values()}) == 3


def test_what_is_held_out_teaches_no_guess(weeks):
    """Unlabelled pairs that share a product, a picture, a text or an id are known by it."""
    held, more = (read_pairs(week.pairs) for week in weeks)
    other = more.frame.with_columns(product_id="new-" + pl.col("product_id"))
    assert shares_nothing(table_from_frame(other), held).all()
    assert not shares_nothing(more, held).any()  # both weeks show the same products
    theirs = held.frame.row(0, named=True)
    for name, value in (
        ("pair_id", theirs["pair_id"]),
        ("product_id", theirs["product_id"]),
        ("chosen_image", theirs["rejected_image"]),
        ("rejected_image", theirs["rejected_image"]),
    ):
        first = pl.int_range(pl.len()) == 0
        changed = other.with_columns(pl.when(first).then(pl.lit(value)).otherwise(name).alias(name))
        found = shares_nothing(table_from_frame(changed), held)
        assert not found[0]
        assert found[1:].all()


def test_guesses_of_another_kind_are_refused(weeks, tmp_path):
    """Before anything is trained: pairs that lack what is read, and losses that need clicks."""
    known, new = (read_pairs(week.pairs) for week in weeks)
    bare = new.frame.with_columns(chosen_image=pl.lit(""), chosen_text=pl.lit("words"))
    with pytest.raises(TrainingError, match="no image"):
        check_kinds(known, table_from_frame(bare), images=True)
    told = known.frame.with_columns(chosen_text=pl.lit("one"), rejected_text=pl.lit("two"))
    with pytest.raises(TrainingError, match="no ad text"):
        check_kinds(table_from_frame(told), new, images=True)
    words = ["reward", "train", "--pairs", str(weeks[0].pairs), "--out", str(tmp_path / "out")]
    words += ["--images", str(weeks[0].images), "--unlabelled", str(weeks[1].pairs)]
    for loss in ("marginal", "difference"):
        run = CliRunner().invoke(abp, [*words, "--loss", loss])
        assert run.exit_code == 2
        assert "guesses are no clicks" in run.output
    assert not (tmp_path / "out").exists()
