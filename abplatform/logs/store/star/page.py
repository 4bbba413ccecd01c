"""``docs/tables.md``, made from its head and the declaration of the star.

``python -m abplatform.logs.store.star.page > docs/tables.md`` writes it; a test holds it current.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from abplatform.logs.store.star.columns import Column, Table
from abplatform.logs.store.star.declared import STAR

__all__ = ["tables_page"]

_HEAD: Final = Path(__file__).with_name("page_head.md")


def tables_page() -> str:
    """Return the Markdown page that tells every exported table and column."""
    return "\n".join([_HEAD.read_text(encoding="utf-8"), *_chapter("dimension"), *_chapter("fact")])


def _chapter(kind: str) -> Iterator[str]:
    yield f"## {kind.capitalize()}s\n"
    for table in STAR.values():
        if table.kind == kind:
            yield _section(table)


def _section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    rows = "\n".join(_row(column, table) for column in table.columns)
    return (
        f"### {table.name}\n\n"
        f"One row per {table.grain}. Key: {key}.\n\n"
        f"| column | type | unit | meaning |\n|---|---|---|---|\n{rows}\n"
    )


def _row(column: Column, table: Table) -> str:
    joins = f" Joins [{column.joins}](#{column.joins})." if column.joins else ""
    name = f"**{column.name}**" if column.name in table.key else column.name
    return f"| {name} | {column.type} | {column.unit} | {column.meaning}{joins} |"


if __name__ == "__main__":
    print(tables_page(), end="")  # noqa: T201  # this is the page's own command
