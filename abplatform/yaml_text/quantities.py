"""Shapes of quantities: numbers, shares and lengths of time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.shapes import Leaf, Schema

__all__ = ["Duration", "Number", "Share", "write_duration", "write_share"]


@dataclass(frozen=True, slots=True)
class Number(Leaf):
    """A number within bounds.

    Args:
        minimum: The least value.
        maximum: The largest value.
        whole: Whether only whole numbers are valid.
        open_minimum: Whether the least value itself is refused.
    """

    minimum: float
    maximum: float
    whole: bool = False
    open_minimum: bool = False
    remedy: str = "write a number without a unit"

    @property
    def expects(self) -> str:  # type: ignore[override]  # a property stands in for the constant
        """Say what is expected."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {_bounds(self.minimum, self.maximum, open_minimum=self.open_minimum)}"

    def convert(self, node: Node, name: str) -> float:
        """Return the number: int if whole, else float."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.mismatch(node, name)
        if self.whole and value != math.floor(value):
            raise self.mismatch(node, name)
        if not _within(value, self.minimum, self.maximum, open_minimum=self.open_minimum):
            raise self.mismatch(node, name, code="out_of_range")
        return int(value) if self.whole else float(value)

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return _bounded(
            "integer" if self.whole else "number",
            self.minimum,
            self.maximum,
            open_minimum=self.open_minimum,
        )

    def write(self, value: float) -> float:
        """Return the number, without a fraction where it has none."""
        return int(value) if float(value).is_integer() else value


_LARGEST_SHARE = 10
_LONGEST_PERCENT = 12
_PERCENT = re.compile(r"([+-]?[0-9]{1,40}(?:\.[0-9]{1,80})?) ?%")


@dataclass(frozen=True, slots=True)
class Share(Leaf):
    """A share, written ``40%`` or ``0.4``.

    Args:
        minimum: The least value, as a fraction.
        maximum: The largest value, as a fraction.
        open_minimum: Whether the least value itself is refused.
    """

    minimum: float = 0.0
    maximum: float = 1.0
    open_minimum: bool = False
    remedy: str = "write it like 40% or 0.4"

    @property
    def expects(self) -> str:  # type: ignore[override]  # a property stands in for the constant
        """Say what is expected."""
        if self.maximum > _LARGEST_SHARE:
            return "a number or a percentage"
        low, high = write_share(self.minimum), write_share(self.maximum)
        return f"a share {_bounds(low, high, open_minimum=self.open_minimum)}"

    def convert(self, node: Node, name: str) -> float:
        """Return the share as a fraction."""
        value = node.value
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
            value = float(Decimal(match[1]).scaleb(-2))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.mismatch(node, name)
        if not _within(value, self.minimum, self.maximum, open_minimum=self.open_minimum):
            raise self.mismatch(node, name, code="out_of_range")
        return float(value)

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        number = _bounded("number", self.minimum, self.maximum, open_minimum=self.open_minimum)
        return {"anyOf": [{"type": "string", "pattern": f"^{_PERCENT.pattern}$"}, number]}

    def write(self, value: float) -> str | float:
        """Return the share in percent, or as it is if that would be long."""
        percent = write_share(value)
        return percent if len(percent) <= _LONGEST_PERCENT else value


def write_share(value: float) -> str:
    """Write a fraction in percent, exactly: 0.05 → ``5%``."""
    percent = Decimal(repr(float(value))).scaleb(2)
    text = f"{percent:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


_DURATION = re.compile(r"([0-9]{1,7}) ?([smhdw])")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Duration(Leaf):
    """A length of time, written ``30m``, ``24h`` or ``7d``.

    Args:
        minimum: The shortest.
        maximum: The longest.
    """

    minimum: timedelta = timedelta(0)
    maximum: timedelta = timedelta(days=366)
    remedy: str = "write a whole number and a unit: 30s, 15m, 24h, 7d or 2w"

    @property
    def expects(self) -> str:  # type: ignore[override]  # a property stands in for the constant
        """Say what is expected."""
        bounds = _bounds(write_duration(self.minimum), write_duration(self.maximum))
        return f"a length of time {bounds}"

    def convert(self, node: Node, name: str) -> timedelta:
        """Return the length of time."""
        match = _DURATION.fullmatch(node.value) if isinstance(node.value, str) else None
        if not match:
            raise self.mismatch(node, name)
        value = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        if not self.minimum <= value <= self.maximum:
            raise self.mismatch(node, name, code="out_of_range")
        return value

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"type": "string", "pattern": f"^{_DURATION.pattern}$"}

    def write(self, value: timedelta) -> str:
        """Return the length of time in the units that people use."""
        return write_duration(value)


def write_duration(value: timedelta) -> str:
    """Write a length of time: days from two days on, else hours, minutes or seconds.

    Raises:
        ValueError: It has a fraction of a second.
    """
    seconds = value // timedelta(seconds=1)
    if timedelta(seconds=seconds) != value:
        raise ValueError(f"{value} has a fraction of a second")
    if seconds == 0 or (seconds % 86_400 == 0 and seconds > 86_400):
        return f"{seconds // 86_400}d"
    unit = next(unit for unit in "hms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def _within(value: float, minimum: float, maximum: float, *, open_minimum: bool) -> bool:
    return (minimum < value if open_minimum else minimum <= value) and value <= maximum


def _bounds(minimum: object, maximum: object, *, open_minimum: bool = False) -> str:
    low, high = (_plain(bound) for bound in (minimum, maximum))
    return f"{'above' if open_minimum else 'from'} {low} to {high}"


def _plain(bound: object) -> object:
    """Write 1e9 as people do."""
    return f"{bound:,.0f}" if isinstance(bound, float) and bound.is_integer() else bound


def _bounded(kind: str, minimum: float, maximum: float, *, open_minimum: bool) -> Schema:
    low = "exclusiveMinimum" if open_minimum else "minimum"
    return {"type": kind, low: minimum, "maximum": maximum}
