"""The demo's wall time by step, and what a second run of it takes.

Run it as ``python tests/benchmarks/bench_demo.py``; it takes some minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click


def run_demo(folder: Path) -> tuple[float, dict[str, Any]]:
    """Run the demo and return its wall seconds and its summary."""
    command = [Path(sys.executable).with_name("abp"), "demo", "--out", folder, "--json"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return time.perf_counter() - begun, summary


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        first, summary = run_demo(Path(folder) / "demo")
        again, _ = run_demo(Path(folder) / "demo")
    click.echo("\nabp demo: wall time by step, both weeks together")
    click.echo(f"{'':24}  {'seconds':>8}  {'of the run':>10}")
    rows = [*summary["steps"].items(), ("the whole first run", first), ("a second run", again)]
    for name, seconds in rows:
        click.echo(f"{name:24}  {seconds:8.1f}  {seconds / first:10.0%}")


if __name__ == "__main__":
    main()
