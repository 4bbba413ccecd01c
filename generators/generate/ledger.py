"""What a run has brought so far, on the disk: creatives' lineage, and slots that stayed empty.

A slot for which nothing usable came is not tried again by the same inspector: its row in
``refused.jsonl`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from abplatform.creatives import append_lineage
from abplatform.domain.catalog import Lineage
from abplatform.durable import append_rows
from generators.generate.slots import CreativeRefused, Slot

__all__ = ["REFUSED_FILE", "Ledger", "Rejected", "read_refused"]

REFUSED_FILE: Final = "refused.jsonl"
_ROWS_TOGETHER: Final = 16
"""Rows that are written at once."""


class Rejected(Struct, frozen=True):
    """A row of ``refused.jsonl``.

    Args:
        slot_key: Which slot, under which rules it was tried.
        product_id: The product.
        slot: Which of its creatives, from 0.
        reasons: Why nothing could be used.
        scores: The inspector's scores of the last attempt.
    """

    slot_key: str
    product_id: str
    slot: int
    reasons: tuple[str, ...]
    scores: Mapping[str, float] = {}


def read_refused(root: Path) -> dict[str, CreativeRefused]:
    """Return the slots that stayed empty, by their keys; a torn or strange line is passed over.

    Such a slot is only tried once more.
    """
    path = root / REFUSED_FILE
    if not path.is_file():
        return {}
    decoder = msgspec.json.Decoder(Rejected)
    found: dict[str, CreativeRefused] = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        found[row.slot_key] = CreativeRefused(row.product_id, row.slot, row.reasons, row.scores)
    return found


class Ledger:
    """Appends rows a few at a time; what is drawn when a run breaks off is kept too.

    Args:
        root: The folder of creatives.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lineages: list[Lineage] = []
        self._refused: list[Rejected] = []

    def __enter__(self) -> Self:
        return self

    def note(self, slot: Slot, result: Lineage | CreativeRefused, slot_key: str | None) -> None:
        """Remember what came of a slot; write when enough has come together.

        Args:
            slot: What was asked for.
            result: What came.
            slot_key: Under which an empty slot is remembered; None: it may be tried again.
        """
        if isinstance(result, Lineage):
            self._lineages.append(result)
        elif slot_key is not None:
            self._refused.append(
                Rejected(slot_key, slot.product_id, slot.number, result.reasons, result.scores)
            )
        if len(self._lineages) + len(self._refused) >= _ROWS_TOGETHER:
            self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    def _write(self) -> None:
        if self._lineages:
            append_lineage(self._root, self._lineages)
        if self._refused:
            rows = list(map(msgspec.json.encode, self._refused))
            append_rows(self._root / REFUSED_FILE, lambda _: rows)
        self._lineages, self._refused = [], []
