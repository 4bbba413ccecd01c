"""Categories that are known, unknown, renamed, and a list of them that changes."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.analysis.publish.facts import health_rows
from abplatform.domain.catalog import UNKNOWN, Taxonomy
from abplatform.errors import CatalogueError, SpecError
from abplatform.logs.load import Change, ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.logs.taxonomy import check_taxonomy, keep_taxonomy, read_taxonomy

LIST = """\
version: 1
known: [beauty/lip, fashion]
renames: {beauty/lips: beauty/lip, mode: fashion}
"""


@pytest.fixture
def write_list(workspace):
    """Return ``write_list(text)`` → the workspace's categories.yaml."""

    def write(text):
        workspace.catalog.mkdir(parents=True, exist_ok=True)
        path = workspace.catalog / "categories.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_products(workspace):
    """Return ``write_products(category, …)`` → a catalogue with a product of each."""

    def write(*categories):
        workspace.catalog.mkdir(parents=True, exist_ok=True)
        rows = [f"p{n},p{n}.png,Title,{category}" for n, category in enumerate(categories)]
        text = "\n".join(["product_id,image,title,category", *rows]) + "\n"
        (workspace.catalog / "products.csv").write_text(text, encoding="utf-8")

    return write


def shown(wire, *categories, start=0):
    return [wire("impression", f"i{start + n}", category=path) for n, path in enumerate(categories)]


def categories(rows):
    return [row["category"] for row in rows.values()]


def report(wire, name, category, impressions, **fields):
    told = {"experiment": "beauty", "variant": "generated", "product_id": "p", "creative_id": "c"}
    counts = {"impressions": impressions, "clicks": 1, "day": "2026-11-02", "category": category}
    return wire("aggregate", name, **told, **counts, **fields)


def test_without_catalogue_and_list_every_category_is_known(
    wire, take_in, exposures, write_products
):
    """A team that names no categories, as in a new workspace, is never told of unknown ones."""
    write_products()
    receipt = take_in(shown(wire, "a", "a/b/c", "ünï/çode"))
    assert receipt.unknown_categories == {}
    assert categories(exposures()) == ["a", "a/b/c", "ünï/çode"]


def test_a_catalogue_makes_others_unknown(wire, take_in, exposures, write_products, workspace):
    """A category that no product has is accepted, counted and shown as unknown."""
    write_products("beauty/lip", " fashion / shoe ")
    named = ("beauty/lip", "beauty", "beauty/lipp", "fashion/shoe", "beauty/lipp")
    receipt = take_in(shown(wire, *named))
    assert receipt.counts.accepted == 5
    assert receipt.unknown_categories == {"beauty/lipp": 2}
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        health = health_rows(warehouse, {}).row(0, named=True)
    assert json.loads(health["unknown_categories"]) == {"beauty/lipp": 2}
    told = ["beauty/lip", "beauty", "unknown/beauty/lipp", "fashion/shoe", "unknown/beauty/lipp"]
    assert categories(exposures()) == told
    assert json.loads(json.dumps(receipt.to_json()))["unknown_categories"] == {"beauty/lipp": 2}


def test_former_names_are_called_as_today(wire, take_in, exposures, write_list):
    """A renamed path counts under its name of today, and so does what lies below it."""
    write_list(LIST + "  # a comment\n")
    take_in(shown(wire, "beauty/lips", "beauty/lip", "mode", "mode/shoe", "fashion"))
    told = ["beauty/lip", "beauty/lip", "fashion", "unknown/fashion/shoe", "fashion"]
    assert categories(exposures()) == told


def test_a_changed_list_changes_what_is_loaded(wire, take_in, exposures, write_list, workspace):
    """A new version names loaded events anew, also after the store was made anew."""
    write_list(LIST)
    first = take_in(shown(wire, "mode", "home/bed"))
    assert categories(exposures()) == ["fashion", "unknown/home/bed"]
    write_list("version: 2\nknown: [beauty/lip, clothes, home/bed]\nrenames: {mode: clothes}\n")
    second = take_in(shown(wire, "mode", start=2))
    assert categories(exposures()) == ["clothes", "home/bed", "clothes"]
    assert first.unknown_categories == {"home/bed": 1}
    assert second.unknown_categories == {}
    workspace.warehouse.unlink()
    take_in(shown(wire, "mode", start=3))
    assert categories(exposures()) == ["clothes", "home/bed", "clothes", "clothes"]


def test_totals_are_marked_only_when_a_meaning_changes(wire, take_in, rows_of, write_list):
    """A new category leaves sums by category as they are; a new meaning asks for them anew."""
    marked = "SELECT value FROM meta WHERE name = 'totals' AND value = ''"
    write_list(LIST)
    take_in(shown(wire, "mode"))
    take_in(shown(wire, "beauty/lips", "nowhere", start=1))
    assert rows_of(marked) == []
    write_list(LIST.replace("version: 1", "version: 2").replace("mode: fashion", "mode: beauty"))
    take_in(shown(wire, "mode", start=3))
    assert rows_of("SELECT category FROM category_names WHERE raw = 'mode'") == [("beauty",)]
    sums = "SELECT category, sum(impressions) FROM unit_category_totals GROUP BY 1 ORDER BY 1"
    assert rows_of(sums) == [("beauty", 2), ("beauty/lip", 1), ("unknown/nowhere", 1)]


