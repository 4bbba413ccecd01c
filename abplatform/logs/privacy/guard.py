"""What a wire event must pass before its bytes are written.

Without pseudonyms and without forgotten units nothing is changed, and :func:`guard_of` says so with
None. With pseudonyms, an event keeps the fields that the schema knows and no others, its unit's id
is replaced wherever it stands as a value, and a line that is no object is replaced by a stand-in
that is refused for the same reason: its length and its HMAC are all that is kept of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from abplatform.domain.events import EVENT_TYPES, EventRejected, decode_event
from abplatform.logs.privacy.pseudonyms import Pseudonyms, pseudonyms_of
from abplatform.logs.privacy.tombstones import (
    Tombstones,
    tombstones_of,
    tombstones_path,
    tombstones_state,
)
from abplatform.workspace import Workspace

__all__ = ["FORGOTTEN_LINE", "WIRE_FIELDS", "Guard", "GuardWatch", "guard_of", "stand_in"]

FORGOTTEN_LINE: Final = b" "
"""Stands for a line that was erased: readers pass over it, and later lines keep their numbers."""

WIRE_FIELDS: Final = frozenset(
    {"event_type"} | {name for kind in EVENT_TYPES.values() for name in kind.__struct_fields__}
)
"""Every field that some event has."""

_FREE_TEXTS: Final = frozenset(
    {
        "event_id",
        "ts",
        "source",
        "decision_id",
        "impression_id",
        "order_id",
        "reverses",
        "item_id",
        "query",
        "text",
        "user_agent",
        "creative_text",
    }
)
"""Fields that may hold anything, an id by mistake too; others name things of the experiment."""

_LONGEST_LINE: Final = 1_000_000
_LONGEST_ID: Final = 1024
_DEPTH: Final = 20_000
"""Deeper than any parser of any Python goes."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets wire events pass, changed or erased.

    Args:
        pseudonyms: Replaces unit ids, or None.
        tombstones: Units whose events are erased.
    """

    pseudonyms: Pseudonyms | None
    tombstones: Tombstones

    def line(self, raw: bytes) -> bytes:
        """Return what is written in place of a line of wire events.

        Args:
            raw: The line, without its newline.
        """
        try:
            row = msgspec.json.decode(raw) if len(raw) <= _LONGEST_LINE else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            row = None
        if not isinstance(row, dict):
            told = self.unreadable(raw) if raw.strip() else raw
            return raw if told is raw else stand_in(told, _reason_of(raw))
        passed = self.fields(row)
        if passed is None:
            return FORGOTTEN_LINE
        return raw if passed is row else msgspec.json.encode(passed)

    @property
    def for_stored(self) -> Guard | None:
        """What passes lines whose units are as they are stored: only forgotten ones are held."""
        return Guard(None, self.tombstones) if self.tombstones else None

    def fields(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Return a wire event's fields as they may be kept; None where its unit was forgotten."""
        if self.pseudonyms is not None:
            row = self._disguise(row, self.pseudonyms)
        return None if row.get("unit_id") in self.tombstones else row

    def unit(self, unit_id: str) -> str | None:
        """Return the id under which a unit is stored; None where it was forgotten."""
        stored = unit_id if self.pseudonyms is None else self.pseudonyms.stored(unit_id)
        return None if stored in self.tombstones else stored

    def unreadable(self, raw: bytes) -> bytes:
        """Return what is kept of bytes that cannot be read: all, or with pseudonyms a few words."""
        if self.pseudonyms is None:
            return raw
        tag = self.pseudonyms.tag(raw).encode()
        return b"removed hmac-sha256 " + tag + b" of " + str(len(raw)).encode() + b" bytes"

    @staticmethod
    def _disguise(row: Mapping[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
        kept = {name: value for name, value in row.items() if name in WIRE_FIELDS}
        raw = kept.get("unit_id")
        if not isinstance(raw, str):
            if raw is not None:
                kept["unit_id"] = _blank(raw)
            return kept
        if not 0 < len(raw) <= _LONGEST_ID:
            # No id, and refused as such; nothing of it is kept either.
            kept["unit_id"] = raw and "x" * (_LONGEST_ID + 1)
            return kept
        if [*kept.values()].count(raw) > 1:
            for name in _FREE_TEXTS & kept.keys():
                kept[name] = pseudonyms.stored(raw) if kept[name] == raw else kept[name]
        kept["unit_id"] = stored = pseudonyms.stored(raw)
        attributes = kept.get("attributes")
        if isinstance(attributes, dict) and raw in attributes.values():
            kept["attributes"] = {
                name: stored if value == raw else value for name, value in attributes.items()
            }
        return kept


def guard_of(workspace: Workspace) -> Guard | None:
    """Return what events must pass in a workspace; None where they land as they come.

    Raises:
        WorkspaceError: The key of the pseudonyms cannot be used.
    """
    return GuardWatch(workspace).current()


class GuardWatch:
    """Gives a long-lived writer the guard as it is now: units may be forgotten at any time.

    Args:
        workspace: Where it writes.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tombstones = str(tombstones_path(workspace))
        self._pseudonyms: Pseudonyms | None = None
        self._read: tuple[int, int] | None = None
        self._guard: Guard | None = None

    def current(self) -> Guard | None:
        """Return what events must pass now; None where they land as they come.

        Raises:
            WorkspaceError: The key of the pseudonyms cannot be used.
        """
        state = tombstones_state(self._tombstones)
        if state != self._read:
            self._pseudonyms = self._pseudonyms or pseudonyms_of(self._workspace)
            tombstones = tombstones_of(self._workspace)
            is_needed = self._pseudonyms is not None or bool(tombstones)
            self._guard = Guard(self._pseudonyms, tombstones) if is_needed else None
            self._read = state
        return self._guard


def stand_in(told: bytes, reason: str) -> bytes:
    """Return a line of wire events that says something and is refused for a given reason.

    Args:
        told: What it says, in ASCII without quotes.
        reason: Why the line in whose place it stands is refused.
    """
    if reason == "truncated":
        return b'{"told":"' + told + b'"'
    if reason == "too_deep":
        return b'{"told":"' + told + b'","":' + b'{"":' * _DEPTH
    if reason == "not_utf8":
        return told + b" \xff"
    return told.ljust(_LONGEST_LINE + 1) if reason == "too_long" else told


def _blank(value: object) -> object:
    """Return a value of the same JSON type that says nothing: a wrong type stays one."""
    if isinstance(value, dict):
        return {}
    if isinstance(value, list):
        return []
    return value if isinstance(value, bool) else 0


def _reason_of(raw: bytes) -> str:
    if len(raw) > _LONGEST_LINE:
        return "too_long"
    try:
        decode_event(raw)
    except EventRejected as error:
        return error.reason
    return "not_json"
