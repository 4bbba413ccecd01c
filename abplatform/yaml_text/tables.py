"""Tables: mappings with known keys, described once and shared by reader, writer and schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abplatform.errors import SpecError
from abplatform.yaml_text.lists import no_mapping
from abplatform.yaml_text.nodes import Node, nearest
from abplatform.yaml_text.shapes import INVALID, Schema, Shape

__all__ = ["Field", "Table", "in_one"]


_MOST_GUESSES = 50
"""A file with thousands of unknown keys is no experiment, and guessing takes time."""


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
        if self.shorthand and isinstance(children, str | int | float):
            children = {self.shorthand: node}
        if not isinstance(children, dict):
            problems.append(no_mapping(node, name))
            return {}
        known = {field.name: field for field in self.fields}
        strangers = [key for key in children if key not in known]
        meant = {key: nearest(key, known) for key in strangers[:_MOST_GUESSES]}
        values = {}
        for key, child in children.items():
            if key not in known:
                problems.append(self._unknown(node, key, name, meant.get(key)))
            elif known[key].later:
                problems.append(_not_available(node, known[key], name))
            else:
                full_name = f"{name}.{key}" if name else key
                values[key] = known[key].shape.read(child, problems, name=full_name)
        # A misspelt key has been named already; that its right spelling is missing is no news.
        problems.extend(
            _missing(node, field, name)
            for field in self.fields
            if field.required and field.name not in children and field.name not in meant.values()
        )
        return {key: value for key, value in values.items() if value is not INVALID}

    def _unknown(self, node: Node, key: str, name: str, meant: str | None) -> SpecError:
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
