"""The landing: what happened, as bytes on the disk, append-only and immutable once sealed.

``data/landing/open/<source>/<utc-hour>/`` holds segments that are being written, ``sealed/…`` those
that never change again: a data file, its ``.sha256`` (as sha256sum writes it) and a ``.json`` with
where it comes from. The data file is renamed into its place last, so a segment is there whole or
not at all. Segments are numbered in the order in which they are sealed; loading them in that order
rebuilds the warehouse.

Imported files land byte for byte; the mapping that reads them lands beside them, in
``data/landing/mappings/<sha256>.yaml``. ``ingests.jsonl`` holds what no segment can tell: when a
source was read, and which files were delivered again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from abplatform.durable import append_durably, sync_file, sync_folder, write_durably
from abplatform.errors import IngestError, MappingError, StoreError
from abplatform.workspace import Workspace

__all__ = [
    "FORMS",
    "Hours",
    "Landing",
    "MappingText",
    "Segment",
    "append_ingest",
    "check_bytes",
    "check_source",
    "file_sha256",
    "find_segment",
    "form_of",
    "land_file",
    "read_ingests",
    "sealed_segments",
]

FORMS: Final = ("jsonl.gz", "jsonl", "csv.gz", "csv", "parquet")
"""The endings of segments; ``.ndjson`` and ``.json`` files land as ``.jsonl``."""

SEGMENT_BYTES: Final = 64 * 1024 * 1024

_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALIASES: Final = {"ndjson": "jsonl", "json": "jsonl", "ndjson.gz": "jsonl.gz"}
_SHA256_OF_NOTHING: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class MappingText:
    """A mapping file's bytes and what the command line set: all that reading its log takes.

    Args:
        content: The mapping file, byte for byte.
        settings: ``--set`` names to values.
        path: The file, for messages only.
    """

    content: bytes
    settings: Mapping[str, str] = field(default_factory=dict)
    path: Path = field(default=Path("mapping.yaml"), compare=False)

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, str] | None = None) -> Self:
        """Read a mapping file's bytes.

        Raises:
            MappingError: It cannot be read.
        """
        try:
            return cls(path.read_bytes(), settings or {}, path)
        except OSError as error:
            message = f"the mapping file cannot be read: {error.strerror}"
            raise MappingError(message, path=path, remedy="check its name") from None

    @property
    def sha256(self) -> str:
        """Hash of the bytes alone; the file is kept under it."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of one source's event time, which a re-emitted log replaces.

    Args:
        source: Whose events.
        since: From this moment on.
        until: Up to this moment, which is not part of it.
    """

    source: str
    since: datetime
    until: datetime

    @classmethod
    def read(cls, told: Mapping[str, str]) -> Self:
        """Take it from a segment's side file."""
        since, until = datetime.fromisoformat(told["from"]), datetime.fromisoformat(told["to"])
        return cls(told["source"], since.astimezone(UTC), until.astimezone(UTC))

    def to_json(self) -> dict[str, str]:
        """Return what the side file holds: equal for equal stretches, whatever the offsets."""
        since, until = self.since.astimezone(UTC), self.until.astimezone(UTC)
        return {"source": self.source, "from": since.isoformat(), "to": until.isoformat()}


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment.

    Args:
        number: Counted from 1 in the order of sealing.
        path: The data file.
        source: Where it landed.
        sha256: Of its bytes.
        landed_at: The workspace clock when it was sealed; its events may not be much later.
        origin: The name of the file it was imported from, else an empty string.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.
    """

    number: int
    path: Path
    source: str
    sha256: str
    landed_at: datetime
    origin: str = ""
    mapping: MappingText | None = None
    supersedes: Hours | None = None

    @property
    def form(self) -> str:
        """One of :data:`FORMS`."""
        return form_of(self.path)

    @property
    def identity(self) -> str:
        """What makes it the same delivery: its bytes, what reads them and what they replace."""
        return _identity(self.sha256, self.mapping, self.supersedes)


def form_of(path: Path) -> str:
    """Return a log file's form by its name.

    Raises:
        IngestError: The name has no ending that is known.
    """
    name = path.name.lower()
    for ending in (*FORMS, *_ALIASES):
        if name.endswith("." + ending):
            return _ALIASES.get(ending, ending)
    raise IngestError(
        f"no log format has the ending of {path.name!r}",
        path=path,
        remedy="name it .jsonl, .csv or .parquet; .jsonl.gz and .csv.gz work too",
    )


def check_source(source: str) -> str:
    """Return a source's name if it can be a folder's.

    Raises:
        IngestError: It cannot.
    """
    if _SOURCE.fullmatch(source):
        return source
    raise IngestError(
        f"{source!r} cannot name a source",
        remedy="use letters, digits, dots, dashes and underscores, 64 at most",
    )


class Landing:
    """Appends lines to open segments, one a source, and seals them.

    A segment is rotated when it reaches 64 MB. While it is open, its writer holds a lock on it, so
    that nobody else seals it; what a dead writer left behind is sealed by the next :meth:`seal`.

    Args:
        workspace: Where to land.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._open: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Seal what is open."""
        self.seal()

    def append(self, source: str, lines: Iterable[bytes]) -> int:
        """Append lines and bring them to the disk: when it returns, they are safe.

        Args:
            source: Where they come from.
            lines: Each without its newline.

        Returns:
            How many lines there were.
        """
        check_source(source)
        count = 0
        file = self._file(source)
        for line in lines:
            file.write(line)
            file.write(b"\n")
            count += 1
            if count % 1024 == 0 and file.tell() >= SEGMENT_BYTES:
                self._close(source)
                file = self._file(source)
        file.flush()
        os.fsync(file.fileno())
        return count

    def seal(self) -> list[Segment]:
        """Seal this writer's open segments and those of dead writers.

        Returns:
            The segments sealed, in order.
        """
        sealed = [self._close(source) for source in sorted(self._open)]
        for path in sorted(self._workspace.landing.glob("open/*/*/*.jsonl")):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if _lock(file):
                    sealed.append(_seal(self._workspace, path, source=path.parent.parent.name))
        return [segment for segment in sealed if segment]

    def _file(self, source: str) -> IO[bytes]:
        file = self._open.get(source)
        if file is None:
            folder = self._workspace.landing / "open" / source / _hour(self._workspace.clock())
            folder.mkdir(parents=True, exist_ok=True)
            file = _open_new(folder)
            sync_folder(folder)
            self._open[source] = file
        return file

    def _close(self, source: str) -> Segment | None:
        file = self._open.pop(source)
        with file:
            file.flush()
            os.fsync(file.fileno())
            return _seal(self._workspace, Path(file.name), source=source)


def land_file(
    workspace: Workspace,
    file: Path,
    *,
    source: str,
    mapping: MappingText | None = None,
    supersedes: Hours | None = None,
) -> tuple[Segment, bool]:
    """Land a file byte for byte, or find the segment that already holds it.

    Args:
        workspace: Where to land.
        file: The file; it stays where it is.
        source: Where it comes from.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.

    Returns:
        The segment, and whether it is new.

    Raises:
        IngestError: The file cannot be read, or its form is unknown.
    """
    check_source(source)
    form = form_of(file)
    try:
        sha256 = file_sha256(file)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise IngestError(message, path=file, remedy="check its name and permissions") from None
    if sha256 == _SHA256_OF_NOTHING:
        raise IngestError("the file is empty", path=file, remedy="bring a file with events")
    known = find_segment(workspace, sha256, mapping, supersedes)
    if known is not None:
        return known, False
    folder = workspace.landing / "open" / source / _hour(workspace.clock())
    folder.mkdir(parents=True, exist_ok=True)
    # The ending .partial keeps a torn copy from ever being sealed as a dead writer's segment.
    copy = folder / f"{sha256}.{form}.{os.getpid()}.partial"
    shutil.copyfile(file, copy)
    sync_file(copy)
    if mapping is not None:
        _keep_mapping(workspace, mapping)
    segment = _seal(
        workspace, copy, source=source, mapping=mapping, supersedes=supersedes, origin=file
    )
    if segment is None or segment.sha256 != sha256:
        message = "the file changed while it was read"
        raise IngestError(message, path=file, remedy="try again when nothing writes to it")
    return segment, True


def sealed_segments(workspace: Workspace) -> list[Segment]:
    """Return every sealed segment in its order."""
    paths = [
        path
        for path in workspace.landing.glob("sealed/*/*/*")
        if path.name.endswith(FORMS) and path.name[:9].isdigit()
    ]
    return [_read_segment(workspace, path) for path in sorted(paths, key=lambda path: path.name)]


def find_segment(
    workspace: Workspace,
    sha256: str,
    mapping: MappingText | None,
    supersedes: Hours | None = None,
) -> Segment | None:
    """Return the sealed segment with these bytes, this mapping and these hours, or None."""
    for path in sorted(workspace.landing.glob(f"sealed/*/*/*-{sha256[:12]}.*")):
        if path.name.endswith(FORMS):
            segment = _read_segment(workspace, path)
            if segment.identity == _identity(sha256, mapping, supersedes):
                return segment
    return None


def check_bytes(segment: Segment) -> None:
    """Compare a segment's bytes with its sha256.

    Raises:
        StoreError: They differ: the truth on the disk is damaged.
    """
    if file_sha256(segment.path) != segment.sha256:
        raise StoreError(
            "the segment's bytes do not have the sha256 they were sealed with",
            path=segment.path,
            remedy="bring the file back from a backup",
        )


def append_ingest(workspace: Workspace, row: Mapping[str, Any]) -> None:
    """Remember what an ingest did that no segment can tell."""
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    append_durably(workspace.landing / "ingests.jsonl", [line.encode() + b"\n"])


def read_ingests(workspace: Workspace) -> list[dict[str, Any]]:
    """Return what ingests remembered, in order; a torn last line was never finished."""
    path = workspace.landing / "ingests.jsonl"
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(sha256: str, mapping: MappingText | None, supersedes: Hours | None) -> str:
    parts = [sha256]
    if mapping is not None:
        settings = json.dumps(dict(mapping.settings), sort_keys=True)
        parts.append(hashlib.sha256(mapping.content + settings.encode()).hexdigest())
    if supersedes is not None:
        hours = json.dumps(supersedes.to_json(), sort_keys=True)
        parts.append("supersedes-" + hashlib.sha256(hours.encode()).hexdigest())
    return ":".join(parts)


def _hour(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H")


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_new(folder: Path) -> IO[bytes]:
    number = 1
    while True:
        try:
            file = (folder / f"{os.getpid()}-{number}.jsonl").open("xb")
        except FileExistsError:
            number += 1
            continue
        _lock(file)
        return file


def _seal(
    workspace: Workspace,
    path: Path,
    *,
    source: str,
    mapping: MappingText | None = None,
    supersedes: Hours | None = None,
    origin: Path | None = None,
) -> Segment | None:
    """Give an open file its number and its place; an empty one goes away and None comes back."""
    if path.stat().st_size == 0:
        path.unlink()
        return None
    form = form_of(origin) if origin else "jsonl"
    sha256 = file_sha256(path)
    landed_at = workspace.clock().astimezone(UTC)
    folder = workspace.landing / "sealed" / source / _hour(landed_at)
    folder.mkdir(parents=True, exist_ok=True)
    with (workspace.landing / ".lock").open("wb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        number = _next_number(workspace)
        target = folder / f"{number:09d}-{sha256[:12]}.{form}"
        about = {
            "sha256": sha256,
            "landed_at": landed_at.isoformat(),
            "origin": origin.name if origin else "",
            "mapping_sha256": mapping.sha256 if mapping else None,
            "settings": dict(mapping.settings) if mapping else {},
            "supersedes": supersedes.to_json() if supersedes else None,
        }
        write_durably(target.with_name(target.name + ".json"), json.dumps(about).encode())
        line = f"{sha256}  {target.name}\n".encode()
        write_durably(target.with_name(target.name + ".sha256"), line)
        path.rename(target)
        sync_folder(folder)
    return Segment(
        number,
        target,
        source,
        sha256,
        landed_at,
        origin.name if origin else "",
        mapping,
        supersedes,
    )


def _next_number(workspace: Workspace) -> int:
    names = (path.name for path in workspace.landing.glob("sealed/*/*/*") if path.name[0] != ".")
    return max((int(name[:9]) for name in names if name[:9].isdigit()), default=0) + 1


def _keep_mapping(workspace: Workspace, mapping: MappingText) -> None:
    path = workspace.landing / "mappings" / f"{mapping.sha256}.yaml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        write_durably(draft, mapping.content)
        draft.rename(path)
        sync_folder(path.parent)


def _read_segment(workspace: Workspace, path: Path) -> Segment:
    try:
        about = json.loads(path.with_name(path.name + ".json").read_bytes())
        mapping = None
        if about["mapping_sha256"]:
            kept = workspace.landing / "mappings" / f"{about['mapping_sha256']}.yaml"
            mapping = MappingText(kept.read_bytes(), about["settings"])
        return Segment(
            number=int(path.name[:9]),
            path=path,
            source=path.parent.parent.name,
            sha256=about["sha256"],
            landed_at=datetime.fromisoformat(about["landed_at"]),
            origin=about["origin"],
            mapping=mapping,
            # Segments of earlier versions of the platform say nothing of it.
            supersedes=Hours.read(told) if (told := about.get("supersedes")) else None,
        )
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"what belongs to the segment cannot be read: {error}",
            path=path,
            remedy="bring its .json, or the mapping it names, back from a backup",
        ) from None
