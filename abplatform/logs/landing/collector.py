"""Group commit: many callers, one writer, one sync for all who wait."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from abplatform.errors import AbplatformError, StoreError
from abplatform.logs.landing.appending import Landing, check_lines
from abplatform.logs.landing.segments import check_source
from abplatform.logs.landing.soon import SoonLanding
from abplatform.workspace import Workspace

__all__ = ["Collector"]

_GROUP_BYTES: Final = 8 << 20
"""What a group holds at most, so that memory stays bounded and nobody waits for long."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    source: str
    lines: Sequence[bytes]
    done: Future[int] = field(default_factory=Future)


class Collector:
    """Takes lines from many threads and acknowledges them once they are on the disk.

    Those that arrive while one group is being synced form the next one, so nobody waits for
    company, and a hundred callers still share a sync. Segments are sealed at 64 MB, after 60 s and
    by :meth:`close`; what earlier writers left behind is sealed at the start.

        with Collector(workspace) as collector:
            collector.append("web", [b'{"schema": 1, …}'])   # on the disk when it returns

    Args:
        workspace: Where to land.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._landing = Landing(workspace)
        self._soon = SoonLanding(workspace)
        self._waiting: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._landing.seal()
        self._writer = threading.Thread(target=self._write, name="landing", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Acknowledge what still waits and seal."""
        self.close()

    def append(self, source: str, lines: Sequence[bytes]) -> int:
        """Append lines; when it returns, they are safe.

        Args:
            source: Where they come from.
            lines: Each without its newline.

        Returns:
            How many lines there were.

        Raises:
            IngestError: The source's name, or a line that holds a newline.
            DiskFull: Too little space is left; nothing of this call is acknowledged.
            StoreError: The disk fails, or the collector is closed.
        """
        return self.submit(source, lines).result()

    def submit(self, source: str, lines: Sequence[bytes]) -> Future[int]:
        """Append lines without waiting; the future answers as :meth:`append` does."""
        check_source(source)
        check_lines(lines)
        delivery = _Delivery(source, lines)
        with self._door:
            if self._closed:
                raise StoreError("the collector is closed", remedy="open another one")
            self._waiting.put(delivery)
        return delivery.done

    def append_soon(self, source: str, lines: Sequence[bytes], *, stored: bool = False) -> int:
        """Hand lines to the operating system at once; the disk has them within 50 ms.

        They survive a kill of this process when it returns, and a power cut a moment later. It
        waits for no sync, so that a decision can be answered in microseconds.

        Args:
            source: Where they come from.
            lines: Each without its newline.
            stored: Whether their units stand there as they are stored, as pseudonyms where the
                workspace has them; such lines keep every field.

        Returns:
            How many lines there were.

        Raises:
            IngestError: The source's name, or a line that holds a newline.
            DiskFull: Too little space is left.
            StoreError: The disk fails, or the collector is closed.
        """
        return self._soon.append(source, lines, stored=stored)

    def prepare(self, source: str) -> None:
        """Open a source's segment now, so that the first of :meth:`append_soon` waits for nothing.

        Raises:
            IngestError: The source's name.
            StoreError: The disk fails.
        """
        self._soon.prepare(source)

    @property
    def trouble(self) -> str | None:
        """Why lines appended soon did not reach the disk at the newest sync; None if they did."""
        return self._soon.trouble

    @property
    def alive(self) -> bool:
        """Whether lines are still taken and synced."""
        return not self._closed and self._writer.is_alive() and self._soon.alive

    def close(self) -> None:
        """Acknowledge what still waits, seal, and take nothing more."""
        self._soon.close()
        with self._door:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._writer.join()

    def _write(self) -> None:
        group: list[_Delivery] = []
        last = False
        try:
            while not last:
                group, last = self._next_group()
                self._commit(group)
        finally:
            # Whatever stops the writer, nobody may wait for ever.
            with self._door:
                self._closed = True
            while not self._waiting.empty():
                if (delivery := self._waiting.get()) is not None:
                    group.append(delivery)
            for delivery in group:
                if not delivery.done.done():
                    delivery.done.set_exception(StoreError("the collector has stopped"))
            # What a full or broken disk leaves unsealed is taken by the next writer's seal.
            with contextlib.suppress(OSError, AbplatformError):
                self._landing.seal()

    def _next_group(self) -> tuple[list[_Delivery], bool]:
        """Wait for a delivery, then take all that wait; and whether these are the last ones."""
        group: list[_Delivery] = []
        size = 0
        patience = self._landing.seconds_until_due()
        while size < _GROUP_BYTES:
            try:
                delivery = self._waiting.get(timeout=patience)
            except queue.Empty:
                break
            if delivery is None:
                return group, True
            group.append(delivery)
            size += sum(map(len, delivery.lines))
            patience = 0
        return group, False

    def _commit(self, group: Sequence[_Delivery]) -> None:
        by_source: dict[str, list[_Delivery]] = {}
        for delivery in group:
            by_source.setdefault(delivery.source, []).append(delivery)
        for source, deliveries in by_source.items():
            try:
                self._landing.append(source, [line for one in deliveries for line in one.lines])
            except AbplatformError as error:
                for delivery in deliveries:
                    delivery.done.set_exception(error)
            else:
                for delivery in deliveries:
                    delivery.done.set_result(len(delivery.lines))
        self._landing.seal_due()
