"""Resumable steps: what a step has done is written down after it, with the hash of its inputs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform.durable import replace_durably
from abplatform.errors import RegistryError, WorkspaceLocked

__all__ = [
    "Finished",
    "Json",
    "digest",
    "file_digest",
    "hold_schedule",
    "hold_turn",
    "is_finished",
    "run_step",
]

Json = Mapping[str, object]
"""What a step takes and gives: plain data that JSON can hold."""

_MARKER = "_SUCCESS"


@dataclass(frozen=True, slots=True)
class Finished:
    """A step that is done.

    Args:
        step: Its name.
        inputs: Hash of everything that its result depends on.
        result: What it gave.
        seconds: How long it took when it ran.
        resumed: Whether it had been done before.
    """

    step: str
    inputs: str
    result: Json
    seconds: float
    resumed: bool


def digest(data: object) -> str:
    """Return the sha256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str | None:
    """Return the sha256 of a file's bytes, None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_step(
    folder: Path,
    step: str,
    inputs: object,
    work: Callable[[], Json],
    *,
    now: datetime,
    once: bool = False,
) -> Finished:
    """Do a step, unless it was done before with the same inputs.

    The marker is written last and whole, so a step that was killed has none and is done again:
    ``work`` must give the same when what it did before is still there.

    Args:
        folder: Of the turn; the step gets its own inside.
        step: Its name.
        inputs: Plain data that the result depends on.
        work: Does the step and returns what it gave.
        now: The workspace's time, for the record.
        once: Whether what it does cannot be taken back, so that other inputs are refused.

    Raises:
        RegistryError: A step that can be done only once was done with other inputs.
    """
    marker = folder / step / _MARKER
    wanted = digest({"step": step, "inputs": inputs})
    known = _read_marker(marker)
    if known.get("inputs") == wanted:
        return Finished(step, wanted, known["result"], known["seconds"], resumed=True)
    if once and known:
        raise RegistryError(
            f"{step} of {folder.name} was done with other inputs, and that cannot be taken back",
            path=marker,
            remedy="call it as the first time, with the same --seed, or take a new workspace",
        )
    began = time.monotonic()
    result = work()
    seconds = round(time.monotonic() - began, 3)
    record = {
        "step": step,
        "inputs": wanted,
        "result": result,
        "seconds": seconds,
        "finished_at": now.isoformat(),
    }
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)
    replace_durably(marker, text.encode())
    # Read back, so that a first run and a resumed one hand on the very same data.
    return Finished(step, wanted, json.loads(text)["result"], seconds, resumed=False)


def is_finished(folder: Path, step: str) -> bool:
    """Whether a turn has done a step, with whatever inputs."""
    return bool(_read_marker(folder / step / _MARKER))


@contextmanager
def hold_turn(runs: Path, week: str) -> Iterator[None]:
    """Keep other turns out while one runs; its jobs take the workspace's own lock one by one.

    Args:
        runs: The folder of all turns.
        week: What is run, shown to whoever comes second.

    Raises:
        WorkspaceLocked: Another turn is under way.
    """
    with _hold(runs / ".lock", week, problem="another weekly turn is under way"):
        yield


@contextmanager
def hold_schedule(runs: Path) -> Iterator[None]:
    """Keep other schedulers of a workspace out while one runs.

    Args:
        runs: The folder of all turns.

    Raises:
        WorkspaceLocked: Another scheduler is at work.
    """
    with _hold(runs / ".schedule.lock", "abp schedule", problem="another scheduler is at work"):
        yield


@contextmanager
def _hold(path: Path, told: str, *, problem: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise WorkspaceLocked(
                f"{problem}: {file.read().strip() or 'unknown'}",
                path=path.parent,
                remedy="wait until it ends, or stop that process",
            ) from None
        file.truncate(0)
        file.write(f"{told}, process {os.getpid()}")
        file.flush()
        yield


def _read_marker(marker: Path) -> dict[str, Any]:
    """Return what a marker says, nothing where there is none that can be read."""
    try:
        known = json.loads(marker.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
