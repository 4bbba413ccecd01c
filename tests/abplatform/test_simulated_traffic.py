import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from abplatform.domain.assignment import AssignmentPlan, assign, bucket_ranges
from abplatform.domain.catalog import Category, Placement, Product
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.simulation.market import Market
from abplatform.simulation.shoppers import draw_shoppers, visit
from abplatform.simulation.taste import Picture
from abplatform.simulation.traffic import Bots, Exposure, Gallery, simulate_week
from abplatform.simulation.wire import Delivery, write_log

MONDAY = datetime(2026, 8, 31, tzinfo=UTC)
CATEGORIES = ("beauty/lip", "drinks", "home", "toys", "electronics")
WHOLE = (BucketRange(0, 2**32),)


def plan(key, *, targeting=None):
    weights = {"baseline": 50.0, "generated": 50.0}
    phase = Phase(1, MONDAY, None, WHOLE, WHOLE[0], bucket_ranges(weights), weights)
    return AssignmentPlan(key, key, phase, targeting=targeting or {})


def world(seed=3, impressions=30_000):
    draw = np.random.default_rng(0)
    products = [
        Product(f"p{i:02d}", f"title {i}", Category(CATEGORIES[i % 5]), "x.png") for i in range(10)
    ]
    pictures, advertised, shown = {}, {}, {"baseline": {}, "generated": {}}
    for product in products:
        for number in range(4):
            pixels = np.full((64, 64, 3), 232.0)
            if number:
                pixels[:] = draw.integers(40, 240, 3) + draw.normal(0, 12, (64, 64, 3))
            pixels[16:48, 20:44] = draw.integers(0, 256, 3)
            name = f"{product.product_id}-{number}"
            place = Placement(x=20, y=16, width=24, height=32)
            pictures[name] = Picture(np.clip(pixels, 0, 255).astype(np.uint8), place)
            advertised[name] = product.product_id
            variant = "generated" if number else "baseline"
            shown[variant].setdefault(product.product_id, []).append(name)
    market = Market(seed, products, impressions=impressions)
    return market, Gallery(pictures, advertised, shown["baseline"]), shown


def run(market, gallery, shown, **more):
    exposures = [Exposure(plan("gen"), "baseline", shown), Exposure(plan("watch"), "baseline")]
    return simulate_week(market, gallery, exposures, monday=MONDAY, **more)


def test_a_week_comes_from_the_seed_alone():
    """The same seed gives the same week to the last row, another seed another week."""
    first, again, other = run(*world()), run(*world()), run(*world(seed=4))
    assert first.impressions.equals(again.impressions)
    assert not first.impressions.equals(other.impressions)


def test_base_rates_lie_between_one_and_five_percent():
    """For any seed, the plain pictures of every category are clicked 1 to 5 times in a hundred."""
    for seed in range(40):
        market, gallery, shown = world(seed, impressions=1_000)
        rates = market.click_rates(gallery.pictures, gallery.advertised)
        by_category = {}
        for product, (creative,) in shown["baseline"].items():
            of = market.category_of[market.product_index[product]]
            by_category.setdefault(of, []).append(rates[creative])
        assert all(0.01 <= np.mean(found) <= 0.05 for found in by_category.values())


def test_only_pixels_matter():
    """Renaming every creative leaves every click rate where its pixels are."""
    market, gallery, _ = world()
    names = list(gallery.pictures)
    shuffled = dict(zip(names, np.random.default_rng(5).permutation(names), strict=True))
    before = market.click_rates(gallery.pictures, gallery.advertised)
    after = market.click_rates(
        {shuffled[name]: picture for name, picture in gallery.pictures.items()},
        {shuffled[name]: product for name, product in gallery.advertised.items()},
    )
    assert {name: after[shuffled[name]] for name in names} == before
    flat = {
        name: replace(picture, pixels=np.full_like(picture.pixels, 128))
        for name, picture in gallery.pictures.items()
    }
    blind = market.click_rates(flat, gallery.advertised)
    assert all(
        len({blind[name] for name in names if gallery.advertised[name] == product}) == 1
        for product in gallery.default
    )


def test_true_lift_is_what_endless_assignment_finds():
    """Clicks expected over 300 other assignments of the same visits give the true lift."""
    market, gallery, shown = world(impressions=20_000)
    week = run(market, gallery, shown)
    people = week.impressions
    eager = market.shoppers.eagerness[people["unit"].to_numpy()]
    product = people["product"].to_numpy()
    mean = {
        name: np.array(
            [np.mean([week.rates[c] for c in listing[p.product_id]]) for p in market.products]
        )
        for name, listing in shown.items()
    }
    draw = np.random.default_rng(11)
    of = market.category_of[product]
    for true in week.true_lifts("gen", "generated"):
        mine = np.ones(len(of), bool)
        if true.category is not None:
            mine = of == market.categories.index(true.category)
        clicks, seen = np.zeros(2), np.zeros(2)
        for _ in range(300):
            treated = draw.random(len(market.shoppers))[people["unit"].to_numpy()] < 0.5
            for side, (name, who) in enumerate((("baseline", ~treated), ("generated", treated))):
                both = who & mine
                clicks[side] += (eager[both] * mean[name][product[both]]).sum()
                seen[side] += both.sum()
        rate = clicks / seen
        assert rate[1] / rate[0] - 1 == pytest.approx(true.lift, abs=0.03)
        assert rate[0] == pytest.approx(true.control_rate, rel=0.03)


