"""What no single key can know: rules between the keys of one experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from abplatform.domain.experiment import (
    Analysis,
    CreativeChoice,
    Experiment,
    Policy,
    RampStep,
    Variant,
)
from abplatform.domain.metrics import METRICS
from abplatform.domain.spec.approval import approval_conflicts
from abplatform.domain.spec.policy import policy_conflicts, policy_warnings
from abplatform.errors import SpecError
from abplatform.yaml_text import Node
from abplatform.yaml_text.quantities import write_duration, write_share

__all__ = ["find_conflicts", "find_warnings"]

WEIGHT_TOLERANCE = 1e-6
"""In percent: thirds may be written with seven digits."""


def find_conflicts(root: Node, values: Mapping[str, Any]) -> list[SpecError]:
    """Return the mistakes between keys.

    Args:
        root: The file.
        values: What could be read of it; rules over keys that are invalid are skipped, so that
            one mistake is not told twice.
    """
    found: list[SpecError] = []
    if "variants" in values:
        found += _controls(root, values["variants"])
        found += _weights(root, values["variants"])
        found += _creatives(root, values["variants"])
        found += _forced(root.child("forced"), values) if values.get("forced") else ()
    if "variants" in values and ("policy" in values or "policy" not in root.key_places):
        found += approval_conflicts(root, values.get("approval"))
        found += policy_conflicts(root, values.get("policy", {}), values["variants"])
    if "ramp" in values:
        found += _ramp(root.child("ramp"), values["ramp"])
    if "metrics" in values:
        found += _guardrails(root.child("metrics"), values["metrics"])
    if "analysis" in values:
        found += _runtime(root.child("analysis"), values["analysis"])
        found += _covariates(root.child("analysis"), values)
    return found


def find_warnings(root: Node, experiment: Experiment) -> list[SpecError]:
    """Return what is allowed but seldom meant."""
    found = [
        *_without_traffic(root, experiment),
        *_confounded(root, experiment),
        *_without_effect(root, experiment),
        *policy_warnings(root, experiment),
    ]
    if experiment.primary.mde is None and _asks_for_mde(root, experiment):
        found.append(
            root.error(
                "without an mde the fact primary.within_mde is always false",
                code="no_mde",
                remedy="add `mde: 3%` to metrics.primary",
                key="verdict",
            )
        )
    return found


def _asks_for_mde(root: Node, experiment: Experiment) -> bool:
    """Whether a rule that somebody wrote asks for the mde; the default of no_difference may."""
    written = root.child("verdict").key_places if "verdict" in root.key_places else {}
    rules = experiment.verdict
    texts = {"ship": rules.ship, "reject": rules.reject, "no_difference": rules.no_difference}
    return any("primary.within_mde" in text for name, text in texts.items() if name in written)


def _controls(root: Node, variants: Mapping[str, Mapping[str, Any]]) -> Iterator[SpecError]:
    controls = [name for name, variant in variants.items() if variant.get("control")]
    place = root.child("variants")
    if not controls:
        yield root.error(
            "no variant is the control",
            code="no_control",
            remedy=f"add `control: true` to one of: {', '.join(variants)}",
            key="variants",
        )
    for name in controls[1:]:
        yield place.error(
            f"'{name}' is a second control beside '{controls[0]}'",
            code="two_controls",
            remedy="keep `control: true` in one of them",
            key=name,
        )


def _weights(root: Node, variants: Mapping[str, Mapping[str, Any]]) -> Iterator[SpecError]:
    weights = {name: entry["weight"] for name, entry in variants.items() if "weight" in entry}
    if not weights:
        return  # none at all means equal shares
    without = [name for name in variants if name not in weights]
    if without:
        yield root.child("variants").error(
            f"no weight for {' and '.join(map(repr, without))} although others have one",
            code="missing_key",
            remedy="give every variant a weight, or none for equal shares",
            key=without[0],
        )
    total = sum(weights.values())
    if not without and abs(total - 100) > WEIGHT_TOLERANCE:
        terms = " + ".join(f"{weight:g}" for weight in weights.values())
        yield root.error(
            f"the weights sum to {total:.6g}, not 100 ({terms})",
            code="weights_sum",
            remedy="change them so that they sum to 100",
            key="variants",
        )


def _creatives(root: Node, variants: Mapping[str, Mapping[str, Any]]) -> Iterator[SpecError]:
    for name, variant in variants.items():
        choice: CreativeChoice | None = variant.get("creatives")
        if choice is None or choice.source == "generated":
            continue
        node = root.child("variants", name, "creatives")
        for key in ("generator", "checkpoint"):
            if key in node.key_places:
                yield node.error(
                    f"a baseline has no {key}",
                    code="conflict",
                    remedy=f"delete the key, or write `source: generated` for '{name}'",
                    key=key,
                )


def _forced(node: Node, values: Mapping[str, Any]) -> Iterator[SpecError]:
    owner: dict[str, str] = {}
    for variant, units in values["forced"].items():
        if variant not in values["variants"]:
            yield node.error(
                f"there is no variant '{variant}' to force units into",
                code="unknown_variant",
                remedy=f"name one of: {', '.join(values['variants'])}",
                key=variant,
            )
        for place, unit in enumerate(units):
            if owner.setdefault(unit, variant) != variant:
                yield node.child(variant, place).error(
                    f"the unit {unit!r} is forced into '{owner[unit]}' already",
                    code="duplicate_item",
                    remedy="keep it in one variant",
                )


def _ramp(node: Node, steps: tuple[RampStep, ...]) -> Iterator[SpecError]:
    for index, (before, after) in enumerate(pairwise(steps), start=1):
        if after.traffic <= before.traffic:
            yield node.child(index).error(
                f"a step of {write_share(after.traffic)} follows one of "
                f"{write_share(before.traffic)}",
                code="ramp_order",
                remedy="order the steps so that traffic rises",
                key="traffic",
            )


def _guardrails(node: Node, metrics: Mapping[str, Any]) -> Iterator[SpecError]:
    guardrails = metrics.get("guardrails", ())
    seen = set()
    for index, guardrail in enumerate(guardrails):
        place = node.child("guardrails", index)
        if guardrail.non_inferiority_margin is None and guardrail.min is None:
            yield place.error(
                f"the guardrail {guardrail.metric} has no bound",
                code="missing_key",
                remedy="add `non_inferiority_margin: 1%`, or `min: 78%` for an absolute bound",
            )
        if guardrail.min is not None and METRICS[guardrail.metric].direction == "decrease":
            yield place.error(
                f"less {guardrail.metric} is better, so `min` would call a gain a harm",
                code="wrong_bound",
                remedy="use `non_inferiority_margin`, the largest relative loss that is tolerated",
                key="min",
            )
        if guardrail.metric in seen:
            yield place.error(
                f"{guardrail.metric} is a guardrail twice",
                code="duplicate_item",
                remedy="write both bounds into one entry",
            )
        seen.add(guardrail.metric)


def _runtime(node: Node, analysis: Analysis) -> Iterator[SpecError]:
    if analysis.min_runtime > analysis.max_runtime:
        yield node.error(
            f"min_runtime ({write_duration(analysis.min_runtime)}) is longer than max_runtime "
            f"({write_duration(analysis.max_runtime)})",
            code="runtime_order",
            remedy="raise max_runtime or lower min_runtime",
            key="min_runtime" if "min_runtime" in node.key_places else "max_runtime",
        )


def _covariates(node: Node, values: Mapping[str, Any]) -> Iterator[SpecError]:
    cuped = values["analysis"].cuped
    if cuped is None:
        return
    place, fields = node.child("cuped"), (cuped.numerator, cuped.denominator)
    if cuped.window is None and fields == (None, None):
        yield node.error(
            "cuped names neither a window nor an attribute",
            code="missing_key",
            remedy="write `cuped: {window: 14d}`, or `{numerator: FIELD, denominator: FIELD}`",
            key="cuped",
        )
    elif cuped.window is not None and fields != (None, None):
        yield place.error(
            "cuped reads a window of own logs or attributes, not both",
            code="conflict",
            remedy="keep `window`, or `numerator` and `denominator`",
            key="window",
        )
    if values.get("unit") == "request_id":
        yield node.error(
            "a request has no past: cuped needs a unit that returns",
            code="conflict",
            remedy="delete cuped, or write `unit: user_id`",
            key="cuped",
        )
    primary = values["metrics"]["primary"].metric
    if METRICS[primary].incremental:
        yield node.error(
            f"{primary} compares differences of totals, which cuped cannot adjust",
            code="conflict",
            remedy="delete cuped",
            key="cuped",
        )


def _without_traffic(root: Node, experiment: Experiment) -> Iterator[SpecError]:
    for variant in experiment.variants:
        if variant.weight == 0:
            yield root.child("variants").error(
                f"'{variant.name}' gets no traffic",
                code="no_traffic",
                remedy="give it a weight above 0, or delete it",
                key=variant.name,
            )


def _confounded(root: Node, experiment: Experiment) -> Iterator[SpecError]:
    for variant in experiment.treatments:
        things = _differences(experiment.control, variant)
        if len(things) > 1:
            yield root.child("variants").error(
                f"'{variant.name}' differs from '{experiment.control.name}' in more than one "
                f"thing: the lift would mix {' and '.join(things)}",
                code="confounded",
                remedy="let them differ in one thing, or add a variant between the two",
                key=variant.name,
            )


def _differences(control: Variant, treatment: Variant) -> list[str]:
    """Name what differs: the source of creatives counts once, whatever follows from it."""
    ours, theirs = control.creatives, treatment.creatives
    if ours is None or theirs is None or ours.source != theirs.source:
        things = ["creatives"] if ours != theirs else []
    else:
        names = ("generator", "checkpoint", "per_product")
        things = [f"creatives.{it}" for it in names if getattr(ours, it) != getattr(theirs, it)]
    return things + _policy_differences(control.policy, treatment.policy)


def _policy_differences(ours: Policy, theirs: Policy) -> list[str]:
    """Name what differs: a change of `choose` counts once, with the rules that follow from it.

    A floor says nothing where creatives are drawn uniformly anyway.
    """
    names = ["choose"] if ours.choose != theirs.choose else ["rules"]
    if "uniform" not in {ours.choose, theirs.choose}:
        names.append("floor")
    return [f"policy.{it}" for it in names if getattr(ours, it) != getattr(theirs, it)]


def _without_effect(root: Node, experiment: Experiment) -> Iterator[SpecError]:
    if experiment.assignment != "external":
        return
    for key in ("layer", "targeting", "forced", "ramp", "policy"):
        if key in root.key_places:
            yield root.error(
                f"{key} has no effect where assignment is external: the log says who saw what",
                code="no_effect",
                remedy="delete the key",
                key=key,
            )
