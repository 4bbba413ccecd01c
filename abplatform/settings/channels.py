"""Where creatives are shown, as abp.yaml names them under ``channels``: sizes, bytes and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from abplatform.errors import SpecError
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.quantities import Number, Share
from abplatform.yaml_text.shapes import Choice, Parsed, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["CHANNELS", "DEFAULT_CHANNELS", "Channel"]

PictureForm = Literal["jpeg", "webp"]
_Size = tuple[int, int]

_LEAST_SIDE: Final = 64
_MOST_SIDE: Final = 4096
_WRITTEN: Final = re.compile(r"([0-9]{2,4})x([0-9]{2,4})")


@dataclass(frozen=True, slots=True)
class Channel:
    """What one channel takes.

    Args:
        sizes: Width and height of its pictures in pixels, such as 1080 x 1350.
        safe_area: The share of each side that its own buttons may cover; no product stands there.
        max_bytes: What one picture may weigh.
        form: The kind of file, ``jpeg`` or ``webp``.
        text_length: The most characters of an ad's text.
        click_url: Where a click leads, with ``{product_id}``, ``{creative_id}`` and ``{token}``
            filled in; None: each product's attribute ``url``, with the token behind it.
    """

    sizes: tuple[_Size, ...]
    safe_area: float = 0.08
    max_bytes: int = 150_000
    form: PictureForm = "jpeg"
    text_length: int = 50
    click_url: str | None = None


DEFAULT_CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType(
    {
        "feed": Channel(sizes=((1080, 1080), (1080, 1350))),
        "story": Channel(sizes=((1080, 1920),), safe_area=0.1),
        "wide": Channel(sizes=((1280, 720),)),
    }
)
"""The channels of every workspace; abp.yaml may change each and add others."""


def _read_size(text: str) -> _Size:
    found = _WRITTEN.fullmatch(text)
    if found and all(_LEAST_SIDE <= int(side) <= _MOST_SIDE for side in found.groups()):
        return int(found[1]), int(found[2])
    raise SpecError(f"{text[:40]!r} is no size", code="bad_value", remedy=_SIZE_REMEDY)


_SIZE_REMEDY: Final = f"write width and height, {_LEAST_SIDE} to {_MOST_SIDE}, like 1080x1350"
_PLACEHOLDERS: Final = "{product_id}, {creative_id} and {token}"


def _read_link(text: str) -> str:
    try:
        text.format(product_id="", creative_id="", token="")
        is_good = text.startswith(("https://", "http://")) and not re.search(
            r"\s|\{[^}]*[.\[!:]", text
        )
    except (KeyError, IndexError, ValueError):
        is_good = False
    if not is_good or len(text) > 1000:
        raise SpecError(f"{text[:60]!r} is no address", code="bad_value", remedy=_LINK_REMEDY)
    return text


_LINK_REMEDY: Final = f"write a URL of 1,000 characters at most; {_PLACEHOLDERS} are filled in"

_CHANNEL: Final = Table(
    make=Channel,
    fields=(
        Field(
            "sizes",
            ListOf(
                Parsed(
                    parse=_read_size,
                    format=lambda size: f"{size[0]}x{size[1]}",
                    expects="a size in pixels",
                    remedy=_SIZE_REMEDY,
                ),
                min_items=1,
                max_items=40,
                unique=True,
            ),
            "Width and height of its pictures in pixels, such as 1080x1350.",
            required=True,
        ),
        Field(
            "safe_area",
            Share(maximum=0.3),
            "The share of each side that the channel's own buttons may cover.",
        ),
        Field("max_bytes", Number(5_000, 50_000_000, whole=True), "What one picture may weigh."),
        Field(
            "form",
            Choice({"jpeg": "Read everywhere.", "webp": "A quarter lighter; no old readers."}),
            "The kind of file.",
        ),
        Field("text_length", Number(1, 1000, whole=True), "The most characters of an ad's text."),
        Field(
            "click_url",
            Parsed(
                parse=_read_link,
                expects="an address",
                remedy=_LINK_REMEDY,
            ),
            f"Where a click leads; {_PLACEHOLDERS} are filled in.",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Channels(MapOf):
    """Channels by name, beside the built-in ones."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every channel; those that are not named stay as they are built in."""
        before = len(problems)
        named = MapOf.read(self, node, problems, name=name)
        return named if len(problems) > before else {**DEFAULT_CHANNELS, **named}


CHANNELS: Final = _Channels(
    Text(
        pattern="[a-z][a-z0-9_-]{0,31}",
        expects="a channel's name",
        remedy="use small letters, digits, dashes and underscores, 32 at most",
    ),
    _CHANNEL,
)
"""The shape of ``channels``."""
