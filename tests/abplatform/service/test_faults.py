"""Kills, floods and broken files: nothing acknowledged is lost, no decision fails."""

import http.client
import json
import resource
import signal
import socket
import threading
import time
import urllib.parse
from datetime import UTC, datetime

import pytest

from abplatform.logs.landing import Collector
from abplatform.traffic.registry import Registry, Review

ASKED = {"unit_id": "u1", "experiment": "lamps", "context": {"product_ids": ["p1"]}}


class Load:
    """Callers that decide and report over kept connections until they are told to stop.

    Args:
        server: The server.
        callers: How many at once; every second one reports events.
    """

    def __init__(self, server, callers=4):
        self.address = urllib.parse.urlsplit(server.url).netloc
        self.answers, self.events, self.errors, self.cut = [], [], [], 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(number,)) for number in range(callers)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, decisions):
        """Wait until so many decisions are answered, and some events acknowledged."""
        deadline = time.monotonic() + 20
        while len(self.answers) < decisions or len(self.events) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def _call(self, number):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        turn = 0
        try:
            while not self._stop.is_set():
                turn += 1
                if number % 2:
                    self._report(connection, f"{number}-{turn}")
                else:
                    self._decide(connection, f"{number}-{turn}")
        except (OSError, http.client.HTTPException):
            self.cut += 1  # the server is gone
        finally:
            connection.close()

    def _decide(self, connection, unit):
        status, body = self._post(connection, "/v1/decide", {**ASKED, "unit_id": unit})
        if status == 200:
            self.answers.append(json.loads(body))
        else:
            self.errors.append((status, body))

    def _report(self, connection, name):
        event = {
            "schema": 1,
            "event_type": "click",
            "event_id": name,
            "ts": datetime.now(UTC).isoformat(),
            "impression_id": "i",
        }
        status, body = self._post(connection, "/v1/events", [event])
        if status == 200 and json.loads(body)["acknowledged"] == 1:
            self.events.append(name)
        elif status != 503:
            self.errors.append((status, body))

    @staticmethod
    def _post(connection, path, body):
        connection.request("POST", path, json.dumps(body))
        reply = connection.getresponse()
        return reply.status, reply.read()


def check_nothing_is_lost(load, server):
    """Every answered decision and every acknowledged event is in the landing."""
    kept = {row["event_id"] for row in server.landed()}
    assert {one["decision_id"] for one in load.answers} <= kept
    assert set(load.events) <= kept


@pytest.mark.fault
def test_a_kill_under_load_loses_nothing_that_was_acknowledged(shop, serve):
    """After SIGKILL every answered decision and acknowledged event is there, in whole lines."""
    server = serve()
    with Load(server) as load:
        load.wait_for(200)
        server.end(signal.SIGKILL)
    assert load.events
    with Collector(shop):
        pass  # the next writer seals what the dead one left
    check_nothing_is_lost(load, server)
    assert not load.errors


@pytest.mark.fault
def test_a_click_is_counted_once_also_across_a_kill(shop, serve):
    """A service that was killed knows after its restart which clicks it has taken."""
    first = serve()
    answer, other = first.decide("a"), first.decide("b")
    path = urllib.parse.urlsplit(answer["click_url"]).path
    assert first.call(path)[0] == 204
    first.end(signal.SIGKILL)
    second = serve()
    assert second.call(path)[0] == 409
    assert second.call(urllib.parse.urlsplit(other["click_url"]).path)[0] == 204
    clicks = [row["event_id"] for row in second.landed() if row["event_type"] == "click"]
    assert sorted(clicks) == sorted(f"{one['decision_id']}-c" for one in (answer, other))


@pytest.mark.fault
def test_a_termination_under_load_finishes_and_seals(shop, serve):
    """SIGTERM: what has begun is answered, the landing is sealed, and the exit is clean."""
    server = serve()
    with Load(server) as load:
        load.wait_for(200)
        assert server.end() == 0
    assert not load.errors
    check_nothing_is_lost(load, server)
    assert not list(shop.landing.glob("open/*/*/*"))


