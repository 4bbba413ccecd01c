"""Events to the service: sent until they are on its disk, or an error says that they are not."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from abplatform.errors import DeliveryError
from abplatform.traffic.client.answers import Delivery, Rejected
from abplatform.traffic.client.connections import Answer, Connections

__all__ = ["report"]

_MOST_EVENTS: Final = 5_000
_MOST_BYTES: Final = 512 * 2**10
"""A request holds no more; the service's own limits are twice as high."""

_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 2.0


class _Receipt(msgspec.Struct, frozen=True):
    """What the service says of one request."""

    received: int
    acknowledged: int
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a request was not acknowledged, and after how many seconds it may come again."""

    problem: str
    again_seconds: float | None = 0.0


def report(
    connections: Connections, events: Iterable[Mapping[str, Any]], *, patience_seconds: float
) -> Delivery:
    """Report events and return once all are on the service's disk or rejected for good.

    Args:
        connections: To the service.
        events: Of schema 1; they go in pieces that the service takes.
        patience_seconds: How long each piece is repeated.

    Raises:
        DeliveryError: A piece was not acknowledged; those before it were.
    """
    done = Delivery(0, 0)
    for lines in _pieces(events):
        until = time.monotonic() + patience_seconds
        answer = _deliver(connections, b"\n".join(lines) + b"\n", until)
        if isinstance(answer, _Refusal):
            raise DeliveryError(
                f"events are not acknowledged from number {done.received + 1} on: {answer.problem}",
                acknowledged=done.received,
                remedy="report them again; an event that comes twice counts once",
            )
        done = Delivery(
            received=done.received + answer.received,
            acknowledged=done.acknowledged + answer.acknowledged,
            rejected=done.rejected
            + tuple(Rejected(done.received + one.index, one.reason) for one in answer.rejected),
        )
    return done


def _pieces(events: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for event in events:
        line = msgspec.json.encode(event)
        if piece and (len(piece) == _MOST_EVENTS or size + len(line) > _MOST_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    if piece:
        yield piece


def _deliver(connections: Connections, body: bytes, until: float) -> _Receipt | _Refusal:
    """Send a piece until it is acknowledged, refused for good, or the time is over."""
    wait = _FIRST_WAIT_SECONDS
    while True:
        answer = _send(connections, body, max(until - time.monotonic(), 0.001))
        if isinstance(answer, _Receipt) or answer.again_seconds is None:
            return answer
        pause = max(wait, answer.again_seconds)
        if time.monotonic() + pause >= until:
            return answer
        time.sleep(pause)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


def _send(connections: Connections, body: bytes, timeout_seconds: float) -> _Receipt | _Refusal:
    lines = {"Content-Type": "application/x-ndjson"}
    try:
        answer = connections.ask(
            "POST", "/v1/events", timeout_seconds=timeout_seconds, body=body, headers=lines
        )
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=_Receipt)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        return _Refusal(str(error) or type(error).__name__)
    if answer.status >= 500 or answer.status in {408, 429}:
        return _Refusal(answer.told, _seconds(answer))
    return _Refusal(answer.told, None)


def _seconds(answer: Answer) -> float:
    """What Retry-After says in seconds; a date counts as nothing said."""
    try:
        return max(float(answer.headers.get("retry-after", 0)), 0.0)
    except ValueError:
        return 0.0
