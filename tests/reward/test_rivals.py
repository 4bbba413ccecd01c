"""What a reward model must beat: learned on one side, judged on the other, alike for all."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

from abplatform.cli.main import abp
from abplatform.errors import TrainingError
from reward.dataset import Item, read_pairs, table_from_frame
from reward.pictures import pictures_of
from reward.qualities import judge_qualities, read_qualities
from reward.rivals import RIVALS, Part, choose_rivals, compare, hold_out
from reward.rivals.contest import scores_to_forecast, turn_sides
from reward.rivals.looks import picture_looks, text_looks

LEARNED = ["chance", "colour-histogram", "hand-picture", "boosted", "visual-prior", "caig-concat"]


@pytest.fixture(scope="module")
def part(drawn):
    table = read_pairs(drawn.pairs)
    return Part(table, pictures_of(table, drawn.images))


@pytest.fixture(scope="module")
def standings(part):
    rivals = {name: RIVALS[name].learn for name in LEARNED}
    return {one.name: one for one in compare(part, rivals, hold_out(part.table, folds=3, seed=0))}


def test_nobody_is_judged_on_what_it_learned(part):
    """Every pair is predicted once, by a model that saw none of its component."""
    seen = []

    def spy(learned, held):
        assert not set(learned.table.frame["product_id"]) & set(held.table.frame["product_id"])
        assert len(held.pictures) == len(held.table.items)
        seen.extend(held.table.pair_ids)
        return scores_to_forecast(np.zeros(len(held.table.items)), held.table)

    compare(part, {"spy": spy}, hold_out(part.table, folds=3, seed=1))
    assert sorted(seen) == sorted(part.table.pair_ids)


def test_parts_keep_pictures_with_their_items(part):
    """A part of the pairs has the pictures of its own items, in their order."""
    kept = part.keep(np.arange(len(part.table)) % 3 == 0)
    place = {item: index for index, item in enumerate(part.table.items)}
    for index, item in enumerate(kept.table.items):
        assert (kept.pictures[index] == part.pictures[place[item]]).all()


def test_pictures_teach_what_they_show(standings):
    """Shoppers like warmth here and cold there: trees that know the category see it."""
    chance, trees = (standings[name].numbers for name in ("chance", "boosted"))
    assert chance["accuracy"] == 0.5
    assert trees["accuracy"] > 0.65
    assert standings["boosted"].gain[2] < 0
    assert standings["boosted"].p_value < 0.01


def test_order_matters_to_nobody_but_caig(standings):
    """Exchanging sides changes no answer, except of the model that lays them side by side."""
    for name, one in standings.items():
        same = one.numbers["accuracy"] == one.numbers["accuracy_swapped"]
        assert same or name == "caig-concat", name


def test_the_drawn_order_goes_with_the_pair(part):
    """Which side comes first is the same wherever a pair stands in its file, and about half."""
    table = part.table
    first, last = np.linspace(0, 0.4, len(table)), np.linspace(0.6, 1, len(table))
    there = turn_sides(table, first, last).there
    assert 0.3 < (there == first).mean() < 0.7
    order = np.random.default_rng(3).permutation(len(table))
    mixed = table_from_frame(table.frame[order])
    np.testing.assert_array_equal(turn_sides(mixed, first[order], last[order]).there, there[order])


def test_the_first_is_held_against_nobody(standings):
    """Only the others have a lead to catch up; equal models have none, with p = 1."""
    assert standings["chance"].gain is None
    assert all(one.gain is not None for name, one in standings.items() if name != "chance")


def test_a_model_equals_itself(part):
    rival = RIVALS["colour-histogram"].learn
    _, twin = compare(part, {"one": rival, "two": rival}, hold_out(part.table, folds=3, seed=0))
    assert twin.gain == (0, 0, 0)
    assert twin.p_value == 1


def test_the_same_seed_says_the_same(part, standings):
    """Networks too: learning again gives the very same numbers."""
    rivals = {name: RIVALS[name].learn for name in ("visual-prior", "caig-concat", "boosted")}
    for one in compare(part, rivals, hold_out(part.table, folds=3, seed=0)):
        assert one.numbers["log_loss"] == standings[one.name].numbers["log_loss"]


def test_only_what_the_pairs_allow_is_chosen(part):
    """Without texts nothing that reads texts runs; naming it is one clear error."""
    chosen = choose_rivals(part)
    assert "caig-concat" in chosen
    assert not {"longer", "frozen-encoder", "texts-only", "reward-marginal"} & set(chosen)
    with pytest.raises(TrainingError, match="'longer' needs"):
        choose_rivals(part, ["longer"])
    assert "colour-histogram" not in choose_rivals(Part(part.table, None))


def test_too_few_products_are_refused(part):
    few = part.keep(np.isin(part.table.frame["product_id"], ["p000", "p001"]))
    with pytest.raises(TrainingError, match="at least four products"):
        hold_out(few.table, folds=3, seed=0)
    with pytest.raises(TrainingError, match="24 components, fewer than 25 folds"):
        hold_out(part.table, folds=25, seed=0)


def test_features_are_numbers_whatever_is_looked_at():
    """Plain pictures and empty texts have features too."""
    plain = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 255)]).astype(np.uint8)
    assert np.isfinite(picture_looks(plain)).all()
    items = [Item("", "", text, "", "", "", "") for text in ("", "Why THIS? 7 tricks!")]
    looks = text_looks(items)
    assert np.isfinite(looks).all()
    assert looks[1, 0] == len("Why THIS? 7 tricks!")
    assert looks[0].sum() == 0


def test_qualities_are_held_against_clicks(drawn):
    """The truth as a score wins nearly always; luck wins half; what never varies says nothing."""
    table = read_pairs(drawn.pairs)
    draw = np.random.default_rng(1)
    scores = {
        "truth": drawn.appeal,
        "luck": {name: float(draw.normal()) for name in drawn.appeal},
        "same": dict.fromkeys(drawn.appeal, 1.0),
    }
    truth, luck, same = judge_qualities(table, scores)
    assert truth.accuracy > 0.9
    assert truth.low > 0.8
    assert luck.low < 0 < luck.high
    assert same.accuracy == 0.5
    assert same.correlation is None


def test_correlation_is_spearmans(drawn):
    """Within one product it is scipy's."""
    table = read_pairs(drawn.pairs)
    alone = table.keep((table.frame["product_id"] == "p003").to_numpy())
    draw = np.random.default_rng(2)
    score = {item.creative: float(draw.normal()) for item in alone.items}
    (found,) = judge_qualities(alone, {"luck": score})
    rates = alone.clicks / alone.impressions
    expected = spearmanr([score[item.creative] for item in alone.items], rates).statistic
    assert found.correlation == pytest.approx(expected)
    assert found.low is None


