"""``abp doctor``: is everything on the disk what it should be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.options import json_option, print_json, progress, workspace_option

if TYPE_CHECKING:
    from abplatform.logs.checkup import Finding
    from abplatform.workspace import Workspace

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@json_option
@workspace_option
def doctor(*, folder: Path | None, as_json: bool) -> None:
    """Check hashes, counts, journal, tables and disk; say what to do.

    Reads every byte of the landing and the warehouse and changes neither. Exits 1 when something
    is damaged or lost; a warning is nothing to lose sleep over.
    """
    from abplatform.workspace import open_workspace

    workspace = open_workspace(folder)
    findings = []
    for finding in _examine(workspace):
        findings.append(finding)
        if not as_json:
            _print(finding)
    worst = max((one.status for one in findings), key=list(_COLOURS).index)
    if as_json:
        print_json({"status": worst, "findings": [one.to_json() for one in findings]})
    sys.exit(1 if worst == "fail" else 0)


def _examine(workspace: Workspace) -> Iterator[Finding]:
    from abplatform.logs import checkup

    yield checkup.check_space(workspace)
    yield from _check_journal(workspace)
    yield from _check_edits(workspace)
    yield from _check_snapshots(workspace)
    with workspace.lock("doctor"):
        with progress("hashing the landing") as advance:
            yield from checkup.check_landing(workspace, advance)
        with progress("reading the warehouse") as advance:
            yield from checkup.check_warehouse(workspace, advance)
        yield checkup.check_published(workspace)


def _check_journal(workspace: Workspace) -> Iterator[Finding]:
    """Follow the chain of what people decided, and the specs that it names."""
    from abplatform.errors import RegistryError
    from abplatform.logs.checkup import Finding
    from abplatform.traffic.journal import Journal

    try:
        rows = Journal(workspace.journal).rows()
    except RegistryError as error:
        yield Finding("journal", "fail", f"{error.place}: {error.message}", error.remedy)
        return
    yield Finding("journal", "ok", f"{len(rows)} rows, the chain is whole")
    kept = list(workspace.specs.glob("*.yaml"))
    for path in kept:
        if sha256(path.read_bytes()).hexdigest() != path.stem:
            remedy = "bring the file back from a backup"
            yield Finding("specs", "fail", f"{path} does not have the sha256 of its name", remedy)
    for digest in sorted(_specs_named(rows) - {path.stem for path in kept}):
        remedy = "bring the file back from a backup"
        yield Finding(
            "specs", "fail", f"{digest}.yaml, which the journal names, is missing", remedy
        )


def _check_edits(workspace: Workspace) -> Iterator[Finding]:
    """Tell of YAML files of running experiments that say something else than what is in force."""
    from abplatform.errors import AbplatformError
    from abplatform.logs.checkup import Finding
    from abplatform.traffic.registry import Registry

    try:
        unapplied = Registry(workspace).unapplied()
    except AbplatformError:  # the checks of the journal and of the specs say what is wrong
        return
    for error in unapplied.values():
        remedy = error.remedy or "mend the file; until then it runs on as it was"
        yield Finding("edits", "warn", f"{error.place}: {error.message}", remedy)
    if not unapplied:
        yield Finding("edits", "ok", "running experiments are what their YAML says")


def _check_snapshots(workspace: Workspace) -> Iterator[Finding]:
    """Hash what policies know now and knew before; silent where no policy ever learnt."""
    from abplatform.errors import StoreError
    from abplatform.logs.checkup import Finding
    from abplatform.traffic.policies.snapshots import CURRENT_FILE, read_current, read_snapshot

    found = workspace.snapshots.glob("*.json")
    kept = sorted(path for path in found if path.name != CURRENT_FILE)
    if not kept:
        return
    damaged = set()
    try:
        read_current(workspace.snapshots)
    except StoreError as error:
        damaged.add(error.path)
        yield Finding("snapshots", "fail", f"{error.place}: {error.message}", error.remedy)
    for path in kept:
        if path in damaged:
            continue
        try:
            read_snapshot(workspace.snapshots, path.stem)
        except StoreError as error:
            damaged.add(path)
            remedy = "bring the file back from a backup to repeat the decisions that rest on it"
            yield Finding("snapshots", "fail", f"{error.place}: {error.message}", remedy)
    if not damaged:
        yield Finding("snapshots", "ok", f"{len(kept)} kept, each has the sha256 of its name")


def _specs_named(rows: list[Any]) -> set[str]:
    named = (row.detail.get("spec_sha256") for row in rows)
    return {digest for digest in named if isinstance(digest, str)}


def _print(finding: Finding) -> None:
    status = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
    click.echo(f"{status}  {finding.check:<11} {finding.message}")
    if finding.remedy:
        click.echo(f"{'':18}{finding.remedy}")