def test_clicks_follow_their_expectation():
    """Realised clicks of each creative lie within five standard errors of what they should be."""
    market, gallery, shown = world(impressions=200_000)
    week = run(market, gallery, shown)
    frame = week.impressions.with_columns(
        chance=pl.Series(
            np.array([week.rates[c] for c in week.creatives])[week.impressions["creative"]]
            * market.shoppers.eagerness[week.impressions["unit"]]
        )
    )
    totals = frame.group_by("creative").agg(
        pl.col("clicked").sum(),
        pl.col("chance").sum().alias("mean"),
        (pl.col("chance") * (1 - pl.col("chance"))).sum().sqrt().alias("deviation"),
    )
    assert ((totals["clicked"] - totals["mean"]).abs() < 5 * totals["deviation"]).all()
    assert set(totals["creative"]) == set(range(40))


def test_an_experiment_that_only_watches_has_no_true_lift():
    """Where an experiment does not choose pictures, its true lift is zero everywhere."""
    week = run(*world(impressions=5_000))
    assert {true.lift for true in week.true_lifts("watch", "generated")} == {0.0}


def test_shoppers_are_uneven_and_come_back():
    """Activity and eagerness are heavy-tailed, and most shoppers come on more than one day."""
    shoppers = draw_shoppers(1, impressions=120_000, popularity=np.full(4, 0.25))
    visits = visit(shoppers, monday=MONDAY, popularity=np.full(4, 0.25), seed=1)
    seen = np.bincount(visits.shopper, minlength=len(shoppers))
    assert len(visits.ts) == pytest.approx(120_000, rel=0.05)
    assert np.percentile(seen, 99) > 6 * np.median(seen)
    assert shoppers.eagerness.std() > 1.0
    day = (visits.ts - int(MONDAY.timestamp()) * 1_000_000) // 86_400_000_000
    assert set(day.tolist()) == set(range(7))
    days = (
        pl.DataFrame({"who": visits.shopper, "day": day})
        .group_by("who")
        .agg(pl.col("day").n_unique())
    )
    assert (days["day"] > 1).mean() > 0.4


def test_the_log_holds_every_event_as_assigned_and_counts_its_faults(tmp_path):
    """Lines are wire events whose variants are those of the hash; faults have the sizes asked."""
    market, gallery, shown = world(impressions=20_000)
    exposures = [
        Exposure(plan("gen"), "baseline", shown),
        Exposure(plan("watch"), "baseline", lost={"generated": 0.3}),
    ]
    week = simulate_week(market, gallery, exposures, monday=MONDAY, bots=Bots(4, 50))
    delivery = Delivery(redelivered=0.05, late=0.05, lost=0.02)
    log = write_log(week, tmp_path, monday=MONDAY, prefix="w", delivery=delivery)
    lines = [line for file in log.files for line in file.read_text().splitlines()]
    assert len(lines) == log.lines
    events = [json.loads(line) for line in lines]
    copies = Counter(event["event_id"] for event in events)
    assert max(copies.values()) == 2
    assert len(lines) - len(copies) == log.redelivered
    assert (len(lines) - len(copies)) / len(copies) == pytest.approx(0.05, abs=0.01)
    unique = {event["event_id"]: event for event in events}.values()
    shows = {e["event_id"]: e for e in unique if e["event_type"] == "impression"}
    clicks = [e for e in unique if e["event_type"] == "click"]
    assert len(shows) / len(week.impressions) == pytest.approx(0.98, abs=0.005)
    assert len(clicks) == week.impressions["clicked"].sum()
    orphans = [e for e in clicks if e["impression_id"] not in shows]
    assert 0 < len(orphans) == log.orphans < 0.06 * len(clicks)
    silent = set()
    for event in shows.values():
        named = {a["experiment"]: a["variant"] for a in event["assignments"]}
        assert named["gen"] == assign(plan("gen"), event["unit_id"]).variant
        assert event["creative_id"] in shown[named["gen"]][event["product_id"]]
        if "watch" not in named:
            silent.add(event["unit_id"])
            assert assign(plan("watch"), event["unit_id"]).variant == "generated"
    assert len(silent) / len({e["unit_id"] for e in shows.values()}) == pytest.approx(
        0.15, abs=0.04
    )
    assert sum("user_agent" in e for e in shows.values()) == pytest.approx(100, abs=10)


def test_targeting_keeps_other_categories_out():
    """An experiment on beauty shows up on impressions of beauty and of nothing else."""
    market, gallery, shown = world(impressions=5_000)
    exposure = Exposure(plan("gen", targeting={"category": ("beauty",)}), "baseline", shown)
    week = simulate_week(market, gallery, [exposure], monday=MONDAY)
    of = market.category_of[week.impressions["product"]]
    assert set(of.tolist()) == {market.categories.index("beauty")}
    assert [true.category for true in week.true_lifts("gen", "generated")] == [None, "beauty"]