def test_qualities_come_from_tables_and_lineage(tmp_path):
    """A CSV, a Parquet file and a lineage say the same; missing values are left out."""
    frame = pl.DataFrame({"creative_id": ["a", "b"], "calm": [0.5, None], "name": ["x", "y"]})
    frame.write_csv(tmp_path / "scores.csv")
    frame.write_parquet(tmp_path / "scores.parquet")
    rows = [
        {"creative_id": "a", "inspector": {"scores": {"calm": 0.5}}},
        {"creative_id": "b", "inspector": {}},
    ]
    (tmp_path / "lineage.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("scores.csv", "scores.parquet", "lineage.jsonl"):
        assert read_qualities(tmp_path / name) == {"calm": {"a": 0.5}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a,b\n1,2\n", "no scores"), ("creative_id,calm\na,1\na,2\n", "several rows")],
)
def test_bad_qualities_are_refused(tmp_path, text, problem):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(TrainingError, match=problem):
        read_qualities(path)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_qualities(tmp_path / "missing.parquet")


def test_the_command_prints_a_table_and_json(drawn, tmp_path):
    """`abp reward compare` names every model, and says the same as JSON; bad names are usage."""
    scores = tmp_path / "scores.csv"
    pl.DataFrame(
        {"creative_id": list(drawn.appeal), "appeal": list(drawn.appeal.values())}
    ).write_csv(scores)
    call = ["reward", "compare", "--pairs", str(drawn.pairs), "--images", str(drawn.images)]
    call += ["--models", "colour-histogram,chance", "--qualities", str(scores), "--folds", "3"]
    runner = CliRunner()
    told = runner.invoke(abp, call)
    assert told.exit_code == 0, told.output
    assert "colour-histogram" in told.output
    assert "appeal" in told.output
    found = json.loads(runner.invoke(abp, [*call, "--json"]).stdout)
    assert [row["model"] for row in found["models"]] == ["colour-histogram", "chance"]
    assert found["models"][0]["first_is_better_by"] is None
    assert found["qualities"][0]["accuracy"] > 0.9
    bad = runner.invoke(abp, [*call[:-4], "--models", "oracle"])
    assert bad.exit_code == 2
    assert "no such model: oracle" in bad.output
