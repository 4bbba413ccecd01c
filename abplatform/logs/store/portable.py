"""SQL that means the same on every engine: what it may say, and its translation.

``queries/portable`` is written for DuckDB and translated by sqlglot. The translation is silent
where two engines mean different things by one word, so only words are allowed of which tests have
shown that every engine gives the same integers; :data:`REFUSED` says of the others why not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from abplatform.errors import NotInstalled, StoreError

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["ALLOWED", "REFUSED", "Dialect", "objections", "translate"]

Dialect = Literal["spark", "sqlite"]

ALLOWED: Final = frozenset(
    {
        *("ABS", "FLOOR", "SIGN"),
        *("AND", "CASE", "COALESCE", "EXISTS", "IF", "OR", "XOR"),
        *("COUNT", "MAX", "MIN", "SUM"),
        *("DENSE_RANK", "LAG", "LEAD", "RANK", "ROW_NUMBER"),
        *("ARG_MAX", "ARG_MIN", "STRUCT"),
        *("DATEDIFF", "UNIX_TO_TIME"),
        *("REGEXP_EXTRACT", "REGEXP_LIKE"),
        "EXPLODE",
        "UNIT_BUCKET",
    }
)
"""Functions that portable queries may call, by sqlglot's names."""

_ORDER: Final = "it depends on the order in which rows come"
_FLOATS: Final = "its floating-point result varies with engine and threads; give integer sums"
_CLOCK: Final = "it gives another answer each time"
_ZONE: Final = "engines cut time by different zones and rules; the loader writes days and micros"
_TEXT: Final = "engines count characters, bytes and cases of a text differently"

REFUSED: Final[dict[str, str]] = {
    "HASH": "every engine has a hash of its own; the loader writes key_hash and unit_slice",
    "MD5": _TEXT,
    "TO_HOURS": "DuckDB makes an interval of it, Spark knows none, and sqlglot says nothing",
    "TO_DAYS": "DuckDB makes an interval of it; Spark counts days since the year 0",
    "ROUND": "halves go away from zero, to even or stay doubles; write FLOOR(x + 0.5)",
    "CEIL": "write -FLOOR(-x)",
    "CEILING": "write -FLOOR(-x)",
    "TRUNC": "write SIGN(x) * FLOOR(ABS(x))",
    "GREATEST": "SQLite gives null where one side is null, the others don't; write a CASE",
    "LEAST": "SQLite gives null where one side is null, the others don't; write a CASE",
    "TRY_CAST": "SQLite has none: it casts what it can",
    "AVG": _FLOATS,
    "STDDEV": _FLOATS,
    "VARIANCE": _FLOATS,
    "MEDIAN": _FLOATS,
    "QUANTILE_CONT": _FLOATS,
    "SQRT": _FLOATS,
    "LN": _FLOATS,
    "EXP": _FLOATS,
    "POW": _FLOATS,
    "APPROX_DISTINCT": "it is approximate, by a sketch that each engine has its own of",
    "ANY_VALUE": _ORDER,
    "FIRST": _ORDER,
    "LAST": _ORDER,
    "ARRAY_AGG": _ORDER,
    "LIST": _ORDER,
    "GROUP_CONCAT": _ORDER,
    "STRING_AGG": _ORDER,
    "RAND": _CLOCK,
    "RANDOM": _CLOCK,
    "UUID": _CLOCK,
    "CURRENT_TIMESTAMP": _CLOCK,
    "CURRENT_DATE": _CLOCK,
    "DATE_TRUNC": _ZONE,
    "TIMESTAMP_TRUNC": _ZONE,
    "EXTRACT": _ZONE,
    "STR_TO_TIME": _ZONE,
    "TIME_TO_STR": _ZONE,
    "LENGTH": _TEXT,
    "LOWER": _TEXT,
    "UPPER": _TEXT,
    "SUBSTRING": _TEXT,
    "SPLIT": _TEXT,
}
"""Functions that somebody may reach for, and why portable queries don't call them."""

_DIVIDED: Final = "integers divide to a fraction or to a whole; divide a - a % b by b"
_LIKE: Final = "SQLite's LIKE takes capitals for small letters; write a regular expression"
_UNTRIED: Final = "no test has shown that it means the same on every engine"

_WHOLE: Final = frozenset({"BIGINT", "INT", "SMALLINT", "TINYINT", "UBIGINT", "INT128"})
_CASTS: Final = frozenset({"BIGINT", "DATE", "DECIMAL(19, 0)", "TEXT"})
_FRACTIONS: Final = frozenset({"propensity", "rate", "weight"})
"""Columns of doubles."""