def set_limit(server, size):
    """Let the server's files grow no further than so many bytes: its disk is full."""
    hard = resource.RLIM_INFINITY
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_two_interrupts_end_it_at_once_and_seal(shop, serve):
    """Whoever presses Ctrl+C twice waits for no caller, and what was decided is sealed."""
    server = serve()
    server.decide()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        caller.sendall(b"POST /v1/decide HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.end(signal.SIGINT) == 0
    assert not list(shop.landing.glob("open/*/*/*"))
    assert len(server.landed()) == 1


@pytest.mark.fault
def test_decisions_go_on_while_the_disk_takes_nothing(shop, serve):
    """Without a disk units are still decided, events refused; later all decisions are there."""
    server = serve()
    before = server.decide("before")
    set_limit(server, 0)
    try:
        during = [server.decide(f"during-{n}") for n in range(20)]
        event = {
            "schema": 1,
            "event_type": "feedback",
            "event_id": "f1",
            "ts": datetime.now(UTC).isoformat(),
            "impression_id": "i",
            "score": 1,
        }
        status, _, headers = server.call("/v1/events", [event])
        assert (status, headers["retry-after"]) == (503, "1")
        assert server.call(during[0]["impression_url"])[0] == 202
        assert server.json("/readyz")[0] == 503
    finally:
        set_limit(server, resource.RLIM_INFINITY)
    wait_until(lambda: server.json("/readyz")[0] == 200)
    assert server.json("/v1/events", [event])[1]["acknowledged"] == 1
    assert server.end() == 0
    kept = {row["event_id"] for row in server.landed()}
    assert {one["decision_id"] for one in (before, *during)} <= kept
    assert f"{during[0]['decision_id']}-i" in kept


def wait_until(holds, seconds=5.0):
    """Wait until something holds; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_config_swap_under_load_mixes_no_answers(shop, serve):
    """While reviews come in, each config has one line-up, and each batch one config."""
    server = serve()
    generated = server.decide("u2")
    creatives = sorted({server.decide(f"x{n}")["creative"]["id"] for n in range(40)})
    registry, turns = Registry(shop), 25
    stop = threading.Event()
    batches = []

    def ask():
        while not stop.is_set():
            batch = [{**ASKED, "unit_id": f"b{n}"} for n in range(120)]
            batches.append(server.json("/v1/decide/batch", batch))

    thread = threading.Thread(target=ask)
    with Load(server, callers=2) as load:
        thread.start()
        for turn in range(turns):
            word = "rejected" if turn % 2 else "approved"
            registry.record_review(Review(creatives[-1], word, datetime.now(UTC), "t"))
            time.sleep(0.05)
        stop.set()
        thread.join()
    assert generated["reason"] == "assigned"
    assert not load.errors
    assert all(status == 200 for status, _ in batches)
    assert all(len({one["config"] for one in answers}) == 1 for _, answers in batches)
    server.end()
    line_ups = {}
    for row in server.landed():
        if row["event_type"] == "decision":
            variant = row["assignments"][0]["variant"]
            line_ups.setdefault((row["config"], variant), set()).add(tuple(row.get("eligible", ())))
    assert len({config for config, _ in line_ups}) > 2
    assert all(len(found) == 1 for found in line_ups.values())


BAD_YAML = [
    "",
    ":",
    "key: [",
    "key: lamps\n",
    "\x00",
    "key: other\nvariants: {}\n",
    "- 1\n",
    "&a [*a]",
    "key: lamps\nkey: lamps\n",
    "variants: {a: {control: true}, b: {control: true}}\nkey: lamps\nmetrics: {primary: ctr}\n",
]


def test_bad_edits_keep_the_last_good_config_and_are_told(shop, serve):
    """Thirty broken edits of YAML files: every unit gets the variant it had, readiness tells."""
    server = serve()
    before = {f"u{n}": server.decide(f"u{n}")["assignments"] for n in range(5)}
    spec = shop.experiments / "lamps.yaml"
    good = spec.read_text()
    for number in range(30):
        spec.write_text(BAD_YAML[number % len(BAD_YAML)])
        extra = shop.experiments / f"extra{number}.yaml"
        extra.write_text(BAD_YAML[(number + 3) % len(BAD_YAML)])
        assert {unit: server.decide(unit)["assignments"] for unit in before} == before
        time.sleep(0.02)
    wait_until(lambda: server.json("/readyz")[1]["problems"])
    assert server.json("/readyz")[0] == 200
    assert {unit: server.decide(unit)["assignments"] for unit in before} == before
    (shop.root / "abp.yaml").write_text("service: {valid: 7 weeks}\n")
    wait_until(lambda: any("valid" in told for told in server.json("/readyz")[1]["problems"]))
    (shop.root / "abp.yaml").write_text("service: {valid: 10s}\n")
    for number in range(30):
        (shop.experiments / f"extra{number}.yaml").unlink()
    spec.write_text(good)
    wait_until(lambda: server.json("/readyz")[1]["problems"] == [])
    answer = server.decide()
    assert answer["assignments"]
    valid_until = datetime.fromisoformat(answer["valid_until"])
    assert (valid_until - datetime.now(UTC)).total_seconds() <= 10


def test_what_people_decide_takes_effect_within_a_second(shop, serve):
    """A halt and a pause end an experiment's decisions in a second, their ends begin them again."""
    server = serve()
    registry = Registry(shop)

    def reason():
        return server.decide()["reason"]

    def now():
        return {"at": datetime.now(UTC), "who": "t"}

    assert reason() == "assigned"
    registry.halt(**now(), reason="test")
    assert wait_until(lambda: reason() == "fallback") < 1
    registry.unhalt(**now(), reason="test")
    assert wait_until(lambda: reason() == "assigned") < 1
    registry.pause("lamps", **now())
    assert wait_until(lambda: reason() == "not_running") < 1


def test_a_lost_journal_or_store_changes_no_decision(shop, serve):
    """The warehouse is never opened, and a journal that is gone leaves the last good config."""
    shop.warehouse.write_bytes(b"no database")
    server = serve()
    before = server.decide()
    shop.warehouse.unlink()
    shop.journal.rename(shop.journal.with_name("moved"))
    wait_until(lambda: server.json("/readyz")[1]["problems"])
    after = server.decide()
    assert (after["assignments"], after["config"]) == (before["assignments"], before["config"])


def test_without_a_good_config_everybody_gets_the_fallback(shop, serve):
    """A service that starts over a broken journal answers, says fallback, and is not ready."""
    first = next(shop.journal.glob("*.jsonl"))
    good = first.read_bytes()
    first.write_bytes(good.replace(b"lamps", b"lumps"))
    server = serve()
    answer = server.decide()
    assert (answer["reason"], answer["action"]) == ("fallback", "hold")
    assert server.json("/readyz")[0] == 503
    first.write_bytes(good)
    wait_until(lambda: server.decide()["reason"] == "assigned")


def test_tokens_guard_writes_and_a_rate_limits_them(shop, serve):
    """With tokens an unknown caller gets 401; above the rate 429 says when to come again."""
    (shop.root / "abp.yaml").write_text(
        "min_free: 1%\ntokens: {ads: env:ADS_TOKEN}\nservice: {rate: 20}\n"
    )
    server = serve(env={"ADS_TOKEN": "sesame"})
    assert server.call("/v1/decide", ASKED)[0] == 401
    assert server.call("/v1/events", [], Authorization="Bearer wrong")[0] == 401
    assert server.call("/metrics")[0] == 401
    told = [server.call("/v1/decide", ASKED, Authorization="Bearer sesame") for _ in range(60)]
    assert told[0][0] == 200
    refused = [headers for status, _, headers in told if status == 429]
    assert refused
    assert int(refused[0]["retry-after"]) >= 1
    answer = json.loads(told[0][1])
    assert server.call(answer["impression_url"])[0] == 200


def test_a_file_that_cannot_be_looked_at_keeps_no_switch_from_working(shop, serve):
    """A link in a circle among the YAML files is left out; a pause works within its second."""
    server = serve()
    assert server.decide()["reason"] == "assigned"
    circle = shop.experiments / "circle.yaml"
    circle.symlink_to(circle)
    Registry(shop).pause("lamps", at=shop.clock(), who="t")
    until = time.monotonic() + 5
    while time.monotonic() < until and server.decide()["reason"] != "not_running":
        time.sleep(0.05)
    assert server.decide()["reason"] == "not_running"


def test_units_keep_their_names_while_it_runs(shop, serve, tmp_path):
    """Pseudonyms that appear in abp.yaml rename nobody, and readiness says so."""
    server = serve()
    assert server.json("/readyz")[1]["problems"] == []
    (tmp_path / "pseudonyms.key").write_text("k" * 64)
    settings = shop.root / "abp.yaml"
    settings.write_text(
        f"min_free: 1%\nprivacy: {{pseudonyms: {{key_file: '{tmp_path / 'pseudonyms.key'}'}}}}\n"
    )
    until = time.monotonic() + 5
    problems = []
    while time.monotonic() < until and not problems:
        problems = server.json("/readyz")[1]["problems"]
        time.sleep(0.05)
    assert "pseudonyms" in problems[0]
    assert server.json("/v1/assignments")[1]["pseudonyms"] is None
    server.decide("u1")
    assert server.landed()[0]["unit_id"] == "u1"
