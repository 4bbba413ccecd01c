"""Lines that the operating system has at once and the disk a moment later."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from abplatform.errors import AbplatformError, StoreError
from abplatform.logs.landing.appending import (
    SEAL_SECONDS,
    SEGMENT_BYTES,
    OpenSegment,
    check_lines,
    seal_open,
    unwritable,
)
from abplatform.logs.landing.sealing import hour_of
from abplatform.logs.landing.segments import check_source
from abplatform.logs.privacy import GuardWatch
from abplatform.workspace import Workspace

__all__ = ["SYNC_SECONDS", "SoonLanding"]

SYNC_SECONDS: Final = 0.02
"""How long lines may wait for others before their sync begins; it has 30 ms of the 50 left."""

_SPACE_SECONDS: Final = 1.0


class SoonLanding:
    """Writes in the caller's thread, and syncs and seals in one of its own.

    Whoever appends waits for no sync and no seal: a segment that is due is taken out of use first
    and sealed afterwards. After a failure the source gets another file; a torn last line is cut
    off, whole lines stay.

    Args:
        workspace: Where to land.

    Attributes:
        trouble: Why the newest sync failed; None where it did not.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._guard = GuardWatch(workspace)
        self._open: dict[str, OpenSegment] = {}
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._space_checked = -_SPACE_SECONDS
        self.trouble: str | None = None
        self._syncer = threading.Thread(target=self._keep_synced, name="landing soon", daemon=True)
        self._syncer.start()

    @property
    def alive(self) -> bool:
        """Whether lines are still taken and synced."""
        return self._syncer.is_alive() and not self._closing.is_set()

    def append(self, source: str, lines: Sequence[bytes], *, stored: bool) -> int:
        """Write lines; see :meth:`abplatform.logs.landing.Collector.append_soon`."""
        check_source(source)
        check_lines(lines)
        with self._lock:
            if not self.alive:
                raise StoreError("the collector is closed", remedy="open another one")
            self._check_space()
            guard = self._guard.current()
            if guard and stored:
                guard = guard.for_stored
            try:
                self._write(source, [guard.line(line) for line in lines] if guard else lines)
            except OSError as error:
                raise unwritable(error, self._workspace.landing) from error
        self._dirty.set()
        return len(lines)

    def prepare(self, source: str) -> None:
        """Open a source's segment; see :meth:`abplatform.logs.landing.Collector.prepare`."""
        check_source(source)
        try:
            with self._lock:
                if source not in self._open:
                    self._open[source] = self._create(source)
        except OSError as error:
            raise unwritable(error, self._workspace.landing) from error

    def close(self) -> None:
        """Sync, seal, and take nothing more."""
        self._closing.set()
        self._dirty.set()
        self._syncer.join()

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked >= _SPACE_SECONDS:
            self._workspace.check_space()
            self._space_checked = now

    def _write(self, source: str, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        segment = self._open.get(source)
        if segment is None:
            segment = self._open[source] = self._create(source)
        whole = segment.size
        try:
            segment.write(lines)
        except BaseException:
            del self._open[source]
            self._unsynced.discard(source)
            with contextlib.suppress(OSError), segment.file:
                os.ftruncate(segment.file.fileno(), whole)
            raise
        self._unsynced.add(source)

    def _create(self, source: str) -> OpenSegment:
        folder = self._workspace.landing / "open" / source / hour_of(self._workspace.clock())
        return OpenSegment.create(folder, opened=time.monotonic())

    def _keep_synced(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait(timeout=1.0)
            self._closing.wait(SYNC_SECONDS)
            self._dirty.clear()
            self._sync()
            self._seal(self._take_due())
        with self._lock:
            last = list(self._open.values())
            self._open.clear()
        self._seal(last)

    def _sync(self) -> None:
        with self._lock:
            waiting = {source: self._open[source] for source in self._unsynced}
            self._unsynced.clear()
        for source, segment in waiting.items():
            try:
                segment.sync()
                self.trouble = None
            except OSError as error:
                self.trouble = f"{segment.path}: {error.strerror or error}"
                # What is in the file stays there, to be sealed as a dead writer's; nothing more
                # is written behind it.
                with self._lock:
                    if self._open.get(source) is segment:
                        del self._open[source]
                        self._unsynced.discard(source)
                    segment.file.close()
            except ValueError:
                continue  # a write that failed has closed it meanwhile, and has said so

    def _take_due(self) -> list[OpenSegment]:
        """Take segments that are full or 60 s old out of use; another one is ready before.

        One in which nothing was written gets none: its source has fallen silent.
        """
        due = time.monotonic() - SEAL_SECONDS
        with self._lock:
            asked = [
                (source, segment)
                for source, segment in self._open.items()
                if segment.size >= SEGMENT_BYTES or segment.opened <= due
            ]
        taken = []
        for source, segment in asked:
            with contextlib.suppress(OSError):
                following = self._create(source) if segment.size else None
                with self._lock:
                    if self._open.get(source) is segment:
                        taken.append(self._open.pop(source))
                        self._unsynced.discard(source)
                        if following is not None:
                            self._open[source] = following
                    elif following is not None:
                        taken.append(following)
        return taken

    def _seal(self, segments: Sequence[OpenSegment]) -> None:
        for segment in segments:
            # On a full disk it stays under open/ without a writer, for the next seal to take.
            with contextlib.suppress(OSError, AbplatformError), segment.file:
                if segment.size == 0:
                    segment.path.unlink()
                    continue
                segment.sync()
                source = segment.path.parent.parent.name
                digest = segment.hasher.hexdigest()
                seal_open(self._workspace, segment.path, source=source, sha256=digest)
