"""``abp export creatives``: what an ad network needs to book an experiment's creatives."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from abplatform.cli.makers import find_makers
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.errors import CatalogueError, RegistryError, WorkspaceError
from abplatform.settings import Channel
from abplatform.traffic.ads import Ad, ads_of, last_moment, token_of
from abplatform.traffic.approval import Place
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry
from abplatform.traffic.service.tokens import Signer, read_key
from abplatform.workspace import Workspace, open_workspace
from abplatform.yaml_text import nearest

if TYPE_CHECKING:
    from abplatform.cli.options import Advance
    from abplatform.domain.catalog import Lineage, Product
    from generators.intake import ReadyProduct
    from generators.renderers.placing import Renderer

__all__ = ["export_creatives"]

SHEET: Final = "ads.csv"
COLUMNS: Final = (
    *("ad", "ad_id", "experiment", "variant", "channel", "product_id", "category"),
    *("creative_id", "text", "file", "width", "height", "click_url", "valid_until"),
)
_MIDNIGHT: Final = (1980, 1, 1, 0, 0, 0)
"""The moment that every file in the archive bears, so that the same ads give the same bytes."""
_WORTH_A_POOL: Final = 8

_Files = Mapping[tuple[int, int], Path]


@dataclass(frozen=True, slots=True)
class _Booking:
    """What is exported, and where to."""

    workspace: Workspace
    channel_name: str
    channel: Channel
    until: datetime
    ads: list[Ad]
    ends: Mapping[Ad, datetime]
    lineages: Mapping[str, Lineage]


@click.command("creatives")
@click.argument("key")
@click.option("--channel", "channel_name", required=True, help="A channel, such as feed.")
@click.option("--country", default=None, help="Only what is approved in this country, such as CN.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="The archive; default KEY-CHANNEL.zip here.",
)
@workspace_option
@json_option
def export_creatives(
    *,
    key: str,
    channel_name: str,
    country: str | None,
    out: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Write a running experiment's ads for one channel: a ZIP of pictures and a trafficking sheet.

    The archive holds each creative at the channel's sizes and ads.csv, a row for each ad and size
    with its text, click URL and last day. What is not approved is left out. Fill in the column
    ad_id once the network has given its ids, and hand the sheet to `abp ingest --ids`.
    """
    workspace = open_workspace(folder)
    booking = _book(workspace, key, channel_name, country)
    target = out or Path(f"{key}-{channel_name}.zip")
    with workspace.lock("export creatives"), progress("drawing renditions") as advance:
        files = _draw(booking, advance)
        links = _links(booking)
        _write_archive(target, booking, files, links)
    rows = sum(len(files[ad.creative_id]) for ad in booking.ads)
    pictures = sum(map(len, files.values()))
    if as_json:
        print_json(
            {
                "archive": str(target),
                "channel": channel_name,
                "ads": len(booking.ads),
                "pictures": pictures,
                "rows": rows,
                "valid_until": booking.until.isoformat(),
            }
        )
        return
    click.echo(
        f"wrote {target}: {len(booking.ads)} ads in {pictures} pictures for {channel_name}, "
        f"good until {booking.until:%Y-%m-%d %H:%M %Z}"
    )


def _book(workspace: Workspace, key: str, channel_name: str, country: str | None) -> _Booking:
    channels = workspace.settings.channels
    if channel_name not in channels:
        near = nearest(channel_name, channels)
        hint = f"did you mean {near!r}? It has" if near else "it has"
        raise WorkspaceError(
            f"abp.yaml has no channel {channel_name!r}",
            path=workspace.root / "abp.yaml",
            remedy=f"{hint} {', '.join(channels)}",
        )
    registered = Registry(workspace).find(key)
    config = build_config(workspace)
    place = Place(channel_name, country, workspace.clock())
    ads = ads_of(config, registered.experiment, place)
    if not ads or registered.started_at is None:
        raise RegistryError(
            f"no creative of {key} may be shown in {channel_name}",
            remedy="draw some with `abp generate`, and approve them with `abp creatives approve`",
        )
    until = registered.started_at + registered.experiment.analysis.max_runtime
    ends = {ad: min(last_moment(config, ad, place) or until, until) for ad in ads}
    channel = channels[channel_name]
    return _Booking(workspace, channel_name, channel, until, ads, ends, config.creatives)


def _draw(booking: _Booking, advance: Advance) -> dict[str, _Files]:
    """Draw what is missing, in order of creatives; several processes where that pays."""
    products = _ready_products(booking)
    makers = find_makers(booking.workspace.settings.generators.within(booking.workspace.root))
    wanted = [
        (booking, products[ad.product_id], booking.lineages[ad.creative_id], makers.renderer)
        for ad in {ad.creative_id: ad for ad in booking.ads}.values()
    ]
    files: dict[str, _Files] = {}
    for done, (creative_id, made) in enumerate(_draw_each(wanted, makers.renderer), start=1):
        files[creative_id] = made
        advance(done, len(wanted))
    return files


_Wanted = tuple[_Booking, "ReadyProduct", "Lineage", "Renderer"]


