"""The Creatives page's facts: filters, order, numbers and lineage."""

import json

from abplatform.logs.store.published import read_published
from dashboards.creatives_view import Filters, choices, creative_cards


def test_filters_offer_what_occurs(published):
    """The filters offer the experiments, products and sources that have creatives."""
    offered = choices(published)
    assert offered.experiments == ("beauty-generated-2026w47",)
    assert offered.sources == ("baseline", "generated")
    assert len(offered.products) == 6


def test_filters_narrow_together(published):
    """Several filters admit only creatives that fit all of them; none admits all."""
    assert len(creative_cards(published, Filters())) == 18
    cards = creative_cards(published, Filters(product="Paper lamp", source="generated"))
    assert {(card.title, card.source) for card in cards} == {("Paper lamp", "generated")}
    assert len(cards) == 2
    assert creative_cards(published, Filters(experiment="none")) == []


def test_over_all_experiments_each_creative_comes_once(publish, table_of):
    """A creative of two experiments is shown as in the one that showed it most."""
    row = {"creative_id": "ab", "product_id": "p", "variant": "v", "source": "baseline"}
    rows = [
        row | {"experiment": key, "impressions": seen, "clicks": 1, "ctr": 1 / seen}
        for key, seen in (("small", 10), ("large", 900), ("middle", 90))
    ]
    root = publish(creatives=table_of("creatives", rows))
    published = read_published(root / "data" / "published")
    assert [card.experiment for card in creative_cards(published, Filters())] == ["large"]
    small = creative_cards(published, Filters(experiment="small"))
    assert [card.impressions.text for card in small] == ["10"]


def test_a_creative_without_the_ordering_number_comes_last(published):
    """Cards are ordered by the chosen number, downwards, those without it at the end."""
    for order in ("ctr_low", "ctr", "impressions", "predicted"):
        column = published.table("creatives").get_column(order)
        expected = sorted(column.drop_nulls(), reverse=True)
        cards = creative_cards(published, Filters(order=order))
        numbers = dict(published.table("creatives").select("creative_id", order).iter_rows())
        shown = [numbers[card.creative_id] for card in cards]
        assert shown == expected + [None] * column.null_count()
    titles = [card.title for card in creative_cards(published, Filters(order="title"))]
    assert titles == sorted(titles)


def test_missing_numbers_say_why(published):
    """A creative that nobody saw has no CTR, one without a model no prediction, each with why."""
    unseen = next(c for c in creative_cards(published, Filters()) if c.impressions.text == "0")
    assert (unseen.ctr.text, unseen.ctr.why) == ("—", "not seen yet")
    assert unseen.predicted.why == "no reward model had scored it"
    assert unseen.interval == ""


def test_lineage_leads_from_prompt_to_pixels(published):
    """A generated creative tells its prompt, scene, renderer, seed, inspector and models."""
    cards = creative_cards(published, Filters(product="Velvet lip tint", source="generated"))
    lineage = cards[0].lineage
    assert lineage["Prompt"] == "Velvet lip tint on a wooden table, soft morning light"
    assert lineage["Scene"] == "surface: oak, light: morning"
    assert (lineage["Renderer"], lineage["Seed"]) in {("studio/1", "1"), ("studio/1", "2")}
    assert lineage["Inspector"] == "usable, fits the product, contrast 0.83"
    assert lineage["Models"] == f"reward: {'ef' * 6}"


def test_a_creative_of_unknown_origin_has_no_lineage(published):
    """Without a lineage row the card has none, and everything else is shown."""
    bare = [card for card in creative_cards(published, Filters()) if not card.lineage]
    assert [card.source for card in bare] == ["baseline"]


def test_refusals_and_seed_zero_are_told(publish, table_of):
    """An inspector's reasons are part of the lineage, and a seed of 0 is a seed."""
    lineage = {
        "seed": 0,
        "inspector": {
            "usable": False,
            "match": False,
            "reasons": ["product_hidden"],
            "scores": None,
        },
    }
    row = {
        "experiment": "lip",
        "variant": "generated",
        "creative_id": "ab",
        "product_id": "p1",
        "source": "generated",
        "impressions": 0,
        "lineage": json.dumps(lineage),
    }
    root = publish(creatives=table_of("creatives", [row]))
    card = creative_cards(read_published(root / "data" / "published"), Filters())[0]
    assert card.lineage == {
        "Seed": "0",
        "Inspector": "not usable, does not fit the product, product hidden",
    }
    assert (card.title, card.category) == ("product p1", "no category")


def test_standing_against_the_control_comes_from_the_scorecard(published):
    """A compared creative says whether it is better, with its probability; a baseline does not."""
    cards = creative_cards(published, Filters())
    assert {card.standing for card in cards if card.source == "baseline"} == {None}
    generated = [card for card in cards if card.source == "generated"]
    found = {(card.standing, card.p_win, card.p_win_explored) for card in generated}
    assert found == {("better", 0.99, 0.91), ("unclear", 0.5, None)}
