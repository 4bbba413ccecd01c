"""``abp start, pause, ramp, stop, status, history``: experiments and their states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from abplatform.checkpoints import aliases
from abplatform.cli.experiment_tables import (
    declared_rows,
    local_time,
    print_status,
    print_table,
    source_rows,
    status_row,
    tell_detail,
)
from abplatform.cli.options import (
    html_option,
    json_option,
    name_person,
    print_json,
    read_moment,
    workspace_option,
)
from abplatform.domain.experiment import State
from abplatform.traffic.registry import Registry, resolve_aliases
from abplatform.workspace import Workspace, open_workspace

__all__ = ["history", "pause", "ramp", "start", "status", "stop"]

by_option = click.option("--by", "who", default=None, help="Who decides; default $USER.")
at_option = click.option(
    "--at",
    "at_text",
    metavar="TIME",
    default=None,
    help="From when it holds, such as 2026-11-02 or 2026-11-02T08:00+01:00; default now. "
    "Without an offset it is the workspace's time.",
)
reason_option = click.option("--reason", default=None, help="Why, for the journal.")
key_argument = click.argument("key")


@click.command()
@key_argument
@at_option
@by_option
@workspace_option
@json_option
def start(
    *, key: str, at_text: str | None, who: str | None, folder: Path | None, as_json: bool
) -> None:
    """Start an experiment, or let a paused one run on."""
    registry = Registry(open_workspace(folder))
    at, who = _moment(at_text, registry.workspace), name_person(who)
    if registry.find(key).state is State.PAUSED:
        registry.resume(key, at=at, who=who)
        _show_change(registry, key, "runs on", as_json=as_json)
        return
    known = aliases(registry.workspace.checkpoints)
    resolved = resolve_aliases(registry.find(key).experiment, known)
    registry.start(key, at=at, who=who, resolved=resolved)
    _show_change(registry, key, "has started", as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Change:
    """What the journal is told of a change of state."""

    at: datetime
    who: str
    reason: str | None


def _verb(act: Callable[[Registry, str, _Change], str]) -> click.Command:
    """Make a verb of a function that changes an experiment's state and says what it is now."""

    @click.command(act.__name__, help=act.__doc__)
    @key_argument
    @reason_option
    @at_option
    @by_option
    @workspace_option
    @json_option
    def verb(
        *,
        key: str,
        reason: str | None,
        at_text: str | None,
        who: str | None,
        folder: Path | None,
        as_json: bool,
    ) -> None:
        registry = Registry(open_workspace(folder))
        change = _Change(_moment(at_text, registry.workspace), name_person(who), reason)
        _show_change(registry, key, act(registry, key, change), as_json=as_json)

    return verb


@_verb
def pause(registry: Registry, key: str, change: _Change) -> str:
    """Pause a running experiment; `abp start` lets it run on."""
    registry.pause(key, at=change.at, who=change.who, reason=change.reason)
    return "is paused"


@_verb
def ramp(registry: Registry, key: str, change: _Change) -> str:
    """Move a running experiment to the next step of its ramp."""
    present, _ = registry.next_step(key, at=change.at)
    if present and present.gate:
        from abplatform.cli.ramp_gates import pass_gates

        pass_gates(registry, key, present.gate)
    registry.ramp(key, at=change.at, who=change.who, reason=change.reason)
    return "was ramped"


@_verb
def stop(registry: Registry, key: str, change: _Change) -> str:
    """Stop an experiment for good and free its place in the layer."""
    registry.stop(key, at=change.at, who=change.who, reason=change.reason)
    return "is stopped"


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@workspace_option
@json_option
def status(*, keys: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Show where experiments stand, and which YAML files were edited after the start."""
    registry = Registry(open_workspace(folder))
    known, problems = registry.usable()
    declared = declared_rows(registry.workspace, known)
    edits, root = registry.edits(), registry.workspace.root
    rows = [
        declared.get(key) or status_row(registry.find(key), edits.get(key), root)
        for key in keys or [*known, *declared]
    ]
    sources = source_rows(registry.workspace)
    if as_json:
        told = [str(problem) for problem in problems]
        halted = registry.halted()
        answer = {"experiments": rows, "problems": told, "sources": sources, "halted": halted}
        print_json(answer)
        return
    if registry.halted():
        click.echo("warning halted: all experiments are off; `abp halt --end` lets them run on")
    print_status(registry.workspace, rows)
    for row in rows:
        if row["edited"]:
            place = f"{row['edited']['path']}:{row['edited']['line']}"
            click.echo(f"{place}: edited after {row['experiment']} started:")
            for difference in row["edited"]["differences"]:
                click.echo(f"  {difference}")
    for source in sources:
        if source["silent"]:
            click.echo(f"warning source_silent: {source['silent']}.", err=True)
        if source["error"]:
            click.echo(f"error: source {source['source']}: {source['error']}", err=True)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)


@click.command()
@click.argument("key", required=False)
@html_option("Without KEY: write one HTML file with the forest plot.")
@workspace_option
@json_option
def history(*, key: str | None, html_path: Path | None, folder: Path | None, as_json: bool) -> None:
    """Show what was decided about an experiment; without KEY, what all have taught."""
    workspace = open_workspace(folder)
    if key is None:
        from abplatform.cli.programme import show_programme

        show_programme(workspace, as_json=as_json, html_path=html_path)
        return
    if html_path is not None:
        raise click.UsageError("--html shows all experiments together; leave KEY out")
    rows = Registry(workspace).history(key)
    if as_json:
        print_json([row.to_json() for row in rows])
        return
    if not rows:
        click.echo(f"{key} is a draft; nothing was decided yet")
        return
    lines = (
        (
            str(row.sequence),
            local_time(row.at, workspace),
            row.who,
            row.action,
            tell_detail(row.detail),
            row.sha256[:12],
        )
        for row in rows
    )
    print_table(("row", "at", "who", "action", "detail", "sha256"), lines)


def _moment(text: str | None, workspace: Workspace) -> datetime:
    return workspace.clock() if text is None else read_moment(text, workspace, "--at")


def _show_change(registry: Registry, key: str, done: str, *, as_json: bool) -> None:
    found = registry.find(key)
    row = status_row(found, registry.edits().get(key), registry.workspace.root)
    if as_json:
        print_json(row)
        return
    click.echo(f"{key} {done}")
    print_status(registry.workspace, [row])
