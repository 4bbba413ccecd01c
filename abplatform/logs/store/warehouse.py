"""The warehouse: a DuckDB file that is a cache of the landing and can always be made anew.

One process opens it at a time, under the workspace lock, and never holds it between jobs. A file
that is missing begins empty; one that is damaged, or was made by another schema, is moved aside
(never deleted) and begins empty; the next ingest then loads every sealed segment.

SQL lives in ``schema/*.sql`` and ``queries/**.sql``. Values are bound by ``$name``; a table's name
takes the place of ``{table}`` only if it is one of :data:`TABLES`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
from duckdb.func import PythonUDFType

from abplatform.domain.assignment import buckets
from abplatform.durable import reach
from abplatform.errors import StoreError, WarehouseDamaged
from abplatform.logs.store.opening import (
    CONFIG,
    connect,
    connect_to_read,
    create,
    mark_damaged,
    meaning_of,
    move_aside,
    read_text,
)
from abplatform.workspace import Workspace

__all__ = [
    "PART_ROWS",
    "TABLES",
    "THEN_VIEWS",
    "Answer",
    "Warehouse",
    "data_version",
    "data_version_of",
    "read_query",
    "unit_buckets",
]

EVENT_TABLES: Final = (
    "impressions",
    "decisions",
    "clicks",
    "conversions",
    "costs",
    "feedback",
    "behaviour",
    "aggregates",
)
STEP_TABLES: Final = (
    "changed_names",
    "touched_conversions",
    "named",
    "touched_decisions",
    "named_places",
    "touched_cells",
    "busy_units",
    "bot_candidates",
    "busy_minutes",
    "hasty_units",
    "quick_clicks",
    "bot_units",
    "mixed_candidates",
    "mixed_units",
    "moved_bots",
    "moved_mixed",
    "reached",
    "touched_converters",
    "touched_places",
    "stood",
    "clicked_decisions",
    "decided_clicks",
    "click_targets",
    "first_clicks",
    "first_exposures",
    "placed_conversions",
    "reversals",
    "outcomes",
    "day_shares",
    "impression_costs",
    "scores",
    "fresh_outcomes",
    "gone",
    "come",
    "touched_rows",
)
KEPT_TABLES: Final = ("exposure_outcomes", "kept_bots", "kept_mixed")
THEN_VIEWS: Final = (
    ("unmarked", "portable/unmarked"),
    ("exposure_rows", "portable/exposure_rows"),
    ("exposures", "portable/exposures"),
)
"""Views of exposures in the order in which one reads the other, for a question about the past."""

TABLES: Final = frozenset(
    {
        *EVENT_TABLES,
        *STEP_TABLES,
        *KEPT_TABLES,
        "touched_units",
        "late_events",
        "left_over",
        "quarantine",
        "experiments",
        "variants",
        "running",
        "rates",
        "categories_seen",
        "category_names",
        "declared_experiments",
        "covariates",
        "declared_variants",
        "segments",
        "ledger",
        "corrections",
        "sources",
        "creative_texts",
        "unit_sums",
        "creative_sums",
        "unit_category_totals",
        "bucket_sums",
        "exposures",
        "touched_exposures",
        "totals_delta",
        "totals_merged",
        "touched_cells",
        "cell_exposures",
    }
)
"""Names that may take the place of ``{table}``."""


def read_query(name: str) -> str:
    """Return the text of ``queries/<name>.sql``.

    Raises:
        StoreError: There is no such query.
    """
    return read_text(f"queries/{name}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query was answered.

    Args:
        name: The query.
        rows: Its rows.
    """

    name: str
    rows: pl.DataFrame


PART_ROWS: Final = 65_536
"""Rows that are handed to DuckDB at once."""


