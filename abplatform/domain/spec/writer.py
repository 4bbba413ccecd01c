"""Experiment → YAML; reading the answer gives the same experiment."""

from __future__ import annotations

from typing import Any

import yaml

from abplatform.domain.experiment import Experiment, Policy
from abplatform.domain.spec.keys import EXPERIMENT
from abplatform.yaml_text.composer import resolve

__all__ = ["write_experiment"]


def write_experiment(experiment: Experiment) -> str:
    """Write an experiment as YAML, without the keys that say what holds anyway.

    Raises:
        ValueError: A length of time has a fraction of a second.
    """
    values = {
        field.name: getattr(experiment, field.name)
        for field in EXPERIMENT.fields
        if hasattr(experiment, field.name)
    }
    first = experiment.variants[0].policy
    shared = all(variant.policy == first for variant in experiment.variants)
    common = first if shared else Policy()
    if common != Policy():
        values["policy"] = common
    values["variants"] = {
        variant.name: _variant_values(variant, common) for variant in experiment.variants
    }
    values["metrics"] = {"primary": experiment.primary}
    if experiment.guardrails:
        values["metrics"]["guardrails"] = experiment.guardrails
    return yaml.dump(
        EXPERIMENT.write(values),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def _variant_values(variant: Any, common: Policy) -> dict[str, Any]:
    values = {name: getattr(variant, name) for name in ("control", "weight", "creatives")}
    return values if variant.policy == common else {**values, "policy": variant.policy}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that the YAML 1.2 core schema would read as something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if resolve(text) == text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
