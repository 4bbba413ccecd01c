"""Policies that rest on a snapshot or on rules; what they share with all is in test_policy."""

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import Policy, PolicyRule
from abplatform.domain.targeting import NumberRange
from abplatform.traffic.policies import choose, make_policy
from abplatform.traffic.policies.snapshots import ClickModel, Prior, Seen, Snapshot

NAME = "ab" * 32
KNOWN = Snapshot(
    creatives={
        "plain": Seen("beauty/lip", 4_000, 40),
        "sunny": Seen("beauty/lip", 4_000, 60),
        "misty": Seen("beauty/lip", 1_000, 9),
    },
    priors={"": Prior(10, 990), "beauty": Prior(5, 245), "beauty/lip": Prior(4, 296)},
    model=ClickModel(
        intercept=-4.6,
        categories={"beauty/lip": 0.1},
        creatives={"plain": -0.2, "sunny": 0.2, "misty": 0.0},
        contexts={"channel": {"app": 0.3, "web": -0.3}},
        crossed={"misty": {"channel": {"app": 0.5}}},
    ),
    rewards={"plain": -0.5, "sunny": 1.25, "misty": 1.25},
)
LIP = {"category": "beauty/lip"}


def drawn(name, **scene):
    place = Placement(0, 0, 1, 1)
    return Lineage(name, "p1", "generated", "i", "c", place, scene, "", 1, "studio/1", {}, {})


CREATIVES = {
    "plain": drawn("plain", surface="plaster", mood="calm"),
    "sunny": drawn("sunny", surface="marble", mood="warm"),
    "misty": drawn("misty", surface="marble", mood="calm"),
}
RULES = (
    PolicyRule({"country": ("NO",)}, {"surface": ("snow",)}),
    PolicyRule({"category": ("beauty",), "age": NumberRange(18, 30)}, {"surface": ("marble",)}),
    PolicyRule({"channel": ("app",)}, {"surface": ("marble", "oak"), "mood": ("calm",)}),
)


def made(name, known=KNOWN):
    rules = RULES if name == "rules" else ()
    return make_policy(Policy(name, rules=rules), (NAME, known) if known else None, CREATIVES)


def asked(name, context=LIP, eligible=("plain", "sunny", "misty"), known=KNOWN):
    found = made(name, known).distribution(context, eligible)
    return dict(zip(eligible, found, strict=True))


every_policy = pytest.mark.parametrize(
    "name", ["uniform", "thompson", "contextual", "reward", "rules"]
)


@every_policy
def test_one_creative_is_certain(name):
    """With one eligible creative its probability is exactly 1, known or not."""
    assert asked(name, eligible=("plain",)) == {"plain": 1.0}
    assert asked(name, eligible=("never seen",)) == {"never seen": 1.0}


@every_policy
@settings(max_examples=40, deadline=None)
@given(
    seen=st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.integers(0, 10**6), st.integers(0, 10**4))
    ),
    eligible=st.permutations("abcdef").flatmap(
        lambda names: st.integers(1, 6).map(lambda size: tuple(names[:size]))
    ),
    context=st.dictionaries(
        st.sampled_from(["category", "channel", "country", "age", "segment"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    ),
)
def test_any_question_has_a_distribution(name, seen, eligible, context):
    """Whatever is known and asked, probabilities are in order, not negative, and sum to 1."""
    creatives = {one: Seen("beauty", n + k, k) for one, (n, k) in seen.items()}
    coefficients = {one: math.log((k + 1) / (n + k + 2)) for one, (n, k) in seen.items()}
    known = Snapshot(
        creatives=creatives,
        priors={"": Prior(1, 50)},
        model=ClickModel(intercept=-4.0, creatives=coefficients),
        rewards={one: float(k) for one, (_, k) in seen.items()},
    )
    policy = made(name, known)
    found = policy.distribution(context, eligible)
    assert len(found) == len(eligible)
    assert math.fsum(found) == pytest.approx(1, abs=1e-12)
    assert min(found) >= 0
    # In another order every creative keeps its bits, so strata do not depend on the order.
    turned = policy.distribution(context, eligible[::-1])
    assert turned[::-1] == found


@every_policy
def test_the_same_knowledge_repeats_a_decision(name):
    """A policy made anew of the same snapshot chooses the same creative with the same bits."""
    context, eligible = {**LIP, "channel": "app"}, ("plain", "sunny", "misty")
    for number in range(50):
        one, two = (
            choose(made(name), context, eligible, floor=0.1, decision_id=f"d{number}")
            for _ in range(2)
        )
        assert one == two
    assert made(name).name == name
    assert made(name).snapshot == (NAME if name in {"thompson", "contextual", "reward"} else None)


@every_policy
def test_before_the_first_snapshot_all_are_equally_likely(name):
    """Policies without knowledge choose uniformly and say that they rest on nothing."""
    found = asked(name, known=None)
    assert list(found.values()) == pytest.approx([1 / 3] * 3, abs=1e-12)
    assert made(name, None).snapshot is None


def test_thompson_chooses_by_the_probability_to_be_best():
    """Two creatives are chosen as P(p > q) of their posteriors says, known in closed form."""
    from scipy.special import betaln

    a, b = 4 + 40, 296 + 3960  # plain
    c, d = 4 + 60, 296 + 3940  # sunny
    better = sum(
        math.exp(betaln(a + i, b + d) - math.log(d + i) - betaln(1 + i, d) - betaln(a, b))
        for i in range(c)
    )
    found = asked("thompson", eligible=("plain", "sunny"))
    assert found["sunny"] == pytest.approx(better, abs=1e-9)


def test_thompson_gives_a_new_creative_its_category_prior():
    """An unknown creative has the prior of its category, of the one above, or of all."""
    from abplatform.stats.best import best_probabilities

    for category, (clicks, misses) in {
        "beauty/lip": (4, 296),
        "beauty/eye/liner": (5, 245),
        "toys": (10, 990),
        None: (10, 990),
        7: (10, 990),
    }.items():
        found = asked("thompson", {"category": category}, ("plain", "new"))
        expected = best_probabilities([4 + 40, clicks], [296 + 3960, misses])
        assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-12)


