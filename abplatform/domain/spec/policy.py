"""Keys that say how a variant chooses, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from abplatform.domain.experiment import LEARNING_POLICIES, Experiment, Policy, PolicyRule
from abplatform.domain.spec.targeting import TARGETING
from abplatform.errors import SpecError
from abplatform.yaml_text import Node
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.quantities import Share
from abplatform.yaml_text.shapes import Choice, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["POLICY", "policy_conflicts", "policy_warnings"]

_SCENE_NAME = Text(
    pattern="[a-z][a-z_]*",
    expects="a name in a creative's scene, such as surface",
    remedy="write a name that `abp creatives list --json` shows under scene",
    max_length=40,
)
_POLICY_RULE = Table(
    make=PolicyRule,
    build=lambda **values: PolicyRule(when=values.get("when", {}), prefer=values["prefer"]),
    fields=(
        Field("when", TARGETING, "Where the rule holds, as in targeting; everywhere without."),
        Field(
            "prefer",
            MapOf(_SCENE_NAME, ListOf(Text(), min_items=1, unique=True), min_items=1, max_items=20),
            "Words that a creative's scene must have, such as `surface: [marble]`.",
            required=True,
        ),
    ),
)

_POLICY_LATER = "what a unit saw before is not known to decisions yet"
POLICY = Table(
    make=Policy,
    build=lambda **values: values,  # what a variant says overrides what the experiment says
    fields=(
        Field(
            "choose",
            Choice(
                {
                    "uniform": "every eligible creative is equally likely",
                    "thompson": "as likely as it is to have the highest CTR, by what was seen",
                    "contextual": "the better, the likelier, by creative, channel and country",
                    "reward": "the one that the reward model scores highest",
                    "rules": "those whose scene the first rule that holds prefers",
                },
                later={"recommender": _POLICY_LATER},
            ),
            "How a variant chooses among its creatives.",
        ),
        Field("floor", Share(), "The least share of traffic that is drawn uniformly."),
        Field(
            "rules",
            ListOf(_POLICY_RULE, max_items=100),
            "What is preferred where; the first that holds and finds a creative decides.",
        ),
        Field("frequency_cap", Text(), "How often one unit sees a creative.", later=_POLICY_LATER),
        Field(
            "hours",
            Text(),
            "When creatives are shown.",
            later="decisions do not look at the clock yet",
        ),
    ),
)


def policy_conflicts(
    root: Node, common: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]
) -> Iterator[SpecError]:
    """Return what is wrong: a policy of rules has some, and rules belong to such a policy.

    Args:
        root: The file.
        common: What the experiment says of its policy.
        variants: What the variants say; their words win, key by key.
    """
    merged = {name: {**common, **variant.get("policy", {})} for name, variant in variants.items()}
    yield from _without_rules(root, merged, variants)
    yield from _idle_rules(root.child("policy"), common, merged.values()) if common else ()
    for name, variant in variants.items():
        if "policy" in variant:
            node = root.child("variants", name, "policy")
            yield from _idle_rules(node, variant["policy"], [merged[name]])


def _without_rules(
    root: Node, merged: Mapping[str, Mapping[str, Any]], variants: Mapping[str, Mapping[str, Any]]
) -> Iterator[SpecError]:
    told = set()
    for name, policy in merged.items():
        if policy.get("choose") != "rules" or policy.get("rules"):
            continue
        own = "choose" in variants[name].get("policy", {})
        place = name if own else ""
        if place not in told:
            node = root.child("variants", name) if own else root
            yield node.child("policy").error(
                "a policy of rules needs rules",
                code="missing_key",
                remedy="add `rules: [{when: {country: [CN]}, prefer: {surface: [marble]}}]`",
                key="choose",
            )
        told.add(place)


def _idle_rules(
    node: Node, policy: Mapping[str, Any], used: Iterable[Mapping[str, Any]]
) -> Iterator[SpecError]:
    if policy.get("rules") and not any(it.get("choose") == "rules" for it in used):
        yield node.error(
            "rules have no effect without `choose: rules`",
            code="conflict",
            remedy="write `choose: rules`, or delete the rules",
            key="rules",
        )


def policy_warnings(root: Node, experiment: Experiment) -> Iterator[SpecError]:
    """Return what is seldom meant: to learn without showing what seems bad now and then."""
    if experiment.assignment == "external":
        return
    told = set()
    for variant in experiment.variants:
        policy = variant.policy
        if policy.choose not in LEARNING_POLICIES or policy.floor:
            continue
        own = root.child("variants", variant.name)
        place = own if isinstance(own.value, dict) and "policy" in own.key_places else root
        if id(place) not in told:
            yield place.error(
                f"'{variant.name}' chooses by {policy.choose} without a floor: what it stops "
                "showing is never learnt about again",
                code="no_floor",
                remedy="add `floor: 5%` to the policy",
                key="policy",
            )
        told.add(id(place))
