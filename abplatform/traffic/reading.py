"""What a config is read from: creatives, catalogue, snapshot; each kept until its file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from abplatform.creatives import read_catalogue, read_lineage
from abplatform.domain import experiment as words
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import CreativeChoice
from abplatform.errors import AbplatformError
from abplatform.traffic.lineup import Stock, baseline_stock, stock_of
from abplatform.traffic.policies import Policy, make_policy
from abplatform.traffic.policies.snapshots import Snapshot, read_current

__all__ = [
    "Gallery",
    "Kept",
    "Knowledge",
    "Shop",
    "read_gallery",
    "read_knowledge",
    "read_shop",
]

_Read = TypeVar("_Read")


class Kept(Generic[_Read]):
    """What was read of a file, kept until the file changes.

    Args:
        read: Reads it, given the folder.
    """

    def __init__(self, read: Callable[[Path], _Read]) -> None:
        self._read = read
        self._signature: tuple[int, ...] | None = None
        self._value: _Read | None = None

    def of(self, folder: Path, file: Path) -> _Read:
        """Return what a folder holds; it is read again when the file in it has changed."""
        signature = _signature(file)
        if self._value is None or signature != self._signature:
            self._value = self._read(folder)
            self._signature = signature
        return self._value


def _signature(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class Gallery:
    """All creatives, and the stocks that experiments have drawn from them so far.

    Args:
        creatives: Creative to how it was made, in the order of making.
        baselines: Product to its baselines.
        digest: Changes with the creatives.
        stocks: What was asked for so far.
    """

    creatives: Mapping[str, Lineage]
    baselines: Stock
    digest: str
    stocks: dict[tuple[CreativeChoice, str, str | None], Stock] = field(default_factory=dict)

    def stock(self, choice: CreativeChoice, week: str, checkpoint: str | None) -> Stock:
        """Return a variant's creatives by product."""
        asked = (choice, week, checkpoint)
        if asked not in self.stocks:
            every = self.creatives.values()
            self.stocks[asked] = stock_of(every, choice, week=week, checkpoint=checkpoint)
        return self.stocks[asked]


def read_gallery(root: Path) -> Gallery:
    """Read the lineage of all creatives.

    Raises:
        CatalogueError: It cannot be read.
    """
    lineage = read_lineage(root)
    digest = hashlib.sha256("".join(lineage).encode()).hexdigest()
    return Gallery(lineage, baseline_stock(lineage.values()), digest)


@dataclass(slots=True)
class Knowledge:
    """What policies rest on, and those made of it so far, with all that they remember.

    Args:
        current: The snapshot in force and its sha256, or None.
        problems: Why there is none although there should be.
        made: The policies, by what was asked for.
    """

    current: tuple[str, Snapshot] | None
    problems: tuple[AbplatformError, ...] = ()
    made: dict[tuple[str, str], Policy] = field(default_factory=dict)

    def policy(self, asked: words.Policy, gallery: Gallery) -> Policy:
        """Return what chooses within a variant."""
        name = (repr(asked), gallery.digest if asked.rules else "")
        if name not in self.made:
            self.made[name] = make_policy(asked, self.current, gallery.creatives)
        return self.made[name]


def read_knowledge(folder: Path) -> Knowledge:
    """Read the snapshot in force; without one, and with a broken one, nothing is known."""
    try:
        return Knowledge(read_current(folder))
    except AbplatformError as error:
        return Knowledge(None, (error,))


@dataclass(frozen=True, slots=True)
class Shop:
    """What the catalogue says of categories.

    Args:
        categories: Product to the path of its category.
        products: Category path to the products in it and below it.
        digest: Changes with either.
        problems: What is wrong with the catalogue.
    """

    categories: Mapping[str, str]
    products: Mapping[str, tuple[str, ...]]
    digest: str
    problems: tuple[AbplatformError, ...] = ()


def read_shop(folder: Path) -> Shop:
    """Read a catalogue's categories; a workspace without a catalogue has none."""
    problems: tuple[AbplatformError, ...] = ()
    categories: dict[str, str] = {}
    if folder.exists():
        try:
            found = read_catalogue(folder).products
            categories = {one.product_id: one.category.path for one in found}
        except AbplatformError as error:
            problems = (error,)
    below: dict[str, list[str]] = {}
    for product_id, path in categories.items():
        names = path.split("/")
        for depth in range(1, len(names) + 1):
            below.setdefault("/".join(names[:depth]), []).append(product_id)
    products = {path: tuple(names) for path, names in below.items()}
    digest = hashlib.sha256(msgspec.json.encode(categories)).hexdigest()
    return Shop(categories, products, digest, problems)
