"""Days that are unlike others, as abp.yaml names them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from abplatform.errors import SpecError
from abplatform.yaml_text.lists import ListOf
from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.quantities import Share
from abplatform.yaml_text.shapes import INVALID, Parsed, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["CALENDAR", "CalendarStretch"]


@dataclass(frozen=True, slots=True, order=True)
class CalendarStretch:
    """Workspace days that are unlike others, such as a sale.

    Args:
        first: The first such day.
        last: The last such day; the first one where there is one only.
        name: What the days are called.
        learn: How much the reward model learns from pairs of a week with such a day, 0 … 1.
    """

    first: date
    last: date
    name: str
    learn: float = 1.0

    def __contains__(self, day: date) -> bool:
        """Whether the workspace day is one of them."""
        return self.first <= day <= self.last


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-11") else _no_day(text)
    except ValueError:
        return _no_day(text)


def _no_day(text: str) -> date:
    raise SpecError(f"{text[:60]!r} is no day", code="bad_value", remedy=_DAY_REMEDY)


@dataclass(frozen=True, slots=True)
class _StretchTable(Table):
    """One entry of the calendar: ``day``, or ``from`` and ``to``."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read one entry; its two ways to name days exclude each other."""
        before = len(problems)
        values = self.read_values(node, problems, name=name)
        if len(problems) > before:
            return INVALID
        single = "day" in values
        first = values.get("day" if single else "from")
        last = values.get("day" if single else "to")
        if first is None or last is None or (single and {"from", "to"} & set(values)):
            problems.append(
                node.error(
                    f"an entry of {name} has either a day, or from and to",
                    code="missing_key",
                    remedy="write {day: 2026-11-11, name: …} or "
                    "{from: 2026-11-27, to: 2026-11-30, name: …}",
                )
            )
            return INVALID
        if last < first:
            problems.append(
                node.child("to").error(
                    f"{name}: {last} lies before {first}",
                    code="wrong_order",
                    remedy="exchange from and to",
                )
            )
            return INVALID
        return CalendarStretch(first, last, values["name"], values.get("learn", 1.0))


_DAY_REMEDY = "write it like 2026-11-11"
_DAY = Parsed(parse=_day, format=date.isoformat, expects="a day", remedy=_DAY_REMEDY)

CALENDAR: Final = ListOf(
    _StretchTable(
        make=CalendarStretch,
        fields=(
            Field("day", _DAY, "One day that is unlike others."),
            Field("from", _DAY, "The first of several days."),
            Field("to", _DAY, "The last of several days."),
            Field("name", Text(max_length=80), "What the day is called.", required=True),
            Field(
                "learn",
                Share(minimum=0.0),
                "How much the reward model learns from pairs of a week with such a day.",
            ),
        ),
    ),
)
"""The shape of ``calendar``."""
