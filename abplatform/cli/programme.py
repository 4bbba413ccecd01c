"""``abp history`` without a key: what all experiments together have taught."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.cases import open_store
from abplatform.cli.experiment_tables import print_table
from abplatform.cli.options import print_json, progress, write_page
from abplatform.workspace import Workspace

if TYPE_CHECKING:
    from abplatform.analysis.programme import Programme

__all__ = ["show_programme"]

_SHOWN = 12
"""How many words of scenes the terminal shows; --json holds all."""


def show_programme(workspace: Workspace, *, as_json: bool, html_path: Path | None) -> None:
    """Look back on the workspace's experiments and print or write what is found.

    Args:
        workspace: The workspace.
        as_json: Whether to print one JSON object.
        html_path: Where to write the page; None to write none.
    """
    programme = _review(workspace)
    if html_path is not None:
        from abplatform.analysis.programme.page import to_html

        write_page(html_path, to_html(programme), err=as_json)
    if as_json:
        print_json(programme.to_json())
    elif html_path is None:
        _print(programme)


def _review(workspace: Workspace) -> Programme:
    from abplatform.analysis.programme import review_programme
    from abplatform.creatives import read_lineage

    with open_store(workspace, "history") as store, progress("looking back") as advance:
        return review_programme(
            store.warehouse,
            store.registered,
            now=workspace.clock(),
            zone=workspace.settings.time_zone,
            lineage=read_lineage(workspace.creatives),
            holdout=workspace.settings.holdout,
            advance=advance,
        )


def _print(programme: Programme) -> None:
    from abplatform.analysis.programme.page import (
        ATTRIBUTE_HEADS,
        EXPERIMENT_HEADS,
        attribute_cells,
        describe_holdout,
        describe_impact,
        describe_rates,
        experiment_cells,
    )

    click.echo(describe_rates(programme))
    for impact in programme.impacts:
        click.echo(describe_impact(impact))
    click.echo(describe_holdout(programme.holdout))
    if programme.rows:
        click.echo()
        print_table(EXPERIMENT_HEADS, (experiment_cells(row) for row in programme.rows))
    if programme.attributes:
        click.echo("\nwhat words of a scene do to CTR, within a product (* holds after correction)")
        print_table(
            ATTRIBUTE_HEADS, (attribute_cells(row) for row in programme.attributes[:_SHOWN])
        )
    for note in programme.notes:
        click.echo(f"note: {note}")
