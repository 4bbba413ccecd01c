from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from abplatform.domain.assignment import (
    BUCKETS,
    AssignmentPlan,
    assign,
    bucket_ranges,
    share_range,
)
from abplatform.domain.events import decode_event
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.traffic.decisions import Request, decide
from abplatform.traffic.policies import choose_uniformly

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
WEIGHTS = {"base": 50.0, "gen": 50.0}
ELIGIBLE = {"base": ["plain"], "gen": ["sunny", "misty"]}


def plan_of(*, traffic=1.0, **others):
    whole = BucketRange(0, BUCKETS)
    ranges = bucket_ranges(WEIGHTS)
    phase = Phase(1, AT, None, (whole,), share_range(traffic), ranges, WEIGHTS)
    return AssignmentPlan("exp", "exp", phase, **others)


def decided(plan, unit, *, eligible=ELIGIBLE, rng=None):
    request = Request(f"d-{unit}", unit, AT, "p1", "beauty/lip", {"country": "CN"})
    rng = rng or np.random.default_rng(1)
    return decide(plan, request, eligible=eligible, control="base", rng=rng)


def test_record_is_a_decision_of_the_wire():
    """What is recorded can be landed: it decodes as a decision event of schema 1."""
    plan = plan_of()
    for unit in map(str, range(20)):
        event = decode_event(msgspec.json.encode(decided(plan, unit)))
        assert event.all_assignments[0].variant == assign(plan, unit).variant
        assert event.creative_id in ELIGIBLE[event.all_assignments[0].variant]
        assert event.propensity == 1 / len(ELIGIBLE[event.all_assignments[0].variant])


def test_nothing_to_show_is_held():
    """A variant without an eligible creative holds the unit, which keeps its assignment."""
    record = decided(plan_of(), "u", eligible={})
    assert record["action"] == "hold"
    assert len(record["assignments"]) == 1
    assert "creative_id" not in record


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (plan_of(traffic=0.0), "ramp"),
        (plan_of(holdout=1.0), "holdout"),
        (plan_of(targeting={"country": ("DE",)}), "targeting"),
        (plan_of(running=False), "not_running"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_outsiders_see_the_control(plan, reason):
    """A unit outside the experiment has no assignment, the reason why, and the baseline."""
    record = decided(plan, "u")
    assert (record["assignments"], record["reason"]) == ([], reason)
    assert record["creative_id"] == "plain"


def test_uniform_policy_is_uniform():
    """Each of three creatives is drawn a third of the time, within four standard errors."""
    rng = np.random.default_rng(7)
    drawn = [choose_uniformly(["a", "b", "c"], rng).creative_id for _ in range(3_000)]
    for name in "abc":
        assert abs(drawn.count(name) - 1_000) < 4 * (3_000 * 2 / 9) ** 0.5


def test_uniform_policy_needs_something():
    """Without an eligible creative the policy chooses none."""
    assert choose_uniformly([], np.random.default_rng(0)) is None
