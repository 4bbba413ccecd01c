"""``abp ingest --due``: pull the sources that abp.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.options import print_json, progress
from abplatform.cli.policy_snapshots import renew_snapshot

if TYPE_CHECKING:
    from abplatform.logs.facts import ExperimentFacts
    from abplatform.logs.sources import Pull
    from abplatform.workspace import Workspace

__all__ = ["pull_sources"]


def pull_sources(
    workspace: Workspace, experiments: dict[str, ExperimentFacts], *, as_json: bool
) -> None:
    """Pull what is due and print a receipt for each source; exit 1 if one failed.

    Args:
        workspace: Its abp.yaml names the sources.
        experiments: What the registry knows, by key.
        as_json: Whether one JSON object is printed.
    """
    from abplatform.logs.sources import pull_due, silent_sources

    if not workspace.settings.sources:
        raise click.UsageError("abp.yaml names no sources; add some, or name FILES")
    pulls = []
    with progress("pulling") as advance:
        for pull in pull_due(workspace, experiments, advance=advance):
            pulls.append(pull)
            if not as_json:
                _show(pull)
    renew_snapshot(workspace)
    silent = silent_sources(workspace)
    if as_json:
        print_json({"sources": [_to_json(pull, silent.get(pull.source)) for pull in pulls]})
    for told in silent.values() if not as_json else ():
        click.echo(f"warning source_silent: {told}.", err=True)
    if any(pull.errors for pull in pulls):
        click.get_current_context().exit(1)


def _to_json(pull: Pull, silent: str | None) -> dict[str, Any]:
    return {**pull.to_json(), "silent": silent}


def _show(pull: Pull) -> None:
    from abplatform.cli.receipts import print_receipt

    if not pull.due:
        click.echo(f"{pull.source}: not due")
        return
    parts = [f"{len(pull.files)} new", f"{pull.unchanged} as before"]
    if pull.waiting:
        parts.append(f"{len(pull.waiting)} may still grow and wait for the next pull")
    if not (pull.files or pull.waiting or pull.unchanged or pull.errors):
        parts.append("no file matches its path")
    click.echo(f"{pull.source}: {', '.join(parts)}")
    if pull.receipt is not None:
        print_receipt(pull.receipt)
    for told in pull.errors.values():
        click.echo(f"error: source {pull.source}: {told}", err=True)
