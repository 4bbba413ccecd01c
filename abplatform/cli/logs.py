"""``abp ingest``: logs in, a receipt out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.judges import judge_of
from abplatform.cli.options import (
    json_option,
    name_person,
    print_json,
    progress,
    read_moment,
    workspace_option,
)
from abplatform.cli.policy_snapshots import renew_snapshot

if TYPE_CHECKING:
    from abplatform.logs.facts import ExperimentFacts
    from abplatform.logs.landing import Hours, MappingText
    from abplatform.logs.load import Receipt
    from abplatform.workspace import Workspace

from abplatform.cli.receipts import print_receipt, print_trial

__all__ = ["experiment_facts", "ingest"]


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-22T08:00:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def experiment_facts(workspace: Workspace) -> dict[str, ExperimentFacts]:
    """Return what the registry knows, in the form that the logs take it.

    Rates of exchange that the journal lacks are written into it first.

    Raises:
        SpecError: A YAML file cannot be used.
    """
    from abplatform.traffic.registry import Registry

    Registry(workspace).fix_rates(who=name_person())
    return {key: one.facts for key, one in Registry(workspace).experiments().items()}


def _usable_facts(workspace: Workspace, *, fix: bool) -> dict[str, ExperimentFacts]:
    """Return what the registry knows; a file that cannot be used is told of and stops no log."""
    from abplatform.traffic.registry import Registry

    if fix:
        Registry(workspace).fix_rates(who=name_person())
    known, problems = Registry(workspace).usable()
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems:
        click.echo("What is logged for it alone waits in quarantine until it is mended.", err=True)
    return {key: one.facts for key, one in known.items()}


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The YAML file that says which column is which field.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a field of the mapping."
)
@click.option("--source", help="Where the files come from; default `files`.")
@click.option("--as-of", type=_Moment(), help="Lower the watermark to this time; default is now.")
@click.option(
    "--replace",
    "replaced_source",
    metavar="SOURCE",
    help="Let FILE stand in the place of this source's events from --from to --to.",
)
@click.option("--from", "since_text", metavar="TIME", help="With --replace: the first moment.")
@click.option(
    "--to", "until_text", metavar="TIME", help="With --replace: the end, which is not part of it."
)
@click.option("--dry-run", is_flag=True, help="Show what would come in; write nothing.")
@click.option("--draft", is_flag=True, help="Print a first mapping, guessed from the file.")
@click.option(
    "--ids",
    "ids_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take in the ids that a network gave to our ads: the sheet of `abp export creatives`, "
    "its column ad_id filled in.",
)
@click.option("--due", is_flag=True, help="Pull what is new from the sources of abp.yaml.")
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Go on for good without sealed segments that are missing from the landing.",
)
@json_option
@workspace_option
def ingest(
    *,
    files: tuple[Path, ...],
    mapping_file: Path | None,
    settings: tuple[str, ...],
    source: str | None,
    as_of: datetime | None,
    replaced_source: str | None,
    since_text: str | None,
    until_text: str | None,
    folder: Path | None,
    dry_run: bool,
    draft: bool,
    ids_file: Path | None,
    due: bool,
    accept_loss: bool,
    as_json: bool,
) -> None:
    """Take in impression and click logs; without FILES, load what is sealed."""
    if draft:
        _print_draft(files, others=(dry_run, due, mapping_file, accept_loss, ids_file))
        return
    if ids_file is not None:
        from abplatform.cli.ad_sheets import take_ids

        if files or mapping_file or source or as_of or dry_run or due or accept_loss:
            raise click.UsageError("--ids takes one sheet and nothing else")
        take_ids(folder, ids_file, as_json=as_json)
        return
    from abplatform.logs.landing import MappingText
    from abplatform.logs.load import ingest as take_in
    from abplatform.workspace import open_workspace

    if settings and mapping_file is None:
        raise click.UsageError("--set changes a mapping: name one with --mapping FILE")
    workspace = open_workspace(folder)
    facts = _usable_facts(workspace, fix=not dry_run)
    if due:
        from abplatform.cli.sources import pull_sources

        if files or mapping_file or source or as_of or dry_run or accept_loss:
            raise click.UsageError("--due takes files, mappings and names from abp.yaml alone")
        pull_sources(workspace, facts, as_json=as_json)
        return
    hours = _hours(workspace, replaced_source, since_text, until_text)
    if hours is not None and (len(files) != 1 or source or dry_run):
        raise click.UsageError("--replace takes one FILE, whose events are of that SOURCE")
    mapping = MappingText.read(mapping_file, _pairs(settings)) if mapping_file else None
    if dry_run:
        _try_files(workspace, facts, files, mapping, as_json=as_json)
        return
    with progress("loading") as advance:
        receipt = take_in(
            workspace,
            facts,
            files=files,
            mapping=mapping,
            source=source,
            as_of=as_of,
            replace=hours,
            judge=judge_of(workspace),
            accept_loss=accept_loss,
            advance=advance,
        )
    renew_snapshot(workspace)
    _tell(receipt, as_json=as_json)


def _tell(receipt: Receipt, *, as_json: bool) -> None:
    if as_json:
        print_json(receipt.to_json())
    else:
        print_receipt(receipt)
    if receipt.is_useless:
        raise SystemExit(1)


def _try_files(
    workspace: Workspace,
    facts: Mapping[str, ExperimentFacts],
    files: tuple[Path, ...],
    mapping: MappingText | None,
    *,
    as_json: bool,
) -> None:
    from abplatform.logs.load import try_file

    if not files:
        raise click.UsageError("--dry-run needs a FILE")
    trials = [try_file(workspace, facts, file, mapping=mapping) for file in files]
    if as_json:
        print_json([trial.to_json() for trial in trials])
        return
    for trial in trials:
        print_trial(trial)


def _hours(
    workspace: Workspace, source: str | None, since: str | None, until: str | None
) -> Hours | None:
    if source is None and since is None and until is None:
        return None
    if source is None or since is None or until is None:
        raise click.UsageError("write --replace SOURCE --from TIME --to TIME, all three")
    from abplatform.logs.landing import Hours

    hours = Hours(
        source,
        read_moment(since, workspace, "--from"),
        read_moment(until, workspace, "--to"),
    )
    if hours.since >= hours.until:
        raise click.UsageError("--from must be earlier than --to")
    return hours


def _pairs(settings: tuple[str, ...]) -> Mapping[str, str]:
    pairs = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {setting}: write NAME=VALUE")
        pairs[name] = value
    return pairs


def _print_draft(files: tuple[Path, ...], *, others: tuple[object, ...]) -> None:
    from abplatform.logs.mapping import draft_mapping

    if any(others):
        raise click.UsageError("--draft takes one FILE and nothing else")
    if len(files) != 1:
        raise click.UsageError("--draft needs one FILE")
    click.echo(draft_mapping(files[0]), nl=False)
