"""Finding an id in bytes: as a whole word, in each way in which it may be written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from abplatform.logs.tape import Tape

__all__ = ["Words", "holds_any", "is_distinctive", "spellings"]

_SHORTEST: Final = 4
_BLOCK: Final = 1 << 20
_FEW: Final = 8


def is_distinctive(unit_id: str) -> bool:
    """Whether an id is nothing that other numbers and words could be by chance."""
    return len(unit_id) >= _SHORTEST and not unit_id.isdigit()


def spellings(unit_id: str) -> list[bytes]:
    """Return how an id may stand in a text: as it is, and with JSON's escapes."""
    told = {
        unit_id.encode("utf-8", "surrogatepass"),
        json.dumps(unit_id)[1:-1].encode(),
        json.dumps(unit_id, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
    }
    return sorted(told)


class Words:
    """Looks for ids as whole words; one that is not distinctive counts only between quotes.

    Args:
        unit_ids: The ids.
    """

    def __init__(self, unit_ids: Iterable[str]) -> None:
        parts: list[bytes] = []
        self._literals: list[bytes] = []
        for unit_id in sorted(unit_ids):
            for spelling in spellings(unit_id):
                word = re.escape(spelling)
                self._literals.append(spelling)
                parts.append(
                    rb"(?<![0-9A-Za-z])" + word + rb"(?![0-9A-Za-z])"
                    if is_distinctive(unit_id)
                    else b'"' + word + b'"'
                )
        self._pattern = re.compile(b"|".join(parts) or rb"(?!)")
        self.longest = max((len(part) for part in parts), default=0)

    def are_in(self, content: bytes) -> bool:
        """Whether one of the ids stands in some bytes."""
        return _stand_in(self._literals, content) and self._pattern.search(content) is not None

    def are_in_value(self, value: Any) -> bool:
        """Whether one of the ids stands in a value of JSON, at any depth."""
        if isinstance(value, str):
            return self.are_in(json.dumps(value).encode()) or self.are_in(value.encode())
        if isinstance(value, dict):
            return any(self.are_in_value(part) for pair in value.items() for part in pair)
        return isinstance(value, list) and any(map(self.are_in_value, value))


def holds_any(path: Path, needles: Iterable[bytes]) -> bool:
    """Whether a log of lines may hold some bytes: quickly, and never wrongly no.

    A block with a backslash may hold anything, since JSON can escape every letter.

    Args:
        path: JSON lines or CSV, compressed or not.
        needles: What is looked for.
    """
    wanted = [needle for needle in needles if needle]
    overlap = max(map(len, wanted), default=0)
    return any(b"\\" in block or _stand_in(wanted, block) for block in _blocks(path, overlap))


def _stand_in(literals: Sequence[bytes], content: bytes) -> bool:
    """Whether one of some texts stands in bytes, at the speed of memory for one or thousands."""
    if len(literals) <= _FEW:
        return any(literal in content for literal in literals)
    # Every byte is a character of Latin-1, so that text functions work on any bytes.
    texts = [literal.decode("latin-1") for literal in literals]
    return bool(pl.Series([content.decode("latin-1")]).str.contains_any(texts)[0])


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    with Tape(path) as tape:
        while block := tape.ahead(_BLOCK + overlap):
            yield block
            tape.move(min(_BLOCK, len(block)))
