"""Where decisions and events go: the landing, or a bounded memory while the disk is unavailable."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from abplatform.errors import AbplatformError, StoreError
from abplatform.logs.landing import Collector
from abplatform.workspace import Workspace

__all__ = ["CLICKS", "SERVICE", "Recorder"]

SERVICE: Final = "service"
"""The source under which decisions, impressions and reported events land."""

CLICKS: Final = "service-clicks"
"""The source of clicks by URL: a restarted service reads them to know a replay."""

_SPOOL_BYTES: Final = 64 << 20
_RETRY_SECONDS: Final = 0.5
_LOG: Final = logging.getLogger("abplatform.service")


class Recorder:
    """Lands lines, whatever becomes of the disk.

    Args:
        workspace: Where to land.
        spool_bytes: What is kept in memory at most while the disk takes nothing; beyond it the
            oldest lines are lost, and counted.
    """

    def __init__(self, workspace: Workspace, *, spool_bytes: int = _SPOOL_BYTES) -> None:
        self._workspace = workspace
        self._spool_bytes = spool_bytes
        self._spool: deque[tuple[str, bytes]] = deque()
        self._spooled_bytes = 0
        self._lock = threading.Lock()
        self._collector: Collector | None = None
        self._closing = threading.Event()
        self.lost = 0
        self.trouble: str | None = "nothing has landed yet"
        self._reopen()
        self._keeper = threading.Thread(target=self._keep, name="recorder", daemon=True)
        self._keeper.start()

    @property
    def spooled(self) -> int:
        """Lines that wait in memory."""
        return len(self._spool)

    @property
    def alive(self) -> bool:
        """Whether somebody takes lines for the landing."""
        return self._collector is not None and self._collector.alive

    def append_soon(self, source: str, lines: Sequence[bytes]) -> bool:
        """Hand lines to the operating system.

        Args:
            source: Under which they land.
            lines: Made by the service itself: their units are as they are stored.

        Returns:
            Whether it has them; if not, they wait in memory.
        """
        collector = self._collector
        if collector is not None and not self._spool:
            try:
                collector.append_soon(source, lines, stored=True)
            except (AbplatformError, OSError) as error:
                self._say(str(error))
            else:
                return True
        self._keep_in_memory(source, lines)
        return False

    async def append(self, source: str, lines: Sequence[bytes]) -> int:
        """Append lines; when it returns, they are on the disk.

        Raises:
            StoreError: They are not; nothing is acknowledged.
        """
        collector = self._collector
        if collector is None:
            raise StoreError(self.trouble or "the landing is closed", remedy="deliver again")
        try:
            return await asyncio.wrap_future(collector.submit(source, lines))
        except StoreError as error:
            self._say(str(error))
            raise
        except (AbplatformError, OSError) as error:
            self._say(str(error))
            raise StoreError(str(error), remedy="deliver again") from error

    def close(self) -> None:
        """Bring out what waits, as far as that works, and seal."""
        self._closing.set()
        self._keeper.join()
        self._retry()
        if self._collector is not None:
            self._collector.close()
            self._collector = None
        if self._spool:
            _LOG.error("%d lines in memory are lost: %s", len(self._spool), self.trouble)

    def _keep_in_memory(self, source: str, lines: Sequence[bytes]) -> None:
        with self._lock:
            for line in lines:
                self._spool.append((source, line))
                self._spooled_bytes += len(line)
            while self._spooled_bytes > self._spool_bytes:
                self._spooled_bytes -= len(self._spool.popleft()[1])
                self.lost += 1

    def _keep(self) -> None:
        while not self._closing.wait(_RETRY_SECONDS):
            if self._collector is None or not self._collector.alive:
                self._reopen()
            if self._spool:
                self._retry()
            elif self._collector is not None and self._collector.trouble:
                self._say(self._collector.trouble)
                self._reopen()  # opening its files asks the disk whether it works again
            elif self.trouble:
                self._check()

    def _reopen(self) -> None:
        collector, self._collector = self._collector, None
        try:
            if collector is not None:
                collector.close()
            fresh = Collector(self._workspace)
            self._collector = fresh
            for source in (SERVICE, CLICKS):
                fresh.prepare(source)
            self.trouble = None
        except (AbplatformError, OSError) as error:
            self._say(str(error))

    def _check(self) -> None:
        """Ask the disk whether the trouble is over, while nobody decides anything."""
        try:
            self._workspace.check_space()
            self.trouble = None
        except (AbplatformError, OSError) as error:
            self._say(str(error))

    def _retry(self) -> None:
        """Bring what waits in memory to the landing, the oldest first."""
        while self._spool and self._collector is not None:
            with self._lock:
                source = self._spool[0][0]
                lines: list[bytes] = []
                while self._spool and self._spool[0][0] == source and len(lines) < 1000:
                    lines.append(self._spool.popleft()[1])
            try:
                self._collector.append_soon(source, lines, stored=True)
            except (AbplatformError, OSError) as error:
                self._say(str(error))
                with self._lock:
                    self._spool.extendleft((source, line) for line in reversed(lines))
                return
            with self._lock:
                self._spooled_bytes -= sum(map(len, lines))
            self.trouble = None

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            _LOG.error("nothing can be kept: %s", trouble)
        self.trouble = trouble
