"""The journal: what people decided, one row after the other, never changed.

``data/journal/<sequence of its first row>.jsonl`` holds rows as canonical JSON (sorted keys, no
spaces). Each row carries its own sha256 over all its other fields, and the sha256 of the row
before it, across files. Reading checks every byte of that chain. What a chain cannot show is that
its newest rows were cut off at a line's end; keep a copy of the newest sha256 elsewhere for that.

A crash in the middle of a write leaves a last line without its line end. Such a row was never
acknowledged, since :meth:`Pen.append` returns only after the sync, so reading leaves it out; the
next append moves its bytes to ``<file>.torn`` and goes on behind the last whole row.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from abplatform.durable import append_durably, reach, replace_durably, sync_folder
from abplatform.errors import RegistryError, WorkspaceLocked

__all__ = ["GENESIS", "ROWS_PER_FILE", "Journal", "JournalRow", "Pen"]

GENESIS = "0" * 64
"""What stands for the sha256 of the row before the first."""

ROWS_PER_FILE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One decision.

    Args:
        sequence: Counted from 1 over all files.
        at: From when it holds, in UTC; people may date a start back.
        written_at: When it was written, in UTC.
        who: Who decided.
        action: What was decided, such as ``start``.
        experiment: The experiment's key, or None when it is about something else.
        detail: The facts, as JSON data.
        previous_sha256: The row before it.
        sha256: This row, over all other fields.
    """

    sequence: int
    at: datetime
    written_at: datetime
    who: str
    action: str
    experiment: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    previous_sha256: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON data, times in RFC 3339."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


def _encode(row: JournalRow) -> bytes:
    return msgspec.json.encode(row, order="sorted")


def _seal(row: JournalRow) -> JournalRow:
    content: dict[str, Any] = msgspec.to_builtins(row)
    del content["sha256"]
    digest = hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    return replace(row, sha256=digest)


class Journal:
    """The journal of one workspace.

    Args:
        folder: Where its files are; made by the first append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self) -> list[JournalRow]:
        """Read and check every row.

        Raises:
            RegistryError: A row was changed, lost, put in or moved; names file and line.
        """
        rows: list[JournalRow] = []
        for path in self._files():
            whole, _, _ = path.read_bytes().rpartition(b"\n")
            for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
                rows.append(_check(line, rows[-1] if rows else None, path=path, number=number))
        return rows

    @contextmanager
    def pen(self, *, wait_seconds: float = 30.0) -> Iterator[Pen]:
        """Hold the journal for writing; what the pen has read stays true until it is put down.

        The journal has its own lock: starting or stopping an experiment never waits for a job
        that holds the workspace.

        Raises:
            WorkspaceLocked: Somebody else held it for all of that time.
            RegistryError: As for :meth:`rows`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(self.folder.parent)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor, self.folder, wait_seconds)
            yield Pen(self)
        finally:
            os.close(descriptor)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def file_of(self, sequence: int) -> Path:
        """Return the file that holds a row."""
        first = (sequence - 1) // ROWS_PER_FILE * ROWS_PER_FILE + 1
        return self.folder / f"{first:012d}.jsonl"


class Pen:
    """The right to append, as long as the journal is held.

    Args:
        journal: The journal that is held.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.rows = journal.rows()

    def append(
        self,
        action: str,
        *,
        at: datetime,
        written_at: datetime,
        who: str,
        experiment: str | None,
        detail: Mapping[str, Any],
    ) -> JournalRow:
        """Append one row; it is on the disk when this returns.

        Args:
            action: What was decided.
            at: From when it holds, with a time zone.
            written_at: Now, with a time zone.
            who: Who decided.
            experiment: The experiment's key, or None.
            detail: JSON data with text keys.

        Raises:
            ValueError: A time has no time zone.
        """
        if at.tzinfo is None or written_at.tzinfo is None:
            message = f"times in the journal need a time zone: {at}, {written_at}"
            raise ValueError(message)
        last = self.rows[-1] if self.rows else None
        row = _seal(
            JournalRow(
                sequence=last.sequence + 1 if last else 1,
                at=at.astimezone(UTC),
                written_at=written_at.astimezone(UTC),
                who=who,
                action=action,
                experiment=experiment,
                detail=detail,
                previous_sha256=last.sha256 if last else GENESIS,
                sha256="",
            )
        )
        path = self._journal.file_of(row.sequence)
        _set_torn_line_aside(path)
        reach("journal.append")
        append_durably(path, [_encode(row) + b"\n"])
        self.rows.append(row)
        return row


def _check(line: bytes, last: JournalRow | None, *, path: Path, number: int) -> JournalRow:
    try:
        row = msgspec.json.decode(line, type=JournalRow)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken(f"this is no row ({error})", path, number) from None
    expected = last.sequence + 1 if last else 1
    if row.sequence != expected:
        raise _broken(f"row {row.sequence} stands where row {expected} belongs", path, number)
    if row.previous_sha256 != (last.sha256 if last else GENESIS):
        raise _broken("it does not follow from the row before it", path, number)
    if _encode(_seal(row)) != line:
        raise _broken("its content is not what its sha256 says", path, number)
    return row


def _broken(reason: str, path: Path, number: int) -> RegistryError:
    return RegistryError(
        f"the journal's chain is broken here: {reason}",
        path=path,
        line=number,
        remedy="put the journal's folder back from a backup; nothing is decided on a broken one",
    )


def _set_torn_line_aside(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return
    append_durably(path.with_name(f"{path.name}.torn"), [content[whole:], b"\n"])
    replace_durably(path, content[:whole])


def _acquire(descriptor: int, folder: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise WorkspaceLocked(
                    "another process is writing the journal",
                    path=folder,
                    remedy="wait until it ends, or stop that process",
                ) from None
            time.sleep(0.02)
        else:
            return