_REMEDY: Final = "see abplatform/logs/store/portable.py for what portable queries may say"


def objections(text: str) -> list[str]:
    """Return why a query is not portable; an empty list if it is.

    Args:
        text: One query in DuckDB's SQL.

    Raises:
        NotInstalled: sqlglot is missing.
    """
    return sorted(set(_objections(_parse(text))))


@cache
def translate(text: str, dialect: Dialect) -> str:
    """Return a portable query in another engine's SQL.

    Args:
        text: One query in DuckDB's SQL.
        dialect: The engine.

    Raises:
        StoreError: The query is not portable.
        NotInstalled: sqlglot is missing.
    """
    found = objections(text)
    if found:
        raise StoreError(f"the query is not portable: {'; '.join(found)}", remedy=_REMEDY)
    tree = _parse(text)
    if dialect == "spark":
        tree = tree.transform(_zip_lists)
    return tree.sql(dialect=dialect, comments=False)


def _zip_lists(node: exp.Expr) -> exp.Expr:
    """Let lists side by side go in step, as in DuckDB; Spark would combine each with each."""
    from sqlglot import exp, parse_one

    if not isinstance(node, exp.Select):
        return node
    lists = [one.this for one in node.expressions if isinstance(one.unalias(), exp.Explode)]
    if len(lists) < 2 or len(lists) < len(node.expressions) or node.args.get("from_"):
        return node
    zipped = ", ".join(one.this.sql(dialect="spark") for one in lists)
    names = ", ".join(one.alias for one in node.expressions)
    return parse_one(f"SELECT INLINE(ARRAYS_ZIP({zipped})) AS ({names})", read="spark")


def _parse(text: str) -> exp.Expr:
    try:
        from sqlglot import parse_one
    except ImportError:
        raise NotInstalled("sqlglot", extra="spark") from None
    return parse_one(text, read="duckdb")


def _objections(tree: exp.Expr) -> Iterator[str]:
    from sqlglot import exp

    for call in tree.find_all(exp.Func):
        if isinstance(call, exp.Cast):
            yield from _cast_objections(call)
            continue
        name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
        if name.upper() not in ALLOWED:
            yield f"{name.upper()}: {REFUSED.get(name.upper(), _UNTRIED)}"
    for division in tree.find_all(exp.Div, exp.IntDiv):
        if not _is_exact(division):
            yield f"{division.sql()}: {_DIVIDED}"
    for like in tree.find_all(exp.Like, exp.ILike):
        yield f"{like.sql()}: {_LIKE}"


def _cast_objections(cast: exp.Cast) -> Iterator[str]:
    target = cast.to.sql(dialect="duckdb")
    if isinstance(cast, _try_cast()):
        yield f"TRY_CAST: {REFUSED['TRY_CAST']}"
    if target in _WHOLE and _may_be_fraction(cast.this):
        yield f"{cast.sql()}: 2.5 becomes 3, 2 or an error; take FLOOR(x + 0.5) first"
    elif target not in _CASTS:
        yield f"CAST AS {target}: {_UNTRIED}"


def _try_cast() -> type[exp.Cast]:
    from sqlglot import exp

    return exp.TryCast


def _may_be_fraction(value: exp.Expr) -> bool:
    """Whether a value may lie between integers, as far as its text shows."""
    from sqlglot import exp

    if isinstance(value, (exp.Floor, exp.Count)):
        return False
    if isinstance(value, exp.Cast):
        return value.to.sql() not in {*_WHOLE, "DECIMAL(19, 0)"} and _may_be_fraction(value.this)
    if isinstance(value, exp.Div):
        return not _is_exact(value)
    if isinstance(value, exp.Literal):
        return not value.is_string and not value.is_int
    if isinstance(value, exp.Column):
        return value.name.lower() in _FRACTIONS
    return any(_may_be_fraction(child) for child in value.iter_expressions())


def _is_exact(division: exp.Expr) -> bool:
    """Whether a division leaves no rest: ``(a - a % b) / b``, cast to a whole number."""
    from sqlglot import exp

    top, bottom = division.this.unnest(), division.expression
    if not isinstance(division, exp.Div) or not isinstance(top, exp.Sub):
        return False
    rest = top.expression
    is_whole = isinstance(rest, exp.Mod) and rest.this == top.this and rest.expression == bottom
    return is_whole and division.find_ancestor(exp.Cast) is not None
