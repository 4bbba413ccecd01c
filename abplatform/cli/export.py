"""``abp export``: what leaves the workspace, for ad networks, BI tools and Spark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from abplatform.cli.export_creatives import export_creatives
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.logs.store.star import Form

__all__ = ["export"]

_folder_argument = click.argument("target", metavar="DIR", type=click.Path(path_type=Path))


@click.group()
def export() -> None:
    """Write ads for a network, tables for BI tools, or the events for Spark."""


export.add_command(export_creatives)


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


@export.command()
@_folder_argument
@workspace_option
@json_option
def lake(*, target: Path, folder: Path | None, as_json: bool) -> None:
    """Write every event as a Parquet lake for Spark into DIR, a file a day.

    What is sealed is loaded first. A rerun writes only the days in which something has changed, and
    readers see all of it at once, by LAKE.json. docs/spark.md tells how to read it.
    """
    from abplatform.cli.cases import open_store
    from abplatform.logs.store.lake import export_lake

    workspace = open_workspace(folder)
    with (
        open_store(workspace, "export lake") as store,
        progress("writing the lake") as advance,
    ):
        receipt = export_lake(workspace, store.warehouse, target, advance=advance)
    if as_json:
        print_json(receipt.to_json())
        return
    size = f"{receipt.rows_written:,} rows, {receipt.bytes_written / 1e6:.1f} MB"
    click.echo(
        f"{target} holds data version {receipt.data_version}: {receipt.written:,} files written "
        f"({size}), {receipt.kept:,} kept, {receipt.removed:,} removed"
    )
