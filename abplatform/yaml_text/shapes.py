"""What one value of a YAML file may be: described once, for reading, writing and JSON Schema.

A shape reads a :class:`~abplatform.yaml_text.composer.Node` into a Python value and collects every
problem on the way, writes such a value back as plain data, and describes itself as JSON Schema.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from abplatform.errors import SpecError
from abplatform.yaml_text.composer import Node, nearest

__all__ = [
    "INVALID",
    "Choice",
    "Duration",
    "Flag",
    "Invalid",
    "Leaf",
    "Number",
    "Parsed",
    "Schema",
    "Shape",
    "Share",
    "Text",
    "describe",
    "write_duration",
    "write_share",
]

Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""


class Invalid(Enum):
    """Marks a value that could not be read; its problem has been collected."""

    INVALID = "invalid"


INVALID: Final = Invalid.INVALID


class Shape(ABC):
    """What a value may be."""

    @abstractmethod
    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read a node.

        Args:
            node: The value and its place.
            problems: Every mistake found is appended here.
            name: What the value is called in messages, such as ``layer.share``.

        Returns:
            The Python value, or :data:`INVALID` if a problem was found.
        """

    @abstractmethod
    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""

    def write(self, value: Any) -> Any:
        """Return the value as plain YAML data; reading it gives the value back."""
        return value


class Leaf(Shape):
    """A shape of one scalar."""

    expects: str
    remedy: str

    @abstractmethod
    def convert(self, node: Node, name: str) -> Any:
        """Return the Python value.

        Raises:
            SpecError: The scalar is not what is expected.
        """

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Convert the scalar, collecting its one problem."""
        try:
            return self.convert(node, name)
        except SpecError as problem:
            problems.append(problem)
            return INVALID

    def mismatch(self, node: Node, name: str, *, code: str = "wrong_type") -> SpecError:
        """Make the error that says what was expected here."""
        remedy = "give it a value, or delete the key" if node.value is None else self.remedy
        return node.error(
            f"{name} must be {self.expects}, not {describe(node)}", code=code, remedy=remedy
        )


def describe(node: Node) -> str:
    """Say in words what a node holds."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    return f"the number {value}"


@dataclass(frozen=True, slots=True)
class Text(Leaf):
    """A text.

    Args:
        pattern: A regular expression for the whole text, understood by Python and JavaScript.
        expects: What is expected, in words.
        remedy: What to do when it is something else.
        max_length: In characters.
    """

    pattern: str = r"[\s\S]*\S[\s\S]*"
    expects: str = "a text"
    remedy: str = "put the value in quotes"
    max_length: int = 200

    def convert(self, node: Node, name: str) -> str:
        """Return the text."""
        if not isinstance(node.value, str):
            raise self.mismatch(node, name)
        if len(node.value) > self.max_length:
            raise node.error(
                f"{name} is longer than {self.max_length} characters",
                code="too_long",
                remedy="shorten it",
            )
        if not re.fullmatch(self.pattern, node.value):
            raise self.mismatch(node, name, code="bad_value")
        return node.value

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.max_length}


@dataclass(frozen=True, slots=True)
class Parsed(Leaf):
    """A text with a grammar of its own.

    Args:
        parse: Turns the text into a value; raises SpecError without a place.
        format: Turns the value back into text.
        expects: What is expected, in words.
        remedy: What to do when it is something else.
    """

    parse: Callable[[str], Any]
    format: Callable[[Any], str] = str
    expects: str = "a text"
    remedy: str = "put the value in quotes"

    def convert(self, node: Node, name: str) -> Any:
        """Return what the text means."""
        if not isinstance(node.value, str):
            raise self.mismatch(node, name)
        try:
            return self.parse(node.value)
        except SpecError as problem:
            raise node.error(
                f"{name}: {problem.message}",
                code=problem.code,
                remedy=problem.remedy or self.remedy,
            ) from None

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"type": "string"}

    def write(self, value: Any) -> str:
        """Return the value's text."""
        return self.format(value)


@dataclass(frozen=True, slots=True)
class Flag(Leaf):
    """``true`` or ``false``."""

    expects: str = "true or false"
    remedy: str = "write true or false"

    def convert(self, node: Node, name: str) -> bool:
        """Return the truth value."""
        if not isinstance(node.value, bool):
            raise self.mismatch(node, name)
        return node.value

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Leaf):
    """One word of a few.

    Args:
        values: Word to what it means, for editors.
        later: Words that will mean something once they are built: word to what is missing.
    """

    values: Mapping[str, str]
    later: Mapping[str, str] = field(default_factory=dict)

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property stands in for the constant
        """Name the words that are valid."""
        return f"write one of: {', '.join(self.values)}"

    @property
    def expects(self) -> str:  # type: ignore[override]  # a property stands in for the constant
        """Say what is expected."""
        return f"one of {', '.join(self.values)}"

    def convert(self, node: Node, name: str) -> str:
        """Return the word."""
        word = node.value
        if not isinstance(word, str):
            raise self.mismatch(node, name)
        if word in self.later:
            raise node.error(
                f"{name}: {word} is not available yet ({self.later[word]})",
                code="not_available",
                remedy=self.remedy,
            )
        if word not in self.values:
            meant = nearest(word, [*self.values, *self.later])
            hint = f"perhaps you meant '{meant}'; " if meant else ""
            raise node.error(
                f"{name} cannot be {describe(node)}",
                code="unknown_value",
                remedy=hint + self.remedy,
            )
        return word

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"enum": list(self.values), "enumDescriptions": list(self.values.values())}


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

    def write(self, value: float) -> str:
        """Return the share in percent."""
        return write_share(value)


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
    return f"{'above' if open_minimum else 'from'} {minimum} to {maximum}"


def _bounded(kind: str, minimum: float, maximum: float, *, open_minimum: bool) -> Schema:
    low = "exclusiveMinimum" if open_minimum else "minimum"
    return {"type": kind, low: minimum, "maximum": maximum}
