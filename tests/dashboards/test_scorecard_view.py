"""The Scorecard page's facts: one experiment's verdict and what it rests on."""

import json

import polars as pl
import pytest

from abplatform.logs.store.published import TABLES, read_published
from dashboards.scorecard_view import daily_rates, experiment_keys, scorecard_view

SHIPPED = "beauty-generated-2026w47"


def test_analysed_experiments_are_offered_first(published):
    """Experiments with a scorecard come first, the latest start first; drafts come last."""
    assert experiment_keys(published) == [
        "warm-light-2026w48",
        SHIPPED,
        "audio-scenes-2026w46",
        "props-2026w49",
    ]


def test_of_one_day_the_clearest_is_offered_first(publish, published):
    """Of experiments with one start, those with more proven lifts are offered first."""
    experiments = published.table("experiments").with_columns(
        started_at=pl.lit(published.published_at)
    )
    cards = published.table("scorecards").with_columns(verdict=pl.lit("continue"))
    root = publish(experiments=experiments, scorecards=cards, lifts=published.table("lifts"))
    keys = experiment_keys(read_published(root / "data" / "published"))
    assert keys == [SHIPPED, "audio-scenes-2026w46", "warm-light-2026w48", "props-2026w49"]


def test_the_whole_comes_before_its_categories(published):
    """The table of lifts starts with all categories and goes on by name."""
    labels = [row.label for row in scorecard_view(published, SHIPPED).lifts]
    assert labels[0] == "All categories"
    assert labels[1:] == sorted(labels[1:])
    assert len(labels) == 8


def test_shown_numbers_are_the_published_ones(published):
    """The headline's lift, rates and counts are those of the lifts table."""
    view = scorecard_view(published, SHIPPED)
    row = published.table("lifts").filter(experiment=SHIPPED, metric="ctr").row(0, named=True)
    shown = {line.label: (line.shown.text, line.note) for line in view.headlines}
    assert shown["CTR of generated"] == (f"{row['rate_treatment']:.2%}", "5,894 of 259,800")
    assert shown["Lift of CTR"][0] == f"{row['relative_lift']:+.1%}"
    assert shown["Units"] == ("96,012", "users")


def test_every_missing_number_says_why(published):
    """In a slice that cannot be computed every number is missing with the published reason."""
    toys = scorecard_view(published, SHIPPED).lifts[-2]
    assert (toys.label, toys.lift) == ("toys", None)
    assert toys.why == "a rate needs at least two units and a denominator"
    missing = [cell for name, cell in toys.cells.items() if name != "Units"]
    assert {(cell.text, cell.why) for cell in missing} == {("—", toys.why)}


def test_adjusted_p_values_are_shown_where_they_exist(published, publish):
    """A category shows its adjusted p; before it exists the page says that nothing is decided."""
    view = scorecard_view(published, SHIPPED)
    assert view.adjustment == "The p of a category is adjusted for the number of categories."
    lifts = published.table("lifts").with_columns(
        p_adjusted=pl.lit(None, pl.Float64), p_shown=pl.col("p_value")
    )
    root = publish(lifts=lifts, experiments=published.table("experiments"))
    early = scorecard_view(read_published(root / "data" / "published"), SHIPPED)
    assert early.adjustment == "The p of a category is not adjusted yet, so it decides nothing."
    assert early.lifts[2].cells["p"] != view.lifts[2].cells["p"]


def test_categories_carry_the_rules_verdict(published):
    """A category shows what the rules say of it; where they were not asked, nothing."""
    verdicts = {row.label: row.verdict for row in scorecard_view(published, SHIPPED).lifts}
    assert verdicts["beauty/lip"] == "ship"
    assert verdicts["travel"] == "continue"
    assert verdicts["All categories"] is verdicts["toys"] is None


def test_each_treatment_has_its_own_contrast(published):
    """With several treatments the first is shown, and any other can be chosen."""
    first = scorecard_view(published, "warm-light-2026w48")
    assert (first.treatments, first.treatment) == (("warm", "cold"), "warm")
    other = scorecard_view(published, "warm-light-2026w48", treatment="cold")
    assert other.headlines[0].shown.text.startswith("\N{MINUS SIGN}")
    assert other.lifts[0].cells.keys() >= {"studio", "cold"}
    unknown = scorecard_view(published, "warm-light-2026w48", treatment="hot")
    assert unknown.treatment == "warm"


