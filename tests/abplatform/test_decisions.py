from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from abplatform.domain.assignment import (
    BUCKETS,
    AssignmentPlan,
    assign,
    bucket_ranges,
    share_range,
)
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.events import decode_event
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.traffic.config import EMPTY, Config, ServedExperiment
from abplatform.traffic.decisions import (
    Request,
    RequestContext,
    decide,
    impression_of,
    new_decision_id,
)
from abplatform.traffic.policies import Uniform

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
WHOLE = BucketRange(0, BUCKETS)
WEIGHTS = {"base": 50.0, "gen": 50.0}
BASELINES = {"p1": ("plain",), "p2": ("plain2",)}
EXCLUDED = {"odd": "rejected"}
OWN = {
    "base": BASELINES,
    "gen": {"p1": ("sunny", "odd", "misty")},
}


def made(name, product, source="generated"):
    place = Placement(0, 0, 1, 1)
    return Lineage(name, product, source, "i", "c", place, {}, "", 0, "studio/1", {}, {})


CREATIVES = {
    "plain": made("plain", "p1", "baseline"),
    "plain2": made("plain2", "p2", "baseline"),
    "sunny": made("sunny", "p1"),
    "misty": made("misty", "p1"),
}


def plan_of(key="exp", layer="feed", *, traffic=1.0, slots=WHOLE, **others):
    ranges = bucket_ranges(WEIGHTS)
    phase = Phase(1, AT, None, (slots,), share_range(traffic), ranges, WEIGHTS)
    return AssignmentPlan(key, layer, phase, **others)


def config_of(*plans, floor=0.0, own=OWN, **others):
    served = {
        plan.experiment_key: ServedExperiment(
            plan,
            "base",
            "0" * 64,
            own,
            EXCLUDED,
            dict.fromkeys(WEIGHTS, Uniform()),
            {"base": 0, "gen": floor},
        )
        for plan in plans
    }
    return Config(
        "v1",
        served,
        {"feed": tuple(served)},
        BASELINES,
        EXCLUDED,
        CREATIVES,
        {"p1": "beauty/lip", "p2": "home"},
        {"beauty": ("p1",), "beauty/lip": ("p1",), "home": ("p2",)},
        **others,
    )


def decided(config, unit="u", *, number=0, asked=None, **request):
    context = asked or RequestContext(product_ids=["p1"], country="CN")
    request = {"experiment": "exp", **request}
    return decide(
        config,
        Request(unit_id=unit, context=context, **request),
        decision_id=f"d{number}-{unit}",
        at=AT,
    )


def units(count=40):
    return [f"u{number}" for number in range(count)]


def test_record_is_a_decision_of_the_wire():
    """What is recorded can be landed: it decodes as a decision event with its assignment."""
    plan = plan_of()
    for unit in units():
        event = decode_event(msgspec.json.encode(decided(config_of(plan), unit)))
        (stands,) = event.all_assignments
        assert stands.variant == assign(plan, unit).variant
        shown = [name for name in OWN[stands.variant]["p1"] if name not in EXCLUDED]
        assert event.creative_id in shown
        assert event.propensity == 1 / len(shown)


def test_a_decision_can_be_repeated_from_its_record():
    """Config, request, id and moment give the same record again, byte for byte."""
    config = config_of(plan_of(), floor=0.3)
    for unit in units():
        first, again = (msgspec.json.encode(decided(config, unit)) for _ in range(2))
        assert first == again


def test_record_says_what_was_not_eligible_and_why():
    """A creative that was left out stands in the record with its reason."""
    record = next(r for u in units() if (r := decided(config_of(plan_of()), u)).excluded)
    assert record.excluded == {"odd": "rejected"}
    assert record.eligible == ("sunny", "misty")


def test_a_product_named_twice_is_one_product():
    """Its creatives are eligible once, so that the propensity is the chance of what is shown."""
    config = config_of(plan_of())
    for unit in units():
        once = decided(config, unit)
        twice = RequestContext(product_ids=["p1", "p1"], country="CN")
        assert decided(config, unit, asked=twice) == once


def test_the_category_is_that_of_a_product_that_is_known():
    """An unknown product in front leaves what targeting and policy are told as the record says."""
    asked = RequestContext(product_ids=["p9", "p1"], country="CN")

    class Told(Uniform):
        def distribution(self, context, eligible):
            assert context["category"] == "beauty/lip"
            return super().distribution(context, eligible)

    config = config_of(plan_of())
    served = replace(config.experiments["exp"], policies=dict.fromkeys(WEIGHTS, Told()))
    record = decided(replace(config, experiments={"exp": served}), asked=asked)
    assert (record.category, record.asked_category) == ("beauty/lip", None)


