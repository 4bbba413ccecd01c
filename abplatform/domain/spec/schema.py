"""The JSON Schema of experiment YAML, made from the same table that the reader follows."""

from __future__ import annotations

from typing import Any

from abplatform.domain.spec.keys import EXPERIMENT

__all__ = ["experiment_schema"]


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) with which editors check and complete keys.

    Rules between keys (weights that sum to 100, exactly one control) and the verdict grammar are
    beyond it; `abp validate` checks those too.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiment",
        "description": "One experiment of abplatform, version 1.",
        **EXPERIMENT.schema(),
    }
