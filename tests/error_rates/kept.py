"""Results that are kept between runs: one small JSON file a study, with what it was made from."""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seeds import ROOT
from tallies import Table, table_of

__all__ = ["FOLDER", "Result", "read", "sources_now", "write"]

FOLDER = Path(__file__).with_name("kept")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Result:
    """What one study found, and when, and from what.

    Args:
        study: Its name.
        runs: The runs asked of it.
        date: Day it was made, ISO.
        seconds: How long it took.
        versions: Library to version.
        sources: Files of the statistics and of the study, to 12 digits of their sha256.
        tables: What it found.
    """

    study: str
    runs: int
    date: str
    seconds: float
    versions: dict[str, str]
    sources: dict[str, str]
    tables: tuple[Table, ...]

    @property
    def stale(self) -> bool:
        """Whether a file it was made from has changed since."""
        return any(_digest(REPOSITORY / name) != kept for name, kept in self.sources.items())

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "study": self.study,
            "seed": ROOT,
            "runs": self.runs,
            "date": self.date,
            "seconds": self.seconds,
            "versions": self.versions,
            "sources": self.sources,
            "tables": [table.to_json() for table in self.tables],
        }


def read(study: str, folder: Path = FOLDER) -> Result | None:
    """Return the kept result of a study, None if there is none."""
    path = folder / f"{study}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    tables = tuple(table_of(table) for table in data["tables"])
    known = ("study", "runs", "date", "seconds", "versions", "sources")
    return Result(*(data[name] for name in known), tables)


def write(result: Result, folder: Path = FOLDER) -> None:
    """Keep a result; a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.study}.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(_rounded(result.to_json()), indent=1) + "\n")
    draft.replace(path)


def sources_now() -> dict[str, str]:
    """Return the digests of the statistics and studies that this process has imported."""
    return {
        str(path.relative_to(REPOSITORY)): _digest(path) for path in sorted(set(_imported_files()))
    }


def _imported_files() -> Iterator[Path]:
    unmeasured = {"run", "kept", "page", "tallies"}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file:
            continue
        path = Path(file).resolve()
        ours = path.parent == Path(__file__).resolve().parent and path.stem not in unmeasured
        if ours or name.startswith("abplatform.stats."):
            yield path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else ""


def _rounded(data: Any) -> Any:
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(one) for one in data] if isinstance(data, (list, tuple)) else data
