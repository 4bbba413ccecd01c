"""``catalog/categories.yaml``: known categories and former names, with every mistake's place.

The list is versioned: each version that a store was read with is kept under the landing, so a list
that changes must count up, and an older copy of it cannot come back unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from abplatform.creatives import read_categories
from abplatform.domain.catalog import UNKNOWN, Taxonomy
from abplatform.durable import replace_durably
from abplatform.errors import SpecError
from abplatform.workspace import Workspace
from abplatform.yaml_text import Node, nearest, parse, read
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.quantities import Number
from abplatform.yaml_text.shapes import Text
from abplatform.yaml_text.tables import Field, Table, in_one

__all__ = ["CATEGORIES_FILE", "check_taxonomy", "keep_taxonomy", "read_taxonomy"]

CATEGORIES_FILE: Final = "categories.yaml"

_MOST: Final = 100_000
_PATH: Final = Text(
    pattern=r"[^/\s]([^/]*[^/\s])?(/[^/\s]([^/]*[^/\s])?)*",
    expects="a category path",
    remedy="write it like beauty/lip",
    max_length=1024,
)


def _taxonomy(
    version: int, known: tuple[str, ...] | None = None, renames: dict[str, str] | None = None
) -> Taxonomy:
    bare = Taxonomy(renames=renames or {}, version=version)
    return bare if known is None else bare.with_known(known)


_FILE: Final = Table(
    make=_taxonomy,
    fields=(
        Field(
            "version",
            Number(1, 10**9, whole=True),
            "Counts up with every change of this file.",
            required=True,
        ),
        Field("known", ListOf(_PATH, max_items=_MOST), "Categories beside the catalogue's."),
        Field(
            "renames",
            MapOf(_PATH, _PATH, max_items=_MOST),
            "Former path to today's; what lies below it moves along.",
        ),
    ),
)


def read_taxonomy(workspace: Workspace) -> Taxonomy:
    """Return the categories of a workspace; without catalogue and list every path is known.

    Args:
        workspace: Whose.

    Raises:
        SpecError: The list breaks a rule, or changed without counting up.
        CatalogueError: The catalogue has no category column.
    """
    path = workspace.catalog / CATEGORIES_FILE
    listed, problems = _read(workspace.catalog)
    if problems:
        raise in_one(problems)
    if listed.version is not None:
        _check_version(listed, read(path).child("version"), _kept_folder(workspace))
    return _with_catalogue(listed, workspace.catalog)


def check_taxonomy(catalog: Path) -> list[SpecError]:
    """Return every mistake in the list of a catalogue folder; none where there is no list."""
    return _read(catalog)[1]


def keep_taxonomy(workspace: Workspace, taxonomy: Taxonomy) -> None:
    """Keep the list's bytes under its version, once.

    Args:
        workspace: Whose.
        taxonomy: As :func:`read_taxonomy` returned it.
    """
    if taxonomy.version is None:
        return
    kept = _kept_folder(workspace) / f"{taxonomy.version}.yaml"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(kept, (workspace.catalog / CATEGORIES_FILE).read_bytes())


def _read(catalog: Path) -> tuple[Taxonomy, list[SpecError]]:
    path = catalog / CATEGORIES_FILE
    if not path.is_file():
        return Taxonomy(), []
    problems: list[SpecError] = []
    try:
        root = read(path)
    except SpecError as problem:
        return Taxonomy(), [problem]
    found = _FILE.read(root, problems, name="")
    if problems:
        return Taxonomy(), problems
    listed = cast("Taxonomy", found)
    return listed, list(_broken_rules(root, listed, _with_catalogue(listed, catalog)))


def _with_catalogue(listed: Taxonomy, catalog: Path) -> Taxonomy:
    has_file = (catalog / "products.csv").is_file()
    # A new workspace has a catalogue without products: that says nothing about categories.
    found = read_categories(catalog) if has_file else frozenset()
    return listed.with_known(found) if found else listed


def _broken_rules(root: Node, listed: Taxonomy, whole: Taxonomy) -> Iterator[SpecError]:
    for node in cast("list[Node]", root.child("known").value) if _has(root, "known") else ():
        path = str(node.value)
        if path.startswith(UNKNOWN):
            yield _reserved(node)
        elif listed.today(path) != path:
            yield node.error(
                f"{path} is known and renamed, to {listed.today(path)}",
                code="renamed",
                remedy=f"write {listed.today(path)} here",
            )
    if _has(root, "renames"):
        for former, node in cast("dict[str, Node]", root.child("renames").value).items():
            yield from _broken_rename(former, node, listed, whole)


def _broken_rename(
    former: str, node: Node, listed: Taxonomy, whole: Taxonomy
) -> Iterator[SpecError]:
    target = str(node.value)
    if former.startswith(UNKNOWN) or target.startswith(UNKNOWN):
        yield _reserved(node)
    elif listed.today(target) != target:
        end = _end(target, listed)
        yield node.error(
            f"{former} is renamed to {target}, which is renamed itself"
            + (", in a circle" if end is None else ""),
            code="renamed",
            remedy=f"write {former}: {end}" if end else "keep the one name that is in use today",
        )
    elif whole.known is not None and target not in whole.known:
        meant = nearest(target, whole.known)
        yield node.error(
            f"{former} is renamed to {target}, which nobody knows",
            code="unknown_value",
            remedy=f"perhaps you meant {meant!r}" if meant else f"add {target} to known",
        )


def _end(path: str, listed: Taxonomy) -> str | None:
    """Follow renames to a name that stays; None when they go in a circle."""
    for _ in range(len(listed.renames) + 1):
        renamed = listed.today(path)
        if renamed == path:
            return path
        path = renamed
    return None


def _reserved(node: Node) -> SpecError:
    return node.error(
        f"paths under {UNKNOWN} are those that nobody knows",
        code="bad_value",
        remedy="leave that part out",
    )


def _has(root: Node, key: str) -> bool:
    return key in cast("dict[str, Node]", root.value)


def _kept_folder(workspace: Workspace) -> Path:
    return workspace.landing / "categories"


def _check_version(listed: Taxonomy, node: Node, folder: Path) -> None:
    kept = {int(path.stem): path for path in folder.glob("*.yaml") if path.stem.isdigit()}
    newest = max(kept, default=0)
    version = listed.version or 0
    if version < newest:
        raise node.error(
            f"this is version {version} of the categories; version {newest} is in use",
            code="old_version",
            remedy=f"bring the newest file, or make this one version {newest + 1}",
        )
    if version in kept:
        problems: list[SpecError] = []
        text = kept[version].read_text(encoding="utf-8-sig")
        before = _FILE.read(parse(text, path=kept[version]), problems, name="")
        if before != listed:
            raise node.error(
                f"the categories changed, and this is version {version} still",
                code="same_version",
                remedy=f"write version: {version + 1}",
            )
