"""The team's YAML files as they are on disk, and the bytes that experiments started with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from abplatform.domain.experiment import Experiment
from abplatform.domain.spec import parse_experiment, spec_files
from abplatform.durable import replace_durably
from abplatform.errors import RegistryError, SpecError
from abplatform.workspace import Workspace

__all__ = [
    "SpecFile",
    "find_spec_file",
    "keep_spec",
    "kept_spec",
    "kept_spec_path",
    "line_of",
    "read_spec_files",
    "refuse_twins",
]


@dataclass(frozen=True, slots=True)
class SpecFile:
    """One YAML file that was understood.

    Args:
        path: Where it is.
        content: Its bytes.
        experiment: What they say.
    """

    path: Path
    content: bytes
    experiment: Experiment

    @property
    def sha256(self) -> str:
        """The bytes' sha256."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def text(self) -> str:
        """The bytes as text."""
        return self.content.decode()


def read_spec_files(folder: Path) -> tuple[dict[str, SpecFile], list[SpecError]]:
    """Read every YAML file of a folder.

    Returns:
        Key to file, and what is wrong with the files that cannot be used. A key that stands in
        two files is an error of the second; the first is used.
    """
    files: dict[str, SpecFile] = {}
    problems: list[SpecError] = []
    for path in spec_files(folder):
        try:
            file = _read(path)
        except SpecError as error:
            problems.append(error)
            continue
        first = files.setdefault(file.experiment.key, file)
        if first is not file:
            problems.append(
                SpecError(
                    f"the experiment {file.experiment.key!r} is already in {first.path.name}",
                    path=path,
                    line=line_of(path, "key:"),
                    remedy="give one of the two another key",
                    code="duplicate_experiment",
                )
            )
    return files, problems


def find_spec_file(folder: Path, key: str) -> SpecFile:
    """Return the one file of an experiment that is about to start.

    Raises:
        SpecError: The key stands in a second file too, so nobody can tell which of them is meant.
    """
    files, problems = read_spec_files(folder)
    refuse_twins(problems, key)
    return files[key]


def refuse_twins(problems: Iterable[SpecError], key: str) -> None:
    """Refuse a key that stands in two files.

    Args:
        problems: As :func:`read_spec_files` found them.
        key: The experiment.

    Raises:
        SpecError: Nobody can tell which of the files is meant.
    """
    for problem in problems:
        if problem.code == "duplicate_experiment" and problem.path is not None:
            second = _read(Path(problem.path))
            if second.experiment.key == key:
                raise problem


def _read(path: Path) -> SpecFile:
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SpecError(
            f"this is no UTF-8 text (byte {error.start})",
            path=path,
            remedy="save the file as UTF-8",
            code="syntax",
        ) from None
    return SpecFile(path, content, parse_experiment(text, path=path))


def kept_spec_path(workspace: Workspace, sha256: str) -> Path:
    """Return where the bytes of a started spec are kept."""
    return workspace.specs / f"{sha256}.yaml"


def keep_spec(workspace: Workspace, content: bytes) -> str:
    """Keep a spec's bytes for good and return their sha256."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = kept_spec_path(workspace, sha256)
    if not path.exists():
        replace_durably(path, content)
    return sha256


def kept_spec(workspace: Workspace, sha256: str) -> SpecFile:
    """Return a spec as it was when its experiment started.

    Raises:
        RegistryError: The bytes are gone or are no longer what was started.
    """
    path = kept_spec_path(workspace, sha256)
    content = path.read_bytes() if path.is_file() else None
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        raise RegistryError(
            "the spec that was started is gone" if content is None else "the bytes were changed",
            path=path,
            remedy="put data/specs back from a backup",
        )
    return SpecFile(path, content, parse_experiment(content.decode(), path=path))


def line_of(path: Path, start: str) -> int:
    """Return the first line of a file that starts with a word, else 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((n for n, line in enumerate(lines, 1) if line.startswith(start)), 1)
