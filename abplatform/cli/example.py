"""``abp example``: real data sets run through the platform from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.options import json_option, print_json, progress
from abplatform.errors import IngestError

if TYPE_CHECKING:
    from abplatform.analysis.scorecard import Scorecard
    from abplatform.workspace import Workspace

__all__ = ["example"]


@click.group()
def example() -> None:
    """Run a real data set through the platform."""


@example.command("open-bandit")
@click.option(
    "--out",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("open-bandit"),
    show_default=True,
    help="The workspace to make or to go on with.",
)
@click.option(
    "--file",
    "source",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="The wheel of obp 0.4.1, or a folder with its data; default it is fetched from PyPI once.",
)
@json_option
def open_bandit(*, out: Path, source: Path | None, as_json: bool) -> None:
    """Compare two recommendation policies over three campaigns (Open Bandit sample)."""
    from abplatform.analysis.report import print_scorecard
    from abplatform.cli.example_workspace import open_example
    from abplatform.cli.open_bandit import fetch_wheel, unpack_sample
    from abplatform.traffic.registry import Registry

    workspace = open_example("open-bandit", out)
    logs = unpack_sample(source or fetch_wheel(), workspace.root / "logs")
    with progress("ingest") as advance:
        receipts = _ingest_policies(workspace, logs, advance)
    experiment = Registry(workspace).find("open-bandit").experiment
    scorecard = _analyze(workspace)
    if as_json:
        print_json(scorecard.to_json())
        return
    received, accepted = (sum(r[name] for r in receipts) for name in ("received", "accepted"))
    click.echo(f"{received:,} events received, {accepted:,} of them new and accepted\n")
    print_scorecard(scorecard, experiment)
    _print_clicks(scorecard)
    click.echo(f"\nNext:\n  abp report open-bandit -w {out}\n  abp dashboard -w {out}")


@example.command("upworthy")
@click.option(
    "--file",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Packages of the Upworthy Research Archive, CSV or Parquet.",
)
@click.option(
    "--out",
    "out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("upworthy"),
    show_default=True,
    help="The workspace to make or to go on with.",
)
@json_option
def upworthy(*, source: Path, out: Path, as_json: bool) -> None:
    """Judge thousands of past headline tests in one pass (Upworthy Research Archive)."""
    from abplatform.analysis.publish import publish
    from abplatform.analysis.scorecard import Run
    from abplatform.analysis.verdict import analyze_many
    from abplatform.cli.example_workspace import open_example
    from abplatform.cli.logs import experiment_facts
    from abplatform.cli.upworthy import judge_past_tests, summarise
    from abplatform.logs.landing import MappingText
    from abplatform.logs.load import ingest
    from abplatform.logs.load.declared import declared_experiments
    from abplatform.logs.store.warehouse import Warehouse

    workspace = open_example("upworthy", out)
    mapping = MappingText((workspace.root / "mappings" / "upworthy.yaml").read_bytes())
    with progress("ingest") as advance:
        receipt = ingest(
            workspace,
            experiment_facts(workspace),
            files=[source],
            mapping=mapping,
            source="upworthy",
            advance=advance,
        )
    with (
        progress("analyze") as advance,
        workspace.lock("example upworthy"),
        Warehouse.open(workspace) as warehouse,
    ):
        tests = declared_experiments(warehouse)
        run = Run(now=workspace.clock())
        zone = workspace.settings.time_zone
        judged = analyze_many(warehouse, tests, runs=lambda _: run, zone=zone, advance=advance)
        scorecards = list(judged)
        summary = summarise(judge_past_tests(warehouse, scorecards))
        publish(workspace, warehouse, scorecards=[(tests[it.experiment], it) for it in scorecards])
    if not summary["tests"]:
        raise IngestError("no test came out of this file", path=source, remedy=_packages())
    if as_json:
        print_json({**summary, "ingest": receipt.to_json()})
        return
    _print_summary(summary)
    click.echo(f"\nNext:\n  abp dashboard -w {out}")


def _ingest_policies(
    workspace: Workspace, logs: dict[tuple[str, str], Path], advance: Any
) -> list[dict[str, Any]]:
    from abplatform.cli.logs import experiment_facts
    from abplatform.logs.landing import MappingText
    from abplatform.logs.load import ingest

    content = (workspace.root / "mappings" / "open-bandit.yaml").read_bytes()
    facts = experiment_facts(workspace)
    receipts = []
    for done, ((policy, campaign), log) in enumerate(logs.items()):
        advance(done, len(logs))
        mapping = MappingText(content, {"variant": policy, "category": campaign})
        receipt = ingest(workspace, facts, files=[log], mapping=mapping, source="open-bandit")
        receipts.append(receipt.to_json())
    return receipts


def _analyze(workspace: Workspace) -> Scorecard:
    from abplatform.analysis.publish import publish
    from abplatform.analysis.scorecard import Run
    from abplatform.analysis.verdict import analyze
    from abplatform.logs.store.warehouse import Warehouse
    from abplatform.traffic.registry import Registry

    found = Registry(workspace).find("open-bandit")
    with workspace.lock("example open-bandit"), Warehouse.open(workspace) as warehouse:
        scorecard = analyze(
            warehouse,
            found.experiment,
            run=Run(now=workspace.clock()),
            zone=workspace.settings.time_zone,
        )
        publish(workspace, warehouse, scorecards=[(found.experiment, scorecard)])
    return scorecard


def _print_clicks(scorecard: Scorecard) -> None:
    from abplatform.cli.experiment_tables import print_table

    click.echo()
    print_table(
        ("campaign", "clicks: random → bts", "impressions each"),
        (
            (
                str(lift.level),
                f"{lift.k_control:,} → {lift.k_treatment:,}",
                f"{lift.n_control:,} / {lift.n_treatment:,}",
            )
            for lift in scorecard.lifts
            if lift.metric == "ctr" and lift.breakdown == "category"
        ),
    )


def _print_summary(summary: dict[str, Any]) -> None:
    from abplatform.cli.experiment_tables import print_table

    alarmed = [row for row in summary["srm_alarms_by_week"] if row["alarms"]]
    click.echo(f"{summary['tests']:,} tests")
    click.echo(
        f"{summary['srm_alarms']:,} with an SRM alarm (p < 0.001), in {len(alarmed)} of "
        f"{len(summary['srm_alarms_by_week'])} weeks"
    )
    click.echo(
        f"{summary['winners']:,} with a significant winner, one that beats every other variant "
        f"after Holm at 0.05; {summary['winners_without_alarm']:,} of them without an SRM alarm"
    )
    click.echo()
    rows = ((row["week"], str(row["tests"]), str(row["alarms"])) for row in alarmed)
    print_table(("week", "tests", "SRM alarms"), rows)


def _packages() -> str:
    return (
        "name packages of the Upworthy Research Archive: clickability_test_id, headline, lede, "
        "impressions, clicks, test_week"
    )
