"""Sealed segments: what stands in the landing, and what is told of it beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from abplatform.errors import IngestError, MappingError, StoreError
from abplatform.workspace import Workspace

__all__ = [
    "FORMS",
    "Hours",
    "MappingText",
    "Segment",
    "check_bytes",
    "check_source",
    "file_sha256",
    "form_of",
    "identity_of",
    "mapping_file",
    "revision_of",
    "sealed_paths",
    "sealed_segments",
]

FORMS: Final = ("jsonl.gz", "jsonl.zst", "jsonl", "csv.gz", "csv.zst", "csv", "parquet")
"""The endings of segments; ``.ndjson`` and ``.json`` files land as ``.jsonl``."""

_REVISION: Final = re.compile(r"[0-9]{9}-r([0-9]+)-")
_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALIASES: Final = {
    "ndjson": "jsonl",
    "json": "jsonl",
    "ndjson.gz": "jsonl.gz",
    "json.gz": "jsonl.gz",
    "ndjson.zst": "jsonl.zst",
    "json.zst": "jsonl.zst",
}


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

    def overlaps(self, other: Hours) -> bool:
        """Whether an event can stand in both."""
        same = self.source == other.source
        return same and self.since < other.until and other.since < self.until


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment.

    Args:
        number: Counted from 1 in the order of sealing; a kill may leave a number out.
        path: The data file.
        source: Where it landed.
        sha256: Of its bytes.
        landed_at: The workspace clock when it was sealed; its events may not be much later.
        origin: The name of the file it was imported from, else an empty string.
        mapping: What reads it; None for wire events.
        supersedes: The hours whose events it replaces, or None.
        renews: The number of the same delivery that another log has replaced since, or None.
        delivered_as: The sha256 with which it was delivered, where it was rewritten, else None.
        forgotten: Events that were erased from it, by source.
        earlier: The sha256s that it had before, oldest first.
    """

    number: int
    path: Path
    source: str
    sha256: str
    landed_at: datetime
    origin: str = ""
    mapping: MappingText | None = None
    supersedes: Hours | None = None
    renews: int | None = None
    delivered_as: str | None = None
    forgotten: Mapping[str, int] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    @property
    def delivered_sha256(self) -> str:
        """Of the bytes that were delivered: pseudonyms and forgetting rewrite them."""
        return self.delivered_as or self.sha256

    @property
    def form(self) -> str:
        """One of :data:`FORMS`."""
        return form_of(self.path)

    @property
    def identity(self) -> str:
        """What makes it the same delivery: bytes, the mapping that reads them, what it replaces."""
        # Two that were emptied have the same bytes and are no redeliveries of each other.
        content = f"{self.sha256}<{self.delivered_as}" if self.delivered_as else self.sha256
        told = identity_of(content, self.mapping, self.supersedes)
        return told if self.renews is None else f"{told}:renews-{self.renews}"

    def to_json(self) -> dict[str, Any]:
        """Return what the side file holds."""
        return {
            "sha256": self.sha256,
            "landed_at": self.landed_at.isoformat(),
            "origin": self.origin,
            "mapping_sha256": self.mapping.sha256 if self.mapping else None,
            "settings": dict(self.mapping.settings) if self.mapping else {},
            "supersedes": self.supersedes.to_json() if self.supersedes else None,
            "renews": self.renews,
            "delivered_sha256": self.delivered_as,
            "forgotten": dict(self.forgotten),
            "earlier": list(self.earlier),
        }

    @classmethod
    def read(cls, workspace: Workspace, path: Path) -> Self:
        """Read what stands beside a data file.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            about = json.loads(path.with_name(path.name + ".json").read_bytes())
            mapping = None
            if about["mapping_sha256"]:
                kept = mapping_file(workspace, about["mapping_sha256"])
                mapping = MappingText(kept.read_bytes(), about["settings"])
                if mapping.sha256 != about["mapping_sha256"]:
                    message = f"{kept.name} does not have the sha256 that is its name"
                    raise ValueError(message)  # noqa: TRY301 -- told as all that is unreadable here
            return cls(
                number=int(path.name[:9]),
                path=path,
                source=path.parent.parent.name,
                sha256=about["sha256"],
                landed_at=datetime.fromisoformat(about["landed_at"]),
                origin=about["origin"],
                mapping=mapping,
                # Segments of earlier versions of the platform say nothing of it.
                supersedes=Hours.read(told) if (told := about.get("supersedes")) else None,
                renews=about.get("renews"),
                delivered_as=about.get("delivered_sha256"),
                forgotten=about.get("forgotten", {}),
                earlier=tuple(about.get("earlier", ())),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"what belongs to the segment cannot be read: {error}",
                path=path,
                remedy="bring its .json, or the mapping it names, back from a backup",
            ) from None


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
        remedy="export it as .jsonl, .csv or .parquet; .gz and .zst may follow the first two",
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


def sealed_paths(workspace: Workspace) -> list[Path]:
    """Return the data files of every sealed segment in their order.

    Where a killed job left what a rewritten segment replaces, the newer file counts.
    """
    paths = [
        path
        for path in workspace.landing.glob("sealed/*/*/*")
        if path.name.endswith(FORMS) and path.name[:9].isdigit()
    ]
    newest = {path.name[:9]: path for path in sorted(paths, key=revision_of)}
    return [newest[number] for number in sorted(newest)]


def revision_of(path: Path) -> int:
    """Return how often a sealed segment was rewritten: its file's name says so."""
    found = _REVISION.match(path.name)
    return int(found[1]) if found else 0


def sealed_segments(workspace: Workspace) -> list[Segment]:
    """Return every sealed segment in its order."""
    return [Segment.read(workspace, path) for path in sealed_paths(workspace)]


def check_bytes(segment: Segment) -> None:
    """Compare a segment, and what is told of it, with the sha256s they were sealed with.

    Raises:
        StoreError: They differ: the truth on the disk is damaged.
    """
    path = segment.path
    told, listed = (path.with_name(path.name + ending) for ending in (".json", ".sha256"))
    damaged = path if file_sha256(path) != segment.sha256 else None
    if damaged is None and listed.exists():
        of_data = f"{segment.sha256}  {path.name}"
        right = {of_data, f"{file_sha256(told)}  {told.name}", ""}
        lines = set(listed.read_text(errors="replace").split("\n"))
        if of_data not in lines or not lines <= right:
            damaged = listed
    if damaged is not None:
        raise StoreError(
            "the segment's bytes do not have the sha256 they were sealed with",
            path=damaged,
            remedy="bring the segment's files back from a backup",
        )


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mapping_file(workspace: Workspace, sha256: str) -> Path:
    """Return where the mapping with these bytes is kept."""
    return workspace.landing / "mappings" / f"{sha256}.yaml"


def identity_of(sha256: str, mapping: MappingText | None, supersedes: Hours | None) -> str:
    """Return what makes two files one delivery: bytes, the mapping that reads them, the hours."""
    parts = [sha256]
    if mapping is not None:
        settings = json.dumps(dict(mapping.settings), sort_keys=True)
        parts.append(hashlib.sha256(mapping.content + settings.encode()).hexdigest())
    if supersedes is not None:
        hours = json.dumps(supersedes.to_json(), sort_keys=True)
        parts.append("supersedes-" + hashlib.sha256(hours.encode()).hexdigest())
    return ":".join(parts)