class Warehouse:
    """An open warehouse. Use :meth:`open`.

    Args:
        connection: The DuckDB connection.
        moved_aside: Where a damaged or outdated file went, or None.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, *, moved_aside: Path | None = None
    ) -> None:
        self._connection = connection
        self._heard: list[Answer] | None = None
        self.moved_aside = moved_aside
        self._connection.execute("SET TimeZone = 'UTC'")
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
        with _closing(connection, path):
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
        with _closing(connection, workspace.warehouse):
            yield cls(connection)

    @staticmethod
    def move_aside(workspace: Workspace) -> Path:
        """Move the closed warehouse aside, so that the next :meth:`open` begins empty."""
        return move_aside(workspace.warehouse, workspace.clock().strftime("%Y%m%dT%H%M%S"))

    @classmethod
    @contextmanager
    def in_memory(cls) -> Iterator[Warehouse]:
        """Open an empty warehouse that leaves nothing behind, for a dry run."""
        connection = duckdb.connect(":memory:", config=CONFIG)
        try:
            create(connection, "")
            yield cls(connection)
        finally:
            connection.close()

    def query(self, name: str, /, *, table: str | None = None, **values: object) -> pl.DataFrame:
        """Run ``queries/<name>.sql`` and return its rows.

        Args:
            name: The query.
            table: Takes the place of ``{table}``; one of :data:`TABLES`.
            **values: Bound by name.
        """
        text = _named(read_query(name), table)
        frame = pl.from_arrow(self._connection.sql(text, params=values).to_arrow_table())
        if not isinstance(frame, pl.DataFrame):
            raise StoreError(f"the query {name!r} returns no table")
        self._answered(name, frame)
        return frame

    @contextmanager
    def overheard(self) -> Iterator[list[Answer]]:
        """Collect what queries are answered meanwhile, in order."""
        heard: list[Answer] = []
        self._heard = heard
        try:
            yield heard
        finally:
            self._heard = None

    def _answered(self, name: str, rows: pl.DataFrame) -> None:
        if self._heard is not None:
            self._heard.append(Answer(name, rows))

    def execute(self, name: str, /, *, table: str | None = None, **values: object) -> None:
        """Run ``queries/<name>.sql`` for what it does.

        Args:
            name: The query.
            table: Takes the place of ``{table}``; one of :data:`TABLES`.
            **values: Bound by name.
        """
        self._connection.execute(_named(read_query(name), table), values)

    def materialise(
        self, table: str, name: str, over: str | None = None, /, **values: object
    ) -> None:
        """Keep the rows of ``queries/<name>.sql`` as a temporary table until the job ends.

        Args:
            table: Its name, one of :data:`TABLES`; it is found before one of that name that stays.
            name: The query.
            over: Takes the place of ``{table}`` in the query; one of :data:`TABLES`.
            **values: Bound by name.
        """
        text = _named(read_query(name), over)
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_allowed(table)} AS {text}", values
        )

    def drop(self, table: str) -> None:
        """Drop a temporary table of :meth:`materialise`, if it is there."""
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{_allowed(table)}")

    def drop_steps(self) -> None:
        """Drop the temporary tables of :meth:`materialise` that are steps towards others."""
        for table in STEP_TABLES:
            self.drop(table)

    def show_then(self, **bounds: int) -> None:
        """Let queries see exposures of the past, out of temporary :data:`KEPT_TABLES`.

        Args:
            **bounds: Whole numbers that take the place of ``$name`` in the views' texts, which
                cannot be bound.
        """
        for view, name in THEN_VIEWS:
            text = read_query(name)
            for bound, number in bounds.items():
                text = text.replace(f"${bound}", str(int(number)))
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {text}")

    def show_events_then(self, tables: Sequence[str], *, entered: int) -> None:
        """Let queries see event tables as before late events of later backfills were let in.

        Args:
            tables: The event tables that late events may be in.
            entered: The last backfill that had been applied.
        """
        # A bare name, and one of the schema main, would mean the temporary view itself.
        ((catalog,),) = self._connection.sql("SELECT current_database()").fetchall()
        for table in tables:
            text = _named(read_query("late/then"), table).replace("$entered", str(int(entered)))
            text = text.replace("kept.", f'"{catalog}".main.')
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {_allowed(table)} AS {text}")
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
        self._connection.register(f"staged_{name}", rows)
        try:
            yield
        finally:
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
            table: Where to; one of :data:`TABLES`.
            columns: No rows: the columns of every part.
            parts: The rows.
        """
        batches = (batch for part in parts for batch in _shared(part).to_batches())
        reader = pa.RecordBatchReader.from_batches(_shared(columns).schema, batches)
        name = f"staged_{_allowed(table)}"
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
            table: Where to; one of :data:`TABLES`.
            name: The query.
            over: Takes the place of ``{table}`` in the query; one of :data:`TABLES`.
            **values: Bound by name.
        """
        text = _named(read_query(name), over)
        self._connection.execute(f"INSERT INTO {_allowed(table)} BY NAME {text}", values)

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

    def checkpoint(self) -> None:
        """Write the log into the file, so that nothing hangs on a separate WAL."""
        reach("warehouse.checkpoint")
        self._connection.execute("CHECKPOINT")


def data_version_of(identities: Sequence[str]) -> str:
    """Return the version of what is loaded and applied: 12 hex digits over its identities.

    Args:
        identities: Sorted, each once.
    """
    return hashlib.sha256("\n".join(identities).encode()).hexdigest()[:12]


def data_version(warehouse: Warehouse) -> str:
    """Return the version of what is loaded."""
    return data_version_of(warehouse.query("load/identities")["identity"].to_list())


def _shared(rows: pl.DataFrame) -> Any:
    """Return rows as an Arrow table that shares their memory."""
    return rows.to_arrow(compat_level=pl.CompatLevel.newest())


def _named(text: str, table: str | None) -> str:
    return text if table is None else text.replace("{table}", _allowed(table))


def _allowed(table: str) -> str:
    if table not in TABLES:
        raise StoreError(f"{table!r} is not a table that queries may name")
    return table


@contextmanager
def _closing(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Close a connection in the end, and say what an error of DuckDB means to its file."""
    try:
        yield
        reach("warehouse.close")
        connection.close()
    except (duckdb.Error, RuntimeError) as error:
        # What failed first may be hidden: undoing and cleaning up fail after it.
        chain = list(_chain(error))
        if any(_says_stopped(one) for one in chain):
            raise KeyboardInterrupt from error
        meanings = (meaning_of(one, path) for one in chain if isinstance(one, duckdb.Error))
        told = next((one for one in meanings if one is not None), None)
        if told is None:
            raise
        if isinstance(told, WarehouseDamaged):
            mark_damaged(path, told)
        raise told from error
    finally:
        with suppress(duckdb.Error):
            connection.close()


def _says_stopped(error: BaseException) -> bool:
    """Whether Ctrl+C stopped a query, or the Python code that made its rows."""
    text = str(error)
    return text == "Query interrupted" or "\nKeyboardInterrupt" in text


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield errors from the last one back to the first."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def unit_buckets(unit_ids: Any, salts: Any) -> Any:
    """Answer ``unit_bucket(unit_id, salt)`` for Arrow vectors; one hash pass a distinct salt."""
    frame = pl.DataFrame({"unit": pl.Series(unit_ids), "salt": pl.Series(salts)}).with_row_index()
    parts = [
        pl.DataFrame({"index": part["index"], "bucket": buckets(part["unit"], str(salt))})
        for (salt,), part in frame.group_by("salt")
    ]
    return pl.concat(parts).sort("index")["bucket"].cast(pl.Int64).to_arrow()
