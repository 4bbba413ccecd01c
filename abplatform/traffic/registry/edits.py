"""What was changed in the YAML of an experiment since it started, and what that needs.

A *safe* edit changes neither who sees what nor what is asked of the numbers, and takes effect by
itself. One that needs a *phase* changes who sees what: `abp apply` writes it into the journal. A
*forbidden* one would make the numbers so far mean something else; it never takes effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from abplatform.domain.experiment import Experiment
from abplatform.errors import RegistryError
from abplatform.traffic.registry.files import SpecFile
from abplatform.yaml_text import Node, parse

__all__ = ["Difference", "Edit", "EditKind", "compare_specs", "find_edit", "with_safe_edits"]

EditKind = Literal["safe", "phase", "forbidden"]

_SAFE = ("owner", "hypothesis", "approval", "ramp", "forced", "breakdowns", "learning")
_PHASE = ("targeting", "layer.share", "variants")
_REORDERED = "variants: the order changed"
_RECAST = ("True, was False", "False, was True")
_METRICS = ("primary", "guardrails")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Args:
        place: Where in the YAML, such as ``variants.generated.weight``.
        told: What differs, such as ``variants.generated.weight: 50, was 60``.
        kind: What it needs to take effect.
        line: The line of the file on disk, counted from 1.
    """

    place: str
    told: str
    kind: EditKind
    line: int


@dataclass(frozen=True, slots=True)
class Edit:
    """How the YAML on disk differs from what is in force.

    Args:
        path: The YAML file on disk.
        line: The first line that differs, counted from 1.
        differences: In the order of the YAML's keys.
        started: Where the bytes are kept that are in force.
    """

    path: Path
    line: int
    differences: tuple[Difference, ...]
    started: Path

    def of_kind(self, kind: EditKind) -> tuple[Difference, ...]:
        """Return the differences of one kind."""
        return tuple(one for one in self.differences if one.kind == kind)

    @property
    def unapplied(self) -> tuple[Difference, ...]:
        """The differences that do not take effect by themselves."""
        return tuple(one for one in self.differences if one.kind != "safe")

    def refusal(self, key: str) -> RegistryError:
        """Return the error that says why the edit does not take effect."""
        forbidden = self.of_kind("forbidden")
        meant = forbidden or self.of_kind("phase")
        remedy = f"let it take effect with `abp apply {key}`, or take it back"
        if forbidden:
            remedy = (
                f"copy {self.started} back over the file, or stop {key} and give the new plan "
                "its own key: `abp diff` says what may be edited while it runs"
            )
        return RegistryError(
            f"{key} runs on as it was; its spec was edited: {'; '.join(it.told for it in meant)}",
            path=self.path,
            line=meant[0].line,
            remedy=remedy,
        )


def find_edit(
    key: str, started: SpecFile, files: Mapping[str, SpecFile], started_path: Path
) -> Edit | None:
    """Look for what became of a started spec's file.

    Args:
        key: The experiment.
        started: The bytes that are in force.
        files: What the YAML files on disk say, by key.
        started_path: Where the file was at the start; its key may have been edited too. A file
            that is gone altogether is no edit.
    """
    at_that_place = (file for file in files.values() if file.path == started_path)
    now = files.get(key) or next(at_that_place, None)
    return compare_specs(started, now) if now else None


def compare_specs(started: SpecFile, now: SpecFile) -> Edit | None:
    """Compare what a spec says; comments and the order of keys do not count.

    Args:
        started: The bytes that are in force.
        now: The file on disk.
    """
    found = list(_differences("", _comparable(started), _comparable(now)))
    if not found:
        return None
    root = parse(now.text, path=now.path)
    control = started.experiment.control.name
    differences = tuple(
        Difference(place, told, _kind(place, told, control), _line(root, place))
        for place, told in found
    )
    return Edit(now.path, _first_line(started.text, now.text), differences, started.path)


def with_safe_edits(started: Experiment, now: Experiment) -> Experiment:
    """Return what is in force: what was started, with what may be edited as it stands now."""
    return replace(started, **{name: getattr(now, name) for name in _SAFE})


def _comparable(file: SpecFile) -> Experiment:
    """A private layer is the same layer, whether the YAML writes it out or not."""
    return replace(file.experiment, layer=file.experiment.own_layer)


def _kind(place: str, told: str, control: str) -> EditKind:
    if _within(place, _SAFE) or told == _REORDERED:
        return "safe"
    gone = place == f"variants.{control}" and told.endswith("is gone")
    # Names of variants and attributes may be anything, dots and this word included.
    recast = (
        place.startswith("variants.")
        and place.endswith(".control")
        and ".policy.rules." not in place
        and told.endswith(_RECAST)
    )
    if gone or recast or not _within(place, _PHASE):
        return "forbidden"
    return "phase"


def _within(place: str, names: tuple[str, ...]) -> bool:
    return any(place == name or place.startswith(f"{name}.") for name in names)


def _line(root: Node, place: str) -> int:
    """Return the line of the deepest key of a place that the file has."""
    line, node = 1, root
    names = place.split(".")
    for name in ["metrics", *names] if names[0] in _METRICS else names:
        if not isinstance(node.value, dict) or name not in node.key_places:
            break
        line = node.key_places[name][0]
        node = node.value[name]
    return line


def _first_line(before: str, after: str) -> int:
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    changed = (low for tag, _, _, low, _ in matcher.get_opcodes() if tag != "equal")
    return next(changed, 0) + 1


def _differences(place: str, before: Any, after: Any) -> Iterator[tuple[str, str]]:
    if before == after:
        return
    old, new = _children(before), _children(after)
    if old is None or new is None:
        yield place, f"{place}: {_plain(after)}, was {_plain(before)}"
        return
    for name in [*old, *(name for name in new if name not in old)]:
        deeper = f"{place}.{name}" if place else name
        if name not in new:
            yield deeper, f"{deeper} is gone"
        elif name not in old:
            yield deeper, f"{deeper} is new"
        else:
            yield from _differences(deeper, old[name], new[name])
    if list(old) != list(new) and set(old) == set(new):
        yield place, f"{place}: the order changed"


def _children(value: Any) -> dict[str, Any] | None:
    """Return what a value consists of by name, None when it is one word or number."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, tuple) and value and all(is_dataclass(part) for part in value):
        names = [_name(part) for part in value]
        return {
            name if name and names.count(name) == 1 else str(index): part
            for index, (name, part) in enumerate(zip(names, value, strict=True))
        }
    return None


def _name(part: Any) -> str:
    """Return what a part is called; nothing where its place alone tells it apart."""
    for attribute in ("name", "metric", "by"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return ""


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 3600:g}h"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value)
