"""Appending: lines that are on the disk when they are acknowledged."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from abplatform.durable import reach, sync_file, sync_folder
from abplatform.errors import DiskFull, IngestError, StoreError
from abplatform.logs.landing.sealing import (
    Delivery,
    create_held,
    hour_of,
    owned_by_the_dead,
    seal_file,
)
from abplatform.logs.landing.segments import Segment, check_source, file_sha256
from abplatform.logs.privacy import FORGOTTEN_LINE, GuardWatch, tombstones_of
from abplatform.workspace import Workspace

__all__ = [
    "SEAL_SECONDS",
    "SEGMENT_BYTES",
    "Landing",
    "OpenSegment",
    "check_lines",
    "seal_open",
    "unwritable",
    "write_whole",
]

SEGMENT_BYTES: Final = 64 * 1024 * 1024
SEAL_SECONDS: Final = 60.0

_WRITE_BYTES: Final = 1 << 20
_NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Landing:
    """Appends lines to open segments, one a source, and seals them.

    A segment is sealed when it reaches 64 MB or is 60 s old at an append, and at shutdown. While
    it is open, its writer holds a lock on it, so that nobody else seals it; what a dead writer left
    behind is sealed by the next :meth:`seal`. One thread at a time; many callers share a
    :class:`~abplatform.logs.landing.Collector`.

    Args:
        workspace: Where to land.
        seconds: Tells passing time; only differences count.
    """

    def __init__(
        self, workspace: Workspace, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace = workspace
        self._seconds = seconds
        self._open: dict[str, OpenSegment] = {}
        self._guard = GuardWatch(workspace)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Seal what is open."""
        self.seal()

    def append(self, source: str, lines: Iterable[bytes]) -> int:
        """Append lines and bring them to the disk: when it returns, they are safe.

        When it raises, none of them is acknowledged: deliver them again. Some may be in all the
        same, which does no harm, since an event counts once however often it comes.

        Args:
            source: Where they come from.
            lines: Each without its newline.

        Returns:
            How many lines there were.

        Raises:
            IngestError: The source's name, or a line that holds a newline.
            DiskFull: Too little space is left on the disk.
        """
        check_source(source)
        self._workspace.check_space()
        self.seal_due()
        guard = self._guard.current()
        count = 0
        try:
            for part in _parts(lines):
                self._write(source, [guard.line(line) for line in part] if guard else part)
                count += len(part)
            if source in self._open:
                with self._dropped_if_it_fails(source):
                    self._open[source].sync()
        except OSError as error:
            raise unwritable(error, self._workspace.landing) from error
        return count

    def seal_due(self) -> None:
        """Seal this writer's segments that are 60 s old."""
        due = self._seconds() - SEAL_SECONDS
        for source in sorted(source for source, one in self._open.items() if one.opened <= due):
            # On a full disk it stays under open/ without a writer, for the next seal() to take.
            with contextlib.suppress(OSError):
                self._close(source)

    def seconds_until_due(self) -> float:
        """Return how long it is until the next segment is 60 s old."""
        oldest = min((one.opened for one in self._open.values()), default=self._seconds())
        return max(0.0, oldest + SEAL_SECONDS - self._seconds())

    def seal(self) -> list[Segment]:
        """Seal this writer's open segments and those of dead writers.

        What a dead writer was copying into the landing was never acknowledged, and goes away.

        Returns:
            The segments sealed, in order.
        """
        sealed = [self._close(source) for source in sorted(self._open)]
        for path in sorted(self._workspace.landing.glob("open/*/*/*.jsonl")):
            with owned_by_the_dead(path) as is_ours:
                if is_ours:
                    sealed.append(_seal(self._workspace, path))
        for path in sorted(self._workspace.landing.glob("open/*/*/*")):
            with owned_by_the_dead(path) as is_ours:
                if is_ours and path.suffix in {".partial", ".new"}:
                    path.unlink()
        return [segment for segment in sealed if segment]

    def _write(self, source: str, lines: Sequence[bytes]) -> None:
        segment = self._open.get(source)
        if segment is None:
            segment = self._open[source] = OpenSegment.create(
                self._workspace.landing / "open" / source / hour_of(self._workspace.clock()),
                opened=self._seconds(),
            )
        with self._dropped_if_it_fails(source):
            segment.write(lines)
        if segment.size >= SEGMENT_BYTES:
            self._close(source)

    @contextmanager
    def _dropped_if_it_fails(self, source: str) -> Iterator[None]:
        """Never append behind a torn line: after a failure the source gets another file.

        What was acknowledged stays in the old one, which is sealed as a dead writer's.
        """
        try:
            yield
        except BaseException:  # Ctrl+C in mid-write tears a line as well; it is raised on
            self._open.pop(source).give_up()
            raise

    def _close(self, source: str) -> Segment | None:
        segment = self._open.pop(source)
        with segment.file:
            if segment.size == 0:
                segment.path.unlink()
                return None
            segment.sync()
            return seal_open(
                self._workspace, segment.path, source=source, sha256=segment.hasher.hexdigest()
            )


