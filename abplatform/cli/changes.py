"""``abp diff, apply``: what an edited experiment YAML needs, and how it takes effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from abplatform.checkpoints import aliases
from abplatform.cli.experiment_tables import print_table
from abplatform.cli.options import (
    json_option,
    name_person,
    print_json,
    read_moment,
    workspace_option,
)
from abplatform.domain.experiment import State
from abplatform.errors import RegistryError, SpecError
from abplatform.traffic.registry import Difference, Edit, Registry, resolve_aliases
from abplatform.workspace import open_workspace

__all__ = ["apply", "diff"]

_EFFECT = {
    "safe": "in effect",
    "phase": "new phase: abp apply",
    "forbidden": "forbidden while it runs",
}


@click.command()
@click.argument("key")
@workspace_option
@json_option
def diff(*, key: str, folder: Path | None, as_json: bool) -> None:
    """Show how an experiment's YAML differs from what is in force, and what that needs.

    A safe edit has taken effect by itself. One that changes who sees what needs a new phase, which
    `abp apply` opens. One that would make the numbers so far mean something else is forbidden.
    """
    registry = Registry(open_workspace(folder))
    edit = _find_edit(registry, key)
    found = edit.differences if edit else ()
    if as_json:
        print_json({"experiment": key, "differences": [_row(one) for one in found]})
        return
    if edit is None:
        click.echo(f"{key}: the YAML says what is in force")
        return
    click.echo(f"{edit.path} and what is in force:")
    rows = ((str(one.line), one.told, _EFFECT[one.kind]) for one in found)
    print_table(("line", "difference", "effect"), rows)


@click.command("apply")
@click.argument("key")
@click.option("--reason", default=None, help="Why, for the journal.")
@click.option("--at", "at_text", metavar="TIME", default=None, help="From when on; default now.")
@click.option("--by", "who", default=None, help="Who decides; default $USER.")
@workspace_option
@json_option
def apply(
    *,
    key: str,
    reason: str | None,
    at_text: str | None,
    who: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Let an edited YAML take effect in a new phase; whoever can stay in a variant stays.

    With other weights or variants the comparison begins anew at the phase: what was seen before
    is kept, and not mixed in.
    """
    workspace = open_workspace(folder)
    registry = Registry(workspace)
    at = read_moment(at_text, workspace, "--at") if at_text else workspace.clock()
    edit = _find_edit(registry, key)
    resolved = {}
    if edit is not None and not edit.of_kind("forbidden"):
        resolved = resolve_aliases(registry.edited(key), aliases(workspace.checkpoints))
    applied = registry.apply(key, at=at, who=name_person(who), reason=reason, resolved=resolved)
    number = registry.find(key).phases[-1].number
    if as_json:
        told = {"experiment": key, "phase": number, "applied": [_row(one) for one in applied]}
        print_json(told)
        return
    if not applied:
        click.echo(f"{key}: nothing waits for a phase")
        return
    click.echo(f"{key} is in phase {number}:")
    for one in applied:
        click.echo(f"  {one.told}")


def _find_edit(registry: Registry, key: str) -> Edit | None:
    """Return the edit of a started experiment.

    Raises:
        SpecError: The YAML cannot be used.
        RegistryError: It is not running.
    """
    found = registry.find(key)
    if found.state not in {State.RUNNING, State.PAUSED} or not found.phases:
        raise RegistryError(
            f"{key} is {found.state}: only what runs has something in force to differ from",
            path=found.path,
            remedy=f"start it with `abp start {key}`"
            if found.state is State.DRAFT
            else "give a new run its own key",
        )
    edit = registry.edits().get(key)
    if isinstance(edit, SpecError):
        raise edit
    return edit


def _row(one: Difference) -> dict[str, Any]:
    return {"place": one.place, "told": one.told, "kind": one.kind, "line": one.line}
