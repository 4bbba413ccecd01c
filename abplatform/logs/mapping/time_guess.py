"""How a column of moments seems to be written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

__all__ = ["guess_time"]

_EPOCH_MS: Final = re.compile(r"1\d{12}")
_EPOCH: Final = re.compile(r"1\d{9}(\.\d+)?")
_WEEK: Final = re.compile(r"\d{4}-?W?\d{2}")
_DAYS: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", "T%H:%M:%S.%f")


def guess_time(cells: Sequence[Any], column: str) -> tuple[str, bool]:
    """Return the mapping's ``time`` line, and whether the column holds days as YYYY-MM-DD.

    Args:
        cells: The column's cells in the first rows.
        column: Its name.
    """
    name = json.dumps(column, ensure_ascii=False)
    line = f"time: {{field: {name}"
    if not cells:
        return f"{line}}}    # empty in the first rows", False
    shown, texts = f"for example {cells[0]!r}", [str(cell).strip() for cell in cells]
    if all(isinstance(cell, date) and not isinstance(cell, datetime) for cell in cells):
        return f"{line}}}    # a day, {shown}", True
    for fits, written, told in _FORMS:
        if all(fits(text) for text in texts):
            return f"{line}{written}}}    # {told}{shown}", False
    without = [text for text in texts if not _is_zoned(text)]
    if len(without) < len(texts):
        told = f"RFC 3339, but {len(without)} of the first {len(texts)} have no offset"
        return f"{line}}}    # {told}, such as {without[0]!r}", False
    fitting = list(_patterns(texts))
    if not fitting:
        return f"{line}}}    # {shown} is not recognised: say its format", False
    days = {pattern[:8] for pattern in fitting}
    doubt = "; or is the month first?" if {"%d/%m/%Y", "%m/%d/%Y"} <= days else ""
    written = f"{line}, format: {json.dumps(fitting[0])}, zone: UTC}}"
    told = f"{shown} names no offset: where is it local?{doubt}"
    return f"{written}    # {told}", fitting[0] == "%Y-%m-%d"


def _is_zoned(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


_FORMS: Final[tuple[tuple[Callable[[str], object], str, str], ...]] = (
    (_EPOCH_MS.fullmatch, ", format: epoch_ms", "milliseconds since 1970, "),
    (_EPOCH.fullmatch, "", "seconds since 1970 are not read: export milliseconds; "),
    (_is_zoned, "", "RFC 3339 with its offset, "),
    (_WEEK.fullmatch, ", format: iso_week", "weeks, "),
)
"""Whether a text is written so, what the mapping says of it, and what the comment says."""


def _patterns(texts: Sequence[str]) -> Iterator[str]:
    for day in _DAYS:
        for clock in _CLOCKS:
            if all(_fits(text, day + clock) for text in texts):
                yield day + clock


def _fits(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007 -- only whether it can be read
    except ValueError:
        return False
    return True
