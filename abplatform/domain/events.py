"""The events of the wire, schema 1: what may be written, and the one reason why a line may not.

One JSON object is one event; ``event_type`` says which. Every type here is parsed from untrusted
bytes, so it is an msgspec Struct: decoding validates types, ranges and required fields in one pass
(about a microsecond an event). :func:`decode_event` and :func:`convert_event` turn every failure
into :class:`EventRejected` with a stable reason out of :data:`REASONS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "CURRENT_SCHEMA",
    "EVENT_TYPES",
    "REASONS",
    "Aggregate",
    "Assigned",
    "Behaviour",
    "Click",
    "Conversion",
    "Cost",
    "Decision",
    "Event",
    "EventRejected",
    "Exposure",
    "Feedback",
    "Impression",
    "Reason",
    "content_of",
    "convert_event",
    "decode_event",
    "upcast",
]

CURRENT_SCHEMA: Final = 1

REASONS: Final[Mapping[str, str]] = {
    "not_json": "the line is no JSON object",
    "not_csv": "the row cannot be told apart into cells",
    "not_utf8": "the line is not UTF-8",
    "truncated": "the line ends in the middle of an object",
    "too_long": "the line is longer than 1 MB",
    "too_deep": "the line is nested too deeply",
    "bomb": "the compressed file expands beyond all measure; the rest is not read",
    "unknown_schema": "schema is not a version that is known",
    "unknown_event_type": "event_type is missing or unknown",
    "missing_field": "a required field is missing",
    "wrong_type": "a field has the wrong type",
    "wrong_value": "a field's value is outside what is allowed",
    "naive_timestamp": "ts has no offset from UTC",
    "bad_timestamp": "ts is no RFC 3339 moment",
    "before_2000": "ts is before the year 2000",
    "from_the_future": "ts is more than 24 h after the workspace clock",
    "click_without_target": "a click has neither impression_id nor decision_id",
    "clicks_above_impressions": "an aggregate has more clicks than impressions",
    "unknown_experiment": "no YAML and no mapping declares this experiment",
    "unknown_variant": "the experiment has no such variant",
    "unknown_ad": "the network has not told us which creative its ad is",
    "unknown_currency": "abp.yaml has no rate for this currency",
    "conflicting_id": "one id arrived with different content",
}
"""Why a line may be quarantined, as stable words with their meaning."""

Name = Annotated[str, Meta(min_length=1, max_length=1024)]
Short = Annotated[str, Meta(min_length=1, max_length=64)]
Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
Micros = Annotated[int, Meta(ge=-(10**15), le=10**15)]
PositiveMicros = Annotated[int, Meta(ge=0, le=10**15)]
Total = Annotated[int, Meta(ge=-(10**18), le=10**18)]
PositiveTotal = Annotated[int, Meta(ge=0, le=10**18)]
Position = Annotated[int, Meta(ge=0, le=10**6)]
Share = Annotated[float, Meta(ge=0, le=1)]
Score = Annotated[float, Meta(ge=-1, le=1)]
Rating = Annotated[float, Meta(ge=-(10**9), le=10**9)]
Attributes = dict[str, str | int | float | bool | None]
Reason = Literal["assigned", "forced", "fallback", "holdout"]
Text = Annotated[str, Meta(max_length=100_000)]


class EventRejected(ValueError):
    """A line is no event that can be accepted.

    Args:
        reason: A word of :data:`REASONS`.
        detail: What exactly is wrong with this line.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Assigned(Struct, frozen=True, gc=False):
    """One layer's answer: the experiment and the variant the unit got."""

    experiment: Name
    variant: Name


class _Fact(
    Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="event_type"
):
    """What every event carries.

    Args:
        schema: The wire schema's version.
        event_id: Unique; a second delivery bears the same.
        ts: When it happened.
        source: Where it comes from, when that differs from where it landed.
    """

    schema: Literal[1]
    event_id: Name
    ts: Moment
    source: Name | None = None


