"""Logs that are pulled, as abp.yaml names them under ``sources``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from abplatform.errors import SpecError
from abplatform.settings.zones import TIME_ZONE
from abplatform.yaml_text.lists import ListOf
from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.quantities import Duration
from abplatform.yaml_text.shapes import INVALID, Parsed, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where logs lie, and how often and until when they come.

    Args:
        name: Under which they land.
        path: A glob, relative to the workspace, or the URL of an object store.
        mapping: The mapping file, relative to the workspace; None for wire events.
        every: How often something new comes; a source is due until it has come.
        time_zone: What its local times mean, where its periods begin, and of ``expect_by``; None
            for the workspace's.
        expect_by: The time of day by which a day's files must have come; None: a source is late
            when nothing new has come for two periods.
    """

    name: str
    path: str
    mapping: str | None = None
    every: timedelta = timedelta(days=1)
    time_zone: ZoneInfo | None = None
    expect_by: time | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the path is a URL."""
        return "://" in self.path


_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _time_of_day(text: str) -> time:
    found = _CLOCK.fullmatch(text)
    if found:
        return time(int(found[1]), int(found[2]))
    raise SpecError(f"{text[:60]!r} is no time of day", code="bad_value", remedy=_TIME_REMEDY)


_TIME_REMEDY: Final = "write it like 06:30"
_TIME_OF_DAY: Final = Parsed(
    parse=_time_of_day,
    format=lambda moment: moment.strftime("%H:%M"),
    expects="a time of day",
    remedy=_TIME_REMEDY,
)
_NAME: Final = Text(
    pattern="[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    expects="a source's name",
    remedy="use letters, digits, dots, dashes and underscores, 64 at most",
)


def _source(**values: Any) -> Source:
    zone = values.pop("timezone", None)
    return Source(**values, time_zone=zone)


@dataclass(frozen=True, slots=True)
class _Sources(ListOf):
    """A list of sources in which each name comes once."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every source."""
        sources = ListOf.read(self, node, problems, name=name)
        if sources is INVALID:
            return INVALID
        seen: set[str] = set()
        items: list[Node] = list(node.value) if isinstance(node.value, list) else []
        for item, source in zip(items, sources, strict=True):
            if source.name in seen:
                problems.append(
                    item.child("name").error(
                        f"{name} names {source.name!r} twice",
                        code="duplicate_item",
                        remedy="give each source its own name",
                    )
                )
                return INVALID
            seen.add(source.name)
        return sources


SOURCES: Final = _Sources(
    Table(
        make=Source,
        build=_source,
        fields=(
            Field("name", _NAME, "Under which name its events land.", required=True),
            Field(
                "path",
                Text(max_length=1000),
                "A glob, relative to the workspace, or an object store's URL such as s3://b/*.csv.",
                required=True,
            ),
            Field("mapping", Text(max_length=1000), "The mapping file; none for wire events."),
            Field(
                "every",
                Duration(minimum=timedelta(minutes=1), maximum=timedelta(days=366)),
                "How often something new comes.",
            ),
            Field("timezone", TIME_ZONE, "What its local times mean; default the workspace's."),
            Field("expect_by", _TIME_OF_DAY, "When a day's files must have come, such as 06:30."),
        ),
    )
)
"""The shape of ``sources``."""
