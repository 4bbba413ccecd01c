"""Ids in what was written from events: receipts of weekly turns, pairs, published tables."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from abplatform.durable import replace_durably
from abplatform.logs.forget.proof import files_below
from abplatform.logs.forget.words import Words
from abplatform.workspace import Workspace

__all__ = ["scrub"]

_TOLD: Final = "(forgotten)"
_LARGEST: Final = 256 << 20


def scrub(workspace: Workspace, unit_ids: Iterable[str]) -> list[str]:
    """Take ids out of everything below ``data/`` that is neither a segment nor the journal.

    In JSON a text that names one becomes ``(forgotten)``; of Parquet its row goes. Published
    versions go whole, since their bytes are hashed: they are made anew.

    Args:
        workspace: Whose data.
        unit_ids: As they are stored, and as they were named.

    Returns:
        The files that were changed, below the workspace.
    """
    words = Words(unit_ids)
    kept = (workspace.landing, workspace.journal, workspace.specs, workspace.published)
    changed = []
    for path in files_below(workspace.data):
        if any(path.is_relative_to(folder) for folder in kept) or path.stat().st_size > _LARGEST:
            continue
        content = path.read_bytes()
        new = content
        if path.suffix == ".parquet":
            new = _without_rows(content, words)
        elif words.are_in(content):
            new = _without_texts(content, words)
        if new is not content:
            replace_durably(path, new)
            changed.append(str(path.relative_to(workspace.root)))
    return changed


def _without_texts(content: bytes, words: Words) -> bytes:
    """Replace texts of a JSON document, or of each of JSON's lines; other bytes stay."""
    try:
        return json.dumps(_without(json.loads(content), words), ensure_ascii=False).encode()
    except ValueError:
        pass
    try:
        rows = [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        return content
    return b"".join(json.dumps(_without(row, words)).encode() + b"\n" for row in rows)


def _without(value: Any, words: Words) -> Any:
    if isinstance(value, str):
        return _TOLD if words.are_in_value(value) else value
    if isinstance(value, dict):
        return {_without(name, words): _without(part, words) for name, part in value.items()}
    return [_without(part, words) for part in value] if isinstance(value, list) else value


def _without_rows(content: bytes, words: Words) -> bytes:
    rows = pl.read_parquet(io.BytesIO(content))
    kept = [not words.are_in_value(list(row.values())) for row in rows.iter_rows(named=True)]
    if all(kept):
        return content
    buffer = io.BytesIO()
    rows.filter(pl.Series(kept, dtype=pl.Boolean)).write_parquet(buffer)
    return buffer.getvalue()
