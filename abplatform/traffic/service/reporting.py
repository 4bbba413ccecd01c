"""What happened: ``POST /v1/events``, and the signed URLs of impressions and clicks."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from abplatform.domain.events import CURRENT_SCHEMA, Click, EventRejected, decode_event
from abplatform.errors import StoreError
from abplatform.logs.validate import EARLIEST
from abplatform.traffic.service.calls import Call, Refused, Reply, json_reply
from abplatform.traffic.service.parts import Parts
from abplatform.traffic.service.recorder import CLICKS, SERVICE
from abplatform.traffic.service.tokens import Expired, Forged, Purpose, Signed

__all__ = ["click", "events", "impression"]

_BODY_BYTES: Final = 16 << 20
_MOST_EVENTS: Final = 10_000
_LINE_BYTES: Final = 1 << 20
_TURN: Final = 200
_AHEAD: Final = timedelta(hours=24)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
_NO_STORE: Final = (b"cache-control", b"no-store")
_PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


async def events(parts: Parts, call: Call) -> Reply:
    """Take JSON lines or a JSON array; what is acknowledged is on the disk."""
    now = parts.watcher.now
    caller = parts.admit(call, now)
    lines = _lines(await call.body(_BODY_BYTES))
    if len(lines) > _MOST_EVENTS:
        raise Refused(413, "too_many", f"more than {_MOST_EVENTS} events; send several calls")
    parts.limit(caller, len(lines), now)
    good, rejected = await _sift(lines, parts.workspace.clock())
    if good:
        try:
            await parts.recorder.append(SERVICE, good)
        except StoreError as error:
            parts.metrics.event("refused", len(lines))
            raise Refused(
                503, "not_kept", f"nothing is acknowledged: {error}", retry_seconds=1
            ) from None
    parts.metrics.event("acknowledged", len(good))
    parts.metrics.event("rejected", len(rejected))
    return json_reply({"received": len(lines), "acknowledged": len(good), "rejected": rejected})


async def impression(parts: Parts, call: Call) -> Reply:
    """Record the impression that the URL holds; however often it is fetched, it is one event."""
    signed = _signed(parts, "impression", call.rest)
    return _recorded(parts, SERVICE, signed.content, Reply(200, _PIXEL, b"image/gif", [_NO_STORE]))


async def click(parts: Parts, call: Call) -> Reply:
    """Record the click on a decision's creative, once."""
    decision_id = _signed(parts, "click", call.rest).content
    at = parts.workspace.clock()
    window = parts.watcher.now.service.click_window
    if not parts.clicks.take(decision_id, at, window):
        parts.metrics.event("refused")
        raise Refused(409, "replayed", "this click has been counted already")
    named = decision_id.decode()
    event = Click(
        schema=CURRENT_SCHEMA,
        event_id=f"{named}-c",
        ts=at,
        impression_id=f"{named}-i",
        decision_id=named,
    )
    return _recorded(parts, CLICKS, _ENCODER.encode(event), Reply(204, b"", None, [_NO_STORE]))


def _recorded(parts: Parts, source: str, line: bytes, reply: Reply) -> Reply:
    """Land a line; 202 says that it waits in memory for the disk."""
    if parts.recorder.append_soon(source, [line]):
        parts.metrics.event("acknowledged")
        return reply
    parts.metrics.event("spooled")
    return Reply(202, b"", None, [_NO_STORE])


def _signed(parts: Parts, purpose: Purpose, token: str) -> Signed:
    try:
        return parts.signer.read(purpose, token)
    except Forged as error:
        parts.metrics.event("refused")
        raise Refused(403, "forged", str(error)) from None
    except Expired as error:
        parts.metrics.event("refused")
        raise Refused(410, "expired", str(error)) from None


def _lines(body: bytes) -> list[bytes]:
    """Take a body apart into lines, each one event."""
    if body.lstrip()[:1] == b"[":
        try:
            return [_one_line(bytes(raw)) for raw in _RAWS.decode(body)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, "not_json", f"{error}; see /openapi.json") from None
    return [line for line in body.split(b"\n") if line.strip()]


def _one_line(raw: bytes) -> bytes:
    return msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw


async def _sift(
    lines: Sequence[bytes], at: datetime
) -> tuple[list[bytes], list[dict[str, object]]]:
    """Tell the lines that are events from the others, with the reason and its place."""
    good: list[bytes] = []
    rejected: list[dict[str, object]] = []
    for index, line in enumerate(lines):
        try:
            _check(line, at)
        except EventRejected as why:
            rejected.append({"index": index, "reason": why.reason, "detail": why.detail})
        else:
            good.append(line.strip())
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
    return good, rejected


def _check(line: bytes, at: datetime) -> None:
    if len(line) > _LINE_BYTES:
        raise EventRejected("too_long", f"{len(line)} bytes are more than {_LINE_BYTES}")
    event = decode_event(line)
    if event.ts < EARLIEST:
        raise EventRejected("before_2000", f"`ts` is {event.ts.isoformat()}")
    if event.ts > at + _AHEAD:
        raise EventRejected("from_the_future", f"`ts` is {event.ts.isoformat()}")