@dataclass(slots=True)
class OpenSegment:
    """A file under ``open/`` whose lock this writer holds.

    Args:
        path: The file.
        file: Open for appending, without a buffer.
        opened: When it was made.
        size: Bytes written.
        hasher: Has seen them.
        durable: How many of them are on the disk.
    """

    path: Path
    file: FileIO
    opened: float
    size: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    durable: int = 0

    @classmethod
    def create(cls, folder: Path, *, opened: float) -> Self:
        """Make the file; it gets its name only once it is locked, so that none takes it."""
        file = create_held(folder, ".new")
        draft = Path(str(file.name))
        path = draft.with_suffix(".jsonl")
        draft.rename(path)
        sync_folder(folder)
        return cls(path, file, opened)

    def write(self, lines: Sequence[bytes]) -> None:
        """Write whole lines."""
        content = b"".join((b"\n".join(lines), b"\n"))
        reach("landing.append")
        write_whole(self.file, content)
        self.hasher.update(content)
        self.size += len(content)

    def sync(self) -> None:
        """Bring what was written to the disk.

        Raises:
            OSError: The disk fails, or somebody has removed the file.
        """
        reach("landing.fsync")
        os.fsync(self.file.fileno())
        if os.fstat(self.file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the file was removed", str(self.path))
        self.durable = self.size

    def give_up(self) -> None:
        """Cut off what was not acknowledged, as far as that still works, and let go."""
        with contextlib.suppress(OSError), self.file:
            os.ftruncate(self.file.fileno(), self.durable)


def check_lines(lines: Iterable[bytes]) -> None:
    """Check that none of the lines is two.

    Raises:
        IngestError: One holds a newline.
    """
    if any(b"\n" in line for line in lines):
        raise IngestError("a line holds a newline", remedy="append it as several lines")


def write_whole(file: FileIO, content: bytes) -> None:
    """Write all of it, also where the system takes it in several pieces."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def unwritable(error: OSError, path: Path) -> StoreError:
    """Return what a failed write means to whoever delivers."""
    if error.errno in _NO_SPACE:
        return DiskFull(
            "nothing of this delivery is acknowledged: the disk is full",
            path=path,
            remedy="make room on the disk, then deliver again",
        )
    return StoreError(
        f"nothing of this delivery is acknowledged: {error.strerror}",
        path=path,
        remedy="check the disk, then deliver again",
    )


def _parts(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Gather lines into parts of about 1 MB, none of them empty."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line) + 1
        if size >= _WRITE_BYTES:
            check_lines(part)
            yield part
            part, size = [], 0
    if part:
        check_lines(part)
        yield part


def _seal(workspace: Workspace, path: Path) -> Segment | None:
    """Seal what a dead writer left; an empty file goes away."""
    if path.stat().st_size == 0:
        path.unlink()
        return None
    sync_file(path)
    return seal_open(workspace, path, source=path.parent.parent.name, sha256=file_sha256(path))


def seal_open(workspace: Workspace, path: Path, *, source: str, sha256: str) -> Segment:
    """Seal a file of appended lines; those that the guard erased are counted."""
    erased = 0
    if tombstones_of(workspace):
        with path.open("rb") as file:
            erased = sum(line == FORGOTTEN_LINE + b"\n" for line in file)
    forgotten = {source: erased} if erased else {}
    return seal_file(workspace, path, Delivery(source, sha256, forgotten=forgotten))
