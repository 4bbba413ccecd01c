import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from abplatform.errors import DeliveryError, ServiceError
from abplatform.traffic.client import Client, Rejected, ShownCreative
from abplatform.traffic.decisions import Request, RequestContext

WORD = "between-us"
ASK = Request(unit_id="u", experiment="lamps", context=RequestContext(product_ids=["p1"]))
DEFAULT = ShownCreative(id="plain", url="https://shop.example/plain.webp")
SHOWN = {
    "decision_id": "d1",
    "assignments": [{"experiment": "lamps", "variant": "generated"}],
    "action": "show",
    "creative": {"id": "sunny", "url": "/v1/creatives/sunny", "text": "New"},
    "propensity": 0.5,
    "reason": "assigned",
    "impression_url": "/v1/i/x",
    "click_url": "/v1/c/x",
    "valid_until": "2026-11-02T09:01:00Z",
    "of_a_later_version": 1,
}


@contextmanager
def raw_server(talk):
    """A TCP server that hands each connection to ``talk``; it yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def accept():
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection):
            with connection:
                try:
                    talk(connection)
                except OSError:
                    """The client hung up."""

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_decision_is_what_the_service_says(serving):
    """The request goes out as the contract has it, and every field of the answer is there."""
    sent = []

    def answer(request):
        sent.append((request.path, request.headers["Authorization"], json.loads(request.sent)))
        request.say(200, json.dumps(SHOWN).encode())

    with serving(answer) as url, Client(f"{url}/shop/", token=WORD) as client:
        decision = client.decide(ASK, default=DEFAULT)
    asked = {"unit_id": "u", "experiment": "lamps", "context": {"product_ids": ["p1"]}}
    assert sent == [("/shop/v1/decide", f"Bearer {WORD}", asked)]
    assert decision.variant("lamps") == "generated"
    assert decision.variant("other") is None
    assert decision.creative == ShownCreative(id="sunny", url="/v1/creatives/sunny", text="New")
    assert decision.valid_until.minute == 1
    assert (decision.reason, decision.propensity, decision.problem) == ("assigned", 0.5, None)


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [
        (500, b"oops", "HTTP 500: oops"),
        (503, b"", "HTTP 503"),
        (401, b"no token", "HTTP 401: no token"),
        (429, b"slow down", "HTTP 429"),
        (200, b"<html>", "JSON is malformed"),
        (200, b'{"action": "dance", "reason": "assigned"}', "Invalid enum value 'dance'"),
    ],
)
def test_a_service_that_fails_costs_no_page(serving, caplog, status, body, named):
    """Whatever it answers but a decision, the caller's default is shown, and says why."""
    with serving(lambda request: request.say(status, body)) as url, Client(url) as client:
        alone = client.decide(ASK, default=DEFAULT)
        both = client.decide_batch([ASK, ASK])
    assert (alone.action, alone.reason, alone.creative) == ("show", "fallback", DEFAULT)
    assert named in alone.problem
    assert [(one.action, one.reason, one.creative) for one in both] == [
        ("hold", "fallback", None)
    ] * 2
    assert caplog.text.count("decisions are the caller's default") == 1