def test_reports_follow_the_rename(wire, take_in, rows_of, write_list):
    """A report restated under the new name replaces the row that it sent under the old one."""
    write_list(LIST)
    take_in([report(wire, "r1", "beauty/lips", 100, revision=1)])
    receipt = take_in([report(wire, "r2", "beauty/lip", 120, revision=2)])
    assert (receipt.totals.accepted, receipt.totals.superseded) == (1, 1)
    (correction,) = receipt.corrections
    assert correction.counts["impressions"] == Change(100, 120)
    current = "SELECT category, impressions FROM aggregates_current"
    assert rows_of(current) == [("beauty/lip", 120)]


def test_a_rename_ranks_the_reports_anew(workspace, facts, wire, take_in, write_list):
    """Rows that become one report by a new list are superseded from then on, rebuilt or not."""
    write_list("version: 1\nknown: [beauty/lip, beauty/lips]\n")
    take_in([report(wire, "r1", "beauty/lips", 100, revision=1)])
    apart = take_in([report(wire, "r2", "beauty/lip", 120, revision=2)])
    assert (apart.totals.accepted, apart.totals.superseded) == (2, 0)
    write_list("version: 2\nknown: [beauty/lip]\nrenames: {beauty/lips: beauty/lip}\n")
    renamed = ingest(workspace, facts)
    assert (renamed.totals.accepted, renamed.totals.superseded) == (1, 1)
    workspace.warehouse.unlink()
    assert ingest(workspace, facts).totals == renamed.totals


def test_two_names_in_one_report_both_count(wire, take_in, rows_of, write_list):
    """Where one report still splits what is one category today, its rows add up."""
    write_list(LIST)
    rows = [
        report(wire, f"r{n}", path, 50, revision=1) for n, path in enumerate(("mode", "fashion"))
    ]
    take_in(rows)
    assert rows_of("SELECT sum(impressions) FROM aggregates_current") == [(100,)]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("known: [a]\n", "1:1", "the key 'version' is missing"),
        ("version: 0\n", "1:10", "version must be a whole number"),
        ("version: 1\nknwon: [a]\n", "2:1", "erhaps you meant 'known'"),
        ("version: 1\nknown: [a//b]\n", "2:9", "must be a category path"),
        ("version: 1\nknown: [unknown/a]\n", "2:9", "those that nobody knows"),
        ("version: 1\nrenames: {a: b, b: c}\n", "2:14", "Write a: c"),
        ("version: 1\nrenames: {a: b, b: a}\n", "2:14", "in a circle"),
        ("version: 1\nrenames: {a: a/b}\n", "2:14", "in a circle"),
        ("version: 1\nknown: [a]\nrenames: {b: aa}\n", "3:14", "which nobody knows"),
        ("version: 1\nknown: [a, b]\nrenames: {a: b}\n", "2:9", "is known and renamed"),
        ("version: 1\nrenames: {a: unknown/b}\n", "2:14", "those that nobody knows"),
    ],
)
def test_a_wrong_list_is_refused_with_its_place(write_list, workspace, text, place, said):
    """Every mistake names file, line and column, and says what to do."""
    path = write_list(text)
    problem = check_taxonomy(workspace.catalog)[0]
    assert str(problem).startswith(f"{path}:{place}: ")
    assert said in str(problem)


def test_nothing_lands_while_the_list_is_wrong(wire, take_in, write_list, workspace):
    """A list that cannot be used is told before a file is taken in."""
    write_list("known: [a]\n")
    with pytest.raises(SpecError, match="version"):
        take_in(shown(wire, "a"))
    assert not workspace.landing.exists()


def test_a_list_that_changes_must_count_up(write_list, workspace):
    """The same version with other names is refused, and so is an older version."""
    write_list(LIST)
    keep_taxonomy(workspace, read_taxonomy(workspace))
    write_list("# told otherwise\n" + LIST)
    assert read_taxonomy(workspace).version == 1
    write_list(LIST.replace("fashion]", "fashion, home]"))
    with pytest.raises(SpecError, match="Write version: 2") as caught:
        read_taxonomy(workspace)
    assert (caught.value.line, caught.value.column) == (1, 10)
    write_list(LIST.replace("version: 1", "version: 3"))
    keep_taxonomy(workspace, read_taxonomy(workspace))
    write_list(LIST)
    with pytest.raises(SpecError, match="ake this one version 4"):
        read_taxonomy(workspace)


def test_a_catalogue_without_categories_is_refused(workspace):
    """Which categories are known is never guessed from a catalogue that cannot be read."""
    workspace.catalog.mkdir(parents=True)
    (workspace.catalog / "products.csv").write_text("product_id,image,title\np,i,t\n")
    with pytest.raises(CatalogueError, match="lacks category"):
        read_taxonomy(workspace)


names = st.text(alphabet=string.ascii_lowercase[:4], min_size=1, max_size=1)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def slowly(taxonomy, path):
    """Rename by trying every former name, the longest that fits first."""
    fitting = [old for old in taxonomy.renames if path == old or path.startswith(old + "/")]
    if not fitting:
        return path
    old = max(fitting, key=len)
    return taxonomy.renames[old] + path[len(old) :]


@given(st.dictionaries(paths, paths, max_size=5), st.lists(paths, max_size=4), paths)
def test_the_longest_former_name_counts(renames, known, path):
    """Naming agrees with the slow model; what is known or above it keeps its name."""
    taxonomy = Taxonomy(renames=renames)
    assert taxonomy.today(path) == slowly(taxonomy, path)
    listed = taxonomy.with_known(known)
    today = slowly(taxonomy, path)
    above = {slowly(taxonomy, one) for one in known}
    is_known = any(one == today or one.startswith(today + "/") for one in above)
    assert listed.name(path) == (today if is_known else UNKNOWN + today)
    assert Taxonomy().name(path) == path
