"""Pull what is new from the sources that are due, load it once, and remember it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from abplatform.errors import AbplatformError, IngestError, WorkspaceLocked
from abplatform.logs.ad_ids import bind_ads
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import MappingText, file_sha256, find_segment
from abplatform.logs.load import Receipt, ingest
from abplatform.logs.mapping import Mapping as FieldMapping
from abplatform.logs.mapping import check_columns, parse_mapping
from abplatform.logs.mapping.spec import TIME_ZONE
from abplatform.logs.rewriting import passing_folder
from abplatform.logs.sources.due import is_due
from abplatform.logs.sources.pulls import Glance, History, Taken, read_histories, remember
from abplatform.logs.sources.stores import Found, fetch, is_growing, list_files
from abplatform.settings import Source
from abplatform.workspace import Workspace

__all__ = ["Pull", "pull_due"]

Advance = Callable[[int, int], None]


@dataclass(slots=True)
class Pull:
    """What became of one source.

    Args:
        source: Its name.
        due: Whether it was looked at.
        files: New files that were loaded, by name.
        waiting: Files left for the next pull, since they may still grow.
        unchanged: How many files had been pulled before.
        errors: File, or the source's path, to what is wrong with it.
        receipt: Of what was loaded; None where nothing was.
    """

    source: str
    due: bool = True
    files: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    unchanged: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    receipt: Receipt | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``abp ingest --due --json`` prints of the source."""
        return {
            "source": self.source,
            "due": self.due,
            "files": self.files,
            "waiting": self.waiting,
            "unchanged": self.unchanged,
            "errors": self.errors,
            "receipt": self.receipt.to_json() if self.receipt else None,
        }


def pull_due(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    *,
    advance: Advance | None = None,
) -> Iterator[Pull]:
    """Pull every source that is due; one that fails does not stop the others.

    Only a pull that brings something raises its source's watermark.

    Args:
        workspace: Its abp.yaml names the sources.
        experiments: What the registry knows, by key.
        advance: Called with bytes done and bytes in all of the source being loaded.

    Yields:
        What became of each source, in their order.

    Raises:
        WorkspaceLocked: Another pull is under way, or another job does not end.
    """
    settings = workspace.settings
    with _alone(workspace) as folder:
        histories = read_histories(workspace)
        for source in settings.sources:
            history = histories.get(source.name, History())
            pull = Pull(source.name)
            if is_due(source, history, now=workspace.clock(), zone=settings.time_zone):
                _Puller(workspace, source, history, pull, folder).run(experiments, advance)
            else:
                pull.due = False
            yield pull


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A file that is new by name, size and time of writing."""

    taken: Taken
    path: Path
    has_landed: bool


@dataclass(frozen=True, slots=True)
class _Puller:
    """One look at one source."""

    workspace: Workspace
    source: Source
    history: History
    pull: Pull
    folder: Path

    def run(
        self, experiments: Mapping[str, ExperimentFacts], advance: Advance | None = None
    ) -> None:
        """Look, load what is new, and remember both."""
        fresh: list[_Fresh] = []
        try:
            mapping = self._mapping()
            fresh = list(self._fresh(mapping))
            if fresh:
                self.pull.receipt = ingest(
                    self.workspace,
                    experiments,
                    files=[one.path for one in fresh if not one.has_landed],
                    mapping=mapping,
                    source=self.source.name,
                    advance=advance,
                )
        except WorkspaceLocked:
            raise
        except (AbplatformError, OSError) as error:
            self.pull.errors[self.source.path] = str(error)
            fresh = []
        self.pull.files += [one.taken.found.name for one in fresh]
        glance = Glance(
            at=self.workspace.clock(),
            files=len(fresh),
            waiting=len(self.pull.waiting),
            error="; ".join(self.pull.errors.values()) or None,
        )
        remember(self.workspace, self.source.name, glance, [one.taken for one in fresh])

    def _mapping(self) -> MappingText | None:
        if self.source.mapping is None:
            return None
        zone = self.source.time_zone
        settings = {TIME_ZONE: zone.key} if zone else {}
        mapping = MappingText.read(self.workspace.root / self.source.mapping, settings)
        return bind_ads(self.workspace, mapping)

    def _fresh(self, mapping: MappingText | None) -> Iterator[_Fresh]:
        """Yield the files that are new and whole, as local paths."""
        read = parse_mapping(mapping, path=mapping.path) if mapping else None
        for number, found in enumerate(list_files(self.workspace, self.source)):
            if self.history.is_taken(found):
                self.pull.unchanged += 1
            elif is_growing(found):
                self.pull.waiting.append(found.name)
            else:
                try:
                    one = self._take(found, self.folder / str(number), mapping, read)
                except (IngestError, OSError) as error:
                    self.pull.errors[found.name] = str(error)
                    continue
                if one is not None:
                    yield one

    def _take(
        self,
        found: Found,
        folder: Path,
        mapping: MappingText | None,
        read: FieldMapping | None,
    ) -> _Fresh | None:
        path = self.workspace.root / found.name
        if self.source.is_remote:
            folder.mkdir()
            path = folder / PurePosixPath(found.name).name
            fetch(found, path)
        sha256 = file_sha256(path)
        taken = Taken(found, sha256)
        if (found.name, found.size, sha256) in self.history.known:
            # Written anew with the same bytes; the next pull need not read it for that.
            self.pull.unchanged += 1
            glance = Glance(self.workspace.clock(), files=0)
            remember(self.workspace, self.source.name, glance, [taken])
            return None
        if found.size:
            check_columns(path, read)
        segment = find_segment(self.workspace, sha256, mapping)
        # A pull that was killed after landing must not count the file as delivered twice.
        has_landed = not found.size or (
            segment is not None
            and (segment.source, segment.origin) == (self.source.name, path.name)
        )
        return _Fresh(taken, path, has_landed)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[Path]:
    """Let one pull run at a time; give it an empty folder for what it fetches."""
    workspace.landing.mkdir(parents=True, exist_ok=True)
    path = workspace.landing / ".pull"
    with path.open("wb") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceLocked(
                "another pull is under way", path=path, remedy="wait until it ends"
            ) from None
        with passing_folder(workspace, workspace.landing / "pulling") as folder:
            yield folder
