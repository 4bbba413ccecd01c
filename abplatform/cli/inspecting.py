"""``abp creatives inspect``: generated creatives looked at again by today's brand kits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.domain.catalog import Lineage
    from generators.brand import BrandKit

__all__ = ["inspect_again", "reinspect"]

RULES = "rules"
"""Who rejects what a rule refuses."""


def reinspect(workspace: Workspace) -> list[dict[str, str]]:
    """Reject what today's brand kits refuse, in the journal and by the rule's name.

    A creative that a person lets in after a kit refused it is the person's business; one that is
    rejected already stays so. Doing it again changes nothing.

    Returns:
        What was rejected now: ``creative_id``, ``product_id`` and ``rule``.

    Raises:
        SpecError: A kit's file is wrong.
        CatalogueError: The catalogue, a logo or a font cannot be read.
    """
    from abplatform.creatives import CATALOGUE_FILE, read_catalogue, read_lineage
    from abplatform.traffic.approval import group_reviews
    from abplatform.traffic.registry import Registry, Review
    from generators.brand import read_brands

    brands = read_brands(workspace.catalog)
    lineage = read_lineage(workspace.creatives)
    if not (workspace.catalog / CATALOGUE_FILE).is_file() or not (
        brands.kits or any(made.brand for made in lineage.values())
    ):
        return []
    products = {one.product_id: one for one in read_catalogue(workspace.catalog).products}
    registry, at = Registry(workspace), workspace.clock()
    reviews, withdrawn = group_reviews(registry.every_review()), registry.withdrawn()
    found = []
    for made in lineage.values():
        product = products.get(made.product_id)
        if made.source != "generated" or product is None or withdrawn.refuses(made):
            continue
        kit = brands.kit(product, made.brand.get("country") or None)
        rule = _broken(made, kit)
        said = reviews.get(made.creative_id, [])
        note = f"{rule} ({kit.sha256[:12] or 'no kit'})"
        told = any(review.note == note for review in said)
        if rule is None or told or (said and said[-1].decision == "rejected"):
            continue
        review = Review(made.creative_id, "rejected", at, RULES, "off-brand", note)
        registry.record_review(review)
        found.append({"creative_id": made.creative_id, "product_id": made.product_id, "rule": rule})
    return found


def _broken(made: Lineage, kit: BrandKit) -> str | None:
    """The rule of a kit that a creative breaks: its scene, or that it was dressed otherwise."""
    from generators.scene import Scene

    rule = kit.refuses_scene(Scene(**made.scene)) if made.scene else None
    if rule is not None:
        return rule
    return None if made.brand.get("sha256", "") == kit.sha256 else "brand:kit_changed"


@click.command("inspect")
@workspace_option
@json_option
def inspect_again(*, folder: Path | None, as_json: bool) -> None:
    """Look at generated creatives again after a brand kit changed; reject what it refuses."""
    workspace = open_workspace(folder)
    with workspace.lock("creatives inspect"):
        found = reinspect(workspace)
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: list[dict[str, str]]) -> Iterator[str]:
    if not found:
        yield "Everything that is shown holds today's brand kits."
    for row in found:
        yield f"{row['creative_id'][:12]} of {row['product_id']} is rejected: {row['rule']}"
