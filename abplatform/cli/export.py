"""``abp export``: what leaves the workspace, for BI tools and for Spark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.logs.store.star import Form

__all__ = ["export"]

_folder_argument = click.argument("target", metavar="DIR", type=click.Path(path_type=Path))


@click.group()
def export() -> None:
    """Write tables for BI tools, or the events for Spark."""


@export.command()
@_folder_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="One file of this kind a table.",
)
@workspace_option
@json_option
def tables(*, target: Path, form: str, folder: Path | None, as_json: bool) -> None:
    """Write what was last published as a star for BI tools into DIR.

    A rerun replaces the folder in one step. docs/tables.md tells every table and column.
    """
    from abplatform.logs.store.published import read_published
    from abplatform.logs.store.star import export_star

    published = read_published(open_workspace(folder).published)
    counts = export_star(published, target, form=cast("Form", form))
    if as_json:
        told = {
            "folder": str(target),
            "format": form,
            "version": published.version,
            "published_at": published.published_at.isoformat(),
            "tables": counts,
        }
        print_json(told)
        return
    rows = sum(counts.values())
    click.echo(
        f"wrote {len(counts)} tables with {rows:,} rows to {target}: version {published.version}, "
        f"published {published.published_at:%Y-%m-%d %H:%M} UTC"
    )
