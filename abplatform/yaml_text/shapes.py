"""What one value of a YAML file may be: described once, for reading, writing and JSON Schema.

A shape reads a :class:`~abplatform.yaml_text.nodes.Node` into a Python value and collects every
problem on the way, writes such a value back as plain data, and describes itself as JSON Schema.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from abplatform.errors import SpecError
from abplatform.yaml_text.nodes import Node, nearest

__all__ = [
    "INVALID",
    "Choice",
    "Flag",
    "Invalid",
    "Leaf",
    "Parsed",
    "Schema",
    "Shape",
    "Text",
    "describe",
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
