"""A folder of experiment YAML files, read and checked together."""

from __future__ import annotations

from pathlib import Path

from abplatform.domain.experiment import Experiment
from abplatform.domain.spec.reader import Checked, check_node, in_order
from abplatform.errors import SpecError
from abplatform.yaml_text import read
from abplatform.yaml_text.tables import in_one

__all__ = ["check_experiments", "check_files", "read_experiments", "spec_files"]


def spec_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder, by name; files in folders below do not count."""
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in {".yaml", ".yml"})


def check_files(paths: list[Path]) -> dict[Path, Checked]:
    """Check files one by one, and that no two experiments share a key."""
    checked = {path: _check_file(path) for path in paths}
    first: dict[str, Path] = {}
    for path, found in checked.items():
        if found.key is None or found.key_node is None:
            continue
        owner = first.setdefault(found.key, path)
        if owner != path:
            place = checked[owner].key_node
            error = found.key_node.error(
                f"the experiment '{found.key}' is already in {owner.name}"
                f"{f', line {place.line}' if place else ''}",
                code="duplicate_experiment",
                remedy="give one of the two another key",
            )
            errors = in_order([*found.errors, error])
            checked[path] = Checked(None, errors, (), found.key, found.key_node)
    return checked


def check_experiments(folder: Path) -> list[SpecError]:
    """Return every mistake in the YAML files of a folder, file by file."""
    checked = check_files(spec_files(folder))
    return [error for found in checked.values() for error in found.errors]


def read_experiments(folder: Path) -> dict[str, Experiment]:
    """Read the YAML files of a folder.

    Returns:
        Key to experiment, in the order of the files' names; empty if there is no such folder.

    Raises:
        SpecError: The first mistake; :func:`check_experiments` returns all of them.
    """
    checked = check_files(spec_files(folder))
    for found in checked.values():
        if found.errors:
            raise in_one(found.errors)
    return {
        found.experiment.key: found.experiment
        for found in checked.values()
        if found.experiment is not None
    }


def _check_file(path: Path) -> Checked:
    try:
        root = read(path)
    except SpecError as error:
        return Checked(None, errors=(error,))
    return check_node(root)
