"""``abp backfill``: let late events in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.judges import judge_of
from abplatform.cli.logs import experiment_facts
from abplatform.cli.options import json_option, print_json, progress, read_moment, workspace_option
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.logs.load import Backfill

__all__ = ["backfill"]


@click.command()
@click.argument("source", required=False)
@click.option("--from", "since_text", metavar="TIME", help="From this moment on (event time).")
@click.option("--to", "until_text", metavar="TIME", help="The end, which is not part of it.")
@json_option
@workspace_option
def backfill(
    *,
    source: str | None,
    since_text: str | None,
    until_text: str | None,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Let events count that came when their rows were final, all or those of SOURCE.

    Prints how the counts change and which verdicts would now be others. Cannot be taken back.
    """
    from abplatform.logs.load import backfill as let_in

    workspace = open_workspace(folder)
    since = read_moment(since_text, workspace, "--from") if since_text else None
    until = read_moment(until_text, workspace, "--to") if until_text else None
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from must be earlier than --to")
    with progress("letting in"):
        done = let_in(
            workspace,
            experiment_facts(workspace),
            source=source,
            since=since,
            until=until,
            judge=judge_of(workspace),
        )
    if as_json:
        print_json(done.to_json())
    else:
        _show(done, source)


def _show(done: Backfill, source: str | None) -> None:
    if not done.entered:
        click.echo(f"No late event{f' of {source}' if source else ''} waits there.")
    else:
        told = ", ".join(f"{count:,} {table}" for table, count in done.entered.items())
        click.echo(f"Let in: {told}.")
    for key, changes in done.counts.items():
        click.echo(f"{key}:")
        for name, change in changes.items():
            click.echo(f"  {name}: {change.before:,} → {change.after:,}")
    for key, verdict in done.verdicts.items():
        click.echo(f"The verdict of {key} was {verdict.before} and is {verdict.after} now.")
    if done.waiting:
        count = sum(done.waiting.values())
        click.echo(f"{count:,} late {'event waits' if count == 1 else 'events wait'} still.")
    click.echo(f"data_version {done.data_version}")
