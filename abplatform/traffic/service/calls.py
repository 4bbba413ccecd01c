"""One HTTP call and its reply, as ASGI has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

__all__ = [
    "BODY_SECONDS",
    "JSON",
    "Call",
    "Receive",
    "Refused",
    "Reply",
    "Scope",
    "Send",
    "json_reply",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = b"application/json"
_ENCODER: Final = msgspec.json.Encoder()
BODY_SECONDS: Final = 30.0
"""So long a body may take to come."""

_PASSED_OVER_BYTES: Final = 16 << 20
"""So much of a body that is too long is read all the same: who is still sending hears no answer."""


class Refused(Exception):
    """A call that is answered with an error.

    Args:
        status: The HTTP status.
        code: A stable word.
        detail: What is wrong and what to do, as a sentence.
        retry_seconds: When to come again, where that helps.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_seconds: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_seconds = retry_seconds

    def reply(self) -> Reply:
        """Return the answer."""
        told = json_reply({"error": self.code, "detail": self.detail}, status=self.status)
        if self.retry_seconds is not None:
            told.headers.append((b"retry-after", str(self.retry_seconds).encode()))
        if self.status == 408:
            told.headers.append((b"connection", b"close"))
        if self.status == 401:
            told.headers.append((b"www-authenticate", b"Bearer"))
        return told


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Args:
        status: The HTTP status.
        body: Its bytes.
        kind: The media type; None where there is no body.
        headers: Further ones.
    """

    status: int
    body: bytes = b""
    kind: bytes | None = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        """Send it."""
        headers = [(b"content-length", str(len(self.body)).encode()), *self.headers]
        if self.kind is not None:
            headers.append((b"content-type", self.kind))
        if self.status in {204, 304}:
            headers = headers[1:]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if with_body else b""})


def json_reply(data: object, *, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, _ENCODER.encode(data))


class Call:
    """A request as it comes in.

    Args:
        scope: ASGI's.
        receive: Where its body comes from.
        rest: What follows the route in the path, such as a creative's id.
    """

    __slots__ = ("_receive", "_scope", "headers", "rest")

    def __init__(self, scope: Scope, receive: Receive, rest: str = "") -> None:
        self._scope = scope
        self._receive = receive
        self.rest = rest
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return str(self._scope.get("scheme", "http"))

    async def body(self, most_bytes: int, *, within_seconds: float = BODY_SECONDS) -> bytes:
        """Return the body.

        Args:
            most_bytes: A longer one is refused, and not held.
            within_seconds: A slower one is refused, and its connection closed.

        Raises:
            Refused: It is too long or too slow, or was cut off.
        """
        try:
            async with asyncio.timeout(within_seconds):
                return await self._gather(most_bytes)
        except TimeoutError:
            raise Refused(
                408, "too_slow", f"the body took longer than {within_seconds:g} s; send it again"
            ) from None

    async def _gather(self, most_bytes: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        more = True
        while more and size <= most_bytes + _PASSED_OVER_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "cut_off", "the body was cut off; send the call again")
            part = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(part)
            if size <= most_bytes:
                parts.append(part)
            else:
                parts.clear()
        if size > most_bytes:
            raise _too_long(most_bytes)
        return b"".join(parts) if len(parts) > 1 else parts[0]


def _too_long(most_bytes: int) -> Refused:
    return Refused(
        413, "too_long", f"the body is longer than {most_bytes} bytes; send it in several calls"
    )
