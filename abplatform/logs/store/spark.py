"""Spark over a lake: the same queries, translated, with the same integers.

:class:`SparkStore` answers what a :class:`~abplatform.logs.store.warehouse.Warehouse` answers, so a
scorecard can be computed on a cluster as it is on DuckDB. It reads the files that the lake's
manifest names, runs the steps of attribution once, and never writes to the lake.

This module is the only door to pyspark, which comes with the extra ``spark`` and needs Java.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no stubs

from abplatform.errors import NotInstalled, StoreError
from abplatform.logs.store.answering import Store
from abplatform.logs.store.lake import Lake
from abplatform.logs.store.portable import translate
from abplatform.logs.store.tables import (
    EVENT_TABLES,
    KEPT_TABLES,
    THEN_VIEWS,
    query_text,
    read_query,
)
from abplatform.logs.store.unit_bucket import unit_buckets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SparkStore", "open_spark"]

_TYPES: Final = {"VARCHAR": "STRING", "INTEGER": "INT", "BLOB": "BINARY"}
"""DuckDB's names of types that Spark calls otherwise."""

_VIEWS: Final = (
    ("exposed", "portable/exposed"),
    ("aggregates_current", "portable/aggregates_current"),
)
"""Views that a lake is opened with."""

_CONFIG: Final = {
    "spark.sql.session.timeZone": "UTC",
    # Sums that do not fit are errors, never null or a wrapped number.
    "spark.sql.ansi.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_OLDEST: Final = date(1000, 1, 1)
_LOCAL: Final = {"spark.driver.host": "localhost", "spark.driver.bindAddress": "127.0.0.1"}


@contextmanager
def open_spark(master: str, *, config: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """Start a Spark session, or join the one that runs in this process; stop what was started.

    Args:
        master: Such as ``local[2]`` or ``spark://host:7077``.
        config: Settings of Spark besides ours.

    Raises:
        NotInstalled: pyspark is missing.
        StoreError: Spark does not start, for want of Java or because the master does not answer.
    """
    try:
        with warnings.catch_warnings():
            # About pandas, which nothing here uses with Spark.
            warnings.simplefilter("ignore", FutureWarning)
            import pyspark.testing  # noqa: F401  # warns when it is first imported, which is later
            from pyspark.errors import PySparkException
            from pyspark.sql import SparkSession
    except ImportError:
        raise NotInstalled("pyspark", extra="spark") from None
    # Workers that are local must run this very Python, which has abplatform in it.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("abplatform")
    local = _LOCAL if master.startswith("local") else {}
    for name, value in {**_CONFIG, **local, **(config or {})}.items():
        builder = builder.config(name, value)
    joined = SparkSession.getActiveSession() is not None
    try:
        session = builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise StoreError(
            f"Spark does not start: {error}",
            remedy="install Java 17 or newer (on Debian default-jre-headless), or set JAVA_HOME; "
            "check --master",
        ) from None
    try:
        yield session
    finally:
        if not joined:
            session.stop()


class SparkStore(Store):
    """A lake opened on Spark: answers like a warehouse, and is only read.

    Args:
        session: A running session.
        lake: What to read.
    """

    def __init__(self, session: SparkSession, lake: Lake) -> None:
        from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]  # not in stubs

        super().__init__()
        self.lake = lake
        self._session = session
        self._shown: list[dict[str, DataFrame]] = []
        for table in lake.columns:
            _read(session, lake, table).createOrReplaceTempView(table)
        self._show_views()
        session.udf.register("unit_bucket", arrow_udf(_unit_buckets, "bigint"))

    def tell(self, facts: Mapping[str, str]) -> None:
        """Let ``meta`` say what was computed: name to value."""
        rows = self._session.createDataFrame(list(facts.items()), "name STRING, value STRING")
        rows.createOrReplaceTempView("meta")

    def _rows(self, text: str, values: dict[str, object]) -> pl.DataFrame:
        return _plain(self._run(text, values))

    def materialise(
        self, table: str, name: str, over: str | None = None, /, **values: object
    ) -> None:
        """Keep the rows of ``queries/<name>.sql`` under a name until the session ends."""
        # Computed now and cut off from what it was made of: a view would compute all steps before
        # it anew in each query.
        rows = self._run(query_text(name, over), values).localCheckpoint()
        rows.createOrReplaceTempView(table)

    def drop(self, table: str) -> None:
        """Drop a table of :meth:`materialise`, if it is there."""
        self._session.catalog.dropTempView(table)

    def drop_steps(self) -> None:
        """Do nothing: what later questions materialise takes the place of the steps before."""

    def show_then(self, **bounds: int) -> None:
        """Let queries see the exposures that the materialised outcomes tell of.

        Args:
            **bounds: What the views' texts bind.
        """
        for view, name in THEN_VIEWS:
            text = read_query(name)
            asked = {bound: number for bound, number in bounds.items() if f"${bound}" in text}
            rows = self._run(text, asked)
            if view == "exposures":
                rows = rows.localCheckpoint()
            rows.createOrReplaceTempView(view)
        names = (*KEPT_TABLES, "exposures")
        self._shown.append({name: self._session.table(name) for name in names})

    def show_events_then(self, tables: Sequence[str], *, entered: int) -> None:
        """Let queries see event tables as before late events of later backfills."""
        for table in tables:
            # A view of a view: the name inside means what it meant until now.
            text = query_text("late/then", table).replace("kept.", "")
            self._run(text, {"entered": entered}).createOrReplaceTempView(table)
        self._show_views()

    def show_now(self) -> None:
        """Let queries see the events and exposures again that were shown before."""
        self._shown = self._shown[:-1]
        for name, rows in self._shown[-1].items() if self._shown else ():
            rows.createOrReplaceTempView(name)
        for table in (*EVENT_TABLES, "sources"):
            _read(self._session, self.lake, table).createOrReplaceTempView(table)
        self._show_views()

    @contextmanager
    def stage(self, name: str, rows: pl.DataFrame) -> Iterator[None]:
        """Show rows to queries as the table ``staged_<name>``."""
        self._session.createDataFrame(rows.to_arrow()).createOrReplaceTempView(f"staged_{name}")
        try:
            yield
        finally:
            self._session.catalog.dropTempView(f"staged_{name}")

    @contextmanager
    def instead_of(
        self, view: Literal["exposures", "aggregates_current"], rows: pl.DataFrame
    ) -> Iterator[None]:
        """Let queries read rows in place of a view, such as what was known earlier."""
        before = self._session.table(view)
        self._session.createDataFrame(rows.to_arrow()).createOrReplaceTempView(view)
        try:
            yield
        finally:
            before.createOrReplaceTempView(view)

    def _show_views(self) -> None:
        for view, name in _VIEWS:
            self._run(read_query(name), {}).createOrReplaceTempView(view)

    def _run(self, text: str, values: Mapping[str, object]) -> DataFrame:
        text, bound = translate(text, "spark"), {}
        for name, value in values.items():
            if _is_whole_numbers(value):
                # Small and big numbers in one list reach Spark as two types, which it refuses.
                text = re.sub(rf":{name}\b", _big_numbers(value), text)
            else:
                bound[name] = _bindable(value)
        return self._session.sql(text, args=bound)


def _read(session: SparkSession, lake: Lake, table: str) -> DataFrame:
    columns = ", ".join(
        f"`{name}` {_TYPES.get(kind, kind)}" for name, kind in lake.columns[table].items()
    )
    files = [str(path.absolute()) for path in lake.files(table)]
    if not files:
        return session.createDataFrame([], columns)
    return session.read.schema(columns).parquet(*files)


def _unit_buckets(unit_ids: pa.Array, salts: pa.Array) -> pa.Array:
    """Answer ``unit_bucket(unit_id, salt)``; Spark reads from the types that it takes vectors."""
    buckets: pa.Array = unit_buckets(unit_ids, salts)
    return buckets


def _is_whole_numbers(value: object) -> TypeGuard[Sequence[int]]:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


def _big_numbers(numbers: Sequence[int]) -> str:
    return f"ARRAY({', '.join(f'{number:d}L' for number in numbers)})"


def _bindable(value: object) -> object:
    """Return a value as Spark takes it: moments without a zone are in UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(value, date) and not isinstance(value, datetime):
        # Years of three digits do not get through; no event is older than the year 2000.
        return max(value, _OLDEST)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_bindable(one) for one in value]
    return value


def _plain(rows: DataFrame) -> pl.DataFrame:
    """Collect rows with moments as DuckDB gives them: in UTC, without saying so."""
    frame = pl.from_arrow(rows.toArrow())
    if not isinstance(frame, pl.DataFrame):
        raise StoreError("the query returns no table")
    return frame.with_columns(
        pl.col(name).dt.replace_time_zone(None)
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime)
    )
