"""The tables that dashboards and BI tools read: whole versions, switched at once.

A version is a folder ``v<N>`` with one Parquet file per table. ``CURRENT.json`` names the version
that counts and the sha256 of every file; it is switched by an atomic rename after everything has
reached the disk. A reader therefore sees one version whole, never a mix, however often a writer
publishes, and the warehouse stays closed.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from abplatform.durable import reach, replace_durably, sync_folder, write_durably
from abplatform.errors import StoreError
from abplatform.workspace import Clock, system_clock

__all__ = [
    "KEPT_VERSIONS",
    "TABLES",
    "Published",
    "current_version",
    "publish_tables",
    "read_published",
]

KEPT_VERSIONS = 3
"""How many versions stay on disk, so that a slow reader can finish."""

_CURRENT = "CURRENT.json"
_REMEDY = "publish again with `abp analyze KEY` or `abp weekly`, or try `abp demo`"
_READ_ATTEMPTS = 20


def _columns(names: str, dtype: pl.DataType) -> dict[str, pl.DataType]:
    return dict.fromkeys(names.split(), dtype)


def _texts(names: str) -> dict[str, pl.DataType]:
    return _columns(names, pl.String())


def _lists(names: str) -> dict[str, pl.DataType]:
    return _columns(names, pl.List(pl.String()))


def _counts(names: str) -> dict[str, pl.DataType]:
    return _columns(names, pl.Int64())


def _numbers(names: str) -> dict[str, pl.DataType]:
    return _columns(names, pl.Float64())


def _instants(names: str) -> dict[str, pl.DataType]:
    return _columns(names, pl.Datetime("us", "UTC"))


TABLES: dict[str, pl.Schema] = {
    name: pl.Schema(columns)
    for name, columns in {
        "experiments": _texts("key owner hypothesis state")
        | _instants("started_at ended_at")
        | _texts("layer unit assignment primary_metric primary_direction")
        | _lists("variants")
        | _texts("control spec_sha256 verdict"),
        "scorecards": _texts("experiment")
        | _instants("as_of")
        | _texts("data_version status")
        | _counts("units")
        | _texts("verdict sentence")
        | _lists("reasons")
        | _texts("srm_verdict")
        | _numbers("srm_p_value")
        | _lists("warnings")
        | _texts("scorecard"),
        "lifts": _texts("experiment metric category breakdown level control treatment")
        | _counts("units_control units_treatment n_control n_treatment k_control k_treatment")
        | _numbers(
            "rate_control rate_treatment absolute_lift se_absolute relative_lift ci_low ci_high "
            "p_value log10_p p_adjusted sequential_low sequential_high sequential_p"
        )
        | _counts("look")
        | _numbers("information_fraction boundary alpha_spent")
        | _instants("decided_at")
        | _numbers(
            "anytime_low anytime_high anytime_p e_value shrunken_lift shrunken_low shrunken_high "
            "p_better design_effect low_shown high_shown p_shown"
        )
        | {"significant": pl.Boolean()}
        | _texts("undetermined"),
        "daily": _texts("experiment variant")
        | {"day": pl.Date()}
        | _texts("category")
        | _counts("units impressions clicks conversions"),
        "health": _texts("source")
        | _instants("watermark")
        | _counts("segments received accepted quarantined duplicate superseded forgotten")
        | _texts("reasons silent unknown_categories"),
        "creatives": _texts("experiment variant creative_id product_id title category source")
        | _counts("impressions clicks units")
        | _numbers("ctr ctr_low ctr_high predicted")
        | _texts("review picture lineage"),
        "pairs": _texts(
            "pair_id experiment week product_id category title attributes chosen_creative "
            "rejected_creative chosen_image rejected_image chosen_text rejected_text"
        )
        | _numbers("p_win weight")
        | _counts("impressions_chosen clicks_chosen impressions_rejected clicks_rejected")
        | _texts("warning"),
        "models": _texts("kind sha256")
        | _lists("aliases")
        | _instants("created_at")
        | _texts("week metrics decision")
        | _lists("reasons"),
        "audit": _counts("sequence") | _instants("at") | _texts("who action experiment detail"),
    }.items()
}
"""Every published table and its columns.

