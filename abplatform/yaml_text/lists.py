"""Shapes of many values: lists, and mappings whose keys a person chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from abplatform.errors import SpecError
from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.shapes import INVALID, Schema, Shape, Text, describe

__all__ = ["ListOf", "MapOf", "no_mapping"]


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list of values of one shape, read as a tuple.

    Args:
        item: The shape of each.
        min_items: How many there must be.
        max_items: How many there may be.
        unique: Whether a value may come only once.
    """

    item: Shape
    min_items: int = 0
    max_items: int = 1000
    unique: bool = False

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every item."""
        items = node.value
        if not isinstance(items, list):
            problems.append(
                node.error(
                    f"{name} must be a list, not {describe(node)}",
                    code="wrong_type",
                    remedy="write it in brackets: [first, second]",
                )
            )
            return INVALID
        if not self.min_items <= len(items) <= self.max_items:
            problems.append(
                node.error(
                    f"{name} needs {self.min_items} to {self.max_items} entries, not {len(items)}",
                    code="wrong_length",
                    remedy="add or delete entries, or delete the key",
                )
            )
            return INVALID
        values = [self.item.read(item, problems, name=name) for item in items]
        if any(value is INVALID for value in values):
            return INVALID
        return tuple(values) if self._is_unique(values, items, problems, name) else INVALID

    def _is_unique(
        self, values: list[Any], items: list[Node], problems: list[SpecError], name: str
    ) -> bool:
        repeated = [i for i, value in enumerate(values) if self.unique and value in values[:i]]
        problems.extend(
            items[i].error(
                f"{name} names {values[i]!r} twice", code="duplicate_item", remedy="keep one"
            )
            for i in repeated
        )
        return not repeated

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        described: Schema = {"type": "array", "items": self.item.schema()}
        if self.min_items:
            described["minItems"] = self.min_items
        if self.unique:
            described["uniqueItems"] = True
        return described

    def write(self, value: Any) -> list[Any]:
        """Return the items as a list."""
        return [self.item.write(item) for item in value]


@dataclass(frozen=True, slots=True)
class MapOf(Shape):
    """A mapping whose keys a person chooses.

    Args:
        key: The shape of a key.
        item: The shape of a value.
        min_items: How many there must be.
        max_items: How many there may be.
    """

    key: Text
    item: Shape
    min_items: int = 0
    max_items: int = 1000

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every key and value; invalid ones are left out of the answer."""
        if not isinstance(node.value, dict):
            problems.append(no_mapping(node, name))
            return INVALID
        if not self.min_items <= len(node.value) <= self.max_items:
            problems.append(
                node.error(
                    f"{name} needs {self.min_items} to {self.max_items} entries, "
                    f"not {len(node.value)}",
                    code="wrong_length",
                    remedy="add or delete entries",
                )
            )
            return INVALID
        before = len(problems)
        values = {}
        for key, child in node.value.items():
            place = Node(key, *node.key_places[key], node.path)
            self.key.read(place, problems, name=f"the name in {name}")
            values[key] = self.item.read(child, problems, name=f"{name}.{key}")
        return values if len(problems) == before else INVALID

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        key = self.key.schema()
        described: Schema = {
            "type": "object",
            "propertyNames": {"pattern": key["pattern"], "maxLength": key["maxLength"]},
            "additionalProperties": self.item.schema(),
        }
        if self.min_items:
            described["minProperties"] = self.min_items
        return described

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries in their order."""
        return {key: self.item.write(item) for key, item in value.items()}


def no_mapping(node: Node, name: str) -> SpecError:
    """Make the error for a value that should be a mapping."""
    return node.error(
        f"{name or 'the file'} must be a mapping of keys and values, not {describe(node)}",
        code="wrong_type",
        remedy="write `key: value` lines, indented below",
    )
