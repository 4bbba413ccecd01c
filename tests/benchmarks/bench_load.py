"""Our idempotent, validated load against DuckDB's plain copy of the same file into a table.

Each is done in a process of its own, so that its CPU seconds and its peak memory are its own:

* ``copy``: DuckDB reads the file and writes a table of the same columns; nothing is checked;
* ``load``: the landed file's sha256 is compared, every event is validated, compared with what is
  known, inserted, counted in the ledger, and the identity is checked (:class:`Loader`);
* ``again``: the same file once more under other segment numbers: everything is a duplicate;
* ``read``: the part of the load that turns bytes into checked columns.

Both write the database file to its end (checkpoint). Two rounds; the smaller figure counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import duckdb
from big_week import EXPERIMENT, VARIANTS, BigWeek, write_week
from ratio_table import Row, print_ratios

from abplatform.logs.landing import Segment, file_sha256
from abplatform.logs.load.loader import Loader, Store
from abplatform.logs.load.reading import Reader
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.validate import Door
from abplatform.workspace import Workspace

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROUNDS = 2
READERS = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}


def _segments(folder: Path, form: str) -> list[Segment]:
    paths = sorted(folder.glob(f"week-*.{form}"))
    return [
        Segment(number, path, "files", file_sha256(path), NOW)
        for number, path in enumerate(paths, start=1)
    ]


def _door(segment: Segment) -> Door:
    return Door({EXPERIMENT: frozenset(VARIANTS)}, segment.landed_at, frozenset({"USD", "CNY"}))


def _copy(folder: Path, form: str) -> Callable[[], None]:
    files = str(folder / f"week-*.{form}")

    def work() -> None:
        with duckdb.connect(folder / "copy.duckdb") as connection:
            connection.execute("SET preserve_insertion_order = false")
            # The reader's name comes out of a fixed table of three.
            text = f"CREATE TABLE events AS SELECT * FROM {READERS[form]}($files)"  # noqa: S608
            connection.execute(text, {"files": files})
            connection.execute("CHECKPOINT")

    return work


def _load(folder: Path, form: str, *, again: bool = False) -> Callable[[], None]:
    workspace = Workspace(folder, clock=lambda: NOW)
    segments = _segments(folder, form)
    if again:
        # Another name for the same bytes, so that every event of it has to be looked up.
        segments = [
            replace(segment, number=segment.number + len(segments), mapping=None, source="again")
            for segment in segments
        ]

    def work() -> None:
        with Warehouse.open(workspace) as warehouse:
            known = {segment.number: segment for segment in segments}
            store = Store(warehouse, known, workspace.settings.time_zone)
            loader = Loader(store, _door)
            if again:
                loader._first.clear()
            for _ in loader.load(segments):
                pass
            warehouse.checkpoint()

    return work


def _read(folder: Path, form: str) -> Callable[[], None]:
    zone = Workspace(folder).settings.time_zone
    segments = _segments(folder, form)

    def work() -> None:
        for segment in segments:
            for _ in Reader(segment, zone).batches(_door(segment)):
                pass

    return work


def _child(work: str, folder: Path, form: str) -> None:
    """Do one work and print its CPU seconds and peak memory in MiB."""
    works = {
        "copy": lambda: _copy(folder, form),
        "load": lambda: _load(folder, form),
        "again": lambda: _load(folder, form, again=True),
        "read": lambda: _read(folder, form),
    }
    ready = works[work]()
    begun = os.times()
    ready()
    ended = os.times()
    taken = ended.user - begun.user + ended.system - begun.system
    click.echo(json.dumps({"cpu": taken, "peak": _peak_mib()}))


def _peak_mib() -> float:
    """Return this process's peak memory; unlike ru_maxrss, it begins anew with a new program."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


def _measure(work: str, folder: Path, form: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        if work in {"copy", "load"}:
            for path in [*folder.glob("*.duckdb*"), *(folder / "data").glob("*.duckdb*")]:
                path.unlink()
        command = [sys.executable, __file__, "--child", work, "--folder", str(folder)]
        ran = subprocess.run([*command, "--form", form], capture_output=True, check=True, text=True)
        told = json.loads(ran.stdout)
        best = {name: min(value, best.get(name, value)) for name, value in told.items()}
        if work == "again":
            break
    return best


def _compare(events: int, form: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-load-") as name:
        folder = Path(name)
        write_week(BigWeek(events, duplicates=0.0, part_events=max(events, 1)), folder, form=form)
        told = {work: _measure(work, folder, form) for work in ("copy", "read", "load", "again")}
    rows = [
        Row(work, found["cpu"] / events * 1e6, f"peak {found['peak']:,.0f} MiB")
        for work, found in told.items()
    ]
    title = f"{form}, {events:,} events: CPU microseconds an event"
    print_ratios(title, rows, floor="copy", peer="copy", unit="us/event")


def main() -> None:
    """Print a table for each form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--form", choices=list(READERS), default=None)
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        _child(asked.child, asked.folder, asked.form)
        return
    for form in [asked.form] if asked.form else READERS:
        _compare(asked.events, form)


if __name__ == "__main__":
    main()
