import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from abplatform.domain.assignment import (
    BUCKETS,
    AssignmentPlan,
    Reason,
    assign,
    assign_many,
    bucket,
    bucket_ranges,
    buckets,
    explain,
    reweighted_ranges,
    share_range,
    unit_hash,
    unit_slice,
    unit_slices,
)
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.domain.targeting import NumberRange, targets

VECTORS = json.loads((Path(__file__).parent / "vectors/assignment.json").read_text("utf-8"))
START = datetime(2026, 11, 2, tzinfo=UTC)
UNITS = [f"user-{number}" for number in range(20_000)]

unit_ids = st.text(max_size=300)
weights = st.lists(st.integers(1, 1000), min_size=1, max_size=6).map(
    lambda numbers: {f"v{index}": number / 8 for index, number in enumerate(numbers)}
)


def plan_of(*, variants, slots=((0, BUCKETS),), traffic=1.0, holdout=0.0, **others):
    phase = Phase(
        number=1,
        starts_at=START,
        ends_at=None,
        slots=tuple(BucketRange(*slot) for slot in slots),
        exposure=share_range(traffic),
        variants=bucket_ranges(variants),
        weights=variants,
    )
    return AssignmentPlan("exp", "feed", phase, holdout=holdout, **others)


def test_published_buckets_hold():
    """Every published bucket and slice comes out of one unit and of a vector alike."""
    rows = pl.DataFrame(VECTORS["buckets"])
    assert len(rows) > 200
    assert unit_slices(rows["unit_id"]).tolist() == rows["unit_slice"].to_list()
    for (salt,), of_salt in rows.group_by("salt"):
        assert buckets(of_salt["unit_id"], salt).tolist() == of_salt["bucket"].to_list()
    for row in rows.iter_rows(named=True):
        assert bucket(row["unit_id"], row["salt"]) == row["bucket"]
        assert unit_slice(row["unit_id"]) == row["unit_slice"]


def plan_of_case(case):
    """A published allocation as a plan."""
    phase = case["phase"]
    return AssignmentPlan(
        case["experiment"],
        case["layer"],
        Phase(
            number=phase["number"],
            starts_at=START,
            ends_at=None,
            slots=tuple(BucketRange(*slot) for slot in phase["slots"]),
            exposure=BucketRange(*phase["exposure"]),
            variants={
                name: tuple(BucketRange(*owned) for owned in ranges)
                for name, ranges in phase["variants"].items()
            },
            weights={},
        ),
        running=case["running"],
        holdout=case["holdout"],
        targeting={
            name: tuple(told)
            if isinstance(told, list)
            else NumberRange(**told)
            if isinstance(told, dict)
            else told
            for name, told in case["targeting"].items()
        },
        forced=case["forced"],
    )


@pytest.mark.parametrize("case", VECTORS["assignments"], ids=lambda case: case["about"])
def test_published_assignments_hold(case):
    """Every published answer comes out of its allocation: asked alone, in a vector, explained."""
    plan = plan_of_case(case)
    names = (*plan.phase.variants, None)
    for row in case["units"]:
        unit, context = row["unit_id"], row.get("context")
        given = assign(plan, unit, context)
        assert [given.variant, given.reason] == [row["variant"], row["reason"]]
        assert (given.bucket, given.layer_bucket) == (row["bucket"], row["layer_bucket"])
        assert names[assign_many(plan, [unit], context)[0]] == row["variant"]
        assert answer_of(explain(plan, unit, context)) == (row["variant"], row["reason"])


def test_published_assignments_show_every_reason():
    """The vectors hold each reason there is, and variants of several ranges."""
    cases = VECTORS["assignments"]
    reasons = {row["reason"] for case in cases for row in case["units"]}
    assert reasons == set(get_args(Reason))
    assert any(len(held) > 1 for case in cases for held in case["phase"]["variants"].values())


def answer_of(walk):
    """What the steps of an explanation come to: variant and reason."""
    last = [step for step in walk if step.asked][-1]
    if last.outcome == "decides":
        return last.variant, "assigned" if last.name == "variant" else "forced"
    return None, "not_running" if last.name == "running" else last.name


def test_hand_checkable_vectors():
    """The hash is the published XXH3: the empty key's digest at seed 0, seeded by the salt."""
    assert xxhash.xxh3_64_intdigest(b"") == 0x2D06800538D394C2
    assert unit_hash("", "") == xxhash.xxh3_64_intdigest(b"", seed=0x2D06800538D394C2)
    assert bucket("u", "s") == unit_hash("u", "s") >> 32


