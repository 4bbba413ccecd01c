"""Results that are kept between runs: one small JSON file a study, with what it was made from."""

import ast
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seeds import ROOT
from tallies import Table, table_of

__all__ = ["FOLDER", "Result", "digests", "imported", "read", "write"]

FOLDER = Path(__file__).resolve().with_name("kept")
REPOSITORY = Path(__file__).resolve().parents[2]
PROSE = 40  # characters; longer strings are sentences for people
STATISTICS = REPOSITORY / "abplatform" / "stats"


@dataclass(frozen=True, slots=True)
class Result:
    """What one study found, and when, and from what.

    Args:
        study: Its name.
        runs: The runs asked of it.
        date: Day it was made, ISO.
        seconds: Processor time it took.
        versions: Library to version.
        sources: Files of the statistics and of the study, to 12 digits of what they do.
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


def digests() -> dict[Path, str]:
    """Return the digest of every file of the statistics and the studies as it is now."""
    unmeasured = {"run", "kept", "page", "studies"}
    own = [path for path in FOLDER.parent.glob("*.py") if path.stem not in unmeasured]
    return {path: _digest(path) for path in [*own, *STATISTICS.rglob("*.py")]}


def imported(before: dict[Path, str]) -> dict[str, str]:
    """Return those of the digests whose files this process has imported since.

    Args:
        before: Taken before anything was imported, so that they are of what ran.
    """
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    used = {Path(file).resolve() for file in files if file}
    return {
        str(path.relative_to(REPOSITORY)): digest
        for path, digest in sorted(before.items())
        if path in used
    }


def _digest(path: Path) -> str:
    """Return 12 digits of what a file does: comments, layout and prose don't count."""
    if not path.exists():
        return ""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            prose = len(node.value) > PROSE and " " in node.value
            node.value = "" if prose else node.value
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def _rounded(data: Any) -> Any:
    if isinstance(data, float):
        return float(f"{data:.6g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(one) for one in data] if isinstance(data, (list, tuple)) else data
