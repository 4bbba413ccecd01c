"""A workspace: its folders, its settings, its clock and its one lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from abplatform.durable import free_bytes, size_text
from abplatform.errors import DiskFull, WorkspaceError, WorkspaceLocked
from abplatform.settings import CalendarStretch, Settings, check_settings, read_settings

__all__ = [
    "SETTINGS_FILE",
    "CalendarStretch",
    "Clock",
    "Settings",
    "Workspace",
    "check_settings",
    "find_workspace",
    "open_workspace",
    "system_clock",
]

SETTINGS_FILE = "abp.yaml"

Clock = Callable[[], datetime]
"""Returns the present moment with a time zone; tests and simulations hand in their own."""


def system_clock() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder in which one team's experiments live.

    Args:
        root: The folder that holds abp.yaml.
        settings: What abp.yaml says.
        clock: Tells the present moment.
    """

    root: Path
    settings: Settings = field(default_factory=Settings)
    clock: Clock = system_clock

    @property
    def experiments(self) -> Path:
        """Folder of the team's YAML files."""
        return self.root / "experiments"

    @property
    def catalog(self) -> Path:
        """Folder of the team's products."""
        return self.root / "catalog"

    @property
    def data(self) -> Path:
        """Folder of everything that the platform writes."""
        return self.root / "data"

    @property
    def journal(self) -> Path:
        """Folder of what people decided."""
        return self.data / "journal"

    @property
    def specs(self) -> Path:
        """Folder of spec bytes by their sha256."""
        return self.data / "specs"

    @property
    def landing(self) -> Path:
        """Folder of what happened: open and sealed segments."""
        return self.data / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file; a cache."""
        return self.data / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Folder of the tables that dashboards read."""
        return self.data / "published"

    @property
    def creatives(self) -> Path:
        """Folder of lossless masters and their lineage."""
        return self.data / "creatives"

    @property
    def pairs(self) -> Path:
        """Folder of training data."""
        return self.data / "pairs"

    @property
    def checkpoints(self) -> Path:
        """Folder of model versions and their aliases."""
        return self.data / "checkpoints"

    @property
    def snapshots(self) -> Path:
        """Folder of what policies know, by sha256."""
        return self.data / "snapshots"

    @property
    def runs(self) -> Path:
        """Folder of the weekly turns' finished steps."""
        return self.data / "runs"

    def check_space(self, incoming_bytes: int = 0) -> None:
        """Refuse to take anything in when the disk is nearly full.

        Args:
            incoming_bytes: How much of the space will be needed at once.

        Raises:
            DiskFull: Less than ``min_free`` of the disk would be left.
        """
        free, total = free_bytes(self.data)
        least = self.settings.min_free * total
        if free - incoming_bytes < least:
            raise DiskFull(
                f"nothing more is taken in: {size_text(free)} are free on the disk, "
                f"{size_text(incoming_bytes + least)} are needed",
                path=self.data,
                remedy=f"make room, or lower `min_free` ({self.settings.min_free:.0%}) in abp.yaml",
            )

    @contextmanager
    def lock(self, job: str, *, wait_seconds: float = 30.0) -> Iterator[None]:
        """Hold the workspace while a job writes; one job at a time.

        Args:
            job: What is being done, shown to whoever waits.
            wait_seconds: How long to wait for another job.

        Raises:
            WorkspaceLocked: Another job did not finish in time; the message names it.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        path = self.data / ".lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor, path, wait_seconds)
            holder = {"job": job, "pid": os.getpid(), "since": self.clock().isoformat()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace")
            raise WorkspaceLocked(
                f"another job holds the workspace: {holder or 'unknown'}",
                path=path,
                remedy="wait until it ends, or stop that process",
            ) from None
        return


def find_workspace(explicit: Path | str | None = None) -> Path:
    """Find the workspace's folder.

    Args:
        explicit: The folder a person named; else ``$ABP_WORKSPACE``; else the nearest folder
            from here upwards that holds an abp.yaml.

    Raises:
        WorkspaceError: There is none.
    """
    named = explicit or os.environ.get("ABP_WORKSPACE")
    here = Path(named) if named else Path.cwd()
    candidates = [here] if named else [here, *here.resolve().parents]
    for folder in candidates:
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise WorkspaceError(
        f"no {SETTINGS_FILE} in {here}" if named else f"no {SETTINGS_FILE} here or above",
        path=here,
        remedy="make a workspace with `abp init DIR`, or name one with `-w DIR`",
    )


def open_workspace(folder: Path | str | None = None, *, clock: Clock = system_clock) -> Workspace:
    """Open the workspace in a folder, or the nearest one.

    Raises:
        WorkspaceError: There is none.
        SpecError: abp.yaml is wrong.
    """
    root = find_workspace(folder)
    return Workspace(root=root, settings=read_settings(root / SETTINGS_FILE), clock=clock)
