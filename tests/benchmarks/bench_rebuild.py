"""How fast a lost warehouse is made anew from the landing, and what a repeated delivery costs.

Run it as ``python tests/benchmarks/bench_rebuild.py --events 1000000``. Every job is ``abp ingest``
in a process of its own, so that its CPU seconds and its memory are its own:

* *first*: the file lands, is loaded, and the exposures are computed;
* *rebuild*: the warehouse was deleted, the landing remains;
* *same file*: the file is delivered once more, byte for byte;
* *same events*: its events come in another file, so that every single one must be recognised;
* *third again*: a file of which three in ten events are known.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import polars as pl
from big_week import BigWeek, write_week

_CHILD = """
import json, os, sys
from abplatform.cli.main import abp
abp.main(sys.argv[1:], standalone_mode=False)
times = os.times()
# Not getrusage: what it calls the peak may be that of the process that started this one.
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
sys.stderr.write("\\n" + json.dumps([times.user + times.system, int(peak[0])]))
"""


@dataclass(frozen=True)
class Job:
    """What one ``abp ingest`` took.

    Args:
        name: What it did.
        cpu_seconds: User and system.
        peak_mib: Of resident memory.
        receipt: As ``--json`` prints it.
    """

    name: str
    cpu_seconds: float
    peak_mib: float
    receipt: dict[str, object]


def ingest(name: str, workspace: Path, *files: Path) -> Job:
    """Run ``abp ingest`` in its own process and measure it."""
    words = [sys.executable, "-c", _CHILD, "ingest", *map(str, files), "--json"]
    done = subprocess.run(
        [*words, "-w", str(workspace)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu, peak = json.loads(done.stderr.splitlines()[-1])
    return Job(name, cpu, peak / 1024, json.loads(done.stdout))


def other_bytes(files: list[Path], folder: Path, *, known: float) -> list[Path]:
    """Write the same events into other files; the rest of them get new ids.

    Args:
        files: Parquet files of wire events.
        folder: Where to.
        known: The share of events that keep their ids.
    """
    folder.mkdir()
    written = []
    for file in files:
        rows = pl.read_parquet(file)
        number = pl.int_range(pl.len())
        fresh = number % 10 >= round(known * 10)
        suffix = pl.when(fresh).then(pl.lit("-again")).otherwise(pl.lit(""))
        rows = rows.with_columns(event_id=pl.col("event_id") + suffix)
        written.append(folder / file.name)
        rows.write_parquet(written[-1], compression_level=1)
    return written


def print_jobs(jobs: list[Job], events: int) -> None:
    """Print a line a job."""
    click.echo(
        f"{'job':<14}{'CPU s':>9}{'µs/event':>10}{'events/CPU s':>14}{'peak MiB':>10}  receipt"
    )
    for job in jobs:
        told = job.receipt
        counts = f"{told['accepted']:,} accepted, {told['duplicate']:,} duplicate"
        click.echo(
            f"{job.name:<14}{job.cpu_seconds:>9.2f}{job.cpu_seconds / events * 1e6:>10.2f}"
            f"{events / job.cpu_seconds:>14,.0f}{job.peak_mib:>10,.0f}  {counts}"
        )


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--form", type=click.Choice(["parquet", "jsonl", "csv"]), default="parquet")
@click.option("--keep", type=click.Path(path_type=Path), help="Work here and leave it there.")
def run(events: int, form: str, keep: Path | None) -> None:
    """Measure first load, rebuild and repeated deliveries."""
    root = keep or Path(tempfile.mkdtemp())
    workspace = root / "workspace"
    write_week(BigWeek(events=events), workspace, form=form)
    (workspace / "abp.yaml").touch()
    files = sorted(workspace.glob(f"week-*.{form}"))
    jobs = [ingest("first", workspace, *files)]
    received = int(str(jobs[0].receipt["received"]))
    (workspace / "data" / "warehouse.duckdb").unlink()
    jobs.append(ingest("rebuild", workspace))
    jobs.append(ingest("same file", workspace, *files))
    if form == "parquet":
        whole = other_bytes(files, root / "whole", known=1.0)
        jobs.append(ingest("same events", workspace, *whole))
        part = other_bytes(files, root / "part", known=0.3)
        jobs.append(ingest("third again", workspace, *part))
    print_jobs(jobs, received)
    if keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run()
