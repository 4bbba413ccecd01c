"""A creative is withdrawn while it is being served."""

import json
import socket
import threading
import time
from datetime import datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from abplatform.cli.main import abp
from abplatform.creatives import append_lineage, read_lineage, save_master
from abplatform.domain.catalog import Lineage, Placement
from abplatform.traffic.registry import Registry

CUTOUT = np.zeros((4, 4, 4), np.uint8)
PATIENCE_SECONDS = 30


def add_creative(workspace, product, source="generated"):
    """Keep a picture of soft light and shade, as no other is, and return its id."""
    luck = np.random.default_rng(len(read_lineage(workspace.creatives)))
    coarse = luck.integers(0, 256, (9, 9, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))
    name, cutout = save_master(workspace.creatives, pixels, CUTOUT)
    place = Placement(0, 0, 4, 4)
    row = Lineage(name, product, source, "i", cutout, place, {}, "", 0, "r/1", {}, {})
    append_lineage(workspace.creatives, [row])
    return name


@pytest.fixture
def lamp(shop):
    """A product with a baseline and two generated creatives that look unlike each other."""
    table = shop.catalog / "products.csv"
    table.write_text(table.read_text() + "lamp,l.png,Lamp,home/light\n")
    plain = add_creative(shop, "lamp", "baseline")
    return plain, [add_creative(shop, "lamp") for _ in range(2)]


def withdraw(shop, name):
    """Withdraw as people do."""
    words = ["creatives", "withdraw", name, "--reason", "cracked", "-w", str(shop.root)]
    abp.main(words, standalone_mode=False)


class Crowd:
    """Callers that ask for decisions and pictures without a pause, and note what they got.

    Args:
        server: Whom they ask.
        name: The creative whose picture they fetch.
    """

    def __init__(self, server, name, callers=3):
        self.server, self.name = server, name
        self.decisions, self.pictures, self.failed = [], [], []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(callers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, caller):
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                sent = time.monotonic()
                answer = self.server.decide(
                    f"u{caller}-{number}", context={"product_ids": ["lamp"]}
                )
                self.decisions.append((sent, (answer["creative"] or {}).get("id")))
                sent = time.monotonic()
                status = self.server.call(f"/v1/creatives/{self.name}")[0]
                self.pictures.append((sent, time.monotonic(), status))
            except Exception as error:  # noqa: BLE001  # whatever it is, the test shall tell it
                self.failed.append(error)

    def wait(self, happened):
        """Wait until something can be seen in the notes."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not happened() and time.monotonic() < until:
            time.sleep(0.02)
        assert happened()


def test_it_is_gone_while_it_is_being_served(shop, lamp, serve):
    """Once its picture is gone no decision carries it, nobody gets an error, and it stays gone."""
    plain, (first, second) = lamp
    server = serve()
    with Crowd(server, first) as crowd:
        crowd.wait(lambda: first in {name for _, name in crowd.decisions})
        withdraw(shop, first)
        crowd.wait(lambda: 410 in {status for _, _, status in crowd.pictures})
        gone = min(told for _, told, status in crowd.pictures if status == 410)
        seen = len(crowd.decisions)
        crowd.wait(lambda: len(crowd.decisions) > seen + 100)
    assert crowd.failed == []
    after = {name for sent, name in crowd.decisions if sent > gone}
    assert after == {plain, second}
    assert {status for sent, _, status in crowd.pictures if sent > gone} == {410}
    assert server.end(9) == -9
    again = serve()
    assert again.call(f"/v1/creatives/{first}")[0] == 410
    shown = {again.decide(f"u{n}", context={"product_ids": ["lamp"]})["creative"]["id"]
             for n in range(40)}  # fmt: skip
    assert shown == {plain, second}


def test_answers_expire_within_a_minute(shop, lamp, serve):
    """A client that keeps an answer drops it a minute after it was given, at the latest."""
    answer = serve().decide(context={"product_ids": ["lamp"]})
    valid = datetime.fromisoformat(answer["valid_until"])
    assert valid - datetime.now(valid.tzinfo) <= timedelta(seconds=60)


def test_what_is_broken_elsewhere_keeps_nothing_on_the_air(shop, lamp, serve):
    """With a kept spec gone no config can be read, and withdrawals are obeyed all the same."""
    _, (first, second) = lamp
    server = serve()
    assert server.call(f"/v1/creatives/{first}")[0] == 200
    for path in shop.specs.iterdir():
        path.unlink()
    with Crowd(server, first, callers=1) as crowd:
        withdraw(shop, first)
        crowd.wait(lambda: 410 in {status for _, _, status in crowd.pictures})
        gone = min(told for _, told, status in crowd.pictures if status == 410)
        seen = len(crowd.decisions)
        crowd.wait(lambda: len(crowd.decisions) > seen + 40)
    assert crowd.failed == []
    names = {name for sent, name in crowd.decisions if sent > gone}
    assert second in names
    assert first not in names
    Registry(shop).pause("lamps", at=shop.clock(), who="t")
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and server.decide()["assignments"]:
        time.sleep(0.05)
    assert server.decide()["reason"] == "not_running"


def test_a_request_that_comes_slowly_gets_what_is_in_force_at_its_end(shop, lamp, serve):
    """A body whose last byte comes after a halt is decided by the halt."""
    server = serve()
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"unit_id": "u1", "experiment": "lamps"}).encode()
    head = "POST /v1/decide HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        caller.sendall(head.encode() + body[:-1])
        Registry(shop).halt(at=shop.clock(), who="t", reason="test")
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and server.decide()["reason"] != "fallback":
            time.sleep(0.05)
        caller.sendall(body[-1:])
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    assert b'"reason":"fallback"' in answer
