"""The warehouse: a DuckDB file that is a cache of the landing and can always be made anew.

One process opens it at a time, under the workspace lock, and never holds it between jobs. A file
that is missing begins empty; one that is damaged, or was made by another schema, is moved aside
(never deleted) and begins empty; the next ingest then loads every sealed segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
from duckdb.func import PythonUDFType

from abplatform.durable import reach
from abplatform.errors import StoreError, WarehouseDamaged
from abplatform.logs.store.answering import Store
from abplatform.logs.store.closing import closing
from abplatform.logs.store.opening import (
    CONFIG,
    connect,
    connect_to_read,
    create,
    mark_damaged,
    move_aside,
)
from abplatform.logs.store.tables import (
    EVENT_TABLES,
    KEPT_TABLES,
    STEP_TABLES,
    THEN_VIEWS,
    allowed,
    query_text,
    read_query,
)
from abplatform.logs.store.unit_bucket import unit_buckets
from abplatform.workspace import Workspace

__all__ = ["PART_ROWS", "Warehouse"]

PART_ROWS: Final = 65_536
"""Rows that are handed to DuckDB at once."""


class Warehouse(Store):
    """An open warehouse. Use :meth:`open`.

    Args:
        connection: The DuckDB connection.
        moved_aside: Where a damaged or outdated file went, or None.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, moved_aside: Path | None = None
    ) -> None:
        super().__init__()
        self._connection = connection
        self.moved_aside = moved_aside
        self._connection.execute("SET TimeZone = 'UTC'")
        # Its own bar goes to standard output: amid JSON, and through the middle of ours.
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.create_function(
            "unit_bucket",
            unit_buckets,
            ["varchar", "varchar"],
            "bigint",
            type=PythonUDFType.ARROW,
        )

    @classmethod
    @contextmanager
    def open(cls, workspace: Workspace) -> Iterator[Warehouse]:
        """Open the workspace's warehouse; the caller holds the workspace lock.

        Args:
            workspace: Whose warehouse. Its time zone cuts the days in the tables.

        Raises:
            WarehouseDamaged: The file turned out to be damaged; the next job makes it anew.
            DiskFull: No space is left for the job.
            StoreError: Another process has it open, or the job needs more memory.
        """
        path = workspace.warehouse
        path.parent.mkdir(parents=True, exist_ok=True)
        moved_aside = None
        connection = connect(workspace)
        if connection is None:
            moved_aside = cls.move_aside(workspace)
            connection = connect(workspace)
            if connection is None:
                raise StoreError("a new warehouse cannot be made", path=path)
        with closing(connection, path):
            yield cls(connection, moved_aside=moved_aside)

    @classmethod
    @contextmanager
    def look(cls, workspace: Workspace) -> Iterator[Warehouse]:
        """Open the warehouse as it stands, to read alone; the caller holds the workspace lock.

        Raises:
            WarehouseDamaged: It is damaged; the next job makes it anew.
            StoreError: It was made by another schema, or another process has it open.
        """
        try:
            connection = connect_to_read(workspace)
        except WarehouseDamaged as told:
            mark_damaged(workspace.warehouse, told)
            raise
        with closing(connection, workspace.warehouse):
            yield cls(connection)

    @staticmethod
    def move_aside(workspace: Workspace) -> Path:
        """Move the closed warehouse aside, so that the next :meth:`open` begins empty."""
        return move_aside(workspace.warehouse, workspace.clock().strftime("%Y%m%dT%H%M%S"))

    @classmethod
    @contextmanager
    def in_memory(cls, *, memory_mib: float = 1024) -> Iterator[Warehouse]:
        """Open an empty warehouse that leaves nothing behind, for a dry run.

        Args:
            memory_mib: What it may hold; beyond it, it works from a folder that goes afterwards.
        """
        with TemporaryDirectory(prefix="abp-memory-") as spill:
            limits = {"memory_limit": f"{memory_mib:.0f}MiB", "temp_directory": spill}
            connection = duckdb.connect(":memory:", config=CONFIG | limits)
            try:
                create(connection, "")
                yield cls(connection)
            finally:
                connection.close()

    def _rows(self, text: str, values: dict[str, object]) -> pl.DataFrame:
        frame = pl.from_arrow(self._connection.sql(text, params=values).to_arrow_table())
        if not isinstance(frame, pl.DataFrame):
            raise StoreError("the query returns no table")
        return frame

    def execute(self, name: str, /, *, table: str | None = None, **values: object) -> None:
        """Run ``queries/<name>.sql`` for what it does.

        Args:
            name: The query.
            table: Takes the place of ``{table}``; one of :data:`~.tables.TABLES`.
            **values: Bound by name.
        """
        self._connection.execute(query_text(name, table), values)

    def materialise(
        self, table: str, name: str, over: str | None = None, /, **values: object
    ) -> None:
        """Keep the rows of ``queries/<name>.sql`` as a temporary table until the job ends."""
        text = query_text(name, over)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {allowed(table)} AS {text}", values)

    def drop(self, table: str) -> None:
        """Drop a temporary table of :meth:`materialise`, if it is there."""
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{allowed(table)}")

    def drop_steps(self) -> None:
        """Drop the temporary tables of :meth:`materialise` that are steps towards others."""
        for table in STEP_TABLES:
            self.drop(table)

    def show_then(self, **bounds: int) -> None:
        """Let queries see exposures of the past; views bind nothing, so numbers join the text."""
        for view, name in THEN_VIEWS:
            text = read_query(name)
            for bound, number in bounds.items():
                text = text.replace(f"${bound}", str(int(number)))
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {text}")

    def show_events_then(self, tables: Sequence[str], *, entered: int) -> None:
        """Let queries see event tables as before late events of later backfills."""
        # A bare name, and one of the schema main, would mean the temporary view itself.
        ((catalog,),) = self._connection.sql("SELECT current_database()").fetchall()
        for table in tables:
            text = query_text("late/then", table).replace("$entered", str(int(entered)))
            text = text.replace("kept.", f'"{catalog}".main.')
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {allowed(table)} AS {text}")
        text = read_query("portable/exposed")
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW exposed AS {text}")

    def show_now(self) -> None:
        """Let queries see the present events and exposures again."""
        for view in (*(name for name, _ in reversed(THEN_VIEWS)), "exposed", *EVENT_TABLES):
            self._connection.execute(f"DROP VIEW IF EXISTS temp.{view}")
        for table in (*KEPT_TABLES, "sources"):
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{table}")

    @contextmanager
    def stage(self, name: str, rows: pl.DataFrame) -> Iterator[None]:
        """Show rows to queries as the table ``staged_<name>``."""
        staged = _Staged(rows)
        self._connection.register(f"staged_{name}", staged)
        try:
            yield
        finally:
            staged.let_go()
            self._connection.unregister(f"staged_{name}")

    @contextmanager
    def instead_of(
        self, view: Literal["exposures", "aggregates_current"], rows: pl.DataFrame
    ) -> Iterator[None]:
        """Let queries read rows in place of a view, such as what was known earlier."""
        # A registered frame is a temporary view, and those are found before all others.
        self._connection.register(view, rows)
        try:
            yield
        finally:
            self._connection.unregister(view)

    def fill(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows into a table, column by column name."""
        if len(rows):
            self.fill_parts(table, rows.clear(), rows.iter_slices(PART_ROWS))

    def fill_parts(self, table: str, columns: pl.DataFrame, parts: Iterable[pl.DataFrame]) -> None:
        """Insert rows that are made as the table takes them, so that they are never there twice.

        Args:
            table: Where to; one of :data:`~.tables.TABLES`.
            columns: No rows: the columns of every part.
            parts: The rows.
        """
        batches = (batch for part in parts for batch in _shared(part).to_batches())
        reader = pa.RecordBatchReader.from_batches(_shared(columns).schema, batches)
        name = f"staged_{allowed(table)}"
        self._connection.register(name, reader)
        # Several threads would each begin a row group of their own and leave it half full: more
        # CPU, a third more disk, and no sooner done.
        self._connection.execute("SET threads = 1")
        try:
            self.execute("load/insert", table=table)
        finally:
            self._connection.execute("RESET threads")
            self._connection.unregister(name)

    def fill_from(
        self, table: str, name: str, over: str | None = None, /, **values: object
    ) -> None:
        """Insert the rows of ``queries/<name>.sql`` into a table, column by column name.

        Args:
            table: Where to; one of :data:`~.tables.TABLES`.
            name: The query.
            over: Takes the place of ``{table}`` in the query; one of :data:`~.tables.TABLES`.
            **values: Bound by name.
        """
        text = query_text(name, over)
        self._connection.execute(f"INSERT INTO {allowed(table)} BY NAME {text}", values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of it or nothing."""
        self._connection.begin()
        try:
            yield
        except BaseException:  # Ctrl+C in mid-load must undo as well; it is raised on
            self._connection.rollback()
            raise
        self._connection.commit()

    @contextmanager
    def within(self, memory_mib: int) -> Iterator[None]:
        """Hold no more than this in memory, and no more than before, until it ends."""
        asked = "SELECT current_setting('memory_limit') AS held"
        held = str(self._rows(asked, {})["held"][0])
        least = (
            "SELECT least(parse_formatted_bytes($held), parse_formatted_bytes($wanted)) AS bytes"
        )
        limit = self._rows(least, {"held": held, "wanted": f"{memory_mib} MiB"})["bytes"][0]
        self._connection.execute(f"SET memory_limit = '{limit} bytes'")
        try:
            yield
        finally:
            self._connection.execute(f"SET memory_limit = '{held}'")

    def checkpoint(self) -> None:
        """Write the log into the file, so that nothing hangs on a separate WAL."""
        reach("warehouse.checkpoint")
        self._connection.execute("CHECKPOINT")


class _Staged:
    """Rows that queries scan, as often as they like, until they are let go.

    DuckDB holds on to whatever was registered in a transaction until that ends.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows

    def let_go(self) -> None:
        """Keep the columns alone."""
        self._rows = self._rows.clear()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return _shared(self._rows).__arrow_c_stream__(requested_schema)


def _shared(rows: pl.DataFrame) -> Any:
    """Return rows as an Arrow table that shares their memory."""
    return rows.to_arrow(compat_level=pl.CompatLevel.newest())
