"""How fast lines become safe: many callers over one writer, and a writer alone.

Run it as ``python tests/benchmarks/bench_landing.py [--seconds S] [--folder DIR]``. The floor is
one write and one sync a line by one caller: what a collector without group commit would do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from abplatform.logs.landing import Collector, Landing
from abplatform.logs.landing import appending as _appending
from abplatform.workspace import Workspace

LINE = b'{"schema": 1, "event_type": "click", "event_id": "' + b"x" * 200 + b'"}'


def bare(folder: Path, seconds: float) -> tuple[int, list[float]]:
    """One caller, one line, one sync."""
    waits = []
    end = time.perf_counter() + seconds
    with (folder / "bare").open("ab", buffering=0) as file:
        while (began := time.perf_counter()) < end:
            file.write(LINE + b"\n")
            os.fsync(file.fileno())
            waits.append(time.perf_counter() - began)
    return len(waits), waits


def collect(folder: Path, callers: int, lines: int, seconds: float) -> tuple[int, list[float]]:
    """So many callers, each with so many lines a call, as fast as they are acknowledged."""
    waits: list[list[float]] = [[] for _ in range(callers)]
    batch = [LINE] * lines
    end = time.perf_counter() + seconds
    with Collector(Workspace(folder)) as collector:

        def call(number: int) -> None:
            while (began := time.perf_counter()) < end:
                collector.append("web", batch)
                waits[number].append(time.perf_counter() - began)

        threads = [threading.Thread(target=call, args=(n,)) for n in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    flat = [wait for one in waits for wait in one]
    return len(flat) * lines, flat


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    syncs = 0
    real = os.fsync

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        real(descriptor)

    _appending.os.fsync = counted  # type: ignore[assignment]
    tell(f"{'':32} {'events/s':>10} {'syncs/s':>9} {'median ms':>10} {'99 % ms':>9} {'CPU µs':>8}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        cases = {"one line, one sync": lambda: bare(folder, options.seconds)}
        for callers, lines in [(1, 1), (16, 1), (256, 1), (16, 100)]:
            told = f"{callers} callers, {lines} lines a call"
            cases[told] = lambda callers=callers, lines=lines: collect(
                folder / f"ws{callers}-{lines}", callers, lines, options.seconds
            )
        cases["one writer, 10,000 lines a call"] = lambda: write(folder / "ws", options.seconds)
        for told, case in cases.items():
            syncs, used, began = 0, time.process_time(), time.perf_counter()
            count, waits = case()
            cpu, wall = time.process_time() - used, time.perf_counter() - began
            cuts = statistics.quantiles(waits, n=100)
            tell(
                f"{told:32} {count / wall:>10,.0f} {syncs / wall:>9,.0f} {cuts[49] * 1e3:>10.2f} "
                f"{cuts[98] * 1e3:>9.2f} {cpu / count * 1e6:>8.1f}"
            )


def write(folder: Path, seconds: float) -> tuple[int, list[float]]:
    """One writer with large appends."""
    waits = []
    lines = [LINE] * 10_000
    end = time.perf_counter() + seconds
    with Landing(Workspace(folder)) as landing:
        while (began := time.perf_counter()) < end:
            landing.append("web", lines)
            waits.append(time.perf_counter() - began)
    return len(waits) * 10_000, waits


if __name__ == "__main__":
    main()