def drip(connection):
    """Answer with one byte every 20 ms, for ever."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def drip_headers(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: 1\r\n")
        time.sleep(0.02)


def silence(connection):
    while connection.recv(65536):
        """Nothing is ever answered."""


def hang_up(connection):
    connection.recv(65536)


def nonsense(connection):
    connection.recv(65536)
    connection.sendall(b"SMTP ready\r\n\r\n")


@pytest.mark.parametrize("talk", [drip, drip_headers, silence, hang_up, nonsense])
def test_the_answer_comes_in_time(talk):
    """A service that is slow, silent, hangs up or speaks another protocol is not waited for."""
    with raw_server(talk) as url, Client(url, timeout_seconds=0.2) as client:
        begun = time.monotonic()
        decision = client.decide(ASK, default=DEFAULT)
        assert time.monotonic() - begun < 2.0  # a page's patience; the limit itself is 0.2
    assert (decision.reason, decision.creative) == ("fallback", DEFAULT)
    assert decision.problem


def test_a_dead_service_is_left_alone_for_a_while(serving):
    """After three failures in a row nobody asks until the rest is over; an answer ends the row."""
    statuses = [500, 500, 500, 200, 500, 500, 200]
    asked = []

    def answer(request):
        asked.append(request)
        request.say(statuses[len(asked) - 1], json.dumps(SHOWN).encode())

    with serving(answer) as url, Client(url, rest_seconds=0.3) as client:
        assert [client.decide(ASK).reason for _ in range(20)] == ["fallback"] * 20
        assert len(asked) == 3
        time.sleep(0.35)
        later = [client.decide(ASK).reason for _ in range(4)]
    assert later == ["assigned", "fallback", "fallback", "assigned"]


def test_an_id_without_utf8_costs_no_page(serving):
    """A unit that cannot be sent gets the default, and the service is not asked."""
    with serving(lambda request: request.say(500)) as url, Client(url) as client:
        decision = client.decide(Request(unit_id="u\ud800", experiment="lamps"))
    assert decision.reason == "fallback"
    assert "surrogates" in decision.problem


def test_an_attribute_that_json_cannot_say_costs_no_page():
    """What cannot be sent gets the default, and its problem says why."""
    context = RequestContext(attributes={"odd": object()})
    decision = Client("http://127.0.0.1:9").decide(
        Request(unit_id="u", experiment="lamps", context=context), default=DEFAULT
    )
    assert (decision.reason, decision.creative) == ("fallback", DEFAULT)
    assert "object" in decision.problem


@pytest.mark.parametrize(
    ("url", "token", "named"),
    [
        ("http://shop:99999", None, "is no address"),
        ("http://[::1", None, "is no address"),
        (f"http://{'a' * 64}.example", None, "is no address"),
        ("http://shop", "secret\n", "such as a line break"),
        ("http://shop", "s\u00e9cret", "such as a line break"),
    ],
)
def test_what_can_never_work_is_said_when_the_client_is_made(url, token, named):
    """A wrong address or token is an error at the start, and not on every page."""
    with pytest.raises(ServiceError, match=named) as caught:
        Client(url, token=token)
    assert "secret" not in str(caught.value)


def test_a_service_that_dies_in_mid_answer_costs_one_default():
    """Half an answer is none, and the next request has a connection of its own."""
    connections = []

    def talk(connection):
        connections.append(connection)
        first = len(connections) == 1
        while connection.recv(65536):
            body = json.dumps(SHOWN).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + (body[:20] if first else body))
            if first:
                return

    with raw_server(talk) as url, Client(url) as client:
        reasons = [client.decide(ASK).reason for _ in range(3)]
    assert reasons == ["fallback", "assigned", "assigned"]


def test_a_batch_has_an_answer_for_each(serving):
    """Answers come in order; a batch with one too few is no answer; an empty one asks nobody."""

    def answer(request):
        wanted = json.loads(request.sent)
        names = [one["unit_id"] for one in wanted][: 2 if len(wanted) == 3 else None]
        request.say(200, json.dumps([SHOWN | {"decision_id": name} for name in names]).encode())

    asks = [Request(unit_id=name, experiment="lamps") for name in "abc"]
    with serving(answer) as url, Client(url) as client:
        assert [one.decision_id for one in client.decide_batch(asks[:2])] == ["a", "b"]
        short = client.decide_batch(asks, default=DEFAULT)
        assert client.decide_batch([]) == []
    assert [one.creative for one in short] == [DEFAULT] * 3
    assert short[0].problem == "the service answered 2 of 3 requests"


def test_connections_are_kept_and_replaced(serving):
    """One connection carries many requests, and one that the service closed is not noticed."""
    ports = []

    def answer(request):
        ports.append(request.client_address[1])
        request.say(200, json.dumps(SHOWN).encode())
        request.close_connection = len(ports) == 3  # without a word, as after an idle time

    with serving(answer) as url, Client(url) as client:
        reasons = {client.decide(ASK).reason for _ in range(6)}
    assert reasons == {"assigned"}
    assert [ports.count(port) for port in dict.fromkeys(ports)] == [3, 3]


def events(count):
    return ({"schema": 1, "event_type": "click", "event_id": f"c{n}"} for n in range(count))


def taken(request, rejected=()):
    lines = [json.loads(line) for line in request.sent.splitlines()]
    receipt = {"received": len(lines), "acknowledged": len(lines) - len(rejected)}
    rows = [{"index": index, "reason": "missing_field"} for index in rejected]
    request.say(200, json.dumps(receipt | {"rejected": rows}).encode())
    return [line["event_id"] for line in lines]


def test_events_come_again_until_they_are_acknowledged(serving):
    """A full disk, a lost answer and a limit delay a report; none of its events is left out."""
    kept, asked = [], []

    def answer(request):
        asked.append(time.monotonic())
        if len(asked) == 1:
            request.say(503, b"disk is full")
        elif len(asked) == 2:
            request.close_connection = True  # no answer at all
        elif len(asked) == 3:
            request.say(429, Retry_After="0.4")
        else:
            kept.extend(taken(request))

    with serving(answer) as url, Client(url) as client:
        done = client.report(events(10))
    assert (done.received, done.acknowledged, done.rejected) == (10, 10, ())
    assert kept == [f"c{n}" for n in range(10)]
    assert asked[3] - asked[2] >= 0.4


def test_many_events_go_in_pieces(serving):
    """12,000 events take three requests, and a rejected one is told by its place in the report."""
    kept = []

    def answer(request):
        kept.append(taken(request, rejected=[1]))

    with serving(answer) as url, Client(url) as client:
        done = client.report(events(12_000))
    assert [len(piece) for piece in kept] == [5_000, 5_000, 2_000]
    assert done.acknowledged == 12_000 - 3
    assert done.rejected == tuple(Rejected(at, "missing_field") for at in (1, 5_001, 10_001))


@pytest.mark.parametrize(("status", "requests"), [(400, 2), (401, 2), (503, 3)])
def test_what_is_not_acknowledged_is_an_error(serving, status, requests):
    """It says how many need not come again; what can never succeed is not repeated."""
    asked = []

    def answer(request):
        asked.append(request)
        if len(asked) == 1:
            taken(request)
        else:
            request.say(status, b"because")

    with (
        serving(answer) as url,
        Client(url, patience_seconds=0.25) as client,
        pytest.raises(DeliveryError, match=f"HTTP {status}: because") as caught,
    ):
        client.report(events(6_000))
    assert caught.value.acknowledged == 5_000
    assert "counts once" in str(caught.value)
    assert len(asked) == requests
