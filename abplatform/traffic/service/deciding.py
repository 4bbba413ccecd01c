"""``POST /v1/decide`` and ``/v1/decide/batch``: always an answer, whatever is out of order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from abplatform.logs.privacy import Pseudonyms
from abplatform.traffic.config import EMPTY, Config
from abplatform.traffic.decisions import DecisionRecord, Request, decide, new_decision_id
from abplatform.traffic.service.answers import Answer, address_of, answer
from abplatform.traffic.service.calls import Call, Refused, Reply
from abplatform.traffic.service.parts import Parts
from abplatform.traffic.service.recorder import SERVICE
from abplatform.traffic.service.watching import InForce

__all__ = ["BODY_BYTES", "MOST_ITEMS", "assignments", "decide_many", "decide_one", "turn_after"]

BODY_BYTES: Final = 1 << 20
"""The longest body of one decision."""

BATCH_BYTES: Final = 16 << 20
"""The longest body of a batch."""

MOST_ITEMS: Final = 10_000
"""Decisions in a batch."""

_TURN: Final = 50
"""So many decisions of a batch are made at once, at most; then others have their turn."""

_TURN_SECONDS: Final = 0.005
"""So long a turn may last; choosing among hundreds of creatives takes milliseconds itself."""

_LOG: Final = logging.getLogger("abplatform.service")
_REQUEST: Final = msgspec.json.Decoder(Request)
_REQUESTS: Final = msgspec.json.Decoder(Annotated[list[Request], Meta(max_length=MOST_ITEMS)])
_ENCODER: Final = msgspec.json.Encoder()


async def decide_one(parts: Parts, call: Call) -> Reply:
    """Answer one request."""
    parts.admit(call, parts.watcher.now)
    body = await call.body(BODY_BYTES)
    now = parts.watcher.now  # what is in force once all has come, however slowly it came
    caller = parts.admit(call, now)
    request = _parse(_REQUEST, body)
    _check(request)
    parts.limit(caller, 1, now)
    found = _decide_all(parts, now, [request], address_of(call, now))
    return Reply(200, _ENCODER.encode(found[0]))


async def decide_many(parts: Parts, call: Call) -> Reply:
    """Answer an array of requests in order, all by one config."""
    parts.admit(call, parts.watcher.now)
    body = await call.body(BATCH_BYTES)
    now = parts.watcher.now
    caller = parts.admit(call, now)
    requests = _parse(_REQUESTS, body)
    for number, request in enumerate(requests):
        _check(request, f"item {number}: ")
    parts.limit(caller, len(requests), now)
    address = address_of(call, now)
    found: list[Answer] = []
    turn = 1
    while len(found) < len(requests):
        began = time.perf_counter()
        found += _decide_all(parts, now, requests[len(found) : len(found) + turn], address)
        turn = turn_after(turn, time.perf_counter() - began)
        await asyncio.sleep(0)
    return Reply(200, _ENCODER.encode(found))


def turn_after(turn: int, seconds: float) -> int:
    """Return how many decisions of a batch come next.

    Args:
        turn: How many came last.
        seconds: How long they took.
    """
    fitting = int(turn * _TURN_SECONDS / max(seconds, 1e-6))
    return max(1, min(_TURN, 2 * turn, fitting))


async def assignments(parts: Parts, call: Call) -> Reply:
    """Return what clients need to assign by themselves; 304 when they have it already."""
    now = parts.watcher.now
    parts.admit(call, now)
    headers = [(b"etag", now.tag), (b"cache-control", b"no-cache")]
    if call.headers.get(b"if-none-match") == now.tag:
        return Reply(304, b"", None, headers)
    return Reply(200, now.document, headers=headers)


def _parse(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        code = "wrong_request" if isinstance(error, msgspec.ValidationError) else "not_json"
        raise Refused(400, code, f"{error}; see /openapi.json") from None


def _check(request: Request, place: str = "") -> None:
    if request.experiment is None and request.layer is None:
        raise Refused(400, "wrong_request", f"{place}name an `experiment` or a `layer`")


def _decide_all(
    parts: Parts, now: InForce, requests: Sequence[Request], address: str
) -> list[Answer]:
    """Decide, hand the records to the operating system, then answer."""
    at = parts.workspace.clock()
    stored = [_as_stored(request, parts.pseudonyms) for request in requests]
    records = [_decided(now.config, request, at) for request in stored]
    parts.recorder.append_soon(SERVICE, [line for _, line in records])
    for record, _ in records:
        parts.metrics.decided(record.reason)
    return [answer(record, now, parts.signer, address) for record, _ in records]


def _as_stored(request: Request, pseudonyms: Pseudonyms | None) -> Request:
    """Return a request that holds its unit's id as it is stored; buckets are made of that."""
    if pseudonyms is None:
        return request
    raw, stored = request.unit_id, pseudonyms.stored(request.unit_id)
    context = request.context
    if raw in context.attributes.values():
        told = {name: stored if one == raw else one for name, one in context.attributes.items()}
        context = replace(context, attributes=told)
    request_id = stored if request.request_id == raw else request.request_id
    return replace(request, unit_id=stored, request_id=request_id, context=context)


def _decided(config: Config, request: Request, at: datetime) -> tuple[DecisionRecord, bytes]:
    """Decide and write the record; what cannot be decided shows nothing, as a fallback."""
    decision_id = new_decision_id(at)
    try:
        record = decide(config, request, decision_id=decision_id, at=at)
        return record, _ENCODER.encode(record)
    except UnicodeEncodeError:
        raise Refused(400, "wrong_request", "a text holds half a character") from None
    except Exception:  # noqa: BLE001  # whatever it is, an ad server gets an answer
        _LOG.exception("a decision failed; the unit gets the fallback")
        record = decide(EMPTY, request, decision_id=decision_id, at=at)
        return record, _ENCODER.encode(record)
