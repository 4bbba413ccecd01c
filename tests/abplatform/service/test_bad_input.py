"""Whatever is sent, an ad server gets an answer that says what is wrong, and never a 5xx."""

import asyncio
import contextlib
import http.client
import json
import socket
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.traffic.service.calls import Call, Refused
from abplatform.traffic.service.deciding import turn_after
from abplatform.traffic.service.tokens import Signer, read_key

ASKED = {"unit_id": "u1", "experiment": "lamps"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"experiment": "lamps"}', 400),
        (b'{"unit_id": "", "experiment": "lamps"}', 400),
        (b'{"unit_id": 7, "experiment": "lamps"}', 400),
        (b'{"unit_id": "u1"}', 400),
        (b'{"unit_id": "\\ud800", "experiment": "lamps"}', 400),
        (b'{"unit_id": "u1", "experiment": "lamps", "context": {"attributes": {"a": NaN}}}', 400),
        (b'{"unit_id": "u1", "experiment": "lamps", "context": {"attributes": {"a": 1e999}}}', 400),
        (b'{"unit_id": "u1", "experiment": "lamps", "context": {"attributes": {"a": []}}}', 400),
        (b"[" * 100_000, 400),
        (json.dumps({**ASKED, "unit_id": "u" * 2_000}).encode(), 400),
        (json.dumps({**ASKED, "junk": "x" * 1_000_000}).encode(), 200),
        (json.dumps({**ASKED, "junk": "x" * 1_100_000}).encode(), 413),
    ],
    ids=range(17),
)
def test_a_malformed_request_is_answered_with_what_is_wrong(common, body, status):
    """Bad bodies get a 4xx with a word and a sentence; unknown fields harm nobody."""
    found, told = common.json("/v1/decide", body)
    assert found == status
    if status != 200:
        assert told["error"]
        assert told["detail"]


@pytest.mark.parametrize(
    "category",
    [
        "'; DROP TABLE impressions; --",
        "../../etc/passwd",
        "<script>",
        "\u202e\u0000x",
        "日本/🎎",
        "/",
    ],
)
def test_hostile_categories_are_only_words(common, category):
    """Whatever a category says, the decision is made and its record lands as it was asked."""
    answer = common.decide("hostile", context={"category": category, "product_ids": ["p1"]})
    assert answer["reason"] == "assigned"
    assert common.call(answer["impression_url"])[0] == 200


def test_a_batch_may_have_ten_thousand_items_and_no_more(common):
    """10,000 decisions are answered in order; one more is refused as a whole."""
    many = [{"unit_id": f"u{n}", "experiment": "lamps"} for n in range(10_001)]
    status, answers = common.json("/v1/decide/batch", many[:-1])
    assert (status, len(answers)) == (200, 10_000)
    alone = common.decide("u9999", context={})
    assert answers[9_999]["assignments"] == alone["assignments"]
    assert common.json("/v1/decide/batch", many)[0] == 400


def click_event(name, moment):
    return {
        "schema": 1,
        "event_type": "click",
        "event_id": name,
        "ts": moment.isoformat(),
        "impression_id": "i",
    }


def test_events_of_a_skewed_clock_are_named_and_the_others_acknowledged(common):
    """Each rejected event comes back with its place and reason; the rest is on the disk."""
    now = datetime.now(UTC)
    good = click_event("skew-good", now)
    moments = [now + timedelta(hours=25), datetime(1999, 12, 31, tzinfo=UTC)]
    sent = [good, *(click_event(f"skew-{n}", moment) for n, moment in enumerate(moments)), 7]
    status, told = common.json("/v1/events", sent)
    assert status == 200
    assert (told["received"], told["acknowledged"]) == (4, 1)
    reasons = {one["index"]: one["reason"] for one in told["rejected"]}
    assert reasons == {1: "from_the_future", 2: "before_2000", 3: "not_json"}
    assert [row for row in common.landed() if row["event_id"].startswith("skew")] == [good]


