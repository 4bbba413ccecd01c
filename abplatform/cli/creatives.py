"""``abp generate`` and ``abp creatives``: draw creatives, look at them, approve or reject them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from abplatform.cli.options import (
    json_option,
    name_person,
    print_json,
    progress,
    workspace_option,
)
from abplatform.cli.withdraw import find_name, withdraw
from abplatform.errors import CatalogueError, RegistryError, WorkspaceError
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.creatives import Withdrawn
    from abplatform.domain.catalog import Lineage
    from abplatform.traffic.registry import Registry, Review, Withdrawal
    from generators.generate import Generation, Generator
    from generators.intake import Intake

__all__ = ["creatives", "generate"]

SHEET, PAGE = "creatives.png", "creatives.html"

Decision = Literal["approved", "rejected"]


@click.command()
@click.option(
    "--products",
    type=click.Path(path_type=Path),
    default=None,
    help="A folder with products.csv, or a CSV or Parquet file; default the workspace's catalog/.",
)
@click.option(
    "--generator",
    type=click.Choice(["baseline", "caig"]),
    default="caig",
    show_default=True,
    help="baseline: one plain studio picture a product; caig: generated scenes beside it.",
)
@click.option(
    "--per-product",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Generated creatives for each product.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Write here instead of into the workspace; with --products it needs none.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Every random choice comes from it.",
)
@click.option("--week", default=None, help="ISO week for the lineage, such as 2026-W48.")
@workspace_option
@json_option
def generate(
    *,
    products: Path | None,
    generator: Generator,
    per_product: int,
    out: Path | None,
    seed: int,
    week: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Draw creatives for every product of a catalogue, with their lineage and a contact sheet."""
    place = _find_place(products, out, folder)
    from generators.generate import generate_creatives
    from generators.intake import read_products

    intake = read_products(place.products)
    if not intake.ready:
        raise _nothing_ready(intake, place.products)
    kinds: list[Generator] = ["baseline"] if generator == "baseline" else ["baseline", "caig"]
    with place.lock, progress("Drawing creatives") as advance:
        runs = [
            generate_creatives(
                intake.ready,
                generator=kind,
                per_product=per_product,
                week=week,
                seed=seed,
                root=place.root,
                withdrawn=place.withdrawn,
                processes=min(2, os.cpu_count() or 1),
                advance=advance,
            )
            for kind in kinds
        ]
        answer = _summary(intake, runs, place)
    if as_json:
        print_json(answer)
    else:
        _tell(answer)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where products come from and creatives go to."""

    products: Path
    root: Path
    sheets: Path
    lock: AbstractContextManager[None]
    withdrawn: Withdrawn


def _find_place(products: Path | None, out: Path | None, folder: Path | None) -> _Place:
    from abplatform.creatives import NOTHING_WITHDRAWN
    from abplatform.traffic.registry import Registry

    if products is not None and out is not None:
        return _Place(products, out, out, nullcontext(), NOTHING_WITHDRAWN)
    try:
        workspace = open_workspace(folder)
    except WorkspaceError as error:
        raise WorkspaceError(
            error.message,
            path=error.path,
            remedy="name both `--products` and `--out`, or make a workspace with `abp init DIR`",
        ) from error
    source = products or workspace.catalog
    withdrawn = Registry(workspace).withdrawn()
    if out is not None:
        return _Place(source, out, out, nullcontext(), withdrawn)
    lock = workspace.lock("generate")
    return _Place(source, workspace.creatives, workspace.root, lock, withdrawn)


def _nothing_ready(intake: Intake, source: Path) -> CatalogueError:
    first = intake.refused[0]
    more = f" (and {len(intake.refused) - 1} more)" if len(intake.refused) > 1 else ""
    return CatalogueError(
        f"no product can be used: {first.detail}{more}",
        path=first.path or source,
        line=first.line,
        remedy="mend these rows and run it again",
    )


def _summary(intake: Intake, runs: Sequence[Generation], place: _Place) -> dict[str, Any]:
    """What was drawn and refused; writes the contact sheet and page."""
    from generators.sheet import contact_page, contact_sheet

    lineages = [lineage for run in runs for lineage in run.lineages]
    products = [ready.product for ready in intake.ready]
    sheet = contact_sheet(
        place.sheets / SHEET, products=products, lineages=lineages, root=place.root
    )
    page = contact_page(place.sheets / PAGE, products=products, lineages=lineages, root=place.root)
    slots = [
        {"product_id": slot.product_id, "slot": slot.slot, "reasons": list(slot.reasons)}
        for run in runs
        for slot in run.refused
    ]
    return {
        "products": len(products),
        "drawn": sum(run.drawn for run in runs),
        "reused": sum(run.reused for run in runs),
        "creatives": [_brief(lineage) for lineage in lineages],
        "refused_products": [asdict(refusal) for refusal in intake.refused],
        "refused_creatives": slots,
        "root": str(place.root),
        "contact_sheet": str(sheet),
        "contact_page": str(page),
    }


def _brief(lineage: Lineage) -> dict[str, Any]:
    return {
        "creative_id": lineage.creative_id,
        "product_id": lineage.product_id,
        "source": lineage.source,
        "prompt": lineage.prompt,
        "week": lineage.week,
        "match": bool(lineage.inspector.get("match")),
    }


def _tell(answer: dict[str, Any]) -> None:
    made = Counter(row["source"] for row in answer["creatives"])
    click.echo(
        f"{_count(len(answer['creatives']), 'creative')} for "
        f"{_count(answer['products'], 'product')}: "
        f"{made['baseline']} baseline, {made['generated']} generated "
        f"({answer['drawn']} drawn now, {answer['reused']} were there)."
    )
    for refusal in answer["refused_products"]:
        line = f":{refusal['line']}" if refusal["line"] else ""
        click.echo(f"refused  {refusal['path']}{line}: {refusal['detail']}")
    for slot in answer["refused_creatives"]:
        reasons = ", ".join(slot["reasons"]).replace("_", " ")
        click.echo(f"refused  {slot['product_id']}, creative {slot['slot'] + 1}: {reasons}")
    click.echo(f"masters        {answer['root']}")
    click.echo(f"contact sheet  {answer['contact_sheet']}")
    click.echo(f"contact page   {answer['contact_page']}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
        **_brief(lineage),
        "renderer": lineage.renderer,
        "seed": lineage.seed,
        "checkpoints": dict(lineage.checkpoints),
        "state": review.decision if review else "pending",
        "reason": review.reason if review else None,
        "reviewed_by": review.who if review else None,
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
