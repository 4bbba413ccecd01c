"""``abp analyze, report, pairs``: what an experiment says.

Each loads what is sealed first, so that nobody has to remember to ingest.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.aggregate_pairs import Weeks, WeeksType, pairs_of_past_tests
from abplatform.cli.cases import open_store
from abplatform.cli.engines import (
    OnSpark,
    check_same_store,
    engine_options,
    open_on_spark,
    print_compared,
)
from abplatform.cli.experiment_tables import print_table
from abplatform.cli.options import (
    as_of_option,
    html_option,
    json_option,
    name_person,
    print_json,
    read_moment,
    workspace_option,
    write_page,
)
from abplatform.figures import percent
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.analysis.pairs import Shelf
    from abplatform.analysis.scorecard import Run, Scorecard
    from abplatform.domain.experiment import Experiment
    from abplatform.logs.store.answering import Answer, Store
    from abplatform.traffic.registry import RegisteredExperiment

__all__ = ["analyze", "pairs", "report"]

key_argument = click.argument("key")


@click.command()
@key_argument
@as_of_option
@click.option("--data-version", default=None, help="Answer with what was known at that version.")
@click.option("--final", is_flag=True, help="Leave out rows that late events may still change.")
@click.option(
    "--monitor", "watches", is_flag=True, help="Only glance at it: approximate lifts, no verdict."
)
@engine_options
@workspace_option
@json_option
def analyze(
    *,
    key: str,
    as_of_text: str | None,
    data_version: str | None,
    final: bool,
    watches: bool,
    on: OnSpark | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Compute an experiment's scorecard and its verdict."""
    from abplatform.analysis.publish import publish
    from abplatform.analysis.report import print_scorecard

    workspace = open_workspace(folder)
    plain = as_of_text is None and data_version is None and not final
    if watches:
        if not plain:
            raise click.UsageError("--monitor looks at everything up to now; ask it alone")
        if on is not None:
            raise click.UsageError("--monitor reads what DuckDB keeps; ask it without --engine")
        _glance(workspace, key, as_json=as_json)
        return
    question = {
        "as_of": _moment(as_of_text, workspace),
        "data_version": data_version,
        "final": final,
    }
    if on is not None:
        _analyze_on_spark(workspace, key, on, question, as_json=as_json)
        return
    with _open(workspace, key) as case:
        scorecard = case.analyze(keep=plain, **question)
        # A question about the past changes nothing that others read.
        if plain:
            publish(workspace, case.warehouse, scorecards=[(case.experiment, scorecard)])
    if as_json:
        print_json(scorecard.to_json())
    else:
        print_scorecard(scorecard, case.experiment)


def _analyze_on_spark(
    workspace: Workspace, key: str, on: OnSpark, question: Mapping[str, Any], *, as_json: bool
) -> None:
    """Print the scorecard that Spark computes; with ``--compare`` beside DuckDB's numbers."""
    from abplatform.analysis.report import print_scorecard
    from abplatform.logs.store.comparing import compare_answers

    twins: list[Answer] = []
    if on.compare:
        # Before Spark, which takes its time: the lake may be older than the store.
        with _open(workspace, key, read_sources=False) as twin:
            check_same_store(on.lake, twin.warehouse)
            with twin.warehouse.overheard() as twins:
                twin.analyze(**question)
    with _open(workspace, key, on=on) as case, case.warehouse.overheard() as heard:
        scorecard = case.analyze(**question)
    compared = compare_answers(heard, twins) if on.compare else []
    if as_json:
        told = {"compared": [one.to_json() for one in compared]} if on.compare else {}
        print_json(scorecard.to_json() | told)
    else:
        print_scorecard(scorecard, case.experiment)
        if on.compare:
            print_compared(compared)
    if any(one.different for one in compared):
        raise click.exceptions.Exit(1)


