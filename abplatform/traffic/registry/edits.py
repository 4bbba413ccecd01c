"""What was changed in the YAML of an experiment since it started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from abplatform.domain.experiment import Experiment
from abplatform.errors import RegistryError
from abplatform.traffic.registry.files import SpecFile

__all__ = ["Edit", "compare_specs", "find_edit"]


@dataclass(frozen=True, slots=True)
class Edit:
    """How the YAML on disk differs from what was started.

    Args:
        path: The YAML file on disk.
        line: The first line that differs, counted from 1.
        differences: Each as ``variants.generated.weight: 50.0, was 60.0``.
        started: Where the bytes are kept with which the experiment started.
    """

    path: Path
    line: int
    differences: tuple[str, ...]
    started: Path

    def refusal(self, key: str) -> RegistryError:
        """Return the error that refuses to act on an edited spec."""
        return RegistryError(
            f"{key} has started and its spec was edited: {'; '.join(self.differences)}",
            path=self.path,
            line=self.line,
            remedy=(
                f"copy {self.started} back over the file, or stop {key} and give the new plan "
                "its own key; only `ramp` may be edited while it runs"
            ),
        )


def find_edit(
    key: str, started: SpecFile, files: Mapping[str, SpecFile], started_path: Path
) -> Edit | None:
    """Look for what became of a started spec's file.

    Args:
        key: The experiment.
        started: The bytes that were started.
        files: What the YAML files on disk say, by key.
        started_path: Where the file was at the start; its key may have been edited too. A file
            that is gone altogether is no edit.
    """
    at_that_place = (file for file in files.values() if file.path == started_path)
    now = files.get(key) or next(at_that_place, None)
    return compare_specs(started, now) if now else None


def compare_specs(started: SpecFile, now: SpecFile) -> Edit | None:
    """Compare what a spec says; comments, order of keys and the ramp do not count.

    Args:
        started: The bytes that were started.
        now: The file on disk.
    """
    differences = tuple(_differences("", _comparable(started), _comparable(now)))
    if not differences:
        return None
    return Edit(now.path, _first_line(started.text, now.text), differences, started.path)


def _comparable(file: SpecFile) -> Experiment:
    return replace(file.experiment, ramp=())


def _first_line(before: str, after: str) -> int:
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    changed = (low for tag, _, _, low, _ in matcher.get_opcodes() if tag != "equal")
    return next(changed, 0) + 1


def _differences(place: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    old, new = _children(before), _children(after)
    if old is None or new is None:
        yield f"{place}: {_plain(after)}, was {_plain(before)}"
        return
    for name in [*old, *(name for name in new if name not in old)]:
        deeper = f"{place}.{name}" if place else name
        if name not in new:
            yield f"{deeper} is gone"
        elif name not in old:
            yield f"{deeper} is new"
        else:
            yield from _differences(deeper, old[name], new[name])
    if list(old) != list(new) and set(old) == set(new):
        yield f"{place}: the order changed"


def _children(value: Any) -> dict[str, Any] | None:
    """Return what a value consists of by name, None when it is one word or number."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, tuple) and all(is_dataclass(part) for part in value):
        return {_name(part, index): part for index, part in enumerate(value)}
    return None


def _name(part: Any, index: int) -> str:
    for attribute in ("name", "metric", "by"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return str(index)


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