Times are UTC. A missing number is null, and ``undetermined`` or the scorecard's JSON says why.
``reasons`` and ``unknown_categories`` of health, ``scorecard``, ``lineage``, ``attributes``,
``metrics`` and ``detail`` hold JSON text. ``daily.category`` is null for all categories together;
``creatives.picture`` is a path relative to the workspace.
"""


@dataclass(frozen=True, slots=True)
class Published:
    """One published version, read whole.

    Args:
        version: Its number; counts up by one with every publication.
        published_at: When it was published.
        tables: Table name to its rows.
    """

    version: int
    published_at: datetime
    tables: Mapping[str, pl.DataFrame]

    def table(self, name: str) -> pl.DataFrame:
        """Return one table with exactly the columns of :data:`TABLES`.

        Raises:
            StoreError: There is no table of that name.
        """
        if name not in self.tables:
            raise StoreError(
                f"there is no published table {name!r}", remedy=f"choose among {', '.join(TABLES)}"
            )
        return self.tables[name]


def publish_tables(
    root: Path, tables: Mapping[str, pl.DataFrame], *, clock: Clock = system_clock
) -> int:
    """Write a new version and make it the current one.

    The caller holds the workspace lock: one writer at a time.

    Args:
        root: The folder ``data/published``.
        tables: Table name to rows, columns in any order; a table left out is published empty.
            A time without a zone is taken as UTC.
        clock: Tells ``published_at``.

    Returns:
        The version's number.

    Raises:
        StoreError: A table is unknown, or its columns do not fit :data:`TABLES`.
    """
    for unknown in tables.keys() - TABLES.keys():
        raise StoreError(
            f"there is no published table {unknown!r}", remedy=f"choose among {', '.join(TABLES)}"
        )
    empty = {name: schema.to_frame() for name, schema in TABLES.items()}
    ready = {name: _fit(name, tables.get(name, empty[name])) for name in TABLES}
    root.mkdir(parents=True, exist_ok=True)
    version = max(_versions(root), default=0) + 1
    sha256s = _write_version(root, version, ready)
    current = {
        "version": version,
        "published_at": clock().isoformat(),
        "tables": {
            name: {"rows": len(frame), "sha256": sha256s[name]} for name, frame in ready.items()
        },
    }
    reach("publish.switch")
    replace_durably(root / _CURRENT, json.dumps(current, indent=2).encode())
    _remove_old(root, newest=version)
    return version


def current_version(root: Path) -> int:
    """Return the current version's number without reading its tables.

    Raises:
        StoreError: Nothing is published yet, or CURRENT.json is damaged.
    """
    version: int = _read_current(root)["version"]
    return version


def read_published(root: Path) -> Published:
    """Read the current version whole.

    Args:
        root: The folder ``data/published``.

    Raises:
        StoreError: Nothing is published yet, or the current version is damaged.
    """
    for attempt in range(_READ_ATTEMPTS):
        current = _read_current(root)
        try:
            tables = dict(_read_tables(root, current))
        except FileNotFoundError as missing:
            # Between reading CURRENT.json and the files, a writer may have moved on far enough
            # to remove this version; then CURRENT.json names a newer one.
            moved_on = _read_current(root)["version"] != current["version"]
            if moved_on and attempt + 1 < _READ_ATTEMPTS:
                continue
            raise StoreError(
                "a published table is missing", path=missing.filename, remedy=_REMEDY
            ) from missing
        return Published(
            version=current["version"],
            published_at=datetime.fromisoformat(current["published_at"]),
            tables=tables,
        )
    raise AssertionError  # the loop returns or raises


def _fit(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with the declared columns in the declared order and types."""
    schema = TABLES[name]
    missing = [column for column in schema if column not in frame.columns]
    unknown = [column for column in frame.columns if column not in schema]
    if missing or unknown:
        raise StoreError(
            f"published table {name!r} misses columns {missing} and has unknown ones {unknown}",
            remedy=f"give it exactly the columns of TABLES[{name!r}]",
        )
    try:
        return frame.select(
            _in_utc(pl.col(column), frame.schema[column]).cast(dtype)
            for column, dtype in schema.items()
        )
    except pl.exceptions.PolarsError as error:
        raise StoreError(
            f"published table {name!r} has values of another type: {error}",
            remedy=f"give it the types of TABLES[{name!r}]",
        ) from error


def _in_utc(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return column.dt.replace_time_zone("UTC")
    return column


def _versions(root: Path) -> list[int]:
    names = (path.name for path in root.glob("v*"))
    return [int(name[1:]) for name in names if name[1:].isdigit()]


def _write_version(root: Path, version: int, tables: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """Write the Parquet files under a name no reader looks at, then rename the folder."""
    beside = root / f".v{version}.new"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    sha256s = {}
    for name, frame in tables.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        content = buffer.getvalue()
        sha256s[name] = hashlib.sha256(content).hexdigest()
        write_durably(beside / f"{name}.parquet", content)
    sync_folder(beside)
    reach("publish.rename")
    beside.rename(root / f"v{version}")
    sync_folder(root)
    return sha256s


def _remove_old(root: Path, *, newest: int) -> None:
    for version in _versions(root):
        if version <= newest - KEPT_VERSIONS:
            shutil.rmtree(root / f"v{version}", ignore_errors=True)
    for leftover in root.glob(".v*.new"):
        shutil.rmtree(leftover, ignore_errors=True)


def _read_current(root: Path) -> dict[str, Any]:
    path = root / _CURRENT
    try:
        current: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError("nothing is published yet", path=path, remedy=_REMEDY) from None
    except ValueError as error:
        raise StoreError(f"not readable as JSON: {error}", path=path, remedy=_REMEDY) from error
    if not {"version", "published_at", "tables"} <= current.keys():
        raise StoreError("version, time or tables are missing", path=path, remedy=_REMEDY)
    return current


def _read_tables(root: Path, current: Mapping[str, Any]) -> Iterator[tuple[str, pl.DataFrame]]:
    for name, schema in TABLES.items():
        path = root / f"v{current['version']}" / f"{name}.parquet"
        if name not in current["tables"]:
            raise StoreError(f"has no table {name!r}", path=root / _CURRENT, remedy=_REMEDY)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != current["tables"][name]["sha256"]:
            raise StoreError("its bytes are not those published", path=path, remedy=_REMEDY)
        frame = pl.read_parquet(io.BytesIO(content))
        if frame.schema != schema:
            raise StoreError(
                "its columns are not those of this abplatform", path=path, remedy=_REMEDY
            )
        yield name, frame