@given(st.lists(unit_ids, max_size=8), st.text(max_size=40))
def test_one_and_many_agree(ids, salt):
    """Any text, the empty and emoji among it, gets one bucket and slice however it is asked."""
    assert buckets(ids, salt).tolist() == [bucket(unit_id, salt) for unit_id in ids]
    assert unit_slices(pl.Series(ids, dtype=pl.String)).tolist() == [unit_slice(i) for i in ids]


@given(unit_ids, st.text(max_size=40))
def test_definition(unit_id, salt):
    """The bucket is the high half of xxh3 seeded by the salt's xxh3; the slice is mod 4096."""
    seed = xxhash.xxh3_64_intdigest(salt.encode())
    assert bucket(unit_id, salt) == xxhash.xxh3_64_intdigest(unit_id.encode(), seed) // 2**32
    sliced = xxhash.xxh3_64_intdigest(unit_id.encode(), xxhash.xxh3_64_intdigest(b"slice"))
    assert unit_slice(unit_id) == sliced % 4096


@pytest.mark.parametrize("ask", [lambda unit: bucket(unit, "s"), lambda unit: buckets([unit], "s")])
def test_lone_surrogate_is_refused(ask):
    """An id without a UTF-8 form is refused by both ways rather than hashed two ways."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        ask("user-\ud800")


def test_null_unit_is_refused():
    """A null among many ids is named, never given a bucket."""
    with pytest.raises(ValueError, match="1 of 2 unit ids are null"):
        buckets(pl.Series(["a", None]), "s")


@given(weights)
def test_ranges_partition_the_buckets(by_variant):
    """Variants own adjoining ranges from 0 to 2^32, each as wide as its weight says, to one."""
    ranges = [owned for (owned,) in bucket_ranges(by_variant).values()]
    assert ranges[0].low == 0
    assert ranges[-1].high == BUCKETS
    assert all(left.high == right.low for left, right in pairwise(ranges))
    total = sum(by_variant.values())
    for owned, weight in zip(ranges, by_variant.values(), strict=True):
        assert abs((owned.high - owned.low) - BUCKETS * weight / total) <= 1


def test_bounds_are_floors_of_the_written_weights():
    """Thirds written as 33.3, 33.3 and 33.4 give the bounds that a person works out."""
    (first,), (second,), (third,) = bucket_ranges({"a": 33.3, "b": 33.3, "c": 33.4}).values()
    assert (first.high, second.high) == (2**32 * 333 // 1000, 2**32 * 666 // 1000)
    assert (third.low, third.high) == (second.high, 2**32)
    assert share_range(0.05) == BucketRange(0, 2**32 // 20)


@pytest.mark.parametrize("bad", [{"a": 0.0}, {"a": 2.0, "b": -1.0}, {}])
def test_impossible_weights_are_refused(bad):
    """Weights that are negative or nought in all are refused."""
    with pytest.raises(ValueError, match="weights"):
        bucket_ranges(bad)


CONTEXTS = st.sampled_from([None, {}, {"age": 17}, {"age": 18}, {"age": "18"}])


@settings(max_examples=30)
@given(
    st.lists(weights, min_size=1, max_size=3),
    st.lists(st.integers(0, BUCKETS), min_size=2, max_size=6, unique=True).map(sorted),
    st.tuples(st.floats(0, 1), st.floats(0, 0.5)),
    st.booleans(),
    CONTEXTS,
)
def test_one_many_and_the_explanation_agree(by_variant, cuts, shares, running, context):
    """Under any allocation a unit gets the same alone, in a vector, and explained step by step."""
    names = tuple(by_variant[-1])
    plan = plan_of(
        variants=by_variant[0],
        slots=list(zip(cuts[::2], cuts[1::2], strict=False)),
        traffic=shares[0],
        holdout=shares[1],
        running=running,
        targeting={"age": NumberRange(min=18)},
        forced={"user-1": names[0], "user-2": "nobody", "": names[-1]},
    )
    ranges = plan.phase.variants
    for changed in by_variant[1:]:
        ranges = reweighted_ranges(ranges, changed)
    plan = replace(plan, phase=replace(plan.phase, variants=ranges))
    some = ["", *UNITS[:100]]
    alone = [assign(plan, unit, context) for unit in some]
    together = assign_many(plan, some, context)
    assert [(*names, None)[index] for index in together] == [one.variant for one in alone]
    for one in alone:
        walk = explain(plan, one.unit_id, context)
        assert answer_of(walk) == (one.variant, one.reason)
        hashed = {step.name: step.bucket for step in walk}
        assert (hashed["variant"], hashed["layer"]) == (one.bucket, one.layer_bucket)


def test_weights_become_shares():
    """Of 20,000 units each variant gets its share within four standard errors."""
    plan = plan_of(variants={"a": 20.0, "b": 30.0, "c": 50.0})
    counts = np.bincount(assign_many(plan, UNITS), minlength=3)
    for count, share in zip(counts, (0.2, 0.3, 0.5), strict=True):
        assert abs(count - 20_000 * share) < 4 * (20_000 * share * (1 - share)) ** 0.5


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted), st.floats(0, 0.9))
def test_ramping_up_keeps_everyone(shares, holdout):
    """Along any rising ramp units only join; whoever is in keeps the variant."""
    two, some = {"a": 50.0, "b": 50.0}, UNITS[:2000]
    steps = [
        assign_many(plan_of(variants=two, traffic=share, holdout=holdout), some) for share in shares
    ]
    for low, high in pairwise(steps):
        assert (high[low >= 0] == low[low >= 0]).all()


def test_more_traffic_reaches_more_units():
    """A share of traffic is the share of units that are in, within four standard errors."""
    for share in (0.05, 0.4):
        exposed = assign_many(plan_of(variants={"a": 1.0}, traffic=share), UNITS) >= 0
        assert abs(exposed.sum() - 20_000 * share) < 4 * (20_000 * share * (1 - share)) ** 0.5


def test_first_exclusion_is_the_reason():
    """Holdout stands before layer, layer before targeting, targeting before ramp."""
    shut = {"slots": (), "traffic": 0.0, "targeting": {"country": ("CN",)}}
    two = {"a": 50.0, "b": 50.0}
    abroad = {"country": "DE"}
    reasons = [
        assign(plan_of(variants=two, holdout=1.0, **shut), "u", abroad).reason,
        assign(plan_of(variants=two, **shut), "u", abroad).reason,
        assign(plan_of(variants=two, **shut | {"slots": ((0, BUCKETS),)}), "u", abroad).reason,
        assign(plan_of(variants=two, traffic=0.0), "u", abroad).reason,
        assign(plan_of(variants=two, running=False), "u", abroad).reason,
        assign(plan_of(variants=two), "u", abroad).reason,
    ]
    assert reasons == ["holdout", "layer", "targeting", "ramp", "not_running", "assigned"]


def test_targeting_admits_what_lies_below():
    """`beauty` admits `beauty/lip`, not `beautyx`; an unknown dimension does not admit."""
    only_beauty = {"category": ("beauty",)}
    assert targets(only_beauty, {"category": "beauty/lip"})
    assert not targets(only_beauty, {"category": "beautyx"})
    assert not targets(only_beauty, {})
    assert targets(only_beauty, None)
    everywhere_else = plan_of(variants={"a": 1.0}, targeting=only_beauty)
    assert assign_many(everywhere_else, ["u"], {"category": "shoes"}).tolist() == [-1]


@pytest.mark.parametrize(
    ("condition", "admitted", "refused"),
    [
        (NumberRange(min=18, below=65), [18, 64.9, 20.0], [17.9, 65, "20", True, None, "adult"]),
        (NumberRange(min=18), [18, 1e12], [-1, False]),
        (NumberRange(below=0), [-0.5], [0, 0.0]),
        (True, [True], [False, 1, "true", None]),
        (False, [False], [True, 0, "", None]),
        (("gold", "silver"), ["gold", "silver", "gold/plus"], ["Gold", "goldplus", 1, True, None]),
    ],
    ids=["range", "min", "below", "true", "false", "texts"],
)
def test_conditions_are_typed(condition, admitted, refused):
    """A condition admits values of its own type alone: "20" is no number, and true is not 1."""
    assert [v for v in [*admitted, *refused] if targets({"x": condition}, {"x": v})] == admitted
    assert not targets({"x": condition}, {})


def owners(ranges):
    return sorted((held.low, held.high, name) for name, them in ranges.items() for held in them)


def overlap(one, two):
    return sum(
        max(0, min(mine.high, theirs.high) - max(mine.low, theirs.low))
        for name in one.keys() & two.keys()
        for mine in one[name]
        for theirs in two[name]
    )


@given(st.lists(weights, min_size=2, max_size=5))
def test_reweighting_moves_as_little_as_can_be(steps):
    """After any number of re-weightings all buckets are owned once, and each step moved the least.

    The least is what the growing variants lack: the sum of max(0, new width - old width).
    """
    ranges = bucket_ranges(steps[0])
    for step in steps[1:]:
        before, ranges = ranges, reweighted_ranges(ranges, step)
        owned = [one for one in owners(ranges) if one[0] < one[1]]
        assert owned[0][0] == 0
        assert owned[-1][1] == BUCKETS
        assert all(low[1] == high[0] for low, high in pairwise(owned))
        width = {name: sum(h.high - h.low for h in them) for name, them in ranges.items()}
        was = {name: sum(h.high - h.low for h in them) for name, them in before.items()}
        plain = bucket_ranges(step)
        assert width == {name: held.high - held.low for name, (held,) in plain.items()}
        lacking = sum(max(0, size - was.get(name, 0)) for name, size in width.items())
        assert BUCKETS - overlap(before, ranges) == lacking


def test_dropping_a_variant_moves_its_own_units_alone():
    """Whoever was in another variant stays there."""
    before = bucket_ranges({"a": 40, "b": 30, "c": 30})
    after = reweighted_ranges(before, {"a": 60, "c": 40})
    for name in ("a", "c"):
        assert overlap({name: before[name]}, {name: after[name]}) == sum(
            held.high - held.low for held in before[name]
        )


def test_every_condition_has_to_admit():
    """A context takes part when every condition admits it, and not when one does not."""
    conditions = {"country": ("CN",), "age": NumberRange(min=18), "premium": True}
    context = {"country": "CN", "age": 30, "premium": True}
    assert targets(conditions, context)
    for name in conditions:
        assert not targets(conditions, {**context, name: None})


def test_forced_units_get_their_variant_whatever_else_holds():
    """A forced unit has its variant past holdout, layer, targeting and ramp, one and many."""
    shut = {"slots": (), "traffic": 0.0, "holdout": 1.0, "targeting": {"country": ("CN",)}}
    plan = plan_of(variants={"a": 50.0, "b": 50.0}, forced={"qa": "b", "x": "gone"}, **shut)
    assert assign(plan, "qa", {"country": "DE"})[1:3] == ("b", "forced")
    assert assign(plan, "x", {"country": "DE"}).reason == "holdout"
    for context in (None, {"country": "DE"}):
        assert assign_many(plan, ["u", "qa", "x"], context).tolist() == [-1, 1, -1]


def test_nobody_is_forced_into_what_does_not_run():
    """A paused experiment shows nothing of itself, not even to forced units."""
    plan = plan_of(variants={"a": 50.0, "b": 50.0}, forced={"qa": "b"}, running=False)
    assert assign(plan, "qa").reason == "not_running"
    assert assign_many(plan, ["qa"]).tolist() == [-1]


def test_a_million_units_fall_independently():
    """Slot, ramp, holdout and variants of two experiments: by chi-square no pair tells the other.

    Ten pairs of salts in eight by eight fields, at a level of 1e-4 for each.
    """
    million = pl.Series(np.arange(1_000_000)).cast(pl.String)
    salts = ("holdout:global", "layer:feed", "ramp:a", "experiment:a", "experiment:b")
    eighths = [buckets(million, salt) // (BUCKETS // 8) for salt in salts]
    for left, right in combinations(eighths, 2):
        table = np.bincount(left * 8 + right, minlength=64).reshape(8, 8)
        assert chi2_contingency(table).pvalue > 1e-4
    for one in eighths:
        assert chisquare(np.bincount(one, minlength=8)).pvalue > 1e-4


def test_a_layer_shares_no_unit():
    """Experiments in one layer take disjoint units, and all its shares together everybody."""
    slots = [(0, BUCKETS // 3), (BUCKETS // 3, BUCKETS // 2), (BUCKETS // 2, BUCKETS)]
    owned = [
        assign_many(replace(plan_of(variants={"a": 1.0}, slots=[slot]), experiment_key=key), UNITS)
        for key, slot in zip("abc", slots, strict=True)
    ]
    assert (sum((own >= 0).astype(int) for own in owned) == 1).all()


def test_phase_with_a_gap_is_an_error():
    """A phase that leaves a bucket to nobody is named, never answered with a variant."""
    phase = Phase(1, START, None, (BucketRange(0, BUCKETS),), BucketRange(0, BUCKETS), {}, {})
    with pytest.raises(ValueError, match="leaves bucket"):
        assign(AssignmentPlan("exp", "feed", phase), "u")


def test_import_is_light():
    """Importing assignment loads neither numpy nor polars."""
    code = (
        "import sys, abplatform.domain.assignment;"
        "sys.exit(bool({'numpy', 'polars', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
