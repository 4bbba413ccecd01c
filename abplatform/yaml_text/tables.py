"""Shapes made of shapes: lists, maps with free keys, and tables of known keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abplatform.errors import SpecError
from abplatform.yaml_text.composer import Node, nearest
from abplatform.yaml_text.shapes import INVALID, Schema, Shape, Text, describe

__all__ = ["Field", "ListOf", "MapOf", "Table", "in_one"]


def in_one(problems: Sequence[SpecError]) -> SpecError:
    """Make one error of several: the first in the file, saying how many more there are."""
    first = min(problems, key=lambda problem: (problem.line or 0, problem.column or 0))
    if len(problems) == 1:
        return first
    more = f"; {len(problems) - 1} more in this file: `abp validate` lists them all"
    return SpecError(
        first.message,
        path=first.path,
        line=first.line,
        column=first.column,
        remedy=(first.remedy or "mend it") + more,
        code=first.code,
    )


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
                    f"{name} has {len(items)} entries, it needs {self.min_items} to "
                    f"{self.max_items}",
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
            problems.append(_no_mapping(node, name))
            return INVALID
        if not self.min_items <= len(node.value) <= self.max_items:
            problems.append(
                node.error(
                    f"{name} has {len(node.value)} entries, it needs {self.min_items} to "
                    f"{self.max_items}",
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


@dataclass(frozen=True, slots=True)
class Field:
    """One known key of a table.

    Args:
        name: The key.
        shape: What its value may be.
        about: One sentence for editors.
        required: Whether it must be there.
        later: What is missing until the key can be used; None for a key that works.
    """

    name: str
    shape: Shape
    about: str
    required: bool = False
    later: str | None = None


@dataclass(frozen=True, slots=True)
class Table(Shape):
    """A mapping with known keys.

    Args:
        fields: Its keys, in the order in which they are written.
        make: The dataclass that is built from the values; its defaults are the keys' defaults.
        shorthand: The key that a bare scalar stands for.
        build: Builds the value in another way than ``make(**values)``.
        split: Undoes ``build``; it returns the keys that shall be written.
    """

    fields: tuple[Field, ...]
    make: Callable[..., Any]
    shorthand: str | None = None
    build: Callable[..., Any] | None = None
    split: Callable[[Any], Mapping[str, Any]] | None = None

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every key and build the value if all of them are valid."""
        before = len(problems)
        values = self.read_values(node, problems, name=name)
        if len(problems) > before:
            return INVALID
        return (self.build or self.make)(**values)

    def read_values(self, node: Node, problems: list[SpecError], *, name: str) -> dict[str, Any]:
        """Read every key; the answer holds those that are valid."""
        children = node.value
        if self.shorthand and isinstance(children, str):
            children = {self.shorthand: node}
        if not isinstance(children, dict):
            problems.append(_no_mapping(node, name))
            return {}
        known = {field.name: field for field in self.fields}
        values = {}
        for key, child in children.items():
            if key not in known:
                problems.append(self._unknown(node, key, name))
            elif known[key].later:
                problems.append(_not_available(node, known[key], name))
            else:
                full_name = f"{name}.{key}" if name else key
                values[key] = known[key].shape.read(child, problems, name=full_name)
        # A misspelt key has been named already; that its right spelling is missing is no news.
        misspelt = {nearest(key, known) for key in children if key not in known}
        problems.extend(
            _missing(node, field, name)
            for field in self.fields
            if field.required and field.name not in children and field.name not in misspelt
        )
        return {key: value for key, value in values.items() if value is not INVALID}

    def _unknown(self, node: Node, key: str, name: str) -> SpecError:
        meant = nearest(key, [field.name for field in self.fields])
        allowed = ", ".join(field.name for field in self.fields if not field.later)
        where = f" in {name}" if name else ""
        return node.error(
            f"unknown key '{key[:60]}'{where}",
            code="unknown_key",
            remedy=f"perhaps you meant '{meant}'" if meant else f"the keys here are: {allowed}",
            key=key,
        )

    def defaults(self) -> dict[str, Any]:
        """Return key to Python value for every key that has a default."""
        if not dataclasses.is_dataclass(self.make):
            return {}
        found = {}
        for member in dataclasses.fields(self.make):
            if member.default is not dataclasses.MISSING:
                found[member.name] = member.default
            elif member.default_factory is not dataclasses.MISSING:
                found[member.name] = member.default_factory()
        return found

    def schema(self) -> Schema:
        """Describe the table as JSON Schema; keys that are not available yet are left out."""
        defaults = self.defaults()
        properties = {}
        for field in self.fields:
            if field.later:
                continue
            described = {"description": field.about, **field.shape.schema()}
            if defaults.get(field.name) is not None and not isinstance(field.shape, Table):
                described["default"] = field.shape.write(defaults[field.name])
            properties[field.name] = described
        table: Schema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        required = [field.name for field in self.fields if field.required]
        if required:
            table["required"] = required
        if self.shorthand is None:
            return table
        shape = next(field.shape for field in self.fields if field.name == self.shorthand)
        return {"anyOf": [shape.schema(), table]}

    def write(self, value: Any) -> Any:
        """Return the keys as plain data, without those that say what holds anyway."""
        values = self.split(value) if self.split else self._spoken(value)
        return {
            field.name: field.shape.write(values[field.name])
            for field in self.fields
            if field.name in values
        }

    def _spoken(self, value: Any) -> dict[str, Any]:
        values = value if isinstance(value, Mapping) else self._members(value)
        defaults = self.defaults()
        return {
            field.name: values[field.name]
            for field in self.fields
            if field.name in values
            and (field.required or values[field.name] != defaults.get(field.name))
        }

    def _members(self, value: object) -> dict[str, Any]:
        names = [field.name for field in self.fields]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _no_mapping(node: Node, name: str) -> SpecError:
    return node.error(
        f"{name or 'the file'} must be a mapping of keys and values, not {describe(node)}",
        code="wrong_type",
        remedy="write `key: value` lines, indented below",
    )


def _missing(node: Node, field: Field, name: str) -> SpecError:
    where = f" in {name}" if name else ""
    return node.error(
        f"the key '{field.name}' is missing{where}",
        code="missing_key",
        remedy=f"add it: {field.about[0].lower()}{field.about[1:].rstrip('.')}",
    )


def _not_available(node: Node, field: Field, name: str) -> SpecError:
    full_name = f"{name}.{field.name}" if name else field.name
    return node.error(
        f"{full_name} is not available yet ({field.later})",
        code="not_available",
        remedy="delete the key",
        key=field.name,
    )