def test_the_choice_is_as_likely_as_the_record_says():
    """Over many decisions each creative is shown as often as its propensity, within 4 s.e."""
    unit = next(u for u in units() if assign(plan_of(), u).variant == "gen")
    config = config_of(plan_of(), floor=0.3)
    records = [decided(config, unit, number=number) for number in range(4_000)]
    shown = sum(record.creative_id == "sunny" for record in records)
    assert abs(shown - 2_000) < 4 * (4_000 * 0.25) ** 0.5
    explored = sum(record.explored for record in records)
    assert abs(explored - 1_200) < 4 * (4_000 * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (plan_of(traffic=0.0), "ramp"),
        (plan_of(holdout=1.0), "holdout"),
        (plan_of(targeting={"country": ("DE",)}), "targeting"),
        (plan_of(running=False), "not_running"),
        (plan_of(slots=BucketRange(0, 0)), "layer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_outsiders_see_the_original_baseline(plan, reason):
    """A unit outside the experiment has no assignment, the reason why, and the baseline."""
    record = decided(config_of(plan))
    assert (record.assignments, record.reason) == ([], reason)
    assert record.creative_id == "plain"


@pytest.mark.parametrize(
    "config", [EMPTY, config_of(), config_of(plan_of(), halted=True)], ids=["empty", "none", "halt"]
)
def test_without_an_experiment_it_falls_back(config):
    """No config, an unknown experiment and the kill switch all give an unassigned fallback."""
    record = decided(config)
    assert (record.assignments, record.reason) == ([], "fallback")
    assert record.action == ("hold" if config is EMPTY else "show")
    decode_event(msgspec.json.encode(record))


def test_a_layer_asks_the_experiment_that_owns_the_slot():
    """With a layer each unit is decided by the one experiment whose slots hold it."""
    half = BUCKETS // 2
    plans = [
        plan_of("a", slots=BucketRange(0, half)),
        plan_of("b", slots=BucketRange(half, BUCKETS)),
    ]
    found = {
        unit: decided(config_of(*plans), unit, experiment=None, layer="feed") for unit in units()
    }
    assert {record.allocation.experiment for record in found.values()} == {"a", "b"}
    for record in found.values():
        own = record.allocation.experiment
        assert (record.allocation.layer_bucket < half) == (own == "a")
        assert [one.experiment for one in record.assignments] == [own]


def test_a_product_without_creatives_of_its_own_shows_its_baseline():
    """Where a variant has nothing for a product, its unit sees the baseline and stays assigned."""
    unit = next(u for u in units() if assign(plan_of(), u).variant == "gen")
    record = decided(config_of(plan_of()), unit, asked=RequestContext(product_ids=["p2"]))
    assert (record.creative_id, record.product_id, record.category) == ("plain2", "p2", "home")
    assert [one.variant for one in record.assignments] == ["gen"]


def test_nothing_to_show_is_held():
    """Without any creative the unit is held, and keeps its assignment."""
    record = decided(config_of(plan_of()), asked=RequestContext(product_ids=["p9"]))
    assert (record.action, record.creative_id, len(record.assignments)) == ("hold", None, 1)
    assert impression_of(record) is None


def test_category_stands_for_its_products():
    """A request without products is about those of its category and of what lies below."""
    record = decided(config_of(plan_of()), asked=RequestContext(category="beauty"))
    assert record.product_id == "p1"


def test_forced_units_are_marked():
    """A forced decision shows the variant asked for, with the reason forced."""
    for wanted in WEIGHTS:
        record = decided(config_of(plan_of()), force={"exp": wanted})
        assert (record.reason, record.assignments[0].variant) == ("forced", wanted)


def test_stratum_tells_propensities_apart():
    """Decisions share a stratum exactly when creatives and probabilities are the same."""
    gen = [u for u in units() if assign(plan_of(), u).variant == "gen"]
    one, two = (decided(config_of(plan_of()), unit) for unit in gen[:2])
    assert one.stratum == two.stratum
    other = {**OWN, "gen": {"p1": ("sunny",)}}
    assert decided(config_of(plan_of(), own=other), gen[0]).stratum != one.stratum


def test_impression_is_the_same_however_often_it_is_made():
    """The impression of a decision is one event of the wire, standing where the decision stands."""
    record = decided(config_of(plan_of()))
    lines = {msgspec.json.encode(impression_of(record)) for _ in range(2)}
    event = decode_event(lines.pop())
    assert not lines
    assert (event.decision_id, event.creative_id) == (record.decision_id, record.creative_id)
    assert event.all_assignments == record.assignments
    assert (event.stratum, event.propensity) == (record.stratum, record.propensity)


def test_decision_ids_ascend_with_time():
    """Ids are UUIDs of version 7, distinct, and sort by their millisecond."""
    made_at = [AT + timedelta(milliseconds=number) for number in range(50)]
    ids = [new_decision_id(at) for at in made_at]
    assert ids == sorted(ids)
    assert {(UUID(one).version, UUID(one).variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert len({new_decision_id(AT) for _ in range(1_000)}) == 1_000
