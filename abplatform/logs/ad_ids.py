"""The ids that ad networks gave to our ads: facts on the disk, by which their reports join.

A report names a network's own ids. A mapping with ``ad_id: {field: COLUMN, channel: NAME}`` reads
them, and the ids that are known when the report comes in are kept with it, so that the store can
be made anew from the landing alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from abplatform.durable import append_rows
from abplatform.errors import IngestError
from abplatform.logs.landing import MappingText
from abplatform.logs.mapping import parse_mapping
from abplatform.logs.mapping.spec import ADS
from abplatform.workspace import Workspace

__all__ = ["AdId", "bind_ads", "read_ads", "record_ads"]

_FILE: Final = "ads.jsonl"


class AdId(Struct, frozen=True):
    """What a network's id means.

    Args:
        channel: The channel in which the network books.
        ad_id: The network's id.
        experiment: The experiment's key.
        variant: The variant's name.
        creative_id: sha256 of the master.
        product_id: What it advertises.
        category: The product's category.
    """

    channel: str
    ad_id: str
    experiment: str
    variant: str
    creative_id: str
    product_id: str
    category: str


def record_ads(workspace: Workspace, ads: Iterable[AdId]) -> int:
    """Keep what networks' ids mean; doing it again changes nothing.

    Args:
        workspace: Where to.
        ads: One for each id.

    Returns:
        How many are new.

    Raises:
        IngestError: An id means another ad already, or two; then none is kept.
    """
    path = workspace.landing / _FILE
    return append_rows(
        path,
        lambda there: map(msgspec.json.encode, _check(_decode(there, path), ads, path)),
    )


def _check(known: dict[tuple[str, str], AdId], ads: Iterable[AdId], path: Path) -> list[AdId]:
    """Return the ads that are new; an id means one ad, and an ad has one id in a channel.

    With two ids, two rows of a report would stand for one creative's day, and only one counts.
    """
    ids = {_booked(ad): ad.ad_id for ad in known.values()}
    fresh = []
    for ad in ads:
        before = known.setdefault((ad.channel, ad.ad_id), ad)
        if before != ad:
            raise IngestError(
                f"the ad id {ad.ad_id!r} of {ad.channel} means {_say(before)} already, "
                f"not {_say(ad)}",
                path=path,
                remedy="check the ids with the network; nothing was kept",
            )
        other = ids.setdefault(_booked(ad), ad.ad_id)
        if other != ad.ad_id:
            raise IngestError(
                f"{_say(ad)} has two ids in {ad.channel}: {other!r} and {ad.ad_id!r}",
                path=path,
                remedy="book all sizes of a creative as one ad; nothing was kept",
            )
        if before is ad:
            fresh.append(ad)
    return fresh


def _booked(ad: AdId) -> tuple[str, ...]:
    return ad.channel, ad.experiment, ad.variant, ad.creative_id


def _say(ad: AdId) -> str:
    return f"{ad.creative_id[:12]} in {ad.experiment}/{ad.variant}"


def read_ads(workspace: Workspace) -> dict[tuple[str, str], AdId]:
    """Return what networks' ids mean, by channel and id.

    Raises:
        IngestError: The file is damaged.
    """
    path = workspace.landing / _FILE
    if not path.is_file():
        return {}
    text = path.read_bytes()
    return _decode(text[: text.rfind(b"\n") + 1], path)


def bind_ads(workspace: Workspace, mapping: MappingText | None) -> MappingText | None:
    """Return a mapping with the ids of its channel that are known now, if it reads any.

    Raises:
        MappingError: It breaks a rule.
        IngestError: The known ids are damaged.
    """
    if mapping is None:
        return None
    source = parse_mapping(mapping, path=mapping.path).ad_source
    if source is None:
        return mapping
    known = {
        ad.ad_id: _meaning(ad)
        for (channel, _), ad in sorted(read_ads(workspace).items())
        if channel == source.channel
    }
    told = msgspec.json.encode(known, order="sorted").decode()
    return replace(mapping, settings={**mapping.settings, ADS: told})


def _meaning(ad: AdId) -> Mapping[str, str]:
    fields = msgspec.to_builtins(ad)
    return {name: value for name, value in fields.items() if name not in {"channel", "ad_id"}}


def _decode(text: bytes, path: Path) -> dict[tuple[str, str], AdId]:
    decoder = msgspec.json.Decoder(AdId)
    found = {}
    for line, row in enumerate(text.splitlines(), start=1):
        try:
            ad = decoder.decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise IngestError(
                f"this is no ad id: {error}",
                path=path,
                line=line,
                remedy="restore the file from a backup, or bring the sheets again",
            ) from None
        found[ad.channel, ad.ad_id] = ad
    return found
