"""``abp creatives withdraw``: creatives that nobody may see again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.options import json_option, name_person, print_json, workspace_option
from abplatform.errors import AbplatformError, CatalogueError
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.creatives import Selector
    from abplatform.creatives.withdrawn import Scenes
    from abplatform.traffic.registry import Withdrawal

__all__ = ["find_name", "withdraw"]

SHORTEST_ID = 6
WHOLE_ID = 64


@click.command()
@click.argument("creative_ids", metavar="[CREATIVE]...", nargs=-1)
@click.option("--product", default=None, help="All of this product's, also those drawn later.")
@click.option(
    "--scene",
    default=None,
    metavar="FAMILY",
    help="All in these scenes, also those drawn later: a family such as 'silk', or phrases such "
    "as 'neon light, water surface'.",
)
@click.option(
    "--checkpoint",
    default=None,
    metavar="SHA256",
    help="All that this model took part in, also those drawn later.",
)
@click.option("--reason", required=True, help="Why, for the journal.")
@click.option("--by", "who", default=None, help="Who decides; default $USER.")
@workspace_option
@json_option
def withdraw(
    *,
    creative_ids: tuple[str, ...],
    product: str | None,
    scene: str | None,
    checkpoint: str | None,
    reason: str,
    who: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Withdraw creatives at once and for good: nothing takes that back.

    Within a second no decision and no picture's address carries them. They and what looks like
    them are never drawn or approved again, nothing learns to like them, and a phase begins in
    every running experiment that showed one.
    """
    named = [("creatives", creative_ids), ("product", product)]
    named += [("scene", scene), ("checkpoint", checkpoint)]
    given = [kind for kind, value in named if value]
    if len(given) != 1:
        raise click.UsageError("name creatives, or one of --product, --scene and --checkpoint")
    from abplatform.traffic.registry import Registry

    workspace = open_workspace(folder)
    selector = _select(workspace, dict(named), given[0])
    registry = Registry(workspace)
    earlier = len(registry.withdrawals())
    registry.withdraw(
        selector,
        at=workspace.clock(),
        who=name_person(who),
        reason=reason,
        showing=lambda names: _showing(workspace, names),
    )
    every = registry.withdrawals()
    answer = _answer(selector, every, begun=every[earlier:])
    if as_json:
        print_json(answer)
    else:
        _tell(answer)


def _showing(workspace: Workspace, names: Collection[str]) -> tuple[str, ...]:
    """The experiments that may show a creative; what is broken elsewhere stops no withdrawal."""
    from abplatform.traffic.config import build_config

    try:
        return build_config(workspace).showing(names)
    except AbplatformError as error:
        click.echo(
            f"warning: no phase begins, for nobody can tell what is shown: {error}", err=True
        )
        return ()


def _select(workspace: Workspace, named: dict[str, Any], kind: str) -> Selector:
    """What is meant; whatever nobody knows is refused with the nearest name."""
    from abplatform.creatives import Selector, read_lineage

    value = named[kind]
    if kind == "scene":
        return Selector("scene", scene=_scenes(value))
    lineage = read_lineage(workspace.creatives)
    root = workspace.creatives
    if kind == "creatives":
        return Selector(
            "creatives", tuple(_find_or_trust(one, list(lineage), root) for one in value)
        )
    if kind == "checkpoint":
        from abplatform.checkpoints.versions import names

        used = {sha256 for made in lineage.values() for sha256 in made.checkpoints.values()}
        known = sorted(used | set(names(workspace.checkpoints)))
        return Selector("checkpoint", (find_name(value, known, root, noun="checkpoint"),))
    return Selector("product", (_find_product(workspace, value),))


def _find_product(workspace: Workspace, name: str) -> str:
    from abplatform.creatives import read_catalogue, read_lineage
    from abplatform.yaml_text import nearest

    known = {made.product_id for made in read_lineage(workspace.creatives).values()}
    if name in known:
        return name
    # A product whose first picture is still to be drawn.
    known |= {one.product_id for one in read_catalogue(workspace.catalog).products}
    if name in known:
        return name
    near = nearest(name, sorted(known))
    raise CatalogueError(
        f"there is no product {name!r}",
        path=workspace.catalog,
        remedy=f"the nearest one is {near!r}" if near else "see `abp creatives list`",
    )


def _scenes(text: str) -> Scenes:
    """The scenes of a family, or those that all phrases fit."""
    from dataclasses import asdict

    from abplatform.yaml_text import nearest
    from generators.families import FAMILIES
    from generators.scene import read_phrases

    family = FAMILIES.get(" ".join(text.split()).lower())
    if family is not None:
        drawn = {part: words.split("|") for part, words in asdict(family).items()}
        return {part: tuple(sorted(set(words))) for part, words in drawn.items()}
    try:
        return {part: (word,) for part, word in sorted(read_phrases(text).items())}
    except CatalogueError as error:
        near = nearest(text, FAMILIES)
        hint = f"did you mean the family {near!r}? Else " if near else ""
        raise CatalogueError(error.message, remedy=f"{hint}{error.remedy}") from None


def _find_or_trust(name: str, known: Sequence[str], root: Path) -> str:
    """A creative by the beginning of its id; a whole id may be one that only logs know."""
    whole = name.lower()
    if len(whole) == WHOLE_ID and set(whole) <= set("0123456789abcdef"):
        return whole
    return find_name(name, known, root)


def find_name(name: str, known: Sequence[str], root: Path, *, noun: str = "creative") -> str:
    """Return the one id that begins so.

    Args:
        name: At least six letters.
        known: Every id.
        root: Where the creatives lie, for whoever mistyped.
        noun: What the ids name.

    Raises:
        CatalogueError: It is too short, or names none or several.
    """
    fits = [one for one in known if one.startswith(name.lower())]
    if len(name) >= SHORTEST_ID and len(fits) == 1:
        return fits[0]
    if len(name) < SHORTEST_ID:
        problem = f"{name!r} is too short to name a {noun}; give {SHORTEST_ID} letters or more"
    else:
        problem = f"{name!r} names {len(fits) or 'no'} {noun}s"
    raise CatalogueError(problem, path=root, remedy="see their ids with `abp creatives list`")


def _answer(
    selector: Selector, every: Sequence[Withdrawal], *, begun: Sequence[Withdrawal]
) -> dict[str, Any]:
    names = set(selector.names)
    meant = {
        one.creative_id: one
        for row in every
        for one in row.meant
        if row.selector == selector or names & {one.creative_id, one.like}
    }
    return {
        "selector": {
            "kind": selector.kind,
            "names": list(selector.names),
            "scene": {part: list(words) for part, words in selector.scene.items()},
        },
        "creatives": [
            {"creative_id": name, "product_id": one.product_id, "like": one.like}
            for name, one in meant.items()
        ],
        "phases": sorted({key for row in begun for key in row.phases}),
        "already": not begun,
    }


def _tell(answer: dict[str, Any]) -> None:
    if answer["already"]:
        click.echo("already withdrawn; nothing changed")
    for row in answer["creatives"]:
        like = f", which looks like {row['like'][:12]}," if row["like"] else ""
        of = f" of {row['product_id']}" if row["product_id"] else ", which no lineage knows,"
        click.echo(f"{row['creative_id'][:12]}{of}{like} is withdrawn")
    if not answer["creatives"]:
        click.echo("no creative is meant so far; what would be is not drawn")
    for key in answer["phases"]:
        click.echo(f"a new phase begins in {key}")
