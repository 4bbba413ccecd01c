"""The verdict grammar."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.domain.verdict_rules import FACTS, parse_rule
from abplatform.errors import SpecError

EVERY_WORLD = [
    dict(zip(FACTS, truth, strict=True))
    for truth in itertools.product([True, False], repeat=len(FACTS))
]


def _python(rule, facts):
    """Judge a rule by Python's own and/or/not: the oracle."""
    for name, value in facts.items():
        rule = rule.replace(name, str(value))
    return eval(rule, {"__builtins__": {}})  # noqa: S307  # the oracle reads only our own texts


_RULES = st.recursive(
    st.sampled_from(sorted(FACTS)),
    lambda inner: st.one_of(
        inner.map(lambda rule: f"not {rule}"),
        inner.map(lambda rule: f"({rule})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
    ),
    max_leaves=8,
).filter(lambda rule: len(rule) <= 500)


@given(_RULES)
def test_a_rule_means_what_python_would_say(text):
    """In every one of the 32 worlds a rule holds exactly when Python's precedence says so."""
    rule = parse_rule(text)
    for facts in EVERY_WORLD:
        assert rule.holds(facts) == _python(text, facts)


def test_a_rule_names_the_facts_it_asks_for():
    """A rule knows its facts, so that a verdict can give them as reasons."""
    rule = parse_rule("not (primary.loses or guardrails.harmed) and primary.wins")
    assert rule.facts == {"primary.loses", "guardrails.harmed", "primary.wins"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the rule ends too early (at character 1"),
        ("primary.win", "'primary.win' is no fact (at character 1"),
        ("primary.wins und guardrails.hold", "'and' or 'or' is missing before 'und'"),
        ("primary.wins guardrails.hold", "(at character 14 of the rule)"),
        ("(primary.wins", "a ) is missing (at character 14"),
        ("primary.wins)", "this ) closes nothing (at character 13"),
        ("primary.wins and", "ends too early (at character 17"),
        ("not", "ends too early"),
        ("primary.wins && guardrails.hold", "before '&'"),
        ("__import__('os').system('ls')", "'__import__' is no fact"),
        ("True", "'True' is no fact"),
        ("(" * 400, "nested deeper than 32"),
        ("not " * 100 + "primary.wins", "nested deeper than 32"),
        ("primary.wins or " * 40, "longer than 500"),
    ],
)
def test_a_broken_rule_says_where(text, message):
    """A rule outside the grammar is refused with the character and a remedy."""
    with pytest.raises(SpecError) as caught:
        parse_rule(text)
    assert message in caught.value.message
    assert caught.value.code == "bad_rule"
    assert caught.value.remedy


@given(st.text(max_size=600))
def test_no_text_crashes_the_parser(text):
    """Whatever the text, the answer is a rule or a SpecError."""
    try:
        rule = parse_rule(text)
    except SpecError:
        return
    assert rule.holds(EVERY_WORLD[0]) in {True, False}
