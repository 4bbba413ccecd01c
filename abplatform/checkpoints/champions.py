"""Aliases: which version is the champion, which one challenges it, which one was before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from abplatform.checkpoints.versions import Checkpoint, mend, names, pretty, read_folder
from abplatform.durable import append_durably, replace_durably
from abplatform.errors import CheckpointError

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PREVIOUS",
    "aliases",
    "load_checkpoint",
    "nominate",
    "promote",
    "rollback",
]

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"

_ALIASES = "ALIASES.json"
_HISTORY = "HISTORY.jsonl"


def load_checkpoint(root: Path, ref: str, *, kind: str) -> Checkpoint:
    """Find a version by alias, name, or a unique beginning of its name, and check its files.

    Args:
        root: The store.
        ref: ``champion``, ``challenger``, ``previous``, a sha256, or its first 6 or more digits.
        kind: What it must be.

    Raises:
        CheckpointError: It is unknown, of another kind, or not what was saved.
    """
    sha256 = aliases(root).get(kind, {}).get(ref, ref)
    matches = [name for name in names(root) if name.startswith(sha256) and len(sha256) >= 6]
    if len(matches) != 1:
        raise CheckpointError(
            f"{ref!r} names {len(matches) or 'no'} {kind} checkpoints",
            path=root,
            remedy=mend(kind),
        )
    checkpoint = read_folder(root / matches[0], kind=kind)
    if checkpoint.sha256 != matches[0]:
        raise CheckpointError(
            f"the folder holds checkpoint {checkpoint.sha256[:12]}, which is foreign here",
            path=root / matches[0],
            remedy=f"remove the folder, or {mend(kind)}",
        )
    return checkpoint


def aliases(root: Path) -> dict[str, dict[str, str]]:
    """Return kind → alias → sha256.

    Raises:
        CheckpointError: ALIASES.json is damaged.
    """
    path = root / _ALIASES
    if not path.exists():
        return {}
    try:
        table = json.loads(path.read_text("utf-8"))
        return {str(kind): dict(named) for kind, named in table.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"the aliases cannot be read: {error}",
            path=path,
            remedy="remove the file and name champions again with `abp reward promote`, "
            "`abp creatives learn`",
        ) from error


def nominate(root: Path, kind: str, sha256: str) -> None:
    """Make a version the challenger; the champion stays.

    Raises:
        CheckpointError: The version cannot be loaded.
    """
    checkpoint = load_checkpoint(root, sha256, kind=kind)
    named = aliases(root).get(kind, {})
    _write_aliases(root, kind, {**named, CHALLENGER: checkpoint.sha256})


def promote(root: Path, kind: str, sha256: str, *, at: datetime) -> Checkpoint:
    """Make a version the champion; the champion until now becomes ``previous``.

    Promoting the champion again changes nothing.

    Raises:
        CheckpointError: The version cannot be loaded; the champion stays.
    """
    checkpoint = load_checkpoint(root, sha256, kind=kind)
    named = aliases(root).get(kind, {})
    champion = named.get(CHAMPION)
    if champion == checkpoint.sha256:
        return checkpoint
    after = {CHAMPION: checkpoint.sha256} | ({PREVIOUS: champion} if champion else {})
    if named.get(CHALLENGER) not in {None, checkpoint.sha256}:
        after[CHALLENGER] = named[CHALLENGER]
    _write_aliases(root, kind, after)
    _record(root, action="promote", kind=kind, sha256=checkpoint.sha256, at=at.isoformat())
    return checkpoint


def rollback(root: Path, kind: str, *, at: datetime | None = None) -> Checkpoint:
    """Make the previous champion the champion again.

    There is one step back, no ring: a second call is refused, because it would bring back the
    version that was just withdrawn.

    Raises:
        CheckpointError: There is no previous version, or it cannot be loaded.
    """
    named = aliases(root).get(kind, {})
    if PREVIOUS not in named:
        raise CheckpointError(
            f"there is no previous {kind} checkpoint",
            path=root / _ALIASES,
            remedy=mend(kind),
        )
    checkpoint = load_checkpoint(root, named[PREVIOUS], kind=kind)
    rest = {alias: sha for alias, sha in named.items() if alias not in {CHAMPION, PREVIOUS}}
    _write_aliases(root, kind, {**rest, CHAMPION: checkpoint.sha256})
    when = at.isoformat() if at else None
    _record(root, action="rollback", kind=kind, sha256=checkpoint.sha256, at=when)
    return checkpoint


def _write_aliases(root: Path, kind: str, named: Mapping[str, str]) -> None:
    table = {**aliases(root), kind: dict(named)}
    replace_durably(root / _ALIASES, pretty(table))


def _record(root: Path, **row: str | None) -> None:
    append_durably(root / _HISTORY, [json.dumps(row, sort_keys=True).encode() + b"\n"])
