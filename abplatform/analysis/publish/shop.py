"""Everything that the published tables are made from, opened once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from abplatform.analysis.pairs import Shelf
from abplatform.creatives import read_catalogue, read_lineage
from abplatform.domain.catalog import Product
from abplatform.errors import CatalogueError
from abplatform.logs.store.answering import Store
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.workspace import Workspace

__all__ = ["Shop", "open_shelf", "open_shop"]


@dataclass(frozen=True, slots=True)
class Shop:
    """What is known besides the scorecards.

    Args:
        workspace: The workspace.
        warehouse: The open store.
        registry: States, reviews and the journal.
        registered: Its experiments.
        shelf: Products and lineage.
        predicted: Creative to the reward model's score before it ran.
    """

    workspace: Workspace
    warehouse: Store
    registry: Registry
    registered: Mapping[str, RegisteredExperiment]
    shelf: Shelf
    predicted: Mapping[str, float] = field(default_factory=dict)


def open_shop(workspace: Workspace, warehouse: Store, *, predicted: Mapping[str, float]) -> Shop:
    """Read the registry, the catalogue and the lineage of a workspace."""
    registry = Registry(workspace)
    registered, _ = registry.usable()
    return Shop(workspace, warehouse, registry, registered, open_shelf(workspace), predicted)


def open_shelf(workspace: Workspace) -> Shelf:
    """Read titles, images and texts; a team without a catalogue has none."""
    products: dict[str, Product] = {}
    # Logs can be analysed without any catalogue.
    with suppress(CatalogueError):
        products = {one.product_id: one for one in read_catalogue(workspace.catalog).products}
    lineage = read_lineage(workspace.creatives)
    withdrawn = Registry(workspace).withdrawn().among(lineage.values())
    return Shelf(products=products, lineage=lineage, withdrawn=withdrawn)