class Exposure(_Fact, frozen=True, gc=False, kw_only=True):
    """What impressions and decisions share: a unit that stands in variants.

    Args:
        unit_id: Who saw it.
        assignments: One a layer; or ``experiment`` and ``variant``, short for exactly one.
        reason: Why the unit stands there; only ``assigned`` ones are compared.
        explored: Whether the creative was drawn from the policy's floor.
        stratum: Exposures of one stratum had the same eligible creatives with the same
            probabilities, so that within it creatives can be compared as if drawn by lot.
        attributes: Context and pre-period totals, flat.
    """

    unit_id: Name
    assignments: list[Assigned] | None = None
    experiment: Name | None = None
    variant: Name | None = None
    channel: Name | None = None
    placement: Name | None = None
    position: Position | None = None
    country: Name | None = None
    segment: Name | None = None
    propensity: Share | None = None
    explored: bool | None = None
    stratum: Short | None = None
    user_agent: Text | None = None
    attributes: Attributes | None = None

    def __post_init__(self) -> None:
        """Refuse an exposure that stands nowhere, or in two places of one experiment."""
        if self.assignments is None:
            if self.experiment is None or self.variant is None:
                missing = "variant" if self.experiment else "assignments"
                raise EventRejected("missing_field", f"`{missing}` is missing")
        elif len(self.assignments) > 1:
            names = [assigned.experiment for assigned in self.assignments]
            if len(set(names)) < len(names):
                raise EventRejected("wrong_value", "`assignments` names one experiment twice")

    @property
    def all_assignments(self) -> list[Assigned]:
        """The assignments, also of the short form."""
        if self.assignments is not None:
            return self.assignments
        return [Assigned(self.experiment or "", self.variant or "")]


class Impression(Exposure, frozen=True, gc=False, kw_only=True, tag="impression"):
    """A creative was shown to a unit. Counts once in each of its experiments, once in total."""

    creative_id: Name
    product_id: Name
    category: Name
    decision_id: Name | None = None
    reason: Reason = "assigned"
    creative_text: Text | None = None


class Decision(Exposure, frozen=True, gc=False, kw_only=True, tag="decision"):
    """What was decided for a unit; a held one stays in the analysis with zero impressions.

    Args:
        action: Whether something was to be shown.
        reason: Why; free, since a policy may hold a unit for reasons of its own.
    """

    decision_id: Name
    action: Literal["show", "hold"]
    reason: Name = "assigned"
    creative_id: Name | None = None
    product_id: Name | None = None
    category: Name | None = None


class Click(_Fact, frozen=True, gc=False, kw_only=True, tag="click"):
    """A click on an impression, named by its id or by its decision and position."""

    impression_id: Name | None = None
    decision_id: Name | None = None
    position: Position | None = None

    def __post_init__(self) -> None:
        """Refuse a click on nothing."""
        if self.impression_id is None and self.decision_id is None:
            raise EventRejected(
                "click_without_target", "neither `impression_id` nor `decision_id` is given"
            )


class Conversion(_Fact, frozen=True, gc=False, kw_only=True, tag="conversion"):
    """A purchase, booking, lead … or, with negative value, a refund.

    Args:
        reverses: The conversion that a refund takes back, by its event or order id.
    """

    kind: Name
    value_micros: Micros
    currency: Name
    impression_id: Name | None = None
    unit_id: Name | None = None
    order_id: Name | None = None
    reverses: Name | None = None

    def __post_init__(self) -> None:
        """Refuse a conversion of nobody, and a refund that pays."""
        if self.impression_id is None and self.unit_id is None:
            raise EventRejected("missing_field", "`impression_id` or `unit_id` is missing")
        if self.kind == "refund" and self.value_micros > 0:
            raise EventRejected("wrong_value", "a refund carries a negative `value_micros`")


