"""``ingests.jsonl``: what ingests did that no segment can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from abplatform.durable import append_durably
from abplatform.workspace import Workspace

__all__ = ["append_ingest", "read_ingests", "torn_ingests"]


def append_ingest(workspace: Workspace, row: Mapping[str, Any]) -> None:
    """Remember what an ingest did that no segment can tell."""
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path = workspace.landing / "ingests.jsonl"
    # A line that a kill tore apart gets its end here, so that this one stands for itself.
    torn = path.exists() and path.read_bytes()[-1:] != b"\n"
    append_durably(path, [b"\n" if torn else b"", line.encode() + b"\n"])


def read_ingests(workspace: Workspace) -> list[dict[str, Any]]:
    """Return what ingests remembered, in order; a torn line was never finished."""
    return [row for row in _lines(workspace) if row is not None]


def torn_ingests(workspace: Workspace) -> int:
    """Return how many lines a kill tore apart."""
    return sum(row is None for row in _lines(workspace))


def _lines(workspace: Workspace) -> Iterator[dict[str, Any] | None]:
    path = workspace.landing / "ingests.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for line in filter(None, lines):
        try:
            yield json.loads(line)
        except ValueError:
            yield None
