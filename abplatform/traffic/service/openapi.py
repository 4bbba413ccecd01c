"""The description of the API, made from the very types that parse and answer."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from abplatform import __version__
from abplatform.traffic.decisions import Request
from abplatform.traffic.service.answers import Answer
from abplatform.traffic.service.deciding import MOST_ITEMS

__all__ = ["describe"]

_REF: Final = "#/components/schemas/{name}"
_TOKEN: Final[list[dict[str, list[str]]]] = [{"token": []}, {}]
_ERRORS: Final = {
    "400": "The body is no such request.",
    "401": "The token is missing or unknown.",
    "403": "The token of the URL is forged, or a web page calls.",
    "404": "There is no such thing.",
    "409": "The click has been counted already.",
    "410": "The URL has expired, or the creative is withdrawn.",
    "408": "The body took too long to come.",
    "413": "The body is too long.",
    "429": "Too many calls; `Retry-After` says when to come again.",
    "503": "Nothing is acknowledged; send it again after `Retry-After`.",
}


_FIELD: Final = re.compile(r"^ +(\w+): ", re.MULTILINE)
_ASKED: Final = {
    "unit_id": "visitor-7",
    "experiment": "generated-backgrounds",
    "context": {"product_ids": ["linen-table-lamp-ivory"], "country": "CN", "channel": "app"},
}
_HAPPENED: Final = {
    "schema": 1,
    "event_type": "conversion",
    "event_id": "order-1",
    "ts": "2026-11-02T09:00:00Z",
    "unit_id": "visitor-7",
    "kind": "purchase",
    "value_micros": 18_000_000,
    "currency": "USD",
}


class Error(Struct, frozen=True):
    """What is answered when a call is refused.

    Args:
        error: A stable word.
        detail: What is wrong and what to do.
    """

    error: str
    detail: str


class RejectedEvent(Struct, frozen=True):
    """An event that cannot be taken.

    Args:
        index: Its place in the delivery, counted from 0.
        reason: A stable word, as in quarantine.
        detail: What exactly is wrong.
    """

    index: int
    reason: str
    detail: str


class EventReceipt(Struct, frozen=True):
    """What became of a delivery.

    Args:
        received: Events in it.
        acknowledged: Those that are on the disk.
        rejected: The others.
    """

    received: int
    acknowledged: int
    rejected: list[RejectedEvent]


class Readiness(Struct, frozen=True):
    """Whether the service can do its work.

    Args:
        status: ``ready`` or ``not ready``.
        checks: Each part, and whether it is in order.
        config: The version of what decides.
        halted: Whether a person has switched all experiments off.
        problems: What is wrong with files, or how many are wrong for those who show no token.
    """

    status: str
    checks: dict[str, bool]
    config: str
    halted: bool
    problems: list[str] | int


def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    kinds = (Request, Answer, EventReceipt, Readiness, Error)
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    for schema in components.values():
        _describe_fields(schema)
    request = components["Request"]
    request["anyOf"] = [
        {"required": [name], "properties": {name: {"type": "string"}}}
        for name in ("experiment", "layer")
    ]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "abplatform decision service",
            "version": __version__,
            "description": "What to show to whom, and what happened then.",
        },
        "paths": _paths(),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    many = {
        "type": "array",
        "items": _ref("Request"),
        "maxItems": MOST_ITEMS,
        "examples": [[_ASKED, {"unit_id": "visitor-9", "layer": "feed"}]],
    }
    asked = {**_ref("Request"), "examples": [_ASKED]}
    answers = {"type": "array", "items": _ref("Answer")}
    events = {"type": "array", "items": {"type": "object"}, "examples": [[_HAPPENED]]}
    return {
        "/v1/decide": {"post": _write("Decide what to show a unit.", asked, "Answer")},
        "/v1/decide/batch": {
            "post": _write("Decide many at once; answers come in order.", many, answers)
        },
        "/v1/events": {
            "post": _write(
                "Report events as a JSON array or JSON lines; acknowledged ones are on the disk.",
                events,
                "EventReceipt",
                further=("503",),
            )
        },
        "/v1/assignments": {
            "get": {
                "summary": "What clients need to assign units by themselves.",
                "security": _TOKEN,
                "responses": {
                    "200": _json("The plans in force.", {"type": "object"}),
                    "304": {"description": "Unchanged since the ETag of `If-None-Match`."},
                    **_errors("401", "403"),
                },
            }
        },
        "/v1/impressions/{token}": _signed(
            "Record an impression; `impression_url` of a decision.",
            {"200": _binary("Recorded.", "image/gif")},
        ),
        "/v1/clicks/{token}": _signed(
            "Record a click, once; `click_url` of a decision.",
            {"204": {"description": "Recorded."}, **_errors("409")},
        ),
        "/v1/creatives/{sha256}": {
            "get": {
                "summary": "A creative's picture.",
                "parameters": [_parameter("sha256")],
                "responses": {
                    "200": _binary("The picture.", "image/webp"),
                    "304": {"description": "Unchanged."},
                    **_errors("404", "410"),
                },
            }
        },
        "/healthz": {"get": _read("Whether the process answers.", {"type": "object"})},
        "/readyz": {"get": _ready()},
        "/metrics": {
            "get": {
                "summary": "Numbers for Prometheus.",
                "security": _TOKEN,
                "responses": {
                    "200": {
                        "description": "The numbers.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    },
                    **_errors("401", "403"),
                },
            }
        },
    }


def _describe_fields(schema: dict[str, Any]) -> None:
    """Move what a docstring says of each field to the field."""
    told, _, fields = schema.get("description", "").partition("Args:")
    schema["description"] = " ".join(told.split())
    found = _FIELD.split(fields)
    for name, about in zip(found[1::2], found[2::2], strict=True):
        schema["properties"][name]["description"] = " ".join(about.replace("``", "`").split())


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _json(about: str, schema: object) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _binary(about: str, kind: str) -> dict[str, Any]:
    return {"description": about, "content": {kind: {}}}


def _errors(*statuses: str) -> dict[str, Any]:
    return {status: _json(_ERRORS[status], _ref("Error")) for status in statuses}


def _write(
    about: str, asked: object, answered: str | object, *, further: tuple[str, ...] = ()
) -> dict[str, Any]:
    schema = _ref(answered) if isinstance(answered, str) else answered
    return {
        "summary": about,
        "security": _TOKEN,
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": {
            "200": _json("The answer.", schema),
            **_errors("400", "401", "403", "408", "413", "429", *further),
        },
    }


def _read(about: str, schema: object) -> dict[str, Any]:
    return {"summary": about, "responses": {"200": _json("The answer.", schema)}}


def _ready() -> dict[str, Any]:
    told = _read("Whether the service can do its work.", _ref("Readiness"))
    told["responses"]["503"] = _json("Something is missing.", _ref("Readiness"))
    return told


def _signed(about: str, responses: dict[str, Any]) -> dict[str, Any]:
    waits = {"202": {"description": "Taken; it waits in memory for the disk."}}
    return {
        "get": {
            "summary": about,
            "parameters": [_parameter("token")],
            "responses": {**responses, **waits, **_errors("403", "404", "410")},
        }
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
