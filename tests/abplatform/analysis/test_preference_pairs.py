"""Preference pairs: their schema, whose clicks they hold, and how sure they are."""

from collections import defaultdict
from datetime import timedelta
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.pairs import (
    PAIR_SCHEMA,
    Shelf,
    drop_withdrawn,
    keep_pairs,
    preference_pairs,
    week_of,
)
from abplatform.analysis.scorecard import Question
from abplatform.analysis.verdict import analyze
from abplatform.domain.catalog import Category, Lineage, Placement, Product
from abplatform.domain.experiment import Learning
from abplatform.logs.store.published import TABLES
from abplatform.stats.pairs import ProductCounts, design_effect, win_probabilities
from abplatform.stats.ratio import RatioSums

COLUMNS = (
    "pair_id experiment week product_id category title attributes chosen_creative "
    "rejected_creative chosen_image rejected_image chosen_text rejected_text p_win weight "
    "impressions_chosen clicks_chosen impressions_rejected clicks_rejected warning"
)


def shared_table(product, order, users):
    """The K x K tables of co-impressions and co-clicks, by plain loops over users."""
    nn, kk, kn = (np.zeros((len(order), len(order))) for _ in range(3))
    for seen in users[product].values():
        for a, b in combinations(range(len(order)), 2):
            if order[a] in seen and order[b] in seen:
                (n_a, k_a), (n_b, k_b) = seen[order[a]], seen[order[b]]
                nn[a, b] += n_a * n_b
                kk[a, b] += k_a * k_b
                kn[a, b] += k_a * n_b
                kn[b, a] += k_b * n_a
    mirror = np.triu(nn).T
    return nn + mirror, kk + np.triu(kk).T, kn


def slow_p_win(rows):
    """p_win of every ordered pair of creatives, from rows, by plain loops."""
    users = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: [0, 0])))
    tops = {}
    for row in rows:
        cell = users[row["product_id"]][row["unit_id"]][row["creative_id"]]
        cell[0] += 1
        cell[1] += row["clicked"]
        tops[row["product_id"]] = row["category"].split("/")[0]
    found = {}
    for top in sorted(set(tops.values())):
        products = sorted(product for product in tops if tops[product] == top)
        sums, counts, orders = [], [], []
        for product in products:
            cells = defaultdict(list)
            for seen in users[product].values():
                for creative, cell in seen.items():
                    cells[creative].append(tuple(cell))
            order = sorted(cells)
            mine = [RatioSums.of_units(*zip(*cells[name], strict=True)) for name in order]
            nn, kk, kn = shared_table(product, order, users)
            impressions, clicks = (np.array([getattr(s, x) for s in mine], float) for x in "nk")
            counts.append(
                ProductCounts(impressions, clicks, shared_nn=nn, shared_kk=kk, shared_kn=kn)
            )
            sums += mine
            orders.append(order)
        wins = win_probabilities(counts, design_effect=design_effect(sums))
        for product, order, win in zip(products, orders, wins, strict=True):
            for a, b in combinations(range(len(order)), 2):
                found[product, order[a], order[b]] = win[a, b]
                found[product, order[b], order[a]] = win[b, a]
    return found


def test_pairs_have_the_columns_of_the_contract(show, make, draw):
    """The frame has the contract's columns in order, and the published table has the same."""
    with show(draw(users=300)) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36")
    assert pairs.columns == COLUMNS.split()
    assert pairs.schema == PAIR_SCHEMA == TABLES["pairs"]


def test_every_two_creatives_of_a_product_are_one_pair_with_its_own_p_win(show, make, draw):
    """p_win, counts and weight equal a slow computation from the rows, shared users included."""
    rows = draw(users=500, products=6)
    with show(rows) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36")
    expected = slow_p_win(rows)
    assert len(pairs) == len(expected) / 2 == 6 * 6
    seen, clicks = defaultdict(int), defaultdict(int)
    for row in rows:
        seen[row["creative_id"]] += 1
        clicks[row["creative_id"]] += row["clicked"]
    for pair in pairs.iter_rows(named=True):
        chosen, rejected = pair["chosen_creative"], pair["rejected_creative"]
        assert pair["p_win"] == pytest.approx(
            expected[pair["product_id"], chosen, rejected], abs=1e-9
        )
        assert pair["p_win"] >= 0.5
        assert pair["weight"] == pytest.approx((2 * pair["p_win"] - 1) ** 2 * 2 / 4)
        assert (pair["impressions_chosen"], pair["clicks_chosen"]) == (seen[chosen], clicks[chosen])
        assert pair["impressions_rejected"] == seen[rejected]


def test_pair_ids_do_not_depend_on_the_winner(show, make, draw):
    """Swapping all clicks between two creatives swaps the sides and keeps the ids."""
    rows = draw(users=200, products=1)
    creatives = sorted({row["creative_id"] for row in rows})[:2]
    rows = [row for row in rows if row["creative_id"] in creatives]
    ids, winners = [], []
    for winner in creatives:
        clicked = [{**row, "clicked": int(row["creative_id"] == winner)} for row in rows]
        with show(clicked) as warehouse:
            pairs = preference_pairs(warehouse, make(), week="2026-W36")
        ids.append(pairs["pair_id"].item())
        winners.append(pairs["chosen_creative"].item())
    assert ids[0] == ids[1]
    assert winners == creatives


