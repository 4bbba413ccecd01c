"""Logs written anew: on their way in, and when somebody is forgotten."""

from __future__ import annotations

from abplatform.logs.rewriting.door import (
    as_text,
    count_events,
    land,
    mapper_of,
    passing_folder,
    rewriting_folder,
)
from abplatform.logs.rewriting.edits import Edit, Row, read_log, rewrite

__all__ = [
    "Edit",
    "Row",
    "as_text",
    "count_events",
    "land",
    "mapper_of",
    "passing_folder",
    "read_log",
    "rewrite",
    "rewriting_folder",
]
