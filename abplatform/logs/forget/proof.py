"""The proof that nobody is left: every byte below ``data/`` is searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from abplatform.logs.forget.words import Words
from abplatform.logs.mapping.parquet import parquet_parts
from abplatform.logs.tape import Tape
from abplatform.workspace import Workspace

__all__ = ["Proof", "files_below", "search"]

_BLOCK: Final = 1 << 20


@dataclass(slots=True)
class Proof:
    """What a search found.

    Args:
        files: How many files were searched.
        size: How many bytes, as they lie on the disk.
        left: Files below the workspace in which an id still stands.
    """

    files: int = 0
    size: int = 0
    left: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"files": self.files, "bytes": self.size, "left": self.left}


def search(
    workspace: Workspace,
    unit_ids: Iterable[str],
    *,
    advance: Callable[[int, int], None] | None = None,
) -> Proof:
    """Search everything below ``data/`` for ids; compressed files and Parquet are decoded.

    Args:
        workspace: Whose data.
        unit_ids: As they are stored, and as they were named.
        advance: Called with bytes done and bytes in all.
    """
    words = Words(unit_ids)
    proof = Proof()
    files = list(files_below(workspace.data))
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if _stands_in(path, words):
            proof.left.append(str(path.relative_to(workspace.root)))
        proof.files += 1
        proof.size += path.stat().st_size
        if advance is not None:
            advance(proof.size, total)
    return proof


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, by name."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _stands_in(path: Path, words: Words) -> bool:
    if words.are_in(path.name.encode()):
        return True
    if path.suffix == ".parquet":
        return any(_in_frame(part.rows, words) for part in parquet_parts(path))
    with Tape(path) as tape:
        while block := tape.ahead(_BLOCK + words.longest):
            if words.are_in(block):
                return True
            tape.move(min(_BLOCK, len(block)))
    # What stands compressed may stand as it is behind the point where it breaks off.
    return tape.problem is not None and words.are_in(path.read_bytes())


def _in_frame(rows: pl.DataFrame, words: Words) -> bool:
    texts = rows.select(pl.selectors.string() | pl.selectors.nested() | pl.selectors.binary())
    for column in texts.iter_columns():
        values = column.unique() if column.dtype == pl.String else column
        if any(words.are_in_value(_plain(value)) for value in values.to_list()):
            return True
    return False


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