def test_pairs_rest_on_final_rows(show, make, draw, start):
    """Rows whose clicks may still come are not in the counts."""
    rows = draw(users=300)
    watermark = start + timedelta(days=8)
    settled = sum(row["ts"] + timedelta(hours=96) <= watermark for row in rows)
    with show(rows, watermark=watermark) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36")
        later = preference_pairs(
            warehouse, make(), week="2026-W36", question=Question(as_of=start + timedelta(days=5))
        )
    chosen = pairs.select("chosen_creative", "impressions_chosen")
    rejected = pairs.select("rejected_creative", "impressions_rejected")
    counts = dict([*chosen.iter_rows(), *rejected.iter_rows()])
    assert sum(counts.values()) == settled
    assert later["impressions_chosen"].sum() < pairs["impressions_chosen"].sum()


@pytest.mark.parametrize("days", [8, 60])
def test_the_creatives_of_a_scorecard_are_not_compared_again(show, make, draw, run, days):
    """Its pairs are those of the rows, be some provisional or none, and ask the store nothing."""
    with show(draw(users=300), watermark=run.started_at + timedelta(days=days)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
        fresh = preference_pairs(warehouse, make(), week="2026-W36")
        with warehouse.overheard() as heard:
            pairs = preference_pairs(warehouse, make(), week="2026-W36", scorecard=scorecard)
    assert pairs.equals(fresh)
    assert len(pairs)
    assert {answer.name for answer in heard} == {"portable/creative_texts"}


def test_an_invalid_experiment_teaches_nothing(show, make, draw, run):
    """With a broken split there is no pair."""
    with show(draw(weights=(0.3, 0.7))) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
        pairs = preference_pairs(warehouse, make(), week="2026-W36", scorecard=scorecard)
    assert scorecard.decision.verdict == "invalid"
    assert pairs.is_empty()
    assert pairs.schema == PAIR_SCHEMA


def test_close_pairs_are_left_out_where_the_yaml_says_so(show, make, draw):
    """With min_p_win 0.8, exactly the pairs at or above it remain."""
    rows = draw(users=400, lift=2.0)
    with show(rows) as warehouse:
        everything = preference_pairs(warehouse, make(), week="2026-W36")
        sure = preference_pairs(warehouse, make(learning=Learning(min_p_win=0.8)), week="2026-W36")
    assert 0 < len(sure) < len(everything)
    assert sure.equals(everything.filter(pl.col("p_win") >= 0.8))


def test_titles_pictures_and_texts_come_from_the_shelf(show, make, draw):
    """Known products and creatives bring title, attributes, image and text; others are null."""
    rows = draw(users=200, products=2)
    known = next(row["creative_id"] for row in rows if row["product_id"] == "p0")
    lineage = Lineage(
        creative_id=known,
        product_id="p0",
        source="generated",
        image_sha256="0" * 64,
        cutout_sha256="0" * 64,
        placement=Placement(0, 0, 1, 1),
        scene={},
        prompt="",
        seed=1,
        renderer="studio/1",
        checkpoints={},
        inspector={},
        text="Soft and bright",
    )
    lipstick = Product("p0", "Lipstick", Category("beauty/lip"), "a.png", {"colour": "röt"})
    shelf = Shelf({"p0": lipstick}, {known: lineage})
    with show(rows) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36", shelf=shelf)
    mine = pairs.filter(product_id="p0", chosen_creative=known).to_dicts() + [
        {"chosen_image": row["rejected_image"], "chosen_text": row["rejected_text"]}
        for row in pairs.filter(product_id="p0", rejected_creative=known).to_dicts()
    ]
    assert mine
    assert all(
        (row["chosen_image"], row["chosen_text"]) == (known, "Soft and bright") for row in mine
    )
    titles = dict(pairs.select("product_id", "title").iter_rows())
    assert titles == {"p0": "Lipstick", "p1": None}
    assert pairs.filter(product_id="p0")["attributes"].unique().to_list() == ['{"colour": "röt"}']


def test_a_withdrawn_creative_only_loses(show, make, draw, tmp_path):
    """Pairs that it won are left out, those that it lost stay as they were, kept files too."""
    with show(draw(users=400, lift=2.0)) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36")
        name = pairs["chosen_creative"][0]
        loser = pairs.filter(pl.col("chosen_creative") == name)["rejected_creative"][0]
        shelf = Shelf(withdrawn={name, loser})
        left = preference_pairs(warehouse, make(), week="2026-W36", shelf=shelf)
    assert 0 < len(left) < len(pairs)
    expected = pairs.filter(~pl.col("chosen_creative").is_in([name, loser]))
    assert left.equals(expected)
    path = tmp_path / "2026-W36.parquet"
    keep_pairs(path, pairs, experiment="e")
    assert drop_withdrawn([path], {"unknown"}) == 0
    assert drop_withdrawn([path], {name, loser}) == len(pairs) - len(left)
    assert pl.read_parquet(path).equals(expected)


def test_a_file_keeps_what_other_experiments_wrote(show, make, draw, tmp_path):
    """Writing twice changes nothing, and other experiments' pairs stay."""
    path = tmp_path / "pairs" / "2026-W36.parquet"
    with show(draw(users=200)) as warehouse:
        pairs = preference_pairs(warehouse, make(), week="2026-W36")
    other = pairs.with_columns(experiment=pl.lit("other"))
    keep_pairs(path, other, experiment="other")
    keep_pairs(path, pairs, experiment="e")
    first = path.read_bytes()
    keep_pairs(path, pairs, experiment="e")
    assert path.read_bytes() == first
    assert pl.read_parquet(path)["experiment"].value_counts().sort("experiment").rows() == [
        ("e", len(pairs)),
        ("other", len(other)),
    ]


def test_the_week_is_that_of_the_last_exposure(show, make, draw, run):
    """An experiment belongs to the ISO week in which it was last seen."""
    from zoneinfo import ZoneInfo

    with show(draw(users=200)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert week_of(scorecard, ZoneInfo("UTC")) == "2026-W37"
