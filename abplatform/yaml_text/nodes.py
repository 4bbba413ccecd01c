"""Values of a YAML file that know where they stand."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from abplatform.errors import SpecError

__all__ = ["Node", "Scalar", "nearest", "plain"]

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a YAML file and where it stands.

    Args:
        value: A scalar, a mapping of nodes or a list of nodes.
        line: Counted from 1.
        column: Counted from 1.
        path: The file.
        key_places: For a mapping: key to the line and column of the key itself.
    """

    value: Scalar | dict[str, Node] | list[Node]
    line: int
    column: int
    path: Path
    key_places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def child(self, *steps: str | int) -> Node:
        """Walk down by keys and indices.

        Raises:
            LookupError: There is no such value.
        """
        node = self
        for step in steps:
            if not isinstance(node.value, dict | list):
                raise KeyError(step)
            node = cast("Any", node.value)[step]
        return node

    def error(self, message: str, *, code: str, remedy: str, key: str | None = None) -> SpecError:
        """Make the error that points at this value, or at one of its keys.

        Args:
            message: What is wrong, as one sentence without a full stop.
            code: The rule that is broken, as a stable word.
            remedy: What to do next, as one sentence without a full stop.
            key: A key of this mapping, if the key is at fault rather than the whole.
        """
        line, column = self.key_places.get(key or "", (self.line, self.column))
        return SpecError(
            message, path=self.path, line=line, column=column, remedy=remedy, code=code
        )


def plain(node: Node) -> object:
    """Strip positions: nested dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that a person most likely meant, or None if none is close."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    folded = word.casefold()[:100]
    close = difflib.get_close_matches(folded, by_folded, n=3, cutoff=0.6)
    # Letters in the wrong order are the commonest slip: crt means ctr, not cvr.
    swapped = [candidate for candidate in close if sorted(candidate) == sorted(folded)]
    return by_folded[(swapped or close)[0]] if close else None
