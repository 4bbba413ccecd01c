"""Experiment YAML ⇄ :class:`~abplatform.domain.experiment.Experiment`, version 1.

:mod:`~abplatform.domain.spec.keys` is the one table of what may be written; the reader, the writer
and the JSON Schema all follow it. :mod:`~abplatform.domain.spec.rules` holds what no single key can
know: weights that sum, the one control, steps that rise.
"""

from __future__ import annotations

from abplatform.domain.spec.files import (
    check_experiments,
    check_files,
    read_experiments,
    spec_files,
)
from abplatform.domain.spec.reader import (
    Checked,
    check_experiment,
    parse_experiment,
    spec_sha256,
)
from abplatform.domain.spec.schema import experiment_schema
from abplatform.domain.spec.writer import write_experiment

__all__ = [
    "Checked",
    "check_experiment",
    "check_experiments",
    "check_files",
    "experiment_schema",
    "parse_experiment",
    "read_experiments",
    "spec_files",
    "spec_sha256",
    "write_experiment",
]
