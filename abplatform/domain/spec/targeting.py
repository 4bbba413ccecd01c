"""Keys that say who takes part: conditions on dimensions and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abplatform.domain.catalog import Category
from abplatform.domain.targeting import DIMENSIONS, Condition, NumberRange
from abplatform.errors import SpecError
from abplatform.yaml_text import Node
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.quantities import Number
from abplatform.yaml_text.shapes import INVALID, Flag, Parsed, Schema, Shape, Text, describe
from abplatform.yaml_text.tables import Field, Table

__all__ = ["TARGETING"]

_COUNTRY = Text(
    pattern="[A-Z]{2}",
    expects="an ISO 3166 country code",
    remedy="write two capital letters like CN",
    max_length=2,
)
_ATTRIBUTE = Text(
    pattern=r"[A-Za-z_][A-Za-z0-9_.-]*",
    expects="a name of letters, digits, dots, hyphens and underscores",
    remedy="write it like age or plan_tier",
    max_length=100,
)
_TEXTS = ListOf(Text(), min_items=1, unique=True)
_BOUND = Number(-1e15, 1e15)
_RANGE = Table(
    make=NumberRange,
    fields=(
        Field("min", _BOUND, "The least number that is admitted."),
        Field("below", _BOUND, "Numbers from here on are not admitted."),
    ),
)


def _category(path: str) -> str:
    try:
        return Category(path).path
    except ValueError as error:
        raise SpecError(str(error), code="bad_value", remedy="write it like beauty/lip") from None


class _Condition(Shape):
    """A list of texts, a range of numbers, or a truth value."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read whichever of the three it is."""
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, list):
            return _TEXTS.read(node, problems, name=name)
        if isinstance(node.value, dict):
            found = _RANGE.read(node, problems, name=name)
            return found if found is INVALID else self._checked(found, node, problems, name)
        problems.append(
            node.error(
                f"{name} must be a condition, not {describe(node)}",
                code="wrong_type",
                remedy="write texts as [gold, silver], numbers as {min: 18, below: 65}, or true",
            )
        )
        return INVALID

    def _checked(self, found: NumberRange, node: Node, problems: list[SpecError], name: str) -> Any:
        """Refuse a range that admits nothing, or everything."""
        if found == NumberRange():
            problem = f"{name} has no bound"
        elif found.min is not None and found.below is not None and found.min >= found.below:
            problem = f"{name} admits no number: below {found.below:g} and at least {found.min:g}"
        else:
            return found
        problems.append(
            node.error(problem, code="bad_value", remedy="write it like {min: 18, below: 65}")
        )
        return INVALID

    def schema(self) -> Schema:
        """Describe the shape as JSON Schema."""
        return {"anyOf": [_TEXTS.schema(), _RANGE.schema(), Flag().schema()]}

    def write(self, value: Condition) -> Any:
        """Return the condition as plain data."""
        if isinstance(value, NumberRange):
            return _RANGE.write(value)
        return list(value) if isinstance(value, tuple) else value


class _Attributes(MapOf):
    """Attribute to condition; a dimension of the platform is no attribute."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read every attribute."""
        names = node.value if isinstance(node.value, dict) else {}
        taken = [key for key in names if key in DIMENSIONS]
        problems.extend(
            node.error(
                f"{key} is no attribute",
                code="conflict",
                remedy=f"write it one level higher: `targeting: {{{key}: [...]}}`",
                key=key,
            )
            for key in taken
        )
        return INVALID if taken else super().read(node, problems, name=name)


def _flat(**values: Any) -> dict[str, Condition]:
    attributes = values.pop("attributes", {})
    return {**values, **attributes}


def _split(targeting: Mapping[str, Condition]) -> dict[str, Any]:
    own = {name: value for name, value in targeting.items() if name in DIMENSIONS}
    attributes = {name: value for name, value in targeting.items() if name not in DIMENSIONS}
    return {**own, "attributes": attributes} if attributes else own


TARGETING = Table(
    make=dict,
    build=_flat,
    split=_split,
    fields=(
        Field(
            "category",
            ListOf(Parsed(parse=_category, expects="a category"), min_items=1, unique=True),
            "Categories that take part, with all below them.",
        ),
        Field("country", ListOf(_COUNTRY, min_items=1, unique=True), "Countries that take part."),
        Field("channel", _TEXTS, "Channels that take part, such as app."),
        Field("placement", _TEXTS, "Places that take part, such as feed-3."),
        Field("segment", _TEXTS, "Segments that take part."),
        Field(
            "attributes",
            _Attributes(_ATTRIBUTE, _Condition(), min_items=1, max_items=50),
            "Conditions on a request's own attributes: texts, numbers or a truth.",
        ),
    ),
)