class Cost(_Fact, frozen=True, gc=False, kw_only=True, tag="cost"):
    """What an impression cost, or what a variant cost in one workspace day."""

    cost_micros: PositiveMicros
    currency: Name
    impression_id: Name | None = None
    experiment: Name | None = None
    variant: Name | None = None
    day: date | None = None

    def __post_init__(self) -> None:
        """Refuse a cost that belongs to nothing."""
        if self.impression_id is None and None in (self.experiment, self.variant, self.day):
            detail = "`impression_id`, or `experiment`, `variant` and `day`, is missing"
            raise EventRejected("missing_field", detail)


class Feedback(_Fact, frozen=True, gc=False, kw_only=True, tag="feedback"):
    """What somebody thought of an impression, from -1 (complaint) to 1."""

    impression_id: Name
    score: Score


class Behaviour(_Fact, frozen=True, gc=False, kw_only=True, tag="behaviour"):
    """What a unit did elsewhere: view, search, cart, purchase, review …."""

    unit_id: Name
    action: Name
    item_id: Name
    query: Text | None = None
    rating: Rating | None = None
    text: Text | None = None
    value_micros: Micros | None = None


class Aggregate(_Fact, frozen=True, gc=False, kw_only=True, tag="aggregate"):
    """A row of a report without units; keyed by all but its counts.

    Args:
        revision: The highest one of a key counts; None stands for the moment of landing.
        clicks: Clicked impressions, so never more than impressions.
    """

    experiment: Name
    variant: Name
    category: Name
    product_id: Name
    creative_id: Name
    day: date
    impressions: Count
    clicks: Count
    conversions: Count = 0
    value_micros: Total = 0
    cost_micros: PositiveTotal = 0
    revision: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    creative_text: Text | None = None

    def __post_init__(self) -> None:
        """Refuse more clicks than impressions."""
        if self.clicks > self.impressions:
            raise EventRejected(
                "clicks_above_impressions",
                f"{self.clicks} clicks are more than {self.impressions} impressions",
            )


Event = Impression | Decision | Click | Conversion | Cost | Feedback | Behaviour | Aggregate

EVENT_TYPES: Final[Mapping[str, type[Struct]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Event)
}
"""``event_type`` to its Struct."""

_UPCASTERS: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""Version to a pure function that makes the next version's fields of it; 1 is the first."""

_LEAP_MINUTES: Final = ((6, 30, 23, 59), (12, 31, 23, 59))
"""Month, day, hour and minute that may have a 60th second."""

_TOLD_CHARACTERS: Final = 80

_SIXTIETH: Final = re.compile(r"^(.{10}[Tt ][0-9]{2}:[0-9]{2}:)60")

_DECODER: Final = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()
_FLOATS: Final = ("propensity", "score", "rating")
_FIELD: Final = re.compile(r"`\$?\.?([^`]+)`$")


def decode_event(line: bytes) -> Event:
    """Parse one line.

    Args:
        line: One JSON object in UTF-8.

    Raises:
        EventRejected: It is no event of a known schema.
    """
    try:
        event: Event = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        problem = _rejection(error)
        if problem.reason != "bad_timestamp" or b":60" not in line:
            raise problem from None
        return _before_leap_second(msgspec.json.decode(line), problem, strict=True)
    except msgspec.DecodeError as error:
        raise EventRejected(_syntax_reason(line, str(error)), str(error)) from None
    except UnicodeDecodeError as error:
        raise EventRejected("not_utf8", str(error)) from None
    except RecursionError:
        raise EventRejected("too_deep", "the object is nested too deeply") from None
    return event


