"""YAML text → nodes with line and column, behind guards.

PyYAML's C parser reads the syntax; everything that gives YAML its surprises is left out here:
scalars follow the YAML 1.2 core schema (``no`` is a word, ``1:30`` is a word, ``0777`` is 777), and
anchors, aliases, tags, directives, second documents and duplicate keys are refused.

Source: YAML 1.2.2, chapter 10.3 (core schema), https://yaml.org/spec/1.2.2/#103-core-schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Protocol

import yaml

from abplatform.errors import SpecError
from abplatform.yaml_text.nodes import Node, Scalar

__all__ = ["MAX_BYTES", "MAX_DEPTH", "parse", "read", "resolve"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 100
"""Longer plain scalars stay text: no number needs more, and Python refuses thousands of digits."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Everything that YAML 1.2.2 does not call printable, and byte order marks inside a text."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What an escape such as ``"\\0"`` could still smuggle into a value; tab and line feed may stay."""


def read(path: Path) -> Node:
    """Read and compose a YAML file.

    Raises:
        SpecError: It cannot be read, is too large, not UTF-8, or breaks a rule of :func:`parse`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(
            f"the file cannot be read: {error.strerror}",
            path=path,
            code="unreadable",
            remedy="check its name and its rights",
        ) from None
    if len(raw) > MAX_BYTES:
        _refuse_size(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        raise SpecError(
            f"byte 0x{raw[error.start]:02x} is not UTF-8",
            path=path,
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
            code="bad_encoding",
            remedy="save the file as UTF-8",
        ) from None
    return parse(text, path=path)


def parse(text: str, *, path: Path) -> Node:
    """Compose YAML text.

    Args:
        text: At most 256 KB, nested at most 32 deep.
        path: The file it came from, for messages only.

    Returns:
        The root; an empty text is a node whose value is None.

    Raises:
        SpecError: The text is no YAML, or uses what is refused here. Codes: ``too_large``,
            ``too_deep``, ``syntax``, ``tab``, ``bad_encoding``, ``control_character``, ``anchor``,
            ``alias``, ``tag``, ``directive``, ``second_document``, ``duplicate_key``,
            ``complex_key``, ``not_finite``.
    """
    text = text.removeprefix("\ufeff")
    _check_text(text, path)
    return _Composer(text, path).compose()


def _refuse_size(path: Path) -> NoReturn:
    raise SpecError(
        f"the file is larger than {MAX_BYTES // 1024} KB",
        path=path,
        code="too_large",
        remedy="split it into several files",
    )


def _check_text(text: str, path: Path) -> None:
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        start = unprintable.start()
        raise SpecError(
            f"character U+{ord(text[start]):04X} has no place in YAML",
            path=path,
            line=text.count("\n", 0, start) + 1,
            column=start - text.rfind("\n", 0, start),
            code="control_character",
            remedy="delete it",
        )
    if len(text.encode()) > MAX_BYTES:
        _refuse_size(path)


class _Composer:
    """Builds nodes from PyYAML's events; every refusal names line and column."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path

    def compose(self) -> Node:
        try:
            return self._document(yaml.parse(self._text, Loader=yaml.CSafeLoader))
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)

    def _document(self, events: Iterator[yaml.Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._refuse(event, "second_document", "a second document begins here")
                if event.version is not None or event.tags is not None:
                    self._refuse(event, "directive", "the document begins with a % directive")
                root = self._node(next(events), events, depth=0)
        return root or Node(None, 1, 1, self._path)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> Node:
        self._refuse_decoration(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth == MAX_DEPTH:
            self._refuse(event, "too_deep", f"values are nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, events, depth=depth + 1)
        return self._list(event, events, depth=depth + 1)

    def _list(self, start: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> Node:
        children: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            children.append(self._node(event, events, depth=depth))
        return self._place(start, children)

    def _mapping(self, start: yaml.Event, events: Iterator[yaml.Event], *, depth: int) -> Node:
        children: dict[str, Node] = {}
        places: dict[str, tuple[int, int]] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event)
            if key in children:
                line = places[key][0]
                self._refuse(event, "duplicate_key", f"{key!r} already stands on line {line}")
            places[key] = _position(event.start_mark)
            children[key] = self._node(next(events), events, depth=depth)
        return self._place(start, children, places)

    def _key(self, event: yaml.Event) -> str:
        """Return a key as it is written: ``1``, ``no`` and ``null`` are keys like any other."""
        self._refuse_decoration(event)
        if not isinstance(event, yaml.ScalarEvent) or not event.value:
            self._refuse(event, "complex_key", "a key must be one word or a quoted text")
        self._refuse_control(event)
        return str(event.value)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        self._refuse_control(event)
        if event.style:
            return self._place(event, event.value)
        text = event.value
        if _NOT_FINITE.fullmatch(text):
            self._refuse(event, "not_finite", f"{text} is no finite number")
        if len(text) > MAX_DIGITS:
            return self._place(event, text)
        value = resolve(text)
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(event, "not_finite", f"{text} is too large for a number")
        return self._place(event, value)

    def _place(
        self,
        event: yaml.Event,
        value: Scalar | dict[str, Node] | list[Node],
        places: dict[str, tuple[int, int]] | None = None,
    ) -> Node:
        return Node(value, *_position(event.start_mark), self._path, places or {})

    def _refuse_decoration(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, "alias", f"the alias *{event.anchor} stands for another value")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._refuse(event, "anchor", f"the anchor &{event.anchor} names a value")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, "tag", f"the tag {tag} changes what a value is")

    def _refuse_control(self, event: yaml.ScalarEvent) -> None:
        if _CONTROL.search(event.value):
            self._refuse(event, "control_character", "the text holds a control character")

    def _refuse(self, event: yaml.Event, code: str, message: str) -> NoReturn:
        self._raise(code, message, event.start_mark)

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        # What is never closed is noticed far below: its beginning is the better place.
        unclosed = "flow" in (error.context or "") or "quoted" in (error.context or "")
        mark = error.context_mark if unclosed else error.problem_mark
        problem = " ".join(part for part in (error.problem, error.context) if part)
        if self._is_indented_by_tab(error.problem_mark):
            self._raise("tab", "a tab indents this line", error.problem_mark)
        code = "directive" if "directive" in problem else "syntax"
        self._raise(code, f"this is not YAML: {problem}", mark or error.problem_mark)

    def _is_indented_by_tab(self, mark: _Mark | None) -> bool:
        lines = self._text.split("\n")
        line = lines[mark.line] if mark and mark.line < len(lines) else ""
        return "\t" in line[: len(line) - len(line.lstrip())]

    def _raise(self, code: str, message: str, mark: _Mark | None) -> NoReturn:
        line, column = _position(mark)
        raise SpecError(
            message,
            path=self._path,
            line=line,
            column=column,
            remedy=_REMEDIES[code],
            code=code,
        ) from None


class _Mark(Protocol):
    """PyYAML's position, counted from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def _position(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def resolve(text: str) -> Scalar:
    """Resolve a plain scalar by the YAML 1.2 core schema."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.casefold() == "true"
    for form, base in _INTEGERS:
        if form.fullmatch(text):
            return int(text, base)
    return float(text) if _FLOAT.fullmatch(text) else text


_REMEDIES = {
    "alias": "write the value out, or quote the text if it shall begin with *",
    "anchor": "write the value out where it is used, or quote the text if it shall begin with &",
    "tag": "delete the tag, or quote the text if it shall begin with !",
    "directive": "delete the line that begins with %",
    "second_document": "put it into a file of its own",
    "duplicate_key": "keep one of the two",
    "complex_key": "write `key: value`, and quote a text with commas, colons or brackets",
    "too_deep": "check the brackets and the indentation",
    "control_character": "delete it",
    "not_finite": "write a number",
    "tab": "indent with spaces",
    "syntax": "check indentation, colons, quotes and brackets here and just above",
}
