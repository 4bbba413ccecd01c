"""``abp ingest --ids``: the ids that networks gave to our ads."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from abplatform.cli.options import print_json
from abplatform.errors import IngestError, RegistryError
from abplatform.logs.ad_ids import AdId, record_ads
from abplatform.traffic.ads import read_token
from abplatform.traffic.service.tokens import Signer, read_key
from abplatform.workspace import open_workspace

__all__ = ["take_ids"]

_LARGEST_BYTES: Final = 256 << 20
_NEEDED: Final = ("ad", "ad_id")


def take_ids(folder: Path | None, sheet: Path, *, as_json: bool) -> None:
    """Keep what a sheet's ids mean; rows without one are passed over.

    Args:
        folder: The workspace.
        sheet: What `abp export creatives` wrote, or any CSV with its columns ad and ad_id.
        as_json: Whether to print JSON.

    Raises:
        IngestError: The sheet cannot be read, or an id means two things.
    """
    workspace = open_workspace(folder)
    signer = Signer(read_key(workspace.data), workspace.clock)
    rows = list(_read(sheet))
    ads = [_ad(signer, sheet, line, row) for line, row in rows if row["ad_id"].strip()]
    if not ads:
        raise IngestError(
            "no row has an ad_id",
            path=sheet,
            remedy="fill in the column ad_id with what the network calls each ad",
        )
    with workspace.lock("ingest ids"):
        fresh = record_ads(workspace, ads)
    without = sum(not row["ad_id"].strip() for _, row in rows)
    if as_json:
        print_json({"ads": len(ads), "new": fresh, "without_id": without})
        return
    click.echo(f"{len(ads)} rows with an ad id, {fresh} of them new; {without} without one")


def _read(sheet: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        if sheet.stat().st_size > _LARGEST_BYTES:
            raise IngestError("the sheet is larger than 256 MiB", path=sheet, remedy="split it")
        text = sheet.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise IngestError("it is not UTF-8", path=sheet, remedy="save it as UTF-8") from None
    except OSError as error:
        message = f"the sheet cannot be read: {error.strerror}"
        raise IngestError(message, path=sheet, remedy="check its name") from None
    reader = csv.DictReader(text.splitlines(keepends=True))
    try:
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise IngestError(
                f"there is no column {missing[0]!r}",
                path=sheet,
                line=1,
                remedy="bring the sheet of `abp export creatives` with its columns ad and ad_id",
            )
        for row in reader:
            yield reader.line_num, {name: row[name] or "" for name in _NEEDED}
    except csv.Error as error:
        message = f"it is no CSV: {error}"
        raise IngestError(
            message, path=sheet, line=reader.line_num, remedy="save it anew"
        ) from None


def _ad(signer: Signer, sheet: Path, line: int, row: dict[str, str]) -> AdId:
    try:
        ad = read_token(row["ad"].strip(), signer)
    except RegistryError as error:
        raise IngestError(error.message, path=sheet, line=line, remedy=error.remedy) from None
    return AdId(
        channel=ad.channel,
        ad_id=row["ad_id"].strip(),
        experiment=ad.experiment,
        variant=ad.variant,
        creative_id=ad.creative_id,
        product_id=ad.product_id,
        category=ad.category,
    )
