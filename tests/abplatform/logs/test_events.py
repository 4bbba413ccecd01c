import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.domain.events import (
    EVENT_TYPES,
    REASONS,
    EventRejected,
    content_of,
    convert_event,
    decode_event,
)

TS = "2026-11-02T12:00:00Z"
IMPRESSION = {
    "schema": 1,
    "event_type": "impression",
    "event_id": "i1",
    "ts": TS,
    "unit_id": "u1",
    "creative_id": "c1",
    "product_id": "p1",
    "category": "beauty/lip",
    "assignments": [{"experiment": "beauty", "variant": "generated"}],
}
CLICK = {"schema": 1, "event_type": "click", "event_id": "k1", "ts": TS, "impression_id": "i1"}
CONVERSION = {
    "schema": 1,
    "event_type": "conversion",
    "event_id": "v1",
    "ts": TS,
    "unit_id": "u1",
    "kind": "purchase",
    "value_micros": 5_000_000,
    "currency": "USD",
}
AGGREGATE = {
    "schema": 1,
    "event_type": "aggregate",
    "event_id": "a1",
    "ts": TS,
    "experiment": "beauty",
    "variant": "generated",
    "category": "beauty",
    "product_id": "p1",
    "creative_id": "c1",
    "day": "2026-11-02",
    "impressions": 10,
    "clicks": 3,
}
GONE = object()


def changed(event, **fields):
    merged = event | fields
    return json.dumps({key: value for key, value in merged.items() if value is not GONE}).encode()


BAD = [
    (b"", "not_json"),
    (b"null", "not_json"),
    (b"[]", "not_json"),
    (b"not json", "not_json"),
    (b'{"schema": 1, "event_type": "cli', "truncated"),
    (b'{"schema":1,"event_type":"click","event_id":"\xff"}', "not_utf8"),
    (b'{"event_type":"click","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
    (changed(CLICK, schema=GONE), "missing_field"),
    (changed(CLICK, schema=2), "unknown_schema"),
    (changed(CLICK, schema="1"), "unknown_schema"),
    (changed(CLICK, event_type="klick"), "unknown_event_type"),
    (changed(CLICK, event_type=GONE), "unknown_event_type"),
    (changed(CLICK, event_type=7), "unknown_event_type"),
    (changed(CLICK, event_id=GONE), "missing_field"),
    (changed(CLICK, event_id=""), "wrong_value"),
    (changed(CLICK, event_id=7), "wrong_type"),
    (changed(CLICK, event_id="x" * 2000), "wrong_value"),
    (changed(CLICK, ts=GONE), "missing_field"),
    (changed(CLICK, ts="2026-11-02T12:00:00"), "naive_timestamp"),
    (changed(CLICK, ts="yesterday"), "bad_timestamp"),
    (changed(CLICK, ts="2026-02-30T12:00:00Z"), "bad_timestamp"),
    (changed(CLICK, ts=1_700_000_000), "wrong_type"),
    (changed(CLICK, impression_id=GONE), "click_without_target"),
    (changed(CLICK, position="two"), "wrong_type"),
    (changed(CLICK, position=-1), "wrong_value"),
    (changed(IMPRESSION, unit_id=GONE), "missing_field"),
    (changed(IMPRESSION, category=GONE), "missing_field"),
    (changed(IMPRESSION, assignments=GONE), "missing_field"),
    (changed(IMPRESSION, assignments=GONE, experiment="beauty"), "missing_field"),
    (changed(IMPRESSION, assignments="beauty"), "wrong_type"),
    (changed(IMPRESSION, assignments=[{"experiment": "beauty"}]), "missing_field"),
    (changed(IMPRESSION, assignments=IMPRESSION["assignments"] * 2), "wrong_value"),
    (changed(IMPRESSION, propensity=1.5), "wrong_value"),
    (changed(IMPRESSION, propensity="high"), "wrong_type"),
    (changed(IMPRESSION, reason="because"), "wrong_value"),
    (changed(IMPRESSION, attributes={"deep": {"er": 1}}), "wrong_type"),
    (changed(CONVERSION, unit_id=GONE), "missing_field"),
    (changed(CONVERSION, value_micros=0.5), "wrong_type"),
    (changed(CONVERSION, value_micros=10**30), "wrong_value"),
    (changed(CONVERSION, kind="refund"), "wrong_value"),
    (changed(CONVERSION, currency=GONE), "missing_field"),
    (changed(AGGREGATE, clicks=11), "clicks_above_impressions"),
    (changed(AGGREGATE, impressions=-1), "wrong_value"),
    (changed(AGGREGATE, day="2 November"), "wrong_value"),
    (changed(AGGREGATE, impressions="10"), "wrong_type"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=range(len(BAD)))
def test_bad_lines_have_one_exact_reason(line, reason):
    """Every malformed line is refused for the one documented reason."""
    with pytest.raises(EventRejected) as caught:
        decode_event(line)
    assert caught.value.reason == reason
    assert reason in REASONS
    assert caught.value.detail


@pytest.mark.parametrize("fields", [IMPRESSION, CLICK, CONVERSION, AGGREGATE])
def test_good_events_decode_to_what_they_say(fields):
    """A valid event holds every field that its line holds."""
    event = decode_event(json.dumps(fields).encode())
    told = msgspec.to_builtins(event)
    assert {name: told[name] for name in fields} == fields


def test_unknown_fields_are_let_through():
    """A newer producer may send more than this version knows."""
    assert decode_event(changed(CLICK, colour="red")) == decode_event(changed(CLICK))


def test_text_becomes_numbers_only_where_it_is_foreign():
    """A mapped log may hold numbers as text; a wire event may not."""
    fields = AGGREGATE | {"impressions": "10", "clicks": "3"}
    assert convert_event(fields) == decode_event(json.dumps(AGGREGATE).encode())
    with pytest.raises(EventRejected, match="wrong_type"):
        decode_event(json.dumps(fields).encode())


@given(
    moment=st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 -- offset below
    hours=st.integers(-12, 14),
    source=st.none() | st.text(min_size=1, max_size=5),
)
def test_content_is_one_for_all_ways_of_saying_it(moment, hours, source):
    """Two deliveries of one event are equal whatever their offset, source and order of keys."""
    utc = moment.replace(tzinfo=UTC)
    local = utc.astimezone(timezone(timedelta(hours=hours)))
    one = decode_event(changed(CLICK, ts=utc.isoformat()))
    fields = CLICK | {"ts": local.isoformat()} | ({"source": source} if source else {})
    other = decode_event(json.dumps(dict(reversed(fields.items()))).encode())
    assert content_of(one) == content_of(other)
    later = decode_event(changed(CLICK, ts=(utc + timedelta(microseconds=1)).isoformat()))
    assert content_of(one) != content_of(later)


def test_event_types_are_those_of_the_contract():
    """The eight event types of the contract exist under their names."""
    named = "impression decision click conversion cost feedback behaviour aggregate"
    assert sorted(EVENT_TYPES) == sorted(named.split())
