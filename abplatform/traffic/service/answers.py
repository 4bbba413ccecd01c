"""What is answered to a decision."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from abplatform.domain.events import Assigned, Impression
from abplatform.traffic.decisions import DecisionRecord, impression_of
from abplatform.traffic.service.calls import Call
from abplatform.traffic.service.tokens import Signer
from abplatform.traffic.service.watching import InForce

__all__ = ["Answer", "Shown", "address_of", "answer"]

_HOST: Final = re.compile(
    rb"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?"
)
_JSON: Final = msgspec.json.Encoder()
_LONGEST_IMPRESSION_BYTES: Final = 4096
"""An impression with more attributes than a URL can hold is reported without them."""


class Shown(Struct, frozen=True):
    """The creative to show.

    Args:
        id: The sha256 of its picture.
        product_id: The product that it advertises.
        url: Where its picture is.
        text: The words beside it, or null.
    """

    id: str
    product_id: str | None
    url: str
    text: str | None


class Answer(Struct, frozen=True):
    """The answer of ``POST /v1/decide``.

    Args:
        decision_id: UUIDv7.
        assignments: The experiment and its variant, or nothing.
        action: ``show`` or ``hold``.
        creative: What to show; null where the action is ``hold``.
        propensity: The probability with which it was chosen.
        reason: ``assigned``, or why there is no assignment.
        impression_url: To be fetched once it is seen; the event is made from the URL alone.
        click_url: To be fetched once it is clicked; a second time is refused.
        valid_until: Until then it may be shown.
        config: The version of what decided.
    """

    decision_id: str
    assignments: list[Assigned]
    action: str
    creative: Shown | None
    propensity: float | None
    reason: str
    impression_url: str | None
    click_url: str | None
    valid_until: datetime
    config: str


def address_of(call: Call, now: InForce) -> str:
    """Return under which address a client reaches the service: what abp.yaml says, or its own."""
    if now.service.public_url:
        return now.service.public_url
    host = call.headers.get(b"host", b"")
    return f"{call.scheme}://{host.decode()}" if _HOST.fullmatch(host) else ""


def answer(record: DecisionRecord, now: InForce, signer: Signer, address: str) -> Answer:
    """Return what is answered to a decision.

    Args:
        record: The decision.
        now: What decided.
        signer: Signs the URLs.
        address: The service's.
    """
    shown = impression_url = click_url = None
    impression = impression_of(record)
    if impression is not None:
        made = now.config.creatives[impression.creative_id]
        shown = Shown(
            id=made.creative_id,
            product_id=made.product_id,
            url=f"{address}/v1/creatives/{made.creative_id}",
            text=made.text,
        )
        expires = int((record.ts + now.service.click_window).timestamp())
        seen = signer.sign("impression", _line(impression), expires=expires)
        clicked = signer.sign("click", record.decision_id.encode(), expires=expires)
        impression_url = f"{address}/v1/impressions/{seen}"
        click_url = f"{address}/v1/clicks/{clicked}"
    return Answer(
        decision_id=record.decision_id,
        assignments=record.assignments,
        action=record.action,
        creative=shown,
        propensity=record.propensity,
        reason=record.reason,
        impression_url=impression_url,
        click_url=click_url,
        valid_until=record.ts + now.service.valid,
        config=record.config,
    )


def _line(impression: Impression) -> bytes:
    """Write an impression for a URL; attributes that would be too long are in the decision."""
    line = _JSON.encode(impression)
    if len(line) <= _LONGEST_IMPRESSION_BYTES:
        return line
    return _JSON.encode(replace(impression, attributes=None))
