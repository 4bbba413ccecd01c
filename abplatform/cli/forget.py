"""``abp forget``: units, or logs that are older than they are kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.logs import experiment_facts
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.logs.forget import Expired, Forgotten, Reckoning

__all__ = ["forget"]


@click.command()
@click.argument("units", metavar="[UNIT]...", nargs=-1)
@click.option("--expired", is_flag=True, help="Forget logs older than abp.yaml keeps them.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@workspace_option
def forget(
    *,
    units: tuple[str, ...],
    expired: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Remove units everywhere and prove it, or logs that are older than they are kept.

    What is removed cannot be brought back. The units are refused from then on. Copies outside the
    workspace (backups, exports, the files that were ingested) are not reached.
    """
    if bool(units) == expired:
        raise click.UsageError("name one UNIT or more, or say --expired")
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask: add --yes, or --dry-run")
    workspace = open_workspace(folder)
    if expired:
        _forget_old(workspace, dry_run=dry_run, yes=yes, as_json=as_json)
    else:
        _forget_units(workspace, units, dry_run=dry_run, yes=yes, as_json=as_json)


def _forget_units(
    workspace: Workspace, units: Sequence[str], *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    from abplatform.logs.forget import forget_units, reckon

    if dry_run or not yes:
        with progress("searching") as advance:
            found = reckon(workspace, experiment_facts(workspace), units, advance=advance)
        if as_json:
            print_json(found.to_json())
        else:
            _show_reckoning(found)
        if dry_run:
            return
        click.confirm("Remove this for good, and refuse the units from now on?", abort=True)
    with progress("forgetting") as advance:
        done = forget_units(workspace, experiment_facts(workspace), units, advance=advance)
    version = _publish_anew(workspace)
    if as_json:
        print_json(_to_json(done, version))
    else:
        _show_done(done, version)
    if done.proof.left:
        click.get_current_context().exit(1)


def _forget_old(workspace: Workspace, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from abplatform.logs.forget import find_expired, forget_expired

    facts = experiment_facts(workspace)
    found = find_expired(workspace, facts)
    if not as_json:
        _show_expired(found)
    if found and not dry_run:
        if not yes:
            click.confirm("Empty these segments for good?", abort=True)
        with progress("forgetting") as advance:
            found, receipt = forget_expired(workspace, facts, advance=advance)
        if receipt is not None and not as_json:
            click.echo(
                f"Emptied {_count(len(found), 'segment')}; data_version {receipt.data_version}"
            )
    if as_json:
        rows = [
            {"segment": one.segment.number, "source": one.segment.source, "events": one.events}
            for one in found
        ]
        print_json({"dry_run": dry_run, "segments": rows})


def _show_expired(found: Sequence[Expired]) -> None:
    if not found:
        click.echo("No log is older than abp.yaml keeps it.")
        return
    events = sum(one.events for one in found)
    click.echo(f"{_count(len(found), 'segment')} with {_count(events, 'event')} are too old.")


def _show_reckoning(found: Reckoning) -> None:
    if found.events:
        told = f"{_count(found.events, 'event')} in {_count(found.segments, 'segment')} will go"
        named = f" (experiments: {', '.join(found.experiments)})" if found.experiments else ""
        click.echo(f"{told}{named}.")
    else:
        click.echo("No event names them.")
    _show_learned(found)


def _show_learned(found: Reckoning) -> None:
    if found.weeks:
        click.echo(
            f"Preference pairs of {', '.join(found.weeks)} count what they did, in sums that name "
            "nobody."
        )
    for sha256 in found.checkpoints:
        click.echo(f"The checkpoint {sha256[:12]} was trained on those pairs.")


def _show_done(done: Forgotten, version: int | None) -> None:
    proof = done.proof
    click.echo(
        f"Removed {_count(done.reckoning.events, 'event')} from "
        f"{_count(done.reckoning.segments, 'segment')}, and rebuilt the warehouse."
    )
    for path in done.changed:
        click.echo(f"Taken out of {path}.")
    if version is not None:
        click.echo(f"Published anew as v{version}; earlier versions are gone.")
    _show_learned(done.reckoning)
    if done.receipt is not None:
        totals = done.receipt.totals
        click.echo(
            f"In the store: {totals.received:,} received = {totals.accepted:,} accepted + "
            f"{totals.quarantined:,} quarantined + {totals.duplicate:,} duplicate + "
            f"{totals.superseded:,} superseded + {totals.forgotten:,} forgotten; "
            f"data_version {done.receipt.data_version}"
        )
    told = f"Searched {_count(proof.files, 'file')} below data/ ({proof.size:,} bytes, compressed "
    told += f"files and Parquet decoded): {len(proof.left)} still hold an id."
    click.echo(told)
    for path in proof.left:
        click.echo(f"error: {path} still holds an id; remove it by hand", err=True)


def _to_json(done: Forgotten, version: int | None) -> dict[str, Any]:
    from dataclasses import asdict

    receipt = done.receipt
    return {
        **done.reckoning.to_json(),
        "changed": list(done.changed),
        "published": version,
        "proof": done.proof.to_json(),
        "totals": asdict(receipt.totals) if receipt else None,
        "data_version": receipt.data_version if receipt else None,
    }


def _publish_anew(workspace: Workspace) -> int | None:
    """Publish from what is left, and remove the versions before; None where nothing was out."""
    from abplatform.analysis.publish import publish
    from abplatform.logs.store.warehouse import Warehouse

    if not any(workspace.published.glob("v*")):
        return None
    with workspace.lock("forget: publish"), Warehouse.open(workspace) as warehouse:
        version = publish(workspace, warehouse)
        for old in workspace.published.glob("v*"):
            if old.name != f"v{version}":
                shutil.rmtree(old)
    return version


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
