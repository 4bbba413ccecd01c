"""What was pulled, durably: ``data/landing/pulls.jsonl``.

One row for each file that was taken, by name, size, time of writing and sha256, and one for each
look at a source, also for those that found nothing or failed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abplatform.durable import append_durably
from abplatform.logs.sources.stores import Found
from abplatform.workspace import Workspace

__all__ = ["Glance", "History", "Taken", "read_histories", "remember"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was pulled.

    Args:
        found: As it was when it was pulled.
        sha256: Of its bytes.
    """

    found: Found
    sha256: str


@dataclass(frozen=True, slots=True)
class Glance:
    """One look at a source.

    Args:
        at: When, by the workspace clock.
        files: How many new ones were loaded.
        waiting: How many were left for the next time.
        error: Why it failed, or None.
    """

    at: datetime
    files: int
    waiting: int = 0
    error: str | None = None


@dataclass(slots=True)
class History:
    """What is known of one source.

    Args:
        taken: Name to the file as it was pulled last.
        known: Name, size and sha256 of everything that was ever pulled.
        glances: Every look at it, in order.
    """

    taken: dict[str, Taken] = field(default_factory=dict)
    known: set[tuple[str, int, str]] = field(default_factory=set)
    glances: list[Glance] = field(default_factory=list)

    @property
    def arrivals(self) -> list[datetime]:
        """When something new came."""
        return [glance.at for glance in self.glances if glance.files]

    @property
    def first_at(self) -> datetime | None:
        """When it was looked at first."""
        return self.glances[0].at if self.glances else None

    def is_taken(self, found: Found) -> bool:
        """Whether a file was pulled as it is, by name, size and time of writing."""
        before = self.taken.get(found.name)
        return before is not None and found.modified is not None and before.found == found

    def add(self, taken: Taken) -> None:
        """Note a file."""
        self.taken[taken.found.name] = taken
        self.known.add((taken.found.name, taken.found.size, taken.sha256))


def remember(
    workspace: Workspace, source: str, glance: Glance, files: Iterable[Taken] = ()
) -> None:
    """Keep what one look at a source did; it is on the disk when this returns."""
    rows: list[Mapping[str, Any]] = [
        {
            "source": source,
            "name": taken.found.name,
            "size": taken.found.size,
            "modified": taken.found.modified.isoformat() if taken.found.modified else None,
            "sha256": taken.sha256,
        }
        for taken in files
    ]
    rows.append(
        {
            "source": source,
            "at": glance.at.astimezone(UTC).isoformat(),
            "files": glance.files,
            "waiting": glance.waiting,
            "error": glance.error,
        }
    )
    lines = (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    append_durably(_path(workspace), lines)


def read_histories(workspace: Workspace) -> dict[str, History]:
    """Return what is known of every source that was ever looked at, by name."""
    path = _path(workspace)
    histories: dict[str, History] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        # A torn line was never finished: its file is pulled again, and found to have landed.
        with contextlib.suppress(ValueError, KeyError):
            _add(histories, json.loads(line))
    return histories


def _add(histories: dict[str, History], row: Mapping[str, Any]) -> None:
    history = histories.setdefault(row["source"], History())
    if "at" in row:
        moment = datetime.fromisoformat(row["at"])
        history.glances.append(Glance(moment, row["files"], row["waiting"], row["error"]))
        return
    modified = datetime.fromisoformat(row["modified"]) if row["modified"] else None
    history.add(Taken(Found(row["name"], row["size"], modified), row["sha256"]))


def _path(workspace: Workspace) -> Path:
    return workspace.landing / "pulls.jsonl"
