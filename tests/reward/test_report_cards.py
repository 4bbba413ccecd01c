"""Report cards: intervals hold for honest models, and models that have gone stale are found."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from abplatform.checkpoints.report_cards import (
    Grade,
    ReportCard,
    find_alarms,
    keep_card,
    read_cards,
)
from abplatform.errors import CheckpointError
from reward.dataset import table_from_frame
from reward.grading import grade

CREATIVES = 4


def draw_pairs(rng, *, noise, honest=1.0, products=40):
    """Draw a week whose truth is ``honest`` times what a model says of it.

    Utilities are the model's scores plus Gumbel noise, and the log shows them with normal noise;
    p_win is the posterior of a normal prior with the utilities' variance.
    """
    rows, scores = [], {}
    for product in range(products):
        score = rng.normal(0, 1, CREATIVES)
        truth = honest * score + rng.gumbel(size=CREATIVES)
        seen = truth + rng.normal(0, noise, CREATIVES)
        prior = honest**2 + np.pi**2 / 6
        shrink = prior / (prior + noise**2)
        for first in range(CREATIVES):
            scores[f"{product}-{first}"] = score[first]
            for second in range(first + 1, CREATIVES):
                gap = (seen[first] - seen[second]) * shrink
                p_first = ndtr(gap / np.sqrt(2 * noise**2 * shrink))
                sides = (first, second) if p_first >= 0.5 else (second, first)
                rows.append(_pair(product, *sides, max(p_first, 1 - p_first)))
    table = table_from_frame(pl.DataFrame(rows))
    return table, np.array([scores[item.creative] for item in table.items])


def _pair(product, chosen, rejected, p_win):
    row = {"pair_id": f"{product}-{chosen}-{rejected}", "product_id": str(product)}
    row |= {"category": f"c{product % 2}", "experiment": "e", "week": "2026-W49", "p_win": p_win}
    row |= {"title": "", "attributes": "", "segment": "", "guessed": False, "weight": 1.0}
    for side, creative in (("chosen", chosen), ("rejected", rejected)):
        name = f"{product}-{creative}"
        row |= {f"{side}_creative": name, f"{side}_text": name, f"{side}_image": ""}
        row |= {f"impressions_{side}": 0, f"clicks_{side}": 0}
    return row


def card(week, *, below=False, pairs=100, category_below=False, category_pairs=50):
    grades = (
        Grade(None, pairs, 0.7, 0.6, 0.8, 0.5 if below else 0.7),
        Grade("home", category_pairs, 0.7, 0.6, 0.8, 0.5 if category_below else 0.7),
    )
    return ReportCard(week, "a" * 64, grades)


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_honest_models_fall_into_their_interval(noise):
    """A model that is right about itself is called too sure in few weeks, at any noise of the log.

    The promise is a little low where labels are unsure, as what is clear to the model is also
    clearer in the log than its p_win says; so false alarms are rarer than one week in forty.
    """
    rng = np.random.default_rng(1)
    first = [grade(*draw_pairs(rng, noise=noise))[0] for _ in range(40)]
    assert sum(one.is_below for one in first) <= 3
    assert sum(one.realised > one.high for one in first) <= 8
    gap = np.mean([one.realised - one.predicted for one in first])
    assert abs(gap) < 0.03
    width = np.mean([one.high - one.low for one in first]) / 3.92
    assert np.std([one.realised for one in first]) == pytest.approx(width, rel=0.35)


def test_models_that_know_nothing_are_found():
    """Where the truth has nothing to do with the model, most weeks fall below its interval."""
    rng = np.random.default_rng(2)
    found = [grade(*draw_pairs(rng, noise=0.4, honest=0.0))[0].is_below for _ in range(20)]
    assert sum(found) >= 16


def test_pairs_of_one_creative_make_the_interval_wider():
    """Six pairs of four creatives say less than six pairs of twelve: their interval is wider."""
    rng = np.random.default_rng(3)
    table, score = draw_pairs(rng, noise=0.2)
    lone = table_from_frame(
        table.frame.with_columns(
            product_id=pl.col("pair_id"),
            chosen_text=pl.col("pair_id") + pl.col("chosen_text"),
            rejected_text=pl.col("pair_id") + pl.col("rejected_text"),
            chosen_creative=pl.col("pair_id") + pl.col("chosen_creative"),
            rejected_creative=pl.col("pair_id") + pl.col("rejected_creative"),
        )
    )
    alone = np.empty(len(lone.items))
    for side in ("chosen", "rejected"):
        alone[getattr(lone, side)] = score[getattr(table, side)]
    together, apart = grade(table, score)[0], grade(lone, alone)[0]
    assert together.predicted == pytest.approx(apart.predicted)
    assert together.high - together.low > 1.1 * (apart.high - apart.low)


def test_categories_stand_beside_the_whole():
    """Every category has its row; together they are the whole, and the same call says the same."""
    table, score = draw_pairs(np.random.default_rng(4), noise=0.5)
    every, *parts = grade(table, score)
    assert [one.category for one in parts] == ["c0", "c1"]
    assert every.pairs == sum(one.pairs for one in parts) == len(table)
    realised = sum(one.pairs * one.realised for one in parts) / len(table)
    assert every.realised == pytest.approx(realised)
    assert grade(table, score)[0] == every
    ties = grade(table, np.zeros(len(score)))[0]
    assert ties.predicted == ties.realised == 0.5
    assert ties.low == pytest.approx(0.5)
    assert not ties.is_below


def test_two_weeks_below_raise_an_alarm():
    """One week below is chance; two in a row are not, and a week between makes it good again."""
    bad, good = "2026-W49", "2026-W50"
    assert find_alarms([]) == ()
    assert find_alarms([card(bad, below=True)]) == ()
    assert find_alarms([card(bad, below=True), card(good)]) == ()
    both = find_alarms([card(good, below=True), card(bad, below=True)])
    assert len(both) == 1
    assert both[0].index("2026-W49") < both[0].index("2026-W50")
    assert find_alarms([card("2026-W48", below=True), card(bad, below=True), card(good)]) == ()


def test_a_large_category_raises_it_alone():
    """A category with 200 pairs below its interval needs no second week; a small one does."""
    assert find_alarms([card("2026-W49", category_below=True, category_pairs=199)]) == ()
    alarms = find_alarms([card("2026-W49", category_below=True, category_pairs=200)])
    assert len(alarms) == 1
    assert "home" in alarms[0]


def test_cards_are_kept_and_found_again(tmp_path):
    """What is kept is read back, oldest first, by model; keeping it again changes nothing."""
    cards = [card("2026-W50"), card("2026-W49"), replace(card("2026-W49"), checkpoint="b" * 64)]
    for one in [*cards, cards[0]]:
        keep_card(tmp_path, one)
    assert read_cards(tmp_path, "a" * 64) == [cards[1], cards[0]]
    assert len(read_cards(tmp_path)) == 3
    assert read_cards(tmp_path / "none") == []


@pytest.mark.parametrize(
    "text", ["", "{}", '{"week": "2026-W49", "checkpoint": "a", "grades": []}']
)
def test_a_damaged_card_is_refused(tmp_path, text):
    """A card that is no card is one clear error that names the file."""
    keep_card(tmp_path, card("2026-W49"))
    path = next((tmp_path / "cards").iterdir())
    path.write_text(text)
    with pytest.raises(CheckpointError, match="abp retrain"):
        read_cards(tmp_path)


def test_cards_are_plain_json(tmp_path):
    """Other programs can read a card."""
    keep_card(tmp_path, card("2026-W49", below=True))
    found = json.loads(next((tmp_path / "cards").iterdir()).read_text())
    assert found["grades"][0]["below"] is True
    assert found["week"] == "2026-W49"
