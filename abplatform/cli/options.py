"""What every verb shares: its workspace option, JSON output and a progress bar."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from abplatform.workspace import Workspace

__all__ = [
    "Advance",
    "as_of_option",
    "html_option",
    "json_option",
    "name_person",
    "print_json",
    "progress",
    "read_moment",
    "workspace_option",
    "write_page",
]

Command = TypeVar("Command", bound=Callable[..., Any])

workspace_option = click.option(
    "-w",
    "--workspace",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="The workspace; default $ABP_WORKSPACE, else the nearest folder with an abp.yaml.",
)


def html_option(told: str) -> Callable[[Command], Command]:
    """Return the option ``--html FILE``.

    Args:
        told: What the file will hold, for ``--help``.
    """
    return click.option(
        "--html",
        "html_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        help=told,
    )


as_of_option = click.option(
    "--as-of",
    "as_of_text",
    metavar="TIME",
    default=None,
    help="Count events up to this moment, such as 2026-11-09 or 2026-11-09T08:00+01:00.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def print_json(data: object) -> None:
    """Print data as JSON; NaN and infinity are refused, they are never a result."""
    click.echo(json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2))


def write_page(path: Path, html: str, *, err: bool = False) -> None:
    """Write a page where ``--html`` says, and tell so.

    Args:
        path: Where; folders on the way are made.
        html: The whole page.
        err: Whether standard output holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    click.echo(f"wrote {path}", err=err)


def name_person(named: str | None = None) -> str:
    """Return who decides: the one who is named, else $USER, else who runs the process."""
    return named or os.environ.get("USER") or getpass.getuser()


def read_moment(text: str, workspace: Workspace, option: str) -> datetime:
    """Read a time such as 2026-11-09T08:00+01:00; without an offset it is the workspace's.

    Args:
        text: As it was given.
        workspace: Whose time zone is meant.
        option: The option's name, for whoever mistyped.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time such as 2026-11-09T08:00+01:00", param_hint=option
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=workspace.settings.time_zone)


class Advance(Protocol):
    """Called as work goes on, with how much is done and how much there is."""

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` is done."""


def _stay_silent(done: int, total: int) -> None:
    """Show nothing: nobody watches."""
    del done, total


@contextmanager
def progress(label: str) -> Iterator[Advance]:
    """Show a progress bar on a terminal; say nothing elsewhere.

    Args:
        label: What is being done.
    """
    if not sys.stderr.isatty():
        yield _stay_silent
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