def test_events_may_come_as_lines_or_as_a_printed_array(common):
    """JSON lines and an array with line breaks inside are the same delivery."""
    events = [click_event(f"form-{n}", datetime.now(UTC)) for n in range(2)]
    for body in ("\n".join(map(json.dumps, events)), json.dumps(events, indent=2)):
        assert common.json("/v1/events", body.encode())[1]["acknowledged"] == 2
    landed = [row for row in common.landed() if row["event_id"].startswith("form")]
    assert landed == [*events, *events]


def test_a_forged_an_expired_and_a_misused_url_record_nothing(common):
    """A changed token is refused, an old one is gone, a click's is good for no impression."""
    answer = common.decide("forger")
    path, _, token = answer["impression_url"].rpartition("/")
    changed = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    clicked = answer["click_url"].rpartition("/")[2]
    signer = Signer(read_key(common.workspace.data), lambda: datetime.now(UTC))
    old = signer.sign("impression", b"{}", expires=int(datetime.now(UTC).timestamp()) - 1)
    other = Signer(bytes(32), lambda: datetime.now(UTC))
    foreign = other.sign("impression", b"{}", expires=2**32)
    told = {name: common.call(f"{path}/{name}")[0] for name in (changed, clicked, foreign, old)}
    assert told == {changed: 403, clicked: 403, foreign: 403, old: 410}
    mine = [row for row in common.landed() if answer["decision_id"] in row["event_id"]]
    assert [row["event_type"] for row in mine] == ["decision"]


def test_wrong_paths_and_methods_say_so(common):
    """An unknown path is 404, a wrong method 405 with the right one."""
    assert common.call("/v2/decide", b"{}")[0] == 404
    status, _, headers = common.call("/v1/decide")
    assert (status, headers["allow"]) == (405, "POST")
    assert common.call("/v1/creatives/..%2f..%2fabp.yaml")[0] == 404
    assert common.call("/v1/creatives/" + "0" * 64)[0] == 404


def test_a_web_page_may_not_call_a_service_without_tokens(common):
    """A browser names the page it is on; without tokens such a call is refused."""
    told = common.json("/v1/decide", ASKED, Origin="https://example.com")
    assert (told[0], told[1]["error"]) == (403, "from_a_page")


def test_a_body_that_never_ends_is_not_waited_for():
    """A caller that stops in mid-body is told so, and its connection is closed."""

    async def never():
        await asyncio.sleep(60)

    async def ask():
        await Call({"headers": []}, never).body(100, within_seconds=0.01)

    with pytest.raises(Refused) as caught:
        asyncio.run(ask())
    assert caught.value.status == 408
    assert (b"connection", b"close") in caught.value.reply().headers


def test_a_batch_gives_way_more_often_the_longer_its_decisions_take():
    """Quick decisions come fifty at a time, slow ones one by one, and neither stays so for ever."""
    assert turn_after(50, 0.001) == 50
    assert turn_after(50, 0.05) == 5
    assert turn_after(50, 5.0) == 1
    assert turn_after(1, 0.05) == 1
    assert turn_after(1, 0.0) == 2


def test_a_head_without_an_end_is_not_held(common):
    """Headers that go on and on are refused, and the connection is closed."""
    host, port = common.url.removeprefix("http://").split(":")
    caller = socket.create_connection((host, int(port)), timeout=20)
    with caller, contextlib.suppress(ConnectionError):
        caller.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        for _ in range(200):
            caller.sendall(b"x" * 100_000)
        pytest.fail("twenty megabytes of a header were taken")
    assert common.call("/healthz")[0] == 200


def test_a_long_head_with_an_end_is_taken(common):
    """A head as long as the service's own addresses is no trouble, one call after another."""
    connection = http.client.HTTPConnection(common.url.removeprefix("http://"), timeout=20)
    for _ in range(8):
        connection.request("GET", "/healthz", headers={"X-Long": "x" * 60_000})
        with connection.getresponse() as answer:
            assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    connection.close()