def test_contextual_weights_by_the_inverse_gap():
    """In the app the crossed coefficient makes another creative the best than on the web.

    The probabilities are those of the formula, recomputed here from the coefficients.
    """
    sigma = lambda odds: 1 / (1 + math.exp(-odds))  # noqa: E731 -- the textbook's name
    clicks = 40 + 60 + 9
    for channel, shift, crossed in [("app", 0.3, 0.5), ("web", -0.3, 0.0)]:
        base = -4.6 + 0.1 + shift
        rates = {
            "plain": sigma(base - 0.2),
            "sunny": sigma(base + 0.2),
            "misty": sigma(base + crossed),
        }
        best = max(rates, key=rates.get)
        found = asked("contextual", {**LIP, "channel": channel})
        for name in {*rates} - {best}:
            gap = (rates[best] - rates[name]) / rates[best]
            assert found[name] == pytest.approx(1 / (3 + 2 * math.sqrt(3 * clicks) * gap))
        assert max(found, key=found.get) == best
    assert asked("contextual", {**LIP, "channel": "tv"}) == asked("contextual", LIP)


def test_contextual_is_greedier_the_more_is_known():
    """With a hundredfold of the data the same gap is explored a tenth as often."""
    more = Snapshot(
        creatives={
            name: Seen(seen.category, seen.n * 100, seen.k * 100)
            for name, seen in KNOWN.creatives.items()
        },
        model=KNOWN.model,
    )
    now, later = asked("contextual")["plain"], asked("contextual", known=more)["plain"]
    assert (1 / later - 3) / (1 / now - 3) == pytest.approx(10)


def test_reward_shows_the_highest_score():
    """The highest score takes all; ties share it, and who has no score comes last."""
    assert asked("reward") == {"plain": 0.0, "sunny": 0.5, "misty": 0.5}
    assert asked("reward", eligible=("plain", "new")) == {"plain": 1.0, "new": 0.0}
    assert asked("reward", eligible=("new", "newer")) == {"new": 0.5, "newer": 0.5}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"country": "NO"}, {"plain": 1 / 3, "sunny": 1 / 3, "misty": 1 / 3}),
        ({"country": "NO", "channel": "app"}, {"plain": 0.0, "sunny": 0.0, "misty": 1.0}),
        ({**LIP, "age": 20}, {"plain": 0.0, "sunny": 0.5, "misty": 0.5}),
        ({**LIP, "age": 20, "channel": "app"}, {"plain": 0.0, "sunny": 0.5, "misty": 0.5}),
        ({**LIP, "age": "20"}, {"plain": 1 / 3, "sunny": 1 / 3, "misty": 1 / 3}),
        ({"category": "beautyx", "age": 20}, {"plain": 1 / 3, "sunny": 1 / 3, "misty": 1 / 3}),
    ],
)
def test_the_first_rule_that_holds_and_finds_a_creative_decides(context, expected):
    """Rules are asked in their order; one that finds no creative passes to the next."""
    assert asked("rules", context) == expected


def test_priors_and_scores_do_not_depend_on_the_order_of_asking():
    """What a policy remembers of earlier questions never changes a later answer."""
    for name in ("thompson", "contextual"):
        policy = made(name)
        questions = [
            ({"category": category}, eligible)
            for category in ("beauty/lip", "toys", None)
            for eligible in permutations(["plain", "sunny", "new"], 2)
        ]
        first = [policy.distribution(*question) for question in questions]
        again = [made(name).distribution(*question) for question in reversed(questions)]
        assert first == again[::-1]
