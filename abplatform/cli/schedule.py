"""``abp schedule``: the jobs that are due, again and again, for people without cron."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import click

from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.durable import append_durably
from abplatform.workspace import Workspace, open_workspace

__all__ = ["LOG", "schedule"]

LOG = "schedule.jsonl"
"""What was run, one line a job, beside the turns."""

_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600}
_SHORTEST = 1


@dataclass(frozen=True, slots=True)
class _Ran:
    """A job that has ended.

    Args:
        job: The command's words, such as ``weekly --due``.
        started_at: When, ISO 8601.
        seconds: How long it took.
        ok: Whether it ended well.
        error: Its last words where it did not.
    """

    job: str
    started_at: str
    seconds: float
    ok: bool
    error: str | None


class _Every(click.ParamType[int]):
    """A length of time, such as ``15m``."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return seconds."""
        if isinstance(value, int):
            return value
        number, unit = value[:-1], value[-1:]
        if not number.isdecimal() or unit not in _UNITS or int(number) < _SHORTEST:
            self.fail(f"{value!r} is no length of time; write it like 30s, 15m or 2h", param, ctx)
        return int(number) * _UNITS[unit]


@click.command()
@workspace_option
@click.option("--every", type=_Every(), default="15m", show_default=True, help="How often to look.")
@click.option("--once", is_flag=True, help="Look once and end: for cron and systemd timers.")
@click.option("--dry-run", is_flag=True, help="Only say what is due, and what is next.")
@json_option
def schedule(folder: Path | None, *, every: int, once: bool, dry_run: bool, as_json: bool) -> None:
    """Run what is due, again and again: take in logs, and move weekly turns on.

    A job that fails is told of and tried again the next time; the others run all the same. Each is
    a line in data/runs/schedule.jsonl. SIGTERM ends the scheduler after the job in hand.
    """
    workspace = open_workspace(folder)
    if dry_run:
        _tell_plan(workspace, as_json=as_json)
        return
    from abplatform.loop.steps import hold_schedule

    with hold_schedule(workspace.runs), _until_told() as told:
        while True:
            rounds = list(_round(workspace, told, as_json=as_json))
            if once:
                raise SystemExit(0 if all(ran.ok for ran in rounds) else 1)
            if told.wait(every):
                return


def _round(workspace: Workspace, told: Event, *, as_json: bool) -> Iterator[_Ran]:
    """Run every job that is due, one after the other, and keep what came of each."""
    for words in _jobs(workspace):
        if told.is_set():
            return
        ran = _run(workspace, words)
        line = json.dumps(asdict(ran), ensure_ascii=False)
        append_durably(workspace.runs / LOG, [line.encode() + b"\n"])
        if as_json:
            click.echo(line)
        else:
            word = "done" if ran.ok else f"failed: {ran.error}"
            click.echo(f"{ran.started_at}  {ran.job:<14} {ran.seconds:7.1f} s  {word}")
        yield ran


def _jobs(workspace: Workspace) -> list[tuple[str, ...]]:
    """Return the commands of a round: what has landed comes first, as turns rest on it."""
    from abplatform.loop.due import find_due

    jobs: list[tuple[str, ...]] = [("ingest", "--due") if _sources(workspace) else ("ingest",)]
    if find_due(workspace):
        jobs.append(("weekly", "--due"))
    return jobs


def _sources(workspace: Workspace) -> Sequence[Any]:
    return tuple(workspace.settings.sources)


def _run(workspace: Workspace, words: Sequence[str]) -> _Ran:
    """Run one command in a process of its own, so that whatever ends it does not end the others."""
    started, began = workspace.clock(), time.monotonic()
    program = "from abplatform.cli.main import main; main()"
    done = subprocess.run(  # noqa: S603  # our own commands
        [sys.executable, "-c", program, *words, "-w", str(workspace.root), "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        # A Ctrl-C at the terminal is for the scheduler, which lets the job in hand finish.
        start_new_session=True,
    )
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return _Ran(
        " ".join(words),
        started.isoformat(timespec="seconds"),
        round(time.monotonic() - began, 1),
        done.returncode == 0,
        None if done.returncode == 0 else last[0].removeprefix("error: "),
    )


def _tell_plan(workspace: Workspace, *, as_json: bool) -> None:
    """Say what a round would run, and when the next turns can go on."""
    from abplatform.loop.due import find_due, find_waiting

    jobs = [" ".join(words) for words in _jobs(workspace)]
    weeks = [str(week) for week in find_due(workspace)]
    waiting = find_waiting(workspace)
    if as_json:
        later = [{"week": str(one.week), "until": one.until.isoformat()} for one in waiting]
        print_json({"jobs": jobs, "weeks_due": weeks, "waiting": later})
        return
    for job in jobs:
        click.echo(f"due      abp {job}" + (f"  ({', '.join(weeks)})" if "weekly" in job else ""))
    for one in waiting:
        click.echo(f"waiting  {one.week} goes on {one.until:%Y-%m-%d %H:%M %Z}")


@contextmanager
def _until_told() -> Iterator[Event]:
    """Return an event that SIGTERM and SIGINT set; what was set before comes back afterwards."""
    told = Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(one, lambda *_: told.set()) for one in signals]
    try:
        yield told
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)
