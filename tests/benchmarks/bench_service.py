"""Decisions over HTTP under an open-loop load, beside a bare ASGI "hello" on the same server.

Run it as ``python tests/benchmarks/bench_service.py [--seconds 60] [--rate 1000]``. Three processes
on loopback: `abp serve`, the hello, and the load, which asks both in turns so that a busy moment of
the machine hits both. Requests come at random moments (Poisson), whether or not earlier ones were
answered, and a latency counts from the moment at which the request was to be sent: a server that
stalls is charged for everybody who would have waited (no coordinated omission).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np

from abplatform.creatives import append_lineage
from abplatform.domain.catalog import Lineage, Placement
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

PRODUCTS = 100
PER_PRODUCT = 4
TURN_SECONDS = 10.0
GRACE_SECONDS = 5.0
MOST_CONNECTIONS = 512
YAML = f"""key: lamps
policy: {{choose: uniform, floor: 5%}}
variants:
  baseline: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  generated: {{weight: 50, creatives: {{source: generated, per_product: {PER_PRODUCT}}}}}
metrics: {{primary: ctr}}
"""
HELLO = """
import sys, uvicorn
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
async def hello(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})
uvicorn.run(
    hello, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", lifespan="off",
    log_level="warning", access_log=False, server_header=False, date_header=False,
    timeout_keep_alive=75,
)
"""


# ---- what is served -----------------------------------------------------------------------------


def make_workspace(root: Path) -> None:
    """A running experiment over a hundred products, each with a baseline and four creatives."""
    (root / "abp.yaml").write_text("service: {rate: 1000000}\n")
    (root / "experiments").mkdir()
    (root / "experiments/lamps.yaml").write_text(YAML)
    (root / "catalog").mkdir()
    rows = [f"p{number},p{number}.png,Lamp,home/light" for number in range(PRODUCTS)]
    (root / "catalog/products.csv").write_text(
        "\n".join(["product_id,image,title,category", *rows])
    )
    workspace = open_workspace(root)
    append_lineage(
        workspace.creatives,
        [
            Lineage(
                creative_id=f"{number:032x}{index:032x}",
                product_id=f"p{number}",
                source="generated" if index else "baseline",
                image_sha256="0" * 64,
                cutout_sha256="0" * 64,
                placement=Placement(0, 0, 1, 1),
                scene={},
                prompt="",
                seed=0,
                renderer="none/1",
                checkpoints={},
                inspector={},
            )
            for number in range(PRODUCTS)
            for index in range(PER_PRODUCT + 1)
        ],
    )
    Registry(workspace).start("lamps", at=datetime.now(UTC) - timedelta(days=1), who="bench")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A server in a process of its own, from when it takes connections until SIGTERM."""
    process = subprocess.Popen(command)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{command[0]} does not serve") from None
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


# ---- the load, in a process of its own ----------------------------------------------------------


