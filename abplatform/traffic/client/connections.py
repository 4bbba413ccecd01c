"""HTTP to one service: connections are kept and shared, and every request has one deadline.

It stands on the standard library's ``http.client``. What a client of one host needs beyond that
is small, and one of the two things it needs most, a limit on the whole request and not on each
read, the usual libraries do not offer: a service that sends a byte now and then would hold a page
for minutes.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from abplatform.errors import ServiceError

__all__ = ["MOST_ANSWER_BYTES", "Answer", "Connections"]

MOST_ANSWER_BYTES: Final = 64 * 2**20
"""A longer answer is not read."""

_MOST_IDLE: Final = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered.

    Args:
        status: The HTTP status.
        headers: By name in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> str:
        """Status and the beginning of what was said, for an error."""
        return f"HTTP {self.status}: {self.body[:200].decode(errors='replace')}".rstrip(": ")


class Connections:
    """Connections to one service; threads and forked processes may share the object.

    Args:
        url: Such as ``http://127.0.0.1:8080``; a path is put before every request's.
        token: Sent as a bearer token.

    Raises:
        ServiceError: The address is none, or the token holds what no header can.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        scheme, self._host, self._port, path = _taken_apart(url)
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ServiceError(
                "the token holds a letter that no header can, such as a line break",
                remedy="give it as it was made; of a file, without the line's end",
            )
        self._secure = scheme == "https"
        self._prefix = path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._idle: deque[_Kept] = deque()
        self._process = os.getpid()

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        A kept connection may have been closed by the service since it was last used; then the
        request is sent once more on a new one.

        Args:
            method: ``GET`` or ``POST``.
            path: Beginning with a slash.
            timeout_seconds: For everything from connecting to the answer's last byte, but for
                looking the host's name up.
            body: JSON.
            headers: Beyond token and type.

        Raises:
            OSError: No connection, or no whole answer in time (``TimeoutError``).
            http.client.HTTPException: What came is no HTTP.
        """
        until = time.monotonic() + timeout_seconds
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        request = (method, self._prefix + path, body, sent)
        kept = self._take()
        if kept is not None:
            try:
                return self._converse(kept, request, until)
            except ConnectionError:
                pass  # it was closed meanwhile: a new one says whether the service is there
        return self._converse(self._open(until), request, until)

    def close(self) -> None:
        """Close what is kept; the object may be used again."""
        while self._idle:
            self._idle.pop().http.close()

    def _take(self) -> _Kept | None:
        """Return a kept connection; a forked child leaves those of its parent alone."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.close()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self, until: float) -> _Kept:
        made = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = made(self._host, self._port, timeout=_left(until))
        connection.connect()
        # A small request is one packet; Nagle's algorithm would let it wait for the last answer.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watched = _Watched(connection.sock)
        connection.sock = cast("socket.socket", watched)
        return _Kept(connection, watched)

    def _converse(
        self, kept: _Kept, request: tuple[str, str, bytes | None, Mapping[str, str]], until: float
    ) -> Answer:
        method, path, body, headers = request
        try:
            kept.watched.until = until
            kept.http.request(method, path, body=body, headers=dict(headers))
            response = kept.http.getresponse()
            read = _read_whole(response)
        except BaseException:
            kept.http.close()
            raise
        if response.will_close or len(self._idle) >= _MOST_IDLE:
            kept.http.close()
        else:
            self._idle.append(kept)
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, read)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A connection, and its socket's deadline."""

    http: http.client.HTTPConnection
    watched: _Watched


class _Watched:
    """A socket with one deadline for all that is sent and received."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.until = 0.0

    def sendall(self, sent: Any) -> None:
        """Send all, or raise TimeoutError at the deadline."""
        self._inner.settimeout(_left(self.until))
        self._inner.sendall(sent)

    def recv_into(self, room: Any) -> int:
        """Receive some, or raise TimeoutError at the deadline."""
        self._inner.settimeout(_left(self.until))
        return self._inner.recv_into(room)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what reads the answer."""
        return io.BufferedReader(_Reading(self))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()


class _Reading(io.RawIOBase):
    """What is received, as a file."""

    def __init__(self, watched: _Watched) -> None:
        super().__init__()
        self._watched = watched

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        return self._watched.recv_into(room)


def _taken_apart(url: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port and path of an address."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            parts.hostname.encode("idna")
            return parts.scheme, parts.hostname, parts.port, parts.path
    except ValueError:
        pass  # a port that is no number, a bracket that is not closed, a name that is too long
    raise ServiceError(
        f"{url!r} is no address of a service",
        remedy="give it as http://host:port or https://host",
    )


def _read_whole(response: http.client.HTTPResponse) -> bytes:
    read = response.read(MOST_ANSWER_BYTES + 1)
    if response.length and len(read) <= MOST_ANSWER_BYTES:
        raise http.client.IncompleteRead(read, response.length)
    if len(read) > MOST_ANSWER_BYTES:
        message = f"the answer is longer than {MOST_ANSWER_BYTES} bytes"
        raise http.client.HTTPException(message)
    return read


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        message = "the time for the request is over"
        raise TimeoutError(message)
    return left
