"""``ingests.jsonl``: what ingests did that no segment can tell."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from abplatform.durable import append_durably
from abplatform.workspace import Workspace

__all__ = ["append_ingest", "read_ingests"]


def append_ingest(workspace: Workspace, row: Mapping[str, Any]) -> None:
    """Remember what an ingest did that no segment can tell."""
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path = workspace.landing / "ingests.jsonl"
    # A line that a kill tore apart gets its end here, so that this one stands for itself.
    torn = path.exists() and path.read_bytes()[-1:] != b"\n"
    append_durably(path, [b"\n" if torn else b"", line.encode() + b"\n"])


def read_ingests(workspace: Workspace) -> list[dict[str, Any]]:
    """Return what ingests remembered, in order; a torn last line was never finished."""
    path = workspace.landing / "ingests.jsonl"
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows
