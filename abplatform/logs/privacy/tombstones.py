"""Units that were forgotten and stay so: their ids are not kept, only digests under a salt.

``data/landing/forgotten.jsonl`` begins with the workspace's salt; each further row is one unit's
HMAC-SHA256 under it. That is enough to refuse a unit whose events come again, and tells nobody who
it was, unless ids can be guessed and tried.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from abplatform.durable import append_durably
from abplatform.workspace import Workspace

__all__ = ["Tombstones", "bury", "tombstones_of", "tombstones_path", "tombstones_state"]


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The digests of forgotten units.

    Args:
        salt: The workspace's.
        digests: One a unit.
    """

    salt: bytes = b""
    digests: frozenset[str] = frozenset()

    def __contains__(self, unit_id: object) -> bool:
        """Whether a unit was forgotten, by the id under which it would be stored."""
        if not self.digests or not isinstance(unit_id, str):
            return False
        return _digest(self.salt, unit_id) in self.digests

    def __len__(self) -> int:
        """How many there are."""
        return len(self.digests)


def tombstones_of(workspace: Workspace) -> Tombstones:
    """Return the units that a workspace has forgotten."""
    path = tombstones_path(workspace)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Tombstones()
    salt, digests = b"", set()
    for line in lines:
        # A torn last line was never acknowledged.
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            salt = bytes.fromhex(row["salt"]) if "salt" in row else salt
            if "unit" in row:
                digests.add(row["unit"])
    return Tombstones(salt, frozenset(digests))


def tombstones_state(path: str) -> tuple[int, int]:
    """Return what changes whenever a unit is forgotten: size and time of the list, 0 without.

    Args:
        path: Of :func:`tombstones_path`; as a text, since every decision asks.
    """
    try:
        about = os.stat(path)  # noqa: PTH116  # half the time of Path.stat
    except FileNotFoundError:
        return 0, 0
    return about.st_size, about.st_mtime_ns


def bury(workspace: Workspace, unit_ids: Iterable[str]) -> None:
    """Refuse units from now on; on the disk when this returns.

    Args:
        workspace: Which forgets them.
        unit_ids: As they are stored.
    """
    known = tombstones_of(workspace)
    salt = known.salt or secrets.token_bytes(32)
    rows: list[dict[str, str]] = [] if known.salt else [{"salt": salt.hex()}]
    at = workspace.clock().astimezone(UTC).isoformat()
    digests = dict.fromkeys(_digest(salt, unit_id) for unit_id in unit_ids)
    rows += [{"unit": digest, "at": at} for digest in digests if digest not in known.digests]
    if rows:
        append_durably(
            tombstones_path(workspace), (json.dumps(row).encode() + b"\n" for row in rows)
        )


def _digest(salt: bytes, unit_id: str) -> str:
    return hmac.digest(salt, unit_id.encode("utf-8", "surrogatepass"), "sha256").hex()


def tombstones_path(workspace: Workspace) -> Path:
    """Return where the list of forgotten units is."""
    return workspace.landing / "forgotten.jsonl"