def _glance(workspace: Workspace, key: str, *, as_json: bool) -> None:
    """Print what bucket sums say of an experiment."""
    from abplatform.analysis.report.wording import MISSING
    from abplatform.analysis.scorecard.monitor import glance

    with _open(workspace, key) as case:
        seen = glance(case.warehouse, case.experiment, case.run, zone=workspace.settings.time_zone)
    if as_json:
        print_json(seen.to_json())
        return
    heads = ("metric", "category", "treatment", "control", "treated", "lift", "anytime interval")
    print_table(
        heads,
        [
            (
                one.metric,
                one.category or "all",
                one.treatment,
                f"{one.k_control:,} of {one.n_control:,}",
                f"{one.k_treatment:,} of {one.n_treatment:,}",
                MISSING if one.relative_lift is None else percent(one.relative_lift),
                MISSING
                if one.anytime_low is None or one.anytime_high is None
                else f"{percent(one.anytime_low)} … {percent(one.anytime_high)}",
            )
            for one in seen.lifts
        ],
    )
    click.echo(
        f"approximate (standard errors to about 1 %), from bucket sums; no verdict · "
        f"data {seen.data_version}"
    )


@click.command()
@key_argument
@as_of_option
@html_option("Write one HTML file with pictures.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@workspace_option
def report(
    *,
    key: str,
    as_of_text: str | None,
    html_path: Path | None,
    markdown: bool,
    folder: Path | None,
) -> None:
    """Write an experiment's report for the terminal, a ticket or a browser."""
    from abplatform.analysis.report import print_scorecard, to_html, to_markdown

    workspace = open_workspace(folder)
    with _open(workspace, key) as case:
        scorecard = case.analyze(keep=as_of_text is None, as_of=_moment(as_of_text, workspace))
    if html_path is not None:
        write_page(html_path, to_html(scorecard, case.experiment, duels=case.duels(scorecard)))
    if markdown:
        click.echo(to_markdown(scorecard, case.experiment), nl=False)
    elif html_path is None:
        print_scorecard(scorecard, case.experiment)


@click.command()
@click.argument("key", required=False)
@click.option(
    "--from-aggregates",
    "table",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="A CSV or Parquet table of past tests, one row a variant, instead of an experiment.",
)
@click.option(
    "--mapping",
    "mapping_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Says what that table's columns mean; creatives of one product_id are compared.",
)
@click.option(
    "--leave-out",
    type=WeeksType(),
    multiple=True,
    help="Weeks whose past tests teach nothing, such as 2013-W25..2014-W02; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Where to write them; default data/pairs/<week>.parquet.",
)
@workspace_option
@json_option
def pairs(
    *,
    key: str | None,
    table: Path | None,
    mapping_path: Path | None,
    leave_out: tuple[Weeks, ...],
    out: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Write preference pairs: of experiment KEY's final rows, or of a table of past tests."""
    if (key is None) == (table is None):
        raise click.UsageError("name an experiment, or a table with --from-aggregates")
    if key is not None:
        if mapping_path is not None or leave_out:
            raise click.UsageError("--mapping and --leave-out go with --from-aggregates")
        _pairs_of_experiment(key, out, folder, as_json=as_json)
    elif table is not None:
        if mapping_path is None or out is None:
            raise click.UsageError("--from-aggregates needs --mapping and --out")
        _pairs_of_table(table, mapping_path, leave_out, out, as_json=as_json)


def _pairs_of_table(
    table: Path, mapping_path: Path, leave_out: Sequence[Weeks], out: Path, *, as_json: bool
) -> None:
    from abplatform.durable import replace_durably
    from abplatform.logs.landing import MappingText

    found = pairs_of_past_tests(table, MappingText.read(mapping_path), leave_out=leave_out)
    content = io.BytesIO()
    found.frame.write_parquet(content)
    replace_durably(out, content.getvalue())
    answer = {
        "tests": found.tests,
        "broken_splits": found.broken,
        "left_out": found.left_out,
        "quarantined": found.quarantined,
        "pairs": len(found.frame),
        "path": str(out),
    }
    if as_json:
        print_json(answer)
        return
    click.echo(
        f"wrote {len(found.frame):,} pairs of {found.tests:,} tests to {out}; without "
        f"{found.broken:,} whose split is broken and {found.left_out:,} of weeks left out"
    )
    if found.quarantined:
        click.echo(f"{found.quarantined:,} rows could not be read; `abp ingest --dry-run` says why")


def _pairs_of_experiment(key: str, out: Path | None, folder: Path | None, *, as_json: bool) -> None:
    from abplatform.analysis.pairs import keep_pairs, preference_pairs, week_of

    workspace = open_workspace(folder)
    zone = workspace.settings.time_zone
    with _open(workspace, key) as case:
        scorecard = case.analyze(keep=True)
        week = week_of(scorecard, zone)
        found = preference_pairs(
            case.warehouse,
            case.experiment,
            week=week,
            shelf=case.shelf,
            scorecard=scorecard,
            run=case.run,
            zone=zone,
        )
        path = out or workspace.pairs / f"{week}.parquet"
        keep_pairs(path, found, experiment=key)
    verdict = scorecard.decision.verdict.value if scorecard.decision else "continue"
    if as_json:
        print_json({"experiment": key, "week": week, "pairs": len(found), "path": str(path)})
    elif found.is_empty():
        click.echo(f"no pairs: {_why_no_pairs(verdict)}")
    else:
        many = "pair" if len(found) == 1 else "pairs"
        click.echo(f"wrote {len(found):,} {many} of {key} to {path}")


def _why_no_pairs(verdict: str) -> str:
    if verdict == "invalid":
        return "the experiment is invalid, and an invalid experiment teaches nothing"
    return "no product has two creatives with final impressions yet"


@dataclass(frozen=True, slots=True)
class _Case:
    """One experiment with everything that questions about it need."""

    workspace: Workspace
    warehouse: Store
    experiment: Experiment
    run: Run
    shelf: Shelf
    known: Mapping[str, RegisteredExperiment]

    def analyze(self, *, keep: bool = False, **question: Any) -> Scorecard:
        """Analyse; ``keep`` writes the looks that this takes into the journal."""
        from abplatform.analysis.interaction import with_interactions
        from abplatform.analysis.scorecard import Question, keep_scorecard_looks
        from abplatform.analysis.verdict import analyze
        from abplatform.traffic.registry import Registry

        asked, lineage = Question(**question), self.shelf.lineage
        scorecard = analyze(
            self.warehouse,
            self.experiment,
            run=self.run,
            question=asked,
            lineage=lineage,
            zone=self.workspace.settings.time_zone,
        )
        registered = self.known.get(self.experiment.key)
        if keep and registered is not None:
            registry = Registry(self.workspace)
            keep_scorecard_looks(registry, registered, scorecard, who=name_person())
        return with_interactions(
            scorecard,
            self.warehouse,
            self.experiment,
            known=self.known,
            question=asked,
            lineage=lineage,
        )

    def duels(self, scorecard: Scorecard) -> list[Any]:
        from abplatform.analysis.report import choose_duels

        return choose_duels(
            scorecard,
            masters=self.workspace.creatives,
            lineage=self.shelf.lineage,
            products=self.shelf.products,
            control=self.experiment.control.name,
        )


@contextmanager
def _open(
    workspace: Workspace, key: str, *, on: OnSpark | None = None, read_sources: bool = True
) -> Iterator[_Case]:
    """Load what is sealed, lock the workspace, open the store and find the experiment.

    On Spark nothing is loaded or locked: the lake stays as it is.
    """
    from abplatform.analysis.publish import open_shelf

    opened = (
        open_store(workspace, f"analyze {key}", read_sources=read_sources)
        if on is None
        else open_on_spark(workspace, on)
    )
    with opened as store:
        experiment, shelf = store.find(key), open_shelf(workspace)
        yield _Case(workspace, store.warehouse, experiment, store.run(key), shelf, store.registered)


def _moment(text: str | None, workspace: Workspace) -> datetime | None:
    return None if text is None else read_moment(text, workspace, "--as-of")
