"""What portable queries may say."""

from pathlib import Path

import pytest

import abplatform.logs.store
from abplatform.errors import StoreError
from abplatform.logs.store.portable import ALLOWED, REFUSED, objections, translate

pytest.importorskip("sqlglot", reason="sqlglot comes with the extra `spark`")

FOLDER = Path(abplatform.logs.store.__file__).parent / "queries" / "portable"
QUERIES = sorted(FOLDER.glob("*.sql"))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_portable_query_says_only_what_all_engines_understand_alike(path):
    """No query calls a function, cast or division of which engines make different things."""
    # {table} stands for one of the tables that queries may name.
    assert objections(path.read_text().replace("{table}", "exposures")) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT hash(unit_id) FROM exposures", "a hash of its own"),
        ("SELECT ts + to_hours(3) FROM exposures", "Spark knows none"),
        ("SELECT CAST(2.5 AS INT)", r"2\.5 becomes 3, 2 or an error"),
        ("SELECT CAST(paid_micros * rate AS BIGINT) FROM t", r"FLOOR\(x \+ 0\.5\)"),
        ("SELECT CAST(a / b AS BIGINT) FROM t", "divide a - a % b by b"),
        ("SELECT a // b FROM t", "divide a - a % b by b"),
        ("SELECT round(a) FROM t", "halves"),
        ("SELECT a FROM t WHERE b LIKE 'C%'", "capitals for small letters"),
        ("SELECT greatest(a, b) FROM t", "null where one side is null"),
        ("SELECT avg(a) FROM t", "integer sums"),
        ("SELECT list(a) FROM t", "order in which rows come"),
        ("SELECT now()", "no test has shown"),
        ("SELECT CAST(a AS DOUBLE) FROM t", "no test has shown"),
        ("SELECT date_trunc('day', ts) FROM t", "the loader writes days"),
    ],
)
def test_a_word_of_which_engines_differ_is_refused_with_the_reason(text, why):
    """A query that would silently give other integers on another engine is not translated."""
    with pytest.raises(StoreError, match=why):
        translate(text, "spark")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT CAST(FLOOR(paid_micros * rate + 0.5) AS BIGINT) FROM t",
        "SELECT CAST((a - a % b) / b AS BIGINT) FROM t",
        "SELECT SUM(CAST(n AS DECIMAL(19, 0)) * n) FROM t",
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t",
    ],
)
def test_what_is_exact_is_translated(text):
    """Floors, exact divisions and sums of whole numbers pass."""
    assert translate(text, "spark")
    assert translate(text, "sqlite")


def test_no_word_is_both_allowed_and_refused():
    """The two lists have nothing in common, and every refusal has its reason."""
    assert not ALLOWED & REFUSED.keys()
    assert all(REFUSED.values())


def test_the_refused_words_do_differ():
    """DuckDB and SQLite give different answers to what the lists refuse."""
    import sqlite3

    import duckdb

    for text in ("SELECT CAST(2.5 AS INTEGER)", "SELECT 'Click' LIKE 'c%'", "SELECT 7 / 2"):
        told = [engine.execute(text).fetchall() for engine in (duckdb, sqlite3.connect(":memory:"))]
        assert told[0] != told[1]


def test_lists_side_by_side_go_in_step_on_spark():
    """DuckDB takes the first of each list, then the second; Spark is told to do the same."""
    text = translate("SELECT UNNEST($a) AS x, UNNEST($b) AS y", "spark")
    assert text == "SELECT INLINE(ARRAYS_ZIP(:a, :b)) AS (x, y)"
    assert translate("SELECT UNNEST($a) AS x", "spark") == "SELECT EXPLODE(:a) AS x"