class Connection(asyncio.Protocol):
    """A kept connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.meant_at: float | None = None
        self.transport: asyncio.Transport | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, meant_at: float, request: bytes) -> None:
        """Send a request that was to go out at a moment."""
        assert self.transport is not None
        self.meant_at, self.received = meant_at, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Gather the answer; count it once it is whole."""
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or self.meant_at is None:
            return
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if len(body) >= int(sizes[0].split(b":")[1]):
            meant_at, self.meant_at = self.meant_at, None
            good = head.startswith(b"HTTP/1.1 200") and b'"fallback"' not in body
            self.load.answered(self, time.perf_counter() - meant_at, good=good)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the request that was under way."""
        self.load.lost(self)


class Load:
    """Sends requests at their moments and gathers how long the answers took."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.port = port
        self.requests = requests
        self.idle: list[Connection] = []
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.connections = 0
        self.seconds: list[float] = []
        self.errors = 0
        self.settled = 0
        self.opening: set[asyncio.Task[None]] = set()

    def answered(self, connection: Connection, seconds: float, *, good: bool) -> None:
        """Count an answer and hand the connection to whoever waits."""
        self.seconds.append(seconds)
        self.settled += 1
        self.errors += not good
        if self.waiting:
            connection.ask(*self.waiting.popleft())
        else:
            self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Count a connection that broke, with its request."""
        self.connections -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        elif connection.meant_at is not None:
            self.settled += 1
            self.errors += 1

    def send(self, meant_at: float, request: bytes) -> None:
        """Send on a kept connection, or wait for a new one."""
        if self.idle:
            self.idle.pop().ask(meant_at, request)
            return
        self.waiting.append((meant_at, request))
        if self.connections < MOST_CONNECTIONS:
            self.connections += 1
            task = asyncio.ensure_future(self.open())
            self.opening.add(task)
            task.add_done_callback(self.opening.discard)

    async def open(self) -> None:
        """Open a connection for whoever waits."""
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        except OSError:
            self.connections -= 1
            return
        if self.waiting:
            made.ask(*self.waiting.popleft())
        else:
            self.idle.append(made)

    async def run(self, moments: np.ndarray) -> None:
        """Send at every moment (seconds from now), then wait for what is still under way."""
        begun = time.perf_counter()
        for number, moment in enumerate(moments):
            left = begun + moment - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
            self.send(begun + moment, self.requests[number % len(self.requests)])
        until = time.perf_counter() + GRACE_SECONDS
        while self.settled < len(moments) and time.perf_counter() < until:  # noqa: ASYNC110 -- polled rarely
            await asyncio.sleep(0.01)
        self.errors += len(moments) - self.settled


def requests_of(port: int, rng: np.random.Generator) -> list[bytes]:
    """Ten thousand decisions, for random users and products."""
    made = []
    for user, product in zip(
        rng.integers(1_000_000, size=10_000), rng.integers(PRODUCTS, size=10_000), strict=True
    ):
        context = {"product_ids": [f"p{product}"], "country": "DE", "placement": "feed-3"}
        asked = {"unit_id": f"user-{user}", "experiment": "lamps", "context": context}
        body = json.dumps(asked).encode()
        head = (
            f"POST /v1/decide HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def run_load(ports: list[int], rate: float, seconds: float) -> dict[str, dict[str, object]]:
    """Load each port in turns; port to latencies in seconds and errors."""
    rng = np.random.default_rng(20261123)
    loads = {port: Load(port, requests_of(port, rng)) for port in ports}
    told: dict[str, dict[str, object]] = {str(port): {"seconds": [], "errors": 0} for port in ports}

    async def turns() -> None:
        for port in ports:  # connections and caches of both are warm before anything counts
            await loads[port].run(np.arange(1_000) / 500)
        left = seconds
        while left > 0:
            for port in ports:
                waits = rng.exponential(1 / rate, size=int(rate * min(left, TURN_SECONDS)))
                load = Load(port, loads[port].requests)
                load.idle, load.connections = loads[port].idle, loads[port].connections
                for connection in load.idle:
                    connection.load = load
                await load.run(np.cumsum(waits))
                told[str(port)]["seconds"] += load.seconds
                told[str(port)]["errors"] += load.errors
                loads[port] = load
            left -= TURN_SECONDS

    # select() waits to the microsecond, epoll to the millisecond: the load would be late by itself.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(turns())
    return told


# ---- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What one server did."""

    name: str
    milliseconds: np.ndarray
    errors: int

    def quantile(self, share: float) -> float:
        """Return a quantile in milliseconds."""
        return float(np.quantile(self.milliseconds, share))


def print_results(results: list[Result], rate: float, seconds: float) -> None:
    floor = results[0]
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    click.echo(f"\n{rate:,.0f} requests/s for {seconds:g} s each, open loop, ms from the moment")
    click.echo("at which a request was to be sent")
    click.echo(
        f"{'':28}" + "".join(f"{name:>10}" for name in shares) + f"{'requests':>10}{'errors':>8}"
    )
    for result in results:
        numbers = "".join(f"{result.quantile(share):10.2f}" for share in shares.values())
        click.echo(f"{result.name:28}{numbers}{len(result.milliseconds):10,}{result.errors:8,}")
    ratios = "".join(f"{results[1].quantile(x) / floor.quantile(x):10.2f}" for x in shares.values())
    click.echo(f"{'x bare ASGI hello':28}{ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--load", type=int, nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        sys.stdout.write(json.dumps(run_load(asked.load, asked.rate, asked.seconds)))
        return
    bare, served = free_port(), free_port()
    abp = Path(sys.executable).with_name("abp")
    with tempfile.TemporaryDirectory() as folder:
        make_workspace(Path(folder))
        serve = [str(abp), "serve", "-w", folder, "--port", str(served)]
        hello = [sys.executable, "-c", HELLO, str(bare)]
        load = [
            sys.executable,
            __file__,
            "--rate",
            str(asked.rate),
            "--seconds",
            str(asked.seconds),
        ]
        with running(hello, bare), running(serve, served):
            run = subprocess.run(
                [*load, "--load", str(bare), str(served)],
                check=True,
                stdout=subprocess.PIPE,
                env=os.environ,
            )
    told = json.loads(run.stdout)
    names = {"bare ASGI hello (floor)": bare, "abp serve, POST /v1/decide": served}
    results = [
        Result(name, 1000 * np.array(told[str(port)]["seconds"]), told[str(port)]["errors"])
        for name, port in names.items()
    ]
    print_results(results, asked.rate, asked.seconds)


if __name__ == "__main__":
    main()
