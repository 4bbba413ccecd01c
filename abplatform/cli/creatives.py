"""``abp creatives``: look at creatives, approve or reject them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from abplatform.cli.options import json_option, name_person, print_json, workspace_option
from abplatform.cli.withdraw import find_name, withdraw
from abplatform.errors import RegistryError
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.domain.catalog import Lineage
    from abplatform.traffic.registry import Registry, Review, Withdrawal

__all__ = ["brief_of", "creatives"]

Decision = Literal["approved", "rejected"]


@click.group()
def creatives() -> None:
    """List, review and withdraw creatives."""


@creatives.command("list")
@click.option("--product", default=None, help="Only this product's.")
@click.option(
    "--state",
    type=click.Choice(["pending", "approved", "rejected", "withdrawn"]),
    default=None,
    help="Only creatives whose newest review says so; pending: nobody has looked.",
)
@workspace_option
@json_option
def list_creatives(
    *, product: str | None, state: str | None, folder: Path | None, as_json: bool
) -> None:
    """List creatives with where they come from and what reviews say."""
    from abplatform.creatives import read_lineage
    from abplatform.traffic.registry import Registry

    workspace = open_workspace(folder)
    registry = Registry(workspace)
    reviews, withdrawals = registry.reviews(), registry.withdrawals()
    withdrawn = registry.withdrawn()
    rows = [
        _withdrawn(lineage, withdrawals)
        if withdrawn.refuses(lineage)
        else _reviewed(lineage, reviews.get(lineage.creative_id))
        for lineage in read_lineage(workspace.creatives).values()
        if product in {None, lineage.product_id}
    ]
    rows = [row for row in rows if state in {None, row["state"]}]
    if as_json:
        print_json(rows)
        return
    _print_table(rows)


def _reviewed(lineage: Lineage, review: Review | None) -> dict[str, Any]:
    return {
        **brief_of(lineage),
        "renderer": lineage.renderer,
        "seed": lineage.seed,
        "checkpoints": dict(lineage.checkpoints),
        "state": review.decision if review else "pending",
        "reason": review.reason if review else None,
        "reviewed_by": review.who if review else None,
    }


def brief_of(lineage: Lineage) -> dict[str, Any]:
    """Return what a list of creatives tells of one.

    Args:
        lineage: How it was made.
    """
    return {
        "creative_id": lineage.creative_id,
        "product_id": lineage.product_id,
        "source": lineage.source,
        "prompt": lineage.prompt,
        "week": lineage.week,
        "match": bool(lineage.inspector.get("match")),
    }


def _withdrawn(lineage: Lineage, withdrawals: Sequence[Withdrawal]) -> dict[str, Any]:
    """A row with the withdrawal that names the creative, else the one that catches it."""
    models = tuple(lineage.checkpoints.values())
    by = [
        *(row for row in withdrawals if lineage.creative_id in {m.creative_id for m in row.meant}),
        *(
            row
            for row in withdrawals
            if row.selector.catches(lineage.product_id, lineage.scene, models)
        ),
    ]
    return {
        **_reviewed(lineage, None),
        "state": "withdrawn",
        "reason": by[0].reason if by else "it looks like a withdrawn one",
        "reviewed_by": by[0].who if by else None,
    }


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        click.echo("There are no such creatives; draw some with `abp generate`.")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("creative", "product", "source", "state", "scene", box=box.SIMPLE)
    for row in rows:
        state = row["state"] + (f": {row['reason']}" if row["reason"] else "")
        cells = (row["creative_id"][:12], row["product_id"], row["source"], state, row["prompt"])
        table.add_row(*map(Text, cells))
    Console().print(table)


ids_argument = click.argument("creative_ids", metavar="CREATIVE...", nargs=-1, required=True)
by_option = click.option("--by", "who", default=None, help="Who decides; default $USER.")


@creatives.command("approve")
@ids_argument
@by_option
@workspace_option
@json_option
def approve(
    *, creative_ids: tuple[str, ...], who: str | None, folder: Path | None, as_json: bool
) -> None:
    """Approve creatives, named by their id or its beginning."""
    _review(creative_ids, "approved", who, folder, reason=None, as_json=as_json)


@creatives.command("reject")
@ids_argument
@click.option("--reason", required=True, help="Why, for the journal.")
@by_option
@workspace_option
@json_option
def reject(
    *,
    creative_ids: tuple[str, ...],
    reason: str,
    who: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Reject creatives, named by their id or its beginning, with a reason."""
    _review(creative_ids, "rejected", who, folder, reason=reason, as_json=as_json)


def _review(
    named: Sequence[str],
    decision: Decision,
    who: str | None,
    folder: Path | None,
    *,
    reason: str | None,
    as_json: bool,
) -> None:
    from abplatform.creatives import read_lineage
    from abplatform.traffic.registry import Registry

    workspace = open_workspace(folder)
    known = read_lineage(workspace.creatives)
    meant = [find_name(name, list(known), workspace.creatives) for name in named]
    registry, at = Registry(workspace), workspace.clock()
    person = name_person(who)
    if decision == "approved":
        _refuse_withdrawn(registry, [known[name] for name in meant])
    for creative_id in meant:
        registry.record_review(creative_id, decision, at=at, who=person, reason=reason)
    rows = [
        {"creative_id": creative_id, "state": decision, "reason": reason, "reviewed_by": person}
        for creative_id in meant
    ]
    if as_json:
        print_json(rows)
        return
    for creative_id in meant:
        click.echo(f"{creative_id[:12]} is {decision}")


def _refuse_withdrawn(registry: Registry, meant: Sequence[Lineage]) -> None:
    """Refuse to approve any of several when one of them is withdrawn."""
    withdrawn = registry.withdrawn()
    refused = [made.creative_id[:12] for made in meant if withdrawn.refuses(made)]
    if refused:
        raise RegistryError(
            f"nothing is approved: {', '.join(refused)} is withdrawn, and that is for good",
            path=registry.workspace.creatives,
            remedy="leave it out, and draw another one with `abp generate`",
        )


creatives.add_command(withdraw)