def test_other_metrics_stand_apart(published):
    """Guardrails and other metrics are shown over all categories, apart from the primary one."""
    view = scorecard_view(published, SHIPPED)
    assert [row.label for row in view.others] == ["cvr"]


def test_a_draft_has_no_numbers_but_a_sentence(published):
    """Without a scorecard there is no contrast, and the page says what is missing."""
    view = scorecard_view(published, "props-2026w49")
    assert (view.treatment, view.headlines, view.lifts, view.duels) == (None, (), (), ())
    assert view.ruling.sentence == "No verdict yet: no traffic has been analysed so far."
    assert view.prediction.accuracy.why == "no creatives of one product have been compared yet"


def test_notes_on_unbuilt_fields_stand_apart_from_warnings(published):
    """What is not computed for anybody does not hide what is wrong with this experiment."""
    view = scorecard_view(published, SHIPPED)
    assert view.ruling.warnings == ("12 units were seen in two variants",)
    assert view.ruling.gaps == ("null in every lift: shrunken_lift",)
    assert view.ruling.split.startswith("baseline 48,046 of 48,006 planned")


def test_duels_show_each_product_once_the_surest_first(published):
    """Every product gives one pair of pictures, that with the highest p_win, winner first."""
    duels = scorecard_view(published, SHIPPED).duels
    assert len({duel.title for duel in duels}) == len(duels) == 5
    assert {duel.p_win for duel in duels} == {0.97}
    assert all(duel.winner.source == "generated" for duel in duels)
    assert len(scorecard_view(published, SHIPPED, most_duels=2).duels) == 2


def test_foresight_is_counted_over_pairs_with_two_scores(published):
    """A pair counts as foreseen when the higher score won; equal or missing scores do not count."""
    scores = {
        row["creative_id"]: row["predicted"] for row in published.table("creatives").to_dicts()
    }
    right = wrong = 0
    for pair in published.table("pairs").to_dicts():
        chosen, rejected = scores[pair["chosen_creative"]], scores[pair["rejected_creative"]]
        right += chosen > rejected
        wrong += chosen < rejected
    prediction = scorecard_view(published, SHIPPED).prediction
    assert (prediction.agreed, prediction.pairs) == (right, right + wrong)
    assert prediction.accuracy.text == f"{right / (right + wrong):.0%}"
    assert right * wrong > 0


def test_breakdowns_get_tables_of_their_own(publish, published, table_of):
    """Segments and countries are shown under their own dimension, by level."""
    whole = published.table("lifts").filter(experiment=SHIPPED, metric="ctr").row(0, named=True)
    slices = [whole | {"breakdown": "country", "level": level} for level in ("CN", None)]
    root = publish(
        experiments=published.table("experiments"), lifts=table_of("lifts", [whole, *slices])
    )
    view = scorecard_view(read_published(root / "data" / "published"), SHIPPED)
    assert [row.label for row in view.breakdowns["country"]] == ["CN", "unknown"]
    assert len(view.lifts) == 1


def test_daily_rates_leave_out_days_without_impressions(publish, table_of):
    """CTR by day is clicks over impressions of all categories; an empty day has no rate."""
    row = {"experiment": "lip", "variant": "a", "clicks": 3, "impressions": 100, "units": 9}
    days = [
        row | {"day": pl.Series(["2026-11-02"]).str.to_date()[0]},
        row | {"day": pl.Series(["2026-11-01"]).str.to_date()[0], "impressions": 0, "clicks": 0},
        row | {"day": pl.Series(["2026-11-02"]).str.to_date()[0], "category": "beauty"},
    ]
    root = publish(daily=table_of("daily", days))
    frame = daily_rates(read_published(root / "data" / "published"), "lip")
    assert frame[["variant", "ctr"]].to_dict("records") == [{"variant": "a", "ctr": 0.03}]


@pytest.mark.parametrize("scorecard", [None, "{}", json.dumps({"verdict": None})])
def test_a_bare_scorecard_is_enough(publish, published, scorecard):
    """A scorecard whose JSON lacks details still shows its published columns."""
    cards = published.table("scorecards").with_columns(scorecard=pl.lit(scorecard, pl.String))
    root = publish(
        scorecards=cards.select(TABLES["scorecards"].names()),
        experiments=published.table("experiments"),
        lifts=published.table("lifts"),
    )
    view = scorecard_view(read_published(root / "data" / "published"), SHIPPED)
    assert view.ruling.verdict == "ship"
    assert view.ruling.split == ""