def _draw_each(wanted: list[_Wanted], renderer: Renderer) -> Iterable[tuple[str, _Files]]:
    processes = min(2, os.cpu_count() or 1)
    if processes == 1 or len(wanted) < _WORTH_A_POOL or renderer.batch > 1:
        yield from map(_draw_one, wanted)
        return
    from generators.generate.drawing import leave_with_parent

    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=leave_with_parent
    ) as pool:
        yield from pool.map(_draw_one, wanted)


def _draw_one(wanted: _Wanted) -> tuple[str, _Files]:
    from generators.brand import read_brands
    from generators.renditions import make_renditions

    booking, product, lineage, renderer = wanted
    made = make_renditions(
        booking.workspace.creatives,
        product,
        lineage,
        booking.channel,
        channel_name=booking.channel_name,
        renderers=[renderer],
        brands=read_brands(booking.workspace.catalog),
    )
    return lineage.creative_id, made


def _ready_products(booking: _Booking) -> dict[str, ReadyProduct]:
    from generators.intake import read_products

    intake = read_products(booking.workspace.catalog)
    ready = {one.product.product_id: one for one in intake.ready}
    missing = sorted({ad.product_id for ad in booking.ads} - ready.keys())
    if missing:
        raise CatalogueError(
            f"{missing[0]} has creatives, but its photograph cannot be used any more",
            path=booking.workspace.catalog,
            remedy="`abp generate` says what is wrong with it; or withdraw its creatives",
        )
    return ready


def _links(booking: _Booking) -> dict[Ad, tuple[str, str]]:
    """Return every ad's token, and the URL to which a click leads."""
    from abplatform.creatives import read_catalogue

    workspace = booking.workspace
    signer = Signer(read_key(workspace.data), workspace.clock)
    products = {one.product_id: one for one in read_catalogue(workspace.catalog).products}
    found = {}
    for ad in booking.ads:
        token = token_of(ad, signer, until=booking.ends[ad])
        found[ad] = (token, _link(booking, ad, products[ad.product_id], token))
    return found


def _link(booking: _Booking, ad: Ad, product: Product, token: str) -> str:
    pattern = booking.channel.click_url
    if pattern is not None:
        return pattern.format(
            product_id=_quoted(ad.product_id), creative_id=ad.creative_id, token=token
        )
    url = product.attributes.get("url", "")
    if not url.startswith(("https://", "http://")):
        raise CatalogueError(
            f"nobody says where a click on {ad.product_id} leads",
            path=booking.workspace.root / "abp.yaml",
            remedy=f"write click_url into the channel {booking.channel_name}, "
            "or give the product an attribute `url`",
        )
    return f"{url}{'&' if '?' in url else '?'}abp={token}"


def _quoted(word: str) -> str:
    from urllib.parse import quote

    return quote(word, safe="")


def _write_archive(
    target: Path,
    booking: _Booking,
    files: Mapping[str, _Files],
    links: Mapping[Ad, tuple[str, str]],
) -> None:
    rows = list(_rows(booking, files, links))
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(zipfile.ZipInfo(SHEET, _MIDNIGHT), table.getvalue().encode())
        for creative_id, made in files.items():
            for path in made.values():
                info = zipfile.ZipInfo(_name_in_archive(creative_id, path), _MIDNIGHT)
                archive.writestr(info, path.read_bytes())
    draft.replace(target)


def _name_in_archive(creative_id: str, path: Path) -> str:
    return f"{creative_id[:12]}-{path.name}"


def _rows(
    booking: _Booking, files: Mapping[str, _Files], links: Mapping[Ad, tuple[str, str]]
) -> Iterable[dict[str, Any]]:
    texts = _texts(booking)
    for ad in booking.ads:
        token, link = links[ad]
        text = texts[ad]
        for path in files[ad.creative_id].values():
            width, height = _size_of(path)  # a heavy picture may have come out smaller
            yield {
                "ad": token,
                "ad_id": "",
                "experiment": ad.experiment,
                "variant": ad.variant,
                "channel": ad.channel,
                "product_id": ad.product_id,
                "category": ad.category,
                "creative_id": ad.creative_id,
                "text": text,
                "file": _name_in_archive(ad.creative_id, path),
                "width": width,
                "height": height,
                "click_url": link,
                "valid_until": booking.ends[ad].isoformat(),
            }


def _size_of(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.size


def _texts(booking: _Booking) -> dict[Ad, str]:
    """Return each ad's best text that is true today and short enough, else nothing."""
    from abplatform.creatives import read_catalogue
    from abplatform.creatives.texts import read_texts, usable_texts

    workspace, longest = booking.workspace, booking.channel.text_length
    known = read_texts(workspace.creatives)
    products = {one.product_id: one for one in read_catalogue(workspace.catalog).products}
    found = {}
    for ad in booking.ads:
        mine = known.get(ad.creative_id, ())
        now = workspace.clock()
        usable = usable_texts(mine, products[ad.product_id], now, longest=longest)
        own = booking.lineages[ad.creative_id].text or ""
        found[ad] = usable[0].text if usable else own if len(own) <= longest else ""
    return found
