"""Writing the star into a folder that BI tools read: all of it or nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import polars as pl

from abplatform.durable import reach, write_durably
from abplatform.errors import StoreError
from abplatform.logs.store.folders import replace_folder
from abplatform.logs.store.published import Published
from abplatform.logs.store.star.rows import star_rows

__all__ = ["ABOUT", "FORMATS", "Form", "export_star"]

Form = Literal["parquet", "csv"]

FORMATS: Final[tuple[Form, ...]] = ("parquet", "csv")

ABOUT: Final = "export.json"
"""The file beside the tables that says what they are; it also marks the folder as an export."""

_KIND: Final = "abplatform tables"


def export_star(published: Published, folder: Path, *, form: Form = "parquet") -> dict[str, int]:
    """Write every table of the star into a folder, in place of what an earlier export wrote.

    The new folder is made beside and takes the old one's place in one step; whoever reads by path
    finds either all old files or all new ones there.

    Args:
        published: One version of the published tables, read whole.
        folder: Where; made when missing.
        form: One Parquet or one CSV file a table.

    Returns:
        Table to number of rows.

    Raises:
        StoreError: The folder holds something that no export wrote.
    """
    _check_ours(folder)
    rows = star_rows(published)
    counts = {name: len(frame) for name, frame in rows.items()}
    with replace_folder(folder) as beside:
        for name, frame in rows.items():
            write_durably(beside / f"{name}.{form}", _content(frame, form))
        write_durably(beside / ABOUT, _about(published, counts, form))
        reach("export.rename")
    return counts


def _check_ours(folder: Path) -> None:
    """Refuse to replace what is not an export."""
    if not folder.exists():
        return
    remedy = "name a new or an empty folder, or one that `abp export tables` wrote"
    if not folder.is_dir():
        raise StoreError("it is a file, no folder", path=folder, remedy=remedy)
    if not any(folder.iterdir()):
        return
    try:
        about = json.loads((folder / ABOUT).read_bytes())
    except (OSError, ValueError):
        about = None
    if not isinstance(about, dict) or about.get("kind") != _KIND:
        raise StoreError("the folder holds other files", path=folder, remedy=remedy)


def _content(frame: pl.DataFrame, form: Form) -> bytes:
    buffer = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_csv(buffer, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ", quote_style="necessary")
    return buffer.getvalue()


def _about(published: Published, counts: Mapping[str, int], form: Form) -> bytes:
    about = {
        "kind": _KIND,
        "format": form,
        "version": published.version,
        "published_at": published.published_at.isoformat(),
        "tables": counts,
    }
    return json.dumps(about, indent=2).encode()
