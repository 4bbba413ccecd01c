"""Where an analysis is computed: on the workspace's own DuckDB, or on Spark over a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from abplatform.cli.cases import OpenStore
from abplatform.errors import StoreError
from abplatform.workspace import Workspace

if TYPE_CHECKING:
    from abplatform.logs.store.answering import Store
    from abplatform.logs.store.comparing import Compared
    from abplatform.logs.store.spark import SparkStore

__all__ = ["OnSpark", "check_same_store", "engine_options", "open_on_spark", "print_compared"]

_FACTS: Final = (
    *("experiments", "running", "rates", "category_names"),
    *("sources", "segments", "corrections", "late_events"),
)


@dataclass(frozen=True, slots=True)
class OnSpark:
    """That an analysis runs on Spark.

    Args:
        lake: What ``abp export lake`` wrote.
        master: Where Spark runs.
        compare: Whether DuckDB is asked as well.
    """

    lake: Path
    master: str
    compare: bool


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--engine`` and what belongs to it; the command gets ``on``, None for DuckDB."""

    @click.option(
        "--engine",
        type=click.Choice(["duckdb", "spark"]),
        default="duckdb",
        show_default=True,
        help="What computes the sums; spark reads a lake and changes nothing.",
    )
    @click.option(
        "--lake",
        type=click.Path(path_type=Path, file_okay=False),
        help="With --engine spark: the folder that `abp export lake` wrote.",
    )
    @click.option("--master", help="With --engine spark: where it runs; default local[2].")
    @click.option(
        "--compare",
        is_flag=True,
        help="With --engine spark: ask DuckDB too, compare every number, fail on a difference.",
    )
    @wraps(command)
    def with_engine(
        *args: Any,
        engine: str,
        lake: Path | None,
        master: str | None,
        compare: bool,
        **options: Any,
    ) -> None:
        if engine == "duckdb" and (lake or master or compare):
            raise click.UsageError("--lake, --master and --compare belong to --engine spark")
        on = None
        if engine == "spark":
            if lake is None:
                raise click.UsageError("--engine spark reads a lake: name it with --lake DIR")
            on = OnSpark(lake, master or "local[2]", compare)
        command(*args, on=on, **options)

    return with_engine


@contextmanager
def open_on_spark(workspace: Workspace, on: OnSpark) -> Iterator[OpenStore[SparkStore]]:
    """Open a lake on Spark, with every exposure computed from its events.

    Args:
        workspace: Its YAML files and journal say what the experiments are.
        on: The lake, and where Spark runs.

    Raises:
        StoreError: There is no lake, or Spark does not start.
        NotInstalled: pyspark or sqlglot is missing.
    """
    from abplatform.logs.attribution import exposures_known_at
    from abplatform.logs.load.declared import declared_experiments
    from abplatform.logs.store.answering import data_version
    from abplatform.logs.store.lake import read_lake
    from abplatform.logs.store.spark import SparkStore, open_spark
    from abplatform.logs.totals import compute_totals
    from abplatform.traffic.registry import Registry

    lake = read_lake(on.lake)
    with open_spark(on.master) as session:
        store = SparkStore(session, lake)
        with exposures_known_at(store, data_version(store)):
            store.tell(compute_totals(store))
            registered, problems = Registry(workspace).usable()
            declared = declared_experiments(store)
            yield OpenStore(workspace, store, registered, declared, tuple(problems))


def check_same_store(folder: Path, store: Store) -> None:
    """Check that a lake holds what the store holds now.

    Raises:
        StoreError: There is none, or it is older or newer.
    """
    from abplatform.logs.store.lake import read_facts, read_lake

    lake = read_lake(folder)
    for table in _FACTS:
        ours, theirs = store.query("lake/fact", table=table), read_facts(lake, table)
        if sorted(ours.iter_rows(), key=str) != sorted(theirs.iter_rows(), key=str):
            raise StoreError(
                f"the lake does not hold what the store holds now: {table} differ",
                path=folder,
                remedy=f"run `abp export lake {folder}` and compare again",
            )


def print_compared(compared: Sequence[Compared]) -> None:
    """Print query by query how many numbers are the same on both engines."""
    from rich.console import Console
    from rich.table import Table

    table = Table("query", "rows", "same", "different", "first difference", box=None)
    for column in table.columns[1:4]:
        column.justify = "right"
    for one in compared:
        counts = (f"{number:,}" for number in (one.rows, one.numbers, one.different))
        table.add_row(one.query, *counts, one.example)
    console = Console()
    console.print(table)
    different = sum(one.different for one in compared)
    values = different + sum(one.numbers for one in compared)
    told = f"{different:,} of them different" if different else "all of them the same"
    console.print(
        f"Spark and DuckDB answered {len(compared)} queries with {values:,} values, {told}."
    )
