"""``abp creatives``: look at creatives, approve or reject them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.inspecting import inspect_again
from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.cli.rejections import learn
from abplatform.cli.reviewing import approve, reject
from abplatform.cli.withdraw import withdraw
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.creatives import Withdrawn
    from abplatform.domain.catalog import Lineage
    from abplatform.domain.experiment import Approval
    from abplatform.traffic.approval import Place
    from abplatform.traffic.registry import Review, Withdrawal

__all__ = ["brief_of", "creatives"]


_SCENE_CHARACTERS = 46
"""What a table shows of a scene: where it is and what is behind; the rest is in --json."""


@click.group()
def creatives() -> None:
    """List, review and withdraw creatives."""


@creatives.command("list")
@click.option("--product", default=None, help="Only this product's.")
@click.option(
    "--state",
    type=click.Choice(
        ["generated", "inspected", "pending", "approved", "rejected", "expired", "withdrawn"]
    ),
    default=None,
    help="Only those that have come so far; pending: inspected, and nobody has reviewed them.",
)
@click.option("--experiment", "key", default=None, help="As this experiment's YAML approves them.")
@click.option("--channel", default=None, help="As they stand in this channel.")
@click.option("--country", default=None, help="As they stand in this country.")
@workspace_option
@json_option
def list_creatives(
    *,
    product: str | None,
    state: str | None,
    key: str | None,
    channel: str | None,
    country: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """List creatives with where they come from and how far their approval has come."""
    from abplatform.creatives import read_lineage
    from abplatform.traffic.approval import Place, group_reviews
    from abplatform.traffic.registry import Registry

    workspace = open_workspace(folder)
    registry = Registry(workspace)
    desk = _Desk(
        reviews=group_reviews(registry.every_review()),
        withdrawn=registry.withdrawn(),
        withdrawals=registry.withdrawals(),
        place=Place(channel, country, workspace.clock()),
        approval=registry.find(key).experiment.approval if key else None,
    )
    rows = [
        desk.row(lineage)
        for lineage in read_lineage(workspace.creatives).values()
        if product in {None, lineage.product_id}
    ]
    rows = [row for row in rows if state in {None, row["state"]}]
    if as_json:
        print_json(rows)
        return
    _print_table(rows)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What is known when creatives are looked through."""

    reviews: Mapping[str, Sequence[Review]]
    withdrawn: Withdrawn
    withdrawals: Sequence[Withdrawal]
    place: Place
    approval: Approval | None

    def row(self, lineage: Lineage) -> dict[str, Any]:
        """Return what the list tells of a creative."""
        from abplatform.traffic.approval import approval_state, covers

        said = self.reviews.get(lineage.creative_id, ())
        gone = self.withdrawn.refuses(lineage)
        state, why = approval_state(
            lineage, said, self.place, approval=self.approval, withdrawn=gone
        )
        here = [review for review in said if covers(review, self.place)]
        newest = here[-1] if here and not gone else None
        row = {
            **brief_of(lineage),
            "renderer": lineage.renderer,
            "seed": lineage.seed,
            "checkpoints": dict(lineage.checkpoints),
            "state": str(state),
            "reason": newest.reason if newest else why,
            "note": newest.note if newest else None,
            "reviewed_by": newest.who if newest else None,
            "channels": list(newest.channels) if newest else [],
            "countries": list(newest.countries) if newest else [],
            "valid_until": newest.until.isoformat() if newest and newest.until else None,
        }
        return {**row, **_withdrawal(lineage, self.withdrawals)} if gone else row


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


def _withdrawal(lineage: Lineage, withdrawals: Sequence[Withdrawal]) -> dict[str, Any]:
    """The withdrawal that names the creative, else the one that catches it."""
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
        scene = shorten(row["prompt"], _SCENE_CHARACTERS, placeholder=" …")
        cells = (row["creative_id"][:12], row["product_id"], row["source"], state, scene)
        table.add_row(*map(Text, cells))
    Console().print(table)


for verb in (approve, reject, withdraw, inspect_again, learn):
    creatives.add_command(verb)
