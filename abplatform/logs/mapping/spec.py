"""The mapping file: which column of a foreign log is which field of an event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from abplatform.domain.events import EVENT_TYPES
from abplatform.domain.experiment import Unit
from abplatform.errors import MappingError
from abplatform.logs.landing import MappingText
from abplatform.logs.mapping.amounts import AMOUNTS, DECIMALS
from abplatform.yaml_text import Node, nearest, parse, plain

__all__ = ["ADS", "TIME_ZONE", "AdSource", "Declares", "Mapping", "parse_mapping", "wire_fields"]

TIME_ZONE: Final = "time.zone"
"""The setting that says from outside where a log's local times are."""

ADS: Final = "ads"
"""The setting that says what networks' ids mean: JSON, id to fields and their values."""

_KEYS: Final = (
    "event",
    "ad_id",
    "fields",
    "constants",
    "row_number",
    "time",
    "money",
    "clicked",
    "text",
    "experiment",
)
_AD_FIELDS: Final = frozenset(
    {"experiment", "variant", "creative_id", "product_id", "category"},
)
_MADE_HERE: Final = frozenset({"schema", "event_type", "ts", "assignments", "attributes"})
_ZONED: Final = re.compile(r"%:?z")


@dataclass(frozen=True, slots=True)
class Declares:
    """That the log itself declares its experiments.

    Args:
        control: ``first``, or the control's name.
        unit: What was randomised.
    """

    control: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class AdSource:
    """Where a report names the network's ads.

    Args:
        column: The one with the network's ids.
        channel: The channel whose ids they are.
        known: Id to the fields that it stands for.
    """

    column: str
    channel: str
    known: Names[str, Names[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, checked.

    Args:
        event: What a row is.
        columns: Wire field to column.
        constants: Wire field to the value it always has.
        row_numbers: Id field to the word in its ids, and ``variant`` to the column within whose
            values rows are numbered v1, v2 ….
        time_column: Where ``ts`` comes from, or None.
        time_format: None for RFC 3339, ``epoch_ms``, ``iso_week``, or a strptime pattern.
        time_zone: Of moments without an offset; None: they are refused.
        amounts: Wire field in millionths to the column that holds the amount in whole units.
        decimal: What stands before the cents in those columns.
        clicked: A 0/1 column that makes a click of an impression, or None.
        text: Columns that make the creative's text.
        declares: Whether the log declares its experiments, or None.
        path: The file, for messages.
        places: Column to where the file names it.
        ad_source: Where the network's ids stand, or None.
    """

    event: str
    columns: Names[str, str]
    constants: Names[str, str]
    row_numbers: Names[str, str]
    time_column: str | None
    time_format: str | None
    clicked: str | None
    text: tuple[str, ...]
    declares: Declares | None
    path: Path
    places: Names[str, tuple[int, int]] = field(default_factory=dict)
    time_zone: ZoneInfo | None = None
    amounts: Names[str, str] = field(default_factory=dict)
    decimal: str = "."
    ad_source: AdSource | None = None

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Every column that the mapping reads, each once."""
        grouped = [name for key, name in self.row_numbers.items() if key == "variant"]
        ads = None if self.ad_source is None else self.ad_source.column
        single = [name for name in (self.time_column, self.clicked, ads) if name]
        named = [*self.columns.values(), *self.amounts.values()]
        return tuple(dict.fromkeys([*named, *grouped, *single, *self.text]))


def wire_fields(event: str) -> tuple[str, ...]:
    """Return the fields that a mapping may fill for an event type."""
    names = EVENT_TYPES[event].__struct_fields__
    return tuple(sorted(name for name in names if name not in _MADE_HERE))


def parse_mapping(text: MappingText, *, path: Path) -> Mapping:
    """Read and check a mapping.

    Args:
        text: Its bytes, and what the command line sets.
        path: The file, for messages.

    Raises:
        MappingError: It breaks a rule; line and column say where.
        SpecError: It is no YAML that is read here.
    """
    try:
        content = text.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MappingError("it is not UTF-8", path=path, remedy="save it as UTF-8") from None
    return _Reader(parse(content, path=path), text.settings).mapping()


class _Reader:
    """Reads one mapping's node; every refusal names line and column."""

    def __init__(self, root: Node, settings: Names[str, str]) -> None:
        self._root = root
        self._settings = settings
        if not isinstance(root.value, dict):
            remedy = "begin with `event: impression` and `fields: {…}`"
            _refuse(root, "a mapping file holds names and values", remedy)
        self._values: dict[str, Node] = root.value
        self._known(root, _KEYS, "a mapping file has no key")

    def mapping(self) -> Mapping:
        event = self._event()
        fields = wire_fields(event)
        mapped = self._names("fields", fields)
        columns = {name: column for name, column in mapped.items() if name not in self._settings}
        constants = {**self._names("constants", fields), **self._set(fields)}
        row_numbers = self._names("row_number", [*_id_fields(fields), "variant"])
        zone = self._zone()
        column, pattern = self._time(zone)
        amounts, decimal = self._money(fields)
        found = Mapping(
            event=event,
            columns=columns,
            constants=constants,
            row_numbers=row_numbers,
            time_column=column,
            time_format=pattern,
            clicked=self._clicked(event),
            text=self._text(event),
            declares=self._declares(row_numbers),
            path=self._root.path,
            places=self._places(),
            time_zone=zone,
            amounts=amounts,
            decimal=decimal,
            ad_source=self._ads(event, {**columns, **constants}),
        )
        self._check_time(found)
        return found

    def _event(self) -> str:
        node = self._values.get("event")
        if node is None:
            _refuse(self._root, "`event` is missing", f"say one of {', '.join(EVENT_TYPES)}")
        if node.value not in EVENT_TYPES:
            near = nearest(str(node.value), EVENT_TYPES)
            remedy = (
                f"perhaps you meant {near!r}" if near else f"say one of {', '.join(EVENT_TYPES)}"
            )
            _refuse(node, f"there is no event {plain(node)!r}", remedy)
        return str(node.value)

    def _known(self, node: Node, names: Iterable[str], message: str) -> None:
        for key in cast("dict[str, Node]", node.value):
            if key not in names:
                near = nearest(key, names)
                remedy = f"perhaps you meant {near!r}" if near else f"it knows {', '.join(names)}"
                _refuse(node, f"{message} {key!r}", remedy, key=key)

    def _names(self, key: str, allowed: Iterable[str]) -> dict[str, str]:
        node = self._values.get(key)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            _refuse(node, f"`{key}` is not a list of names and values", f"write {key}: {{a: b}}")
        self._known(node, allowed, f"`{key}`: the event has no field")
        for name, child in node.value.items():
            if isinstance(child.value, dict | list) or child.value is None:
                _refuse(child, f"`{key}.{name}` is not a single value", "write one word or number")
        return {name: _word(child) for name, child in node.value.items()}

    def _set(self, fields: Iterable[str]) -> dict[str, str]:
        outside = {TIME_ZONE, ADS}
        told = {name: value for name, value in self._settings.items() if name not in outside}
        for name in told:
            if name not in fields:
                near = nearest(name, fields)
                remedy = f"perhaps you meant {near!r}" if near else f"it has {', '.join(fields)}"
                raise MappingError(f"--set {name}: the event has no such field", remedy=remedy)
        return told

    def _time(self, zone: ZoneInfo | None) -> tuple[str | None, str | None]:
        node = self._values.get("time")
        if node is None:
            return None, None
        if not isinstance(node.value, dict) or "field" not in node.value:
            _refuse(node, "`time` names no column", "write time: {field: COLUMN}")
        self._known(node, ("field", "format", "zone"), "`time` has no key")
        pattern = node.value.get("format")
        if pattern is None or pattern.value is None:
            return _word(node.value["field"]), None
        text = _word(pattern)
        if text not in {"epoch_ms", "iso_week"} and zone is None and not _ZONED.search(text):
            _refuse(
                pattern,
                f"the time format {text!r} has no time zone",
                "say epoch_ms or iso_week, put %z into the pattern (it reads Z too), or say where "
                "it is local: zone: Asia/Shanghai",
            )
        return _word(node.value["field"]), text

    def _zone(self) -> ZoneInfo | None:
        """Where moments without an offset are local: what is set from outside goes before."""
        node = self._values.get("time")
        inside = node.value.get("zone") if node and isinstance(node.value, dict) else None
        name = self._settings.get(TIME_ZONE) or (_word(inside) if inside else None)
        if name is None:
            return None
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            near = nearest(name, available_timezones())
            remedy = f"perhaps you meant {near!r}" if near else "write it like Asia/Shanghai"
            _refuse(inside or self._root, f"there is no time zone {name[:60]!r}", remedy)

    def _check_time(self, found: Mapping) -> None:
        dated = found.event in {"aggregate", "cost"} and (
            "day" in found.columns or "day" in found.constants
        )
        if found.time_column is None and not dated:
            _refuse(self._root, "`time` is missing", "write time: {field: COLUMN}")

    def _money(self, fields: Iterable[str]) -> tuple[dict[str, str], str]:
        """Return which columns hold amounts in whole units, and what stands before their cents."""
        node = self._values.get("money")
        if node is None:
            return {}, "."
        if not isinstance(node.value, dict):
            _refuse(node, "`money` names no column", "write money: {value: COLUMN}")
        known = [word for word, name in AMOUNTS.items() if name in fields]
        self._known(node, [*known, "decimal"], "`money`: the event has no amount")
        decimal = node.value.get("decimal")
        if decimal is not None and decimal.value not in DECIMALS:
            _refuse(decimal, f"no cents stand behind {plain(decimal)!r}", "say '.' or ','")
        amounts = {
            AMOUNTS[word]: _word(child) for word, child in node.value.items() if word in AMOUNTS
        }
        twice = [name for name in amounts if name in self._names("fields", fields)]
        if twice:
            _refuse(node, f"`fields` fills {twice[0]} too", "leave one of the two out")
        return amounts, _word(decimal) if decimal is not None else "."

    def _ads(self, event: str, filled: Iterable[str]) -> AdSource | None:
        node = self._values.get("ad_id")
        if node is None:
            return None
        remedy = "write ad_id: {field: COLUMN, channel: NAME}"
        if event != "aggregate":
            _refuse(node, "`ad_id` belongs to aggregates", "leave it out, or map aggregates")
        if not isinstance(node.value, dict):
            _refuse(node, "`ad_id` names no column and no channel", remedy)
        self._known(node, ("field", "channel"), "`ad_id` has no key")
        missing = [name for name in ("field", "channel") if name not in node.value]
        if missing:
            _refuse(node, f"`ad_id` has no {missing[0]}", remedy)
        twice = [name for name in filled if name in _AD_FIELDS]
        if twice:
            _refuse(node, f"the ad's id says the {twice[0]} already", "leave one of the two out")
        known = json.loads(self._settings.get(ADS, "{}"))
        return AdSource(_word(node.value["field"]), _word(node.value["channel"]), known)

    def _clicked(self, event: str) -> str | None:
        node = self._values.get("clicked")
        if node is None:
            return None
        if event != "impression":
            _refuse(node, "`clicked` belongs to impressions", "leave it out, or map impressions")
        return _word(node)

    def _text(self, event: str) -> tuple[str, ...]:
        node = self._values.get("text")
        if node is None:
            return ()
        if event not in {"impression", "aggregate"}:
            _refuse(node, f"a {event} has no creative's text", "leave `text` out")
        if isinstance(node.value, list):
            return tuple(_word(child) for child in node.value)
        return (_word(node),)

    def _declares(self, row_numbers: Names[str, str]) -> Declares | None:
        node = self._values.get("experiment")
        if node is None:
            return None
        remedy = "write experiment: {assignment: external, control: first}"
        if not isinstance(node.value, dict):
            _refuse(node, "`experiment` is not a list of names and values", remedy)
        self._known(node, ("assignment", "control", "unit"), "`experiment` has no key")
        said = node.value.get("assignment")
        if said is None or said.value != "external":
            _refuse(said or node, "an imported log's experiments are assigned elsewhere", remedy)
        control = node.value.get("control")
        unit = node.value.get("unit")
        if unit is not None and unit.value not in get_args(Unit):
            _refuse(unit, f"there is no unit {plain(unit)!r}", f"say {', '.join(get_args(Unit))}")
        numbered: Unit = "request_id" if "unit_id" in row_numbers else "user_id"
        return Declares(
            control=_word(control) if control else "first",
            unit=cast("Unit", unit.value) if unit else numbered,
        )

    def _places(self) -> dict[str, tuple[int, int]]:
        places: dict[str, tuple[int, int]] = {}

        def note(node: Node) -> None:
            if isinstance(node.value, dict):
                children: Iterable[Node] = node.value.values()
            else:
                children = node.value if isinstance(node.value, list) else ()
            for child in children:
                note(child)
            if isinstance(node.value, str):
                places.setdefault(node.value, (node.line, node.column))

        for key in ("ad_id", "fields", "row_number", "time", "money", "clicked", "text"):
            if key in self._values:
                note(self._values[key])
        return places


def _id_fields(fields: Iterable[str]) -> list[str]:
    return [name for name in fields if name.endswith("_id")]


def _word(node: Node) -> str:
    value: Any = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _refuse(node: Node, message: str, remedy: str, *, key: str | None = None) -> NoReturn:
    line, column = node.key_places.get(key or "", (node.line, node.column))
    raise MappingError(message, path=node.path, line=line, column=column, remedy=remedy)
