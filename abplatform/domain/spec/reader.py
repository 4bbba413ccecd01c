"""Experiment YAML → Experiment, with every mistake of the file named by line and column."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abplatform.domain.experiment import Experiment, Policy, Variant
from abplatform.domain.spec.keys import EXPERIMENT
from abplatform.domain.spec.rules import find_conflicts, find_warnings
from abplatform.errors import SpecError
from abplatform.yaml_text import Node, parse
from abplatform.yaml_text.tables import in_one

__all__ = ["Checked", "check_experiment", "parse_experiment", "spec_sha256"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file says and what is wrong with it.

    Args:
        experiment: None as long as there are errors.
        errors: In the order of the file.
        warnings: Things that are allowed but seldom meant, in the order of the file.
        key: The experiment's name as far as it could be read.
        key_node: Where that name stands.
    """

    experiment: Experiment | None
    errors: tuple[SpecError, ...] = ()
    warnings: tuple[SpecError, ...] = ()
    key: str | None = None
    key_node: Node | None = None


def check_experiment(text: str, *, path: Path) -> Checked:
    """Read experiment YAML and collect every mistake.

    Args:
        text: The file's content.
        path: The file's name, for messages.
    """
    try:
        return check_node(parse(text, path=path))
    except SpecError as error:
        return Checked(None, errors=(error,))


def check_node(root: Node) -> Checked:
    """Read a composed file; see :func:`check_experiment`."""
    if root.value is None:
        empty = root.error(
            "the file is empty",
            code="empty",
            remedy="write an experiment, or start from the example that `abp init DIR` makes",
        )
        return Checked(None, errors=(empty,))
    errors: list[SpecError] = []
    values = EXPERIMENT.read_values(root, errors, name="")
    errors += find_conflicts(root, values)
    key_node = root.value.get("key") if isinstance(root.value, dict) else None
    if errors:
        return Checked(None, in_order(errors), (), values.get("key"), key_node)
    experiment = _build(values)
    warnings = in_order(find_warnings(root, experiment))
    return Checked(experiment, (), warnings, experiment.key, key_node)


def parse_experiment(text: str, *, path: Path) -> Experiment:
    """Read experiment YAML.

    Raises:
        SpecError: It is wrong; the error is the file's first and tells how many more there are.
    """
    checked = check_experiment(text, path=path)
    if checked.experiment is None:
        raise in_one(checked.errors)
    return checked.experiment


def spec_sha256(text: bytes) -> str:
    """Return the sha256 of a spec's bytes, in hex."""
    return hashlib.sha256(text).hexdigest()


def _build(values: dict[str, Any]) -> Experiment:
    metrics = values.pop("metrics")
    policy = values.pop("policy", {})
    entries: Mapping[str, Mapping[str, Any]] = values.pop("variants")
    equal = 100 / len(entries)
    variants = tuple(
        Variant(
            name=name,
            weight=entry.get("weight", equal),
            control=entry.get("control", False),
            creatives=entry.get("creatives"),
            policy=Policy(**{**policy, **entry.get("policy", {})}),
        )
        for name, entry in entries.items()
    )
    return Experiment(variants=variants, **metrics, **values)


def in_order(problems: list[SpecError]) -> tuple[SpecError, ...]:
    """Sort problems by where they stand in the file."""
    return tuple(sorted(problems, key=lambda it: (it.line or 0, it.column or 0)))
