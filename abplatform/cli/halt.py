"""``abp halt``: the switch that turns all experiments off at once."""

from __future__ import annotations

from pathlib import Path

import click

from abplatform.cli.options import json_option, name_person, print_json, workspace_option
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

__all__ = ["halt"]


@click.command()
@click.option("--end", is_flag=True, help="Let experiments run on, each as it stands.")
@click.option("--reason", default=None, help="Why, for the journal.")
@click.option("--by", "who", default=None, help="Who decides; default $USER.")
@workspace_option
@json_option
def halt(
    *, end: bool, reason: str | None, who: str | None, folder: Path | None, as_json: bool
) -> None:
    """Switch all experiments off at once: everybody sees baselines, and nothing is compared.

    No phase ends, so that nothing has to be started again afterwards. One experiment alone is
    switched off by `abp pause`.
    """
    registry = Registry(open_workspace(folder))
    act = registry.unhalt if end else registry.halt
    act(at=registry.workspace.clock(), who=name_person(who), reason=reason)
    if as_json:
        print_json({"halted": registry.halted()})
    elif end:
        click.echo("experiments run on, each as it stands")
    else:
        click.echo("all experiments are halted; `abp halt --end` lets them run on")