def convert_event(fields: Mapping[str, Any]) -> Event:
    """Make an event of fields that may still be text, as CSV has them.

    Args:
        fields: Wire fields by name; numbers, flags and moments may be text.

    Raises:
        EventRejected: They are no event of a known schema.
    """
    try:
        event: Event = msgspec.convert(upcast(dict(fields)), Event, strict=False)
    except msgspec.ValidationError as error:
        problem = _told_with_value(_rejection(error), fields)
        if problem.reason != "bad_timestamp" or ":60" not in str(fields.get("ts")):
            raise problem from None
        event = _before_leap_second(fields, problem, strict=False)
    for name in _FLOATS:
        value = getattr(event, name, None)
        # Text may say nan, which JSON cannot, and no bound holds it off.
        if value is not None and math.isnan(value):
            raise EventRejected("wrong_value", f"`{name}` is no number")
    return event


def upcast(fields: dict[str, Any]) -> dict[str, Any]:
    """Bring the fields of an older schema to the current one; others pass as they are."""
    version = fields.get("schema")
    while isinstance(version, int) and version in _UPCASTERS:
        fields = _UPCASTERS[version](fields)
        version = fields["schema"]
    return fields


def content_of(event: Event) -> bytes:
    """Return what an event says, in one form: equal for two deliveries of one event.

    The source is left out, since one event may arrive over two ways, and the moment is in UTC.
    """
    if event.source is not None or event.ts.tzinfo is not UTC:
        event = msgspec.structs.replace(event, source=None, ts=event.ts.astimezone(UTC))
    return _ENCODER.encode(event)


def _before_leap_second(
    fields: Mapping[str, Any], problem: EventRejected, *, strict: bool
) -> Event:
    """Make an event of a leap second, which clocks here do not count: it is the second before.

    RFC 3339 writes one as 23:59:60 in UTC, and only the end of June or December may have it.

    Args:
        fields: Wire fields by name.
        problem: What is wrong with any other 60th second.
        strict: Whether numbers must be no text.
    """
    second = {**fields, "ts": _SIXTIETH.sub(r"\g<1>59", str(fields["ts"]))}
    try:
        event: Event = msgspec.convert(upcast(second), Event, strict=strict)
    except msgspec.ValidationError as error:
        raise _rejection(error) from None
    moment = event.ts.astimezone(UTC)
    if (moment.month, moment.day, moment.hour, moment.minute) in _LEAP_MINUTES:
        return event
    raise problem


def _syntax_reason(line: bytes, message: str) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    return "truncated" if "truncated" in message and line.strip() else "not_json"


def _rejection(error: msgspec.ValidationError) -> EventRejected:
    if isinstance(error.__cause__, EventRejected):
        return error.__cause__
    message = str(error)
    if message.startswith("Object missing required field"):
        if message.endswith("`event_type`"):
            return EventRejected("unknown_event_type", "`event_type` is missing")
        return EventRejected("missing_field", message)
    found = _FIELD.search(message)
    field = found.group(1) if found else ""
    if field == "event_type":
        return EventRejected("unknown_event_type", f"{message}; one of {', '.join(EVENT_TYPES)}")
    if field == "schema":
        return EventRejected("unknown_schema", f"{message}; the current one is {CURRENT_SCHEMA}")
    return EventRejected(_reason_of(message), message)


def _told_with_value(problem: EventRejected, fields: Mapping[str, Any]) -> EventRejected:
    """Tell what the field at fault holds, which the parser does not."""
    found = _FIELD.search(problem.detail)
    name = found.group(1) if found else ""
    if name not in fields or problem.reason not in {"wrong_type", "wrong_value"}:
        return problem
    told = repr(fields[name])
    return EventRejected(problem.reason, f"{problem.detail}: it is {told[:_TOLD_CHARACTERS]}")


def _reason_of(message: str) -> str:
    if "timezone component" in message:
        return "naive_timestamp"
    if "RFC3339 encoded datetime" in message:
        return "bad_timestamp"
    if message.startswith("Expected `object`"):
        return "not_json" if "`$" not in message else "wrong_type"
    typed = message.startswith("Expected") and ("got" in message or message.count("`") == 4)
    return "wrong_type" if typed and not re.search(r"[<>]=?|length", message) else "wrong_value"
