"""``abp export creatives``: what an ad network needs to book an experiment's creatives."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from abplatform.cli.makers import find_makers
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.cli.rendition_drawing import Files, Wanted, draw_renditions, find_channel
from abplatform.errors import CatalogueError, RegistryError
from abplatform.settings import Channel
from abplatform.traffic.ads import Ad, ads_of, last_moment, token_of
from abplatform.traffic.approval import Place
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry
from abplatform.traffic.service.tokens import Signer, read_key
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.cli.options import Advance
    from abplatform.domain.catalog import Lineage, Product
    from generators.intake import ReadyProduct

__all__ = ["export_creatives"]

SHEET: Final = "ads.csv"
COLUMNS: Final = (
    *("ad", "ad_id", "experiment", "variant", "channel", "product_id", "category"),
    *("creative_id", "text", "file", "width", "height", "click_url", "valid_until"),
)
_MIDNIGHT: Final = (1980, 1, 1, 0, 0, 0)
"""The moment that every file in the archive bears, so that the same ads give the same bytes."""


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
    channel = find_channel(channel_name, channels, workspace.root / "abp.yaml")
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
    return _Booking(workspace, channel_name, channel, until, ads, ends, config.creatives)


def _draw(booking: _Booking, advance: Advance) -> dict[str, Files]:
    """Draw what is missing, in order of creatives."""
    from generators.brand import read_brands

    workspace = booking.workspace
    products, brands = _ready_products(booking), read_brands(workspace.catalog)
    renderer = find_makers(workspace.settings.generators.within(workspace.root)).renderer
    wanted = [
        Wanted(
            workspace.creatives,
            products[ad.product_id],
            booking.lineages[ad.creative_id],
            booking.channel_name,
            booking.channel,
            renderer,
            brands,
        )
        for ad in {ad.creative_id: ad for ad in booking.ads}.values()
    ]
    files: dict[str, Files] = {}
    for one, made in zip(wanted, draw_renditions(wanted), strict=True):
        if isinstance(made, CatalogueError):
            raise made
        files[one.lineage.creative_id] = made
        advance(len(files), len(wanted))
    return files


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
    files: Mapping[str, Files],
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
    booking: _Booking, files: Mapping[str, Files], links: Mapping[Ad, tuple[str, str]]
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
                "product_id": _as_text(ad.product_id),
                "category": _as_text(ad.category),
                "creative_id": ad.creative_id,
                "text": _as_text(text),
                "file": _name_in_archive(ad.creative_id, path),
                "width": width,
                "height": height,
                "click_url": link,
                "valid_until": booking.ends[ad].isoformat(),
            }


def _as_text(cell: str) -> str:
    """Keep a spreadsheet from taking a cell for a formula (OWASP, CSV Injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


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
