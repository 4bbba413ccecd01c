"""Where every creative comes from: one row each, only ever appended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from abplatform.domain.catalog import Lineage
from abplatform.durable import append_rows
from abplatform.errors import CatalogueError

__all__ = ["LINEAGE_FILE", "append_lineage", "read_lineage"]

LINEAGE_FILE = "lineage.jsonl"

_DECODER: Final = msgspec.json.Decoder(Lineage)


def append_lineage(root: Path, rows: Iterable[Lineage]) -> int:
    """Append the rows whose creative is new; flushed to the disk.

    Args:
        root: The folder of creatives.
        rows: What to keep; a creative that is there already is skipped.

    Returns:
        How many rows were new.
    """
    path = root / LINEAGE_FILE

    def choose(there: bytes) -> Iterator[bytes]:
        known = set(_decode(there, path))
        fresh = {
            row.creative_id: row for row in reversed(list(rows)) if row.creative_id not in known
        }
        for row in reversed(fresh.values()):
            yield json.dumps(asdict(row), ensure_ascii=False).encode()

    return append_rows(path, choose)


def read_lineage(root: Path) -> dict[str, Lineage]:
    """Read every creative's lineage, by creative_id in the order of making.

    Args:
        root: The folder of creatives; without a lineage file there are none.

    Raises:
        CatalogueError: A row cannot be read.
    """
    path = root / LINEAGE_FILE
    if not path.is_file():
        return {}
    text = path.read_bytes()
    return _decode(text[: text.rfind(b"\n") + 1], path)


def _decode(text: bytes, path: Path) -> dict[str, Lineage]:
    found: dict[str, Lineage] = {}
    for line, row in enumerate(text.split(b"\n"), start=1):
        if not row:
            continue
        try:
            lineage = _DECODER.decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CatalogueError(
                f"this lineage row cannot be read: {error}",
                path=path,
                line=line,
                remedy="restore the file from a backup, or move that line away",
            ) from error
        found.setdefault(lineage.creative_id, lineage)
    return found
