"""Closing the warehouse's file, whatever happened while it was open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from abplatform.durable import reach
from abplatform.errors import WarehouseDamaged
from abplatform.logs.store.opening import mark_damaged, meaning_of

__all__ = ["closing"]


@contextmanager
def closing(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
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
