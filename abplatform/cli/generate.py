"""``abp generate``: draw creatives for every product of a catalogue."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.creatives import brief_of
from abplatform.cli.makers import (
    TEXT_SCORERS,
    Makers,
    find_makers,
    find_text_scorer,
    load_scorer,
)
from abplatform.cli.options import Advance, json_option, print_json, progress, workspace_option
from abplatform.cli.rendition_drawing import Wanted, draw_renditions, find_channel
from abplatform.cli.text_writing import keep_texts
from abplatform.errors import CatalogueError, WorkspaceError
from abplatform.settings import Channel, Generators, Settings
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.creatives import Withdrawn
    from generators.brand import Brands
    from generators.generate import Generation, Generator
    from generators.intake import Intake

__all__ = ["generate"]

SHEET, PAGE = "creatives.png", "creatives.html"


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
@click.option(
    "--renderer",
    default=None,
    help="What draws scenes: studio, photos:FOLDER, diffusion …; default abp.yaml's "
    "generators.renderer.",
)
@click.option(
    "--prompt-model",
    default=None,
    help="What writes scenes: families (rules), embedded, or a model's folder or hub id; default "
    "abp.yaml's generators.prompt_model.",
)
@click.option(
    "--checkpoint",
    default=None,
    help="A reward model, such as champion or a folder: what it predicts to lose to the baseline "
    "is not drawn, but for a tenth of the slots.",
)
@click.option("--country", default=None, help="Where they will be shown: brand kits for it hold.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=None,
    help="How many processes draw; default two, where there are two cores.",
)
@click.option(
    "--texts",
    type=click.IntRange(0, 32),
    default=0,
    show_default=True,
    help="Ad texts for each creative set, at most.",
)
@click.option(
    "--text-model",
    default="embedded",
    show_default=True,
    help="What writes texts: embedded, smollm2, or a language model's folder or hub id.",
)
@click.option(
    "--text-scorer",
    type=click.Choice(TEXT_SCORERS),
    default="own",
    show_default=True,
    help="What ranks texts: their likeness to the product (own), clicked headlines, or the reward "
    "model that --checkpoint names.",
)
@click.option(
    "--channels",
    default=None,
    metavar="NAMES",
    help="Also draw every creative at the sizes of these channels, such as feed,story.",
)
@click.option("--segment", default=None, help="Whom the texts are for, in free words.")
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
    renderer: str | None,
    prompt_model: str | None,
    checkpoint: str | None,
    country: str | None,
    processes: int | None,
    texts: int,
    text_model: str,
    text_scorer: str,
    segment: str | None,
    channels: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Draw creatives for every product of a catalogue, with their lineage and a contact sheet."""
    place = _find_place(products, out, folder)
    settings = replace(
        place.settings,
        renderer=renderer or place.settings.renderer,
        prompt_model=prompt_model or place.settings.prompt_model,
    )
    names = [name.strip() for name in (channels or "").split(",") if name.strip()]
    booked = {name: find_channel(name, place.channels, place.known_by) for name in names}
    from generators.brand import read_brands
    from generators.generate import generate_creatives
    from generators.intake import read_products

    makers = find_makers(settings, place.checkpoints)
    brands = read_brands(place.products if place.products.is_dir() else place.products.parent)
    if checkpoint is not None and generator == "caig":
        scorer, models = load_scorer(checkpoint, place.checkpoints)
        makers = replace(makers, scorer=scorer, checkpoints=models)
    ranks = find_text_scorer(text_scorer, makers.scorer) if texts else None
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
                renderer=makers.renderer,
                writer=makers.writer,
                scorer=makers.scorer,
                least_win=makers.least_win,
                checkpoints=makers.checkpoints,
                withdrawn=place.withdrawn,
                brands=brands,
                country=country,
                taste=makers.taste,
                processes=processes or min(2, os.cpu_count() or 1),
                advance=advance,
            )
            for kind in kinds
        ]
        answer = _summary(intake, runs, place)
        if texts:
            with progress("Writing texts") as tell:
                answer["texts"] = keep_texts(
                    place.root,
                    intake.ready,
                    [lineage for run in runs for lineage in run.lineages],
                    count=texts,
                    seed=seed,
                    now=datetime.now(UTC),
                    brands=brands,
                    country=country,
                    model=text_model,
                    segment=segment,
                    scorer=ranks,
                    advance=tell,
                )
        if booked:
            with progress("Drawing renditions") as step:
                answer["channels"] = _draw_for(
                    booked, runs, step, intake=intake, place=place, makers=makers, brands=brands
                )
    if as_json:
        print_json(answer)
    else:
        _tell(answer)


