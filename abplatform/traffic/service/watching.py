"""The config in force: read anew when a file changes, swapped by one reference."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from abplatform.errors import AbplatformError, WorkspaceError
from abplatform.logs.privacy import pseudonyms_of
from abplatform.settings import Service
from abplatform.traffic.assignments import assignments_document, entity_tag
from abplatform.traffic.config import EMPTY, Config, ConfigReader
from abplatform.traffic.service.access import Access
from abplatform.workspace import SETTINGS_FILE, Workspace, open_workspace

__all__ = ["POLL_SECONDS", "InForce", "Watcher"]

POLL_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 2.0
_LOG: Final = logging.getLogger("abplatform.service")

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """What one call is answered with; a call takes the reference once.

    Args:
        config: What decides.
        service: How answers look.
        access: Who may call.
        document: What clients assign with by themselves.
        tag: The document's ETag.
    """

    config: Config
    service: Service
    access: Access
    document: bytes
    tag: bytes


class Watcher:
    """Looks at the files every 0.2 s in a thread of its own.

    A file that cannot be used changes nothing but ``problems``: the last good config stays.

    Args:
        workspace: Where the files are.
        pseudonyms: The fingerprint of the key with which units become pseudonyms, or None.
    """

    def __init__(self, workspace: Workspace, *, pseudonyms: str | None = None) -> None:
        self._workspace = workspace
        self._fingerprint = pseudonyms
        self._reader = ConfigReader(workspace)
        self._settings_seen: Signature = _stat(workspace.root / SETTINGS_FILE)
        self._seen: Signature | None = None
        self._next_at: datetime | None = None
        self._failed_at: float | None = None
        self._stop = threading.Event()
        self._trouble: dict[str, str] = {}
        self.reloads = 0
        self.failures = 0
        self.looked_at = time.monotonic()
        access = Access.of(workspace.settings.tokens)
        document = assignments_document(EMPTY, pseudonyms=self._fingerprint)
        tag = entity_tag(document).encode()
        self.now = InForce(EMPTY, workspace.settings.service, access, document, tag)
        self.look()
        self._thread = threading.Thread(target=self._watch, name="config", daemon=True)
        self._thread.start()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with files, one sentence each."""
        return (*self._trouble.values(), *self.now.config.problems)

    @property
    def has_config(self) -> bool:
        """Whether there has ever been a good config."""
        return self.now.config is not EMPTY

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Read what has changed since the last look."""
        self._look_at_settings()
        seen = _signature(self._workspace)
        due = self._next_at is not None and self._workspace.clock() >= self._next_at
        again = self._failed_at is not None and time.monotonic() - self._failed_at >= _RETRY_SECONDS
        if seen != self._seen or due or again:
            self._seen = seen
            self._read()
        self.looked_at = time.monotonic()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.look()
                self._trouble.pop("files", None)
            except Exception as error:  # noqa: BLE001  # the thread must outlive whatever a file holds
                _LOG.exception("the files cannot be looked at")
                self._trouble["files"] = f"{type(error).__name__}: {error}"

    def _look_at_settings(self) -> None:
        path = self._workspace.root / SETTINGS_FILE
        seen = _stat(path)
        if seen == self._settings_seen:
            return
        self._settings_seen = seen
        try:
            fresh = open_workspace(self._workspace.root, clock=self._workspace.clock)
            access = Access.of(fresh.settings.tokens)
            _check_access(self.now.access, access, path)
            _check_pseudonyms(self._fingerprint, fresh)
        except (AbplatformError, OSError) as error:
            self._fail("settings", error)
            return
        self._trouble.pop("settings", None)
        self._workspace = fresh
        self._reader = ConfigReader(fresh)
        self._seen = None
        self.now = replace(self.now, service=fresh.settings.service, access=access)

    def _read(self) -> None:
        before = self.now.config
        try:
            _check_journal(before, self._workspace.journal)
            config = self._reader.read()
        except (AbplatformError, OSError, ValueError) as error:
            self._failed_at = time.monotonic()
            self._fail("config", error)
            self._heed(before)
            return
        self._failed_at = None
        self._trouble.pop("config", None)
        self._next_at = _next_change(config, self._workspace.clock())
        for problem in config.problems:
            if problem not in before.problems:
                _LOG.warning("left out: %s", problem)
        self.reloads += 1
        document = assignments_document(config, pseudonyms=self._fingerprint)
        tag = entity_tag(document).encode()
        self.now = InForce(config, self.now.service, self.now.access, document, tag)

    def _heed(self, before: Config) -> None:
        """Obey what people switched off, though the config cannot be read anew."""
        try:
            config = self._reader.heed(before)
        except (AbplatformError, OSError, ValueError):
            return  # the journal itself is broken, which has been told
        if config is not before:
            document = assignments_document(config, pseudonyms=self._fingerprint)
            tag = entity_tag(document).encode()
            self.now = replace(self.now, config=config, document=document, tag=tag)

    def _fail(self, part: str, error: Exception) -> None:
        if self._trouble.get(part) != str(error):
            _LOG.error("the last good %s stays: %s", part, error)
        self.failures += 1
        self._trouble[part] = str(error)


def _check_journal(before: Config, journal: Path) -> None:
    """Refuse to take a folder that has vanished for a workspace in which nothing runs."""
    if before.experiments and not journal.is_dir():
        raise WorkspaceError(
            "the journal is gone", path=journal, remedy="put the folder back from a backup"
        )


def _check_access(before: Access, after: Access, path: Path) -> None:
    """Refuse to open the service to everybody, or to close it to those who know no token yet."""
    if bool(before.digests) != bool(after.digests):
        raise WorkspaceError(
            "`tokens` cannot appear or go while the service runs",
            path=path,
            remedy="start the service again",
        )


def _check_pseudonyms(before: str | None, fresh: Workspace) -> None:
    """Refuse to call the same units by other names from one decision to the next."""
    key = pseudonyms_of(fresh)
    if (key.fingerprint if key else None) != before:
        raise WorkspaceError(
            "`privacy.pseudonyms` cannot change while the service runs",
            path=fresh.root / SETTINGS_FILE,
            remedy="start the service again",
        )


def _next_change(config: Config, now: datetime) -> datetime | None:
    """When a phase begins or ends by itself, as the journal has dated it."""
    moments = [
        moment
        for served in config.experiments.values()
        for moment in (served.plan.phase.starts_at, served.plan.phase.ends_at)
        if moment is not None and moment > now
    ]
    return min(moments, default=None)


def _signature(workspace: Workspace) -> Signature:
    """Name, inode, size and time of every file that a config is built from."""
    data = workspace.data
    single = (
        workspace.catalog / "products.csv",
        workspace.creatives / "lineage.jsonl",
        data / "snapshots" / "CURRENT.json",
    )
    folders = (workspace.experiments, workspace.journal)
    files = (path for folder in folders for path in _inside(folder))
    return tuple(row for path in (*files, *single) for row in _stat(path))


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []  # reading it will say what is wrong


def _stat(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return ()  # one file that is gone, or cannot be looked at, keeps no other from being read
    return ((path.name, found.st_ino, found.st_size, found.st_mtime_ns),)
