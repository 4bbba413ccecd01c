"""Time zones as abp.yaml names them."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from abplatform.errors import SpecError
from abplatform.yaml_text import nearest
from abplatform.yaml_text.shapes import Parsed

__all__ = ["TIME_ZONE"]


def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        meant = nearest(name, available_timezones())
        raise SpecError(
            f"unknown time zone {name[:60]!r}",
            code="unknown_value",
            remedy=f"perhaps you meant '{meant}'" if meant else "write it like Asia/Shanghai",
        ) from None


TIME_ZONE: Final = Parsed(
    parse=_time_zone,
    format=lambda zone: zone.key,
    expects="a time zone",
    remedy="write it like Asia/Shanghai",
)
"""The shape of a time zone's name."""
