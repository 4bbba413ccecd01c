"""A log's bytes from its beginning to its end, decompressed and guarded, with bounded memory.

A tape holds a window of the file. Whoever reads looks at what is ahead and then moves on; the tape
counts lines and bytes meanwhile. What cannot be decompressed further ends the tape with a problem,
and so does a small file that expands beyond all measure.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs

from abplatform.domain.events import EventRejected

__all__ = ["LONGEST_LINE", "MOST_EXPANDED", "Tape"]

LONGEST_LINE: Final = 1_000_000
"""Bytes of a line; a longer one is quarantined."""

MOST_EXPANDED: Final = 200
"""How many times its size a compressed file may grow; logs grow 5 to 30 times."""

_ALWAYS_ALLOWED: Final = 256 << 20
"""Bytes that any compressed file may expand to, whatever its size."""

_READ: Final = 1 << 18
_PIECE: Final = 1 << 14


class Tape:
    """Reads a file forwards; a context manager.

    Args:
        path: The file; ``.gz`` and ``.zst`` are decompressed on the way.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("rb")
        self._source = _decompressed(path, self._file)
        self._is_compressed = self._source is not self._file
        # Where a compressed file breaks off, the piece that was asked for last is lost.
        self._piece = _PIECE if self._is_compressed else 1 << 30
        self._held = b""
        self._at = 0
        self._expanded = 0
        self._is_over = False
        self.line = 1
        """The number of the next line, from 1."""
        self.moved = 0
        """How many bytes have been moved over."""
        self.problem: EventRejected | None = None
        """Why the file cannot be read to its end; known once the tape stands there."""
        # Some programs begin a UTF-8 file with a byte order mark.
        if self.ahead(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            self._at = len(codecs.BOM_UTF8)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._source.close()
        self._file.close()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file as it lies on the disk that have been read so far."""
        return self._file.tell()

    def ahead(self, count: int) -> bytes:
        """Return the next bytes without moving: ``count`` of them, fewer only at the end."""
        self._fill(count)
        return self._held[self._at : self._at + count]

    def lines_ahead(self, count: int) -> bytes:
        """Return the whole lines among the next bytes without moving; none where none ends."""
        self._fill(count)
        end = self._held.rfind(b"\n", self._at, self._at + count) + 1
        return self._held[self._at : end] if end else b""

    def move(self, count: int, *, lines: int | None = None) -> None:
        """Move over bytes that have been shown.

        Args:
            count: How many.
            lines: How many newlines are among them, if that is known.
        """
        if lines is None:
            lines = self._held.count(b"\n", self._at, self._at + count)
        self.line += lines
        self._at += count
        self.moved += count

    def next_line(self) -> tuple[bytes, EventRejected | None]:
        r"""Move over one line and return its bytes, with its newline, and what is wrong with it.

        One that is longer than :data:`LONGEST_LINE` comes with its beginning only. No bytes and no
        problem: the end.
        """
        size = _READ
        while not (end := self._held.find(b"\n", self._at, self._at + LONGEST_LINE + 1) + 1):
            self._fill(size)
            if self._is_over or size > LONGEST_LINE:
                end = self._held.find(b"\n", self._at, self._at + LONGEST_LINE + 1) + 1
                break
            size = min(size * 4, LONGEST_LINE + 1)
        line = self._held[self._at : end] if end else self._held[self._at :][: LONGEST_LINE + 1]
        self.move(len(line), lines=int(bool(end)))
        if end:
            return line, None
        if len(line) > LONGEST_LINE:
            self._skip_line()
            detail = f"the line is longer than {LONGEST_LINE} bytes"
            return line, EventRejected("too_long", detail)
        problem, self.problem = self.problem, None
        return line, problem

    def lines(self) -> Iterator[tuple[int, bytes, EventRejected | None]]:
        """Move over all lines: number, bytes without the newline, and what is wrong already.

        Where a compressed file breaks off, the rest counts as one truncated line.
        """
        while True:
            number = self.line
            line, problem = self.next_line()
            if not line and problem is None:
                return
            yield number, line.removesuffix(b"\n"), problem

    def _skip_line(self) -> None:
        """Move to the next line's beginning without holding what lies between."""
        while seen := self.ahead(_READ):
            end = seen.find(b"\n") + 1
            self.move(end or len(seen))
            if end:
                return

    def _fill(self, count: int) -> None:
        """Hold at least ``count`` bytes ahead, unless the file ends before."""
        missing = count - (len(self._held) - self._at)
        if missing <= 0 or self._is_over:
            return
        parts = [self._held[self._at :]]
        while missing > 0 and (part := self._read(max(missing, _READ))):
            parts.append(part)
            missing -= len(part)
        self._held, self._at = b"".join(parts), 0

    def _read(self, count: int) -> bytes:
        try:
            part = self._source.read(min(count, self._piece))
        except (EOFError, zlib.error, OSError) as error:
            self.problem = EventRejected(
                "truncated", f"the file cannot be decompressed further: {error}"
            )
            part = b""
        self._expanded += len(part)
        if self._is_compressed and self._expanded > _ALWAYS_ALLOWED:
            limit = max(self._file.tell() * MOST_EXPANDED, _ALWAYS_ALLOWED)
            if self._expanded > limit:
                detail = f"the file expands to more than {MOST_EXPANDED} times its size"
                self.problem = EventRejected("bomb", detail)
                part = b""
        self._is_over = not part
        return part


def _decompressed(path: Path, file: IO[bytes]) -> IO[bytes]:
    if path.name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]  # it reads
    if path.name.endswith(".zst"):
        return pa.CompressedInputStream(file, "zstd")  # type: ignore[no-any-return]  # untyped
    return file
