"""What every engine answers: the warehouse on DuckDB, and a lake on Spark."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

import polars as pl

from abplatform.logs.store.tables import query_text

__all__ = ["Answer", "Store", "data_version", "data_version_of"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query was answered.

    Args:
        name: The query.
        rows: Its rows.
    """

    name: str
    rows: pl.DataFrame


class Store(ABC):
    """Events and what follows from them, as an analysis reads them.

    Queries are files, ``queries/<name>.sql``; their values are bound by name. What is materialised
    or shown lasts until the store is closed at most, and is never written to it.
    """

    def __init__(self) -> None:
        self._heard: list[Answer] | None = None

    def query(self, name: str, /, *, table: str | None = None, **values: object) -> pl.DataFrame:
        """Run ``queries/<name>.sql`` and return its rows.

        Args:
            name: The query.
            table: Takes the place of ``{table}``; one of :data:`~.tables.TABLES`.
            **values: Bound by name.
        """
        rows = self._rows(query_text(name, table), values)
        if self._heard is not None:
            self._heard.append(Answer(name, rows))
        return rows

    @contextmanager
    def overheard(self) -> Iterator[list[Answer]]:
        """Collect what queries are answered meanwhile, in order."""
        heard: list[Answer] = []
        self._heard = heard
        try:
            yield heard
        finally:
            self._heard = None

    @abstractmethod
    def _rows(self, text: str, values: dict[str, object]) -> pl.DataFrame:
        """Return the rows of a query; moments are in UTC and don't say so."""

    @abstractmethod
    def materialise(
        self, table: str, name: str, over: str | None = None, /, **values: object
    ) -> None:
        """Keep the rows of ``queries/<name>.sql`` as a temporary table.

        Args:
            table: Its name, one of :data:`~.tables.TABLES`; it is found before one of that name
                that stays.
            name: The query.
            over: Takes the place of ``{table}`` in the query; one of :data:`~.tables.TABLES`.
            **values: Bound by name.
        """

    @abstractmethod
    def drop(self, table: str) -> None:
        """Drop a table of :meth:`materialise`, if it is there."""

    @abstractmethod
    def drop_steps(self) -> None:
        """Let go of the tables of :meth:`materialise` that were steps towards others."""

    @abstractmethod
    def show_then(self, **bounds: int) -> None:
        """Let queries see exposures of the past, out of temporary :data:`~.tables.KEPT_TABLES`.

        Args:
            **bounds: Whole numbers that take the place of ``$name`` in the views' texts.
        """

    @abstractmethod
    def show_events_then(self, tables: Sequence[str], *, entered: int) -> None:
        """Let queries see event tables as before late events of later backfills were let in.

        Args:
            tables: The event tables that late events may be in.
            entered: The last backfill that had been applied.
        """

    @abstractmethod
    def show_now(self) -> None:
        """Let queries see the events and exposures again that were shown before."""

    @abstractmethod
    def stage(self, name: str, rows: pl.DataFrame) -> AbstractContextManager[None]:
        """Show rows to queries as the table ``staged_<name>``."""

    @abstractmethod
    def instead_of(
        self, view: Literal["exposures", "aggregates_current"], rows: pl.DataFrame
    ) -> AbstractContextManager[None]:
        """Let queries read rows in place of a view, such as what was known earlier."""


def data_version_of(identities: Sequence[str]) -> str:
    """Return the version of what is loaded and applied: 12 hex digits over its identities.

    Args:
        identities: Sorted, each once.
    """
    return hashlib.sha256("\n".join(identities).encode()).hexdigest()[:12]


def data_version(store: Store) -> str:
    """Return the version of what is loaded."""
    return data_version_of(store.query("load/identities")["identity"].to_list())
