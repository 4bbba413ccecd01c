"""Guarded YAML → data with positions, for every YAML file that the project reads.

:mod:`~abplatform.yaml_text.composer` turns text into nodes that know their line and column;
:mod:`~abplatform.yaml_text.shapes` describes what a file may hold, once, for reading, for writing
and for the JSON Schema that editors use.
"""

from __future__ import annotations

from abplatform.yaml_text.composer import parse, read
from abplatform.yaml_text.nodes import Node, nearest, plain

__all__ = ["Node", "nearest", "parse", "plain", "read"]
