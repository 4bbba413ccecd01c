"""A small shop with real pictures, and `abp serve` over it in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from abplatform.creatives import append_lineage, save_master
from abplatform.domain.catalog import Lineage, Placement
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

ABP = [sys.executable, "-c", "from abplatform.cli.main import main; main()"]
LAMPS = """key: lamps
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, per_product: 2}}
metrics: {primary: ctr}
"""


def make_shop(root):
    """A workspace with one product, one baseline, two generated creatives, one running test."""
    root.mkdir(exist_ok=True)
    (root / "abp.yaml").write_text("min_free: 1%\n")
    workspace = open_workspace(root)
    workspace.experiments.mkdir()
    workspace.catalog.mkdir()
    (workspace.experiments / "lamps.yaml").write_text(LAMPS)
    rows = "product_id,image,title,category\np1,p1.png,Lamp,home/light\n"
    (workspace.catalog / "products.csv").write_text(rows)
    names = [save_master(workspace.creatives, *picture(80 * n))[0] for n in range(3)]
    append_lineage(workspace.creatives, [made(name, n) for n, name in enumerate(names)])
    began = datetime.now(UTC) - timedelta(hours=1)
    Registry(workspace).start("lamps", at=began, who="t")
    return workspace


def picture(shade):
    return np.full((8, 8, 3), shade, np.uint8), np.full((8, 8, 4), shade, np.uint8)


def made(name, number):
    source = "generated" if number else "baseline"
    place = Placement(0, 0, 1, 1)
    return Lineage(name, "p1", source, "i", "c", place, {}, "", 0, "r/1", {}, {}, text="Buy")


class Server:
    """`abp serve` in a process of its own, called over a real socket."""

    def __init__(self, root, *options, env=None):
        self.root = root
        with (root / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*ABP, "serve", "-w", str(root), "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(env or {})},
            )
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def call(self, path, body=None, **headers):
        """Return status, body and headers; what is no bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data, headers)  # noqa: S310  # our own server
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  # our own
                return reply.status, reply.read(), reply.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def json(self, path, body=None, **headers):
        """Return status and parsed body."""
        status, text, _ = self.call(path, body, **headers)
        return status, json.loads(text)

    def decide(self, unit="u1", **others):
        """Return the answer of a decision that must succeed."""
        asked = {"unit_id": unit, "experiment": "lamps", "context": {"product_ids": ["p1"]}}
        status, found = self.json("/v1/decide", {**asked, **others})
        assert status == 200, found
        return found

    def landed(self):
        """Return every line in the landing, sealed or open, as objects."""
        paths = sorted((self.root / "data" / "landing").glob("*/*/*/*.jsonl"))
        lines = (line for path in paths for line in path.read_bytes().split(b"\n"))
        return [json.loads(line) for line in lines if line]

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(timeout=20)


@pytest.fixture
def shop(tmp_path):
    return make_shop(tmp_path / "shop")


@pytest.fixture
def serve(shop):
    """Start servers over the shop; those that still live are stopped at the end."""
    started = []

    def start(*options, env=None):
        started.append(Server(shop.root, *options, env=env))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """One server that a whole module asks and nobody changes; its workspace stands beside it."""
    workspace = make_shop(tmp_path_factory.mktemp("service") / "shop")
    server = Server(workspace.root)
    server.workspace = workspace
    yield server
    server.end()