def _draw_for(
    channels: Mapping[str, Channel],
    runs: Sequence[Generation],
    advance: Advance,
    *,
    intake: Intake,
    place: _Place,
    makers: Makers,
    brands: Brands,
) -> dict[str, Any]:
    """Draw a run's creatives at channels' sizes; one that does not fit is told, and left out."""
    products = {ready.product.product_id: ready for ready in intake.ready}
    wanted = [
        Wanted(
            place.root,
            products[lineage.product_id],
            lineage,
            name,
            channel,
            makers.renderer,
            brands,
        )
        for name, channel in channels.items()
        for run in runs
        for lineage in run.lineages
    ]
    told: dict[str, Any] = {name: {"pictures": 0, "unfit": []} for name in channels}
    for done, (one, made) in enumerate(zip(wanted, draw_renditions(wanted), strict=True), start=1):
        if isinstance(made, CatalogueError):
            unfit = {"creative_id": one.lineage.creative_id, "why": made.message}
            told[one.channel_name]["unfit"].append(unfit)
        else:
            told[one.channel_name]["pictures"] += len(made)
        advance(done, len(wanted))
    return told


@dataclass(frozen=True, slots=True)
class _Place:
    """Where products come from and creatives go to."""

    products: Path
    root: Path
    sheets: Path
    lock: AbstractContextManager[None]
    withdrawn: Withdrawn
    settings: Generators
    checkpoints: Path | None
    channels: Mapping[str, Channel]
    known_by: Path | None


def _find_place(products: Path | None, out: Path | None, folder: Path | None) -> _Place:
    from abplatform.creatives import NOTHING_WITHDRAWN
    from abplatform.traffic.registry import Registry

    if products is not None and out is not None:
        plain = (Generators(), None, Settings().channels, None)
        return _Place(products, out, out, nullcontext(), NOTHING_WITHDRAWN, *plain)
    try:
        workspace = open_workspace(folder)
    except WorkspaceError as error:
        raise WorkspaceError(
            error.message,
            path=error.path,
            remedy="name both `--products` and `--out`, or make a workspace with `abp init DIR`",
        ) from error
    source = products or workspace.catalog
    known = (
        Registry(workspace).withdrawn(),
        workspace.settings.generators.within(workspace.root),
        workspace.checkpoints,
        workspace.settings.channels,
        workspace.root / "abp.yaml",
    )
    if out is not None:
        return _Place(source, out, out, nullcontext(), *known)
    lock = workspace.lock("generate")
    return _Place(source, workspace.creatives, workspace.root, lock, *known)


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
        "masks": {ready.product.product_id: ready.mask for ready in intake.ready},
        "drawn": sum(run.drawn for run in runs),
        "reused": sum(run.reused for run in runs),
        "creatives": [brief_of(lineage) for lineage in lineages],
        "refused_products": [asdict(refusal) for refusal in intake.refused],
        "refused_creatives": slots,
        "root": str(place.root),
        "contact_sheet": str(sheet),
        "contact_page": str(page),
    }


def _tell(answer: dict[str, Any]) -> None:
    made = Counter(row["source"] for row in answer["creatives"])
    click.echo(
        f"{_count(len(answer['creatives']), 'creative')} for "
        f"{_count(answer['products'], 'product')}: "
        f"{made['baseline']} baseline, {made['generated']} generated "
        f"({answer['drawn']} drawn now, {answer['reused']} were there)."
    )
    masks = Counter(answer["masks"].values())
    told = ", ".join(f"{number} by {mask}" for mask, number in masks.most_common())
    click.echo(f"cut out        {told}")
    for refusal in answer["refused_products"]:
        line = f":{refusal['line']}" if refusal["line"] else ""
        click.echo(f"refused  {refusal['path']}{line}: {refusal['detail']}")
    for slot in answer["refused_creatives"]:
        reasons = ", ".join(slot["reasons"]).replace("_", " ")
        click.echo(f"refused  {slot['product_id']}, creative {slot['slot'] + 1}: {reasons}")
    if answer["refused_creatives"]:
        click.echo("         the products' baselines stand in for these")
    if "texts" in answer:
        click.echo(f"texts          {answer['texts']} new")
    for name, drawn in answer.get("channels", {}).items():
        click.echo(f"channel {name:<6} {_count(drawn['pictures'], 'picture')}")
        for row in drawn["unfit"]:
            click.echo(f"left out       {row['why']}")
    click.echo(f"masters        {answer['root']}")
    click.echo(f"contact sheet  {answer['contact_sheet']}")
    click.echo(f"contact page   {answer['contact_page']}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
