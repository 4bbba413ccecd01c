"""Assignment in the caller's own process: microseconds, no network, the same answer as the service.

The plans come as one document and are fetched anew in the background; what is known stays in force
when its place does not answer.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from abplatform.domain.assignment import Assignment, assign
from abplatform.domain.targeting import Context
from abplatform.errors import AbplatformError, ServiceError
from abplatform.logs.privacy import Pseudonyms, pseudonyms_of
from abplatform.traffic.assignments import Assignable, Assignments, read_assignments
from abplatform.traffic.client.sources import FileSource, FolderSource, ServiceSource, Source
from abplatform.workspace import open_workspace

__all__ = ["LocalClient", "News"]

News = Literal["changed", "stale", "fresh"]
"""New plans came; their place does not answer; it answers again."""

_log = logging.getLogger("abplatform.client")

_NOTHING: Final = Assignments("")


class LocalClient:
    """Assigns units by itself; threads and forked processes may share it.

    What a variant shows is the application's own affair: it reports impressions with the variant
    that it got. Where the platform shall choose the creative, ask :class:`Client`.

    Args:
        place: A service's address, a workspace's folder, or a file with the document.
        token: The bearer token, where the service wants one.
        key_file: The key of the workspace's pseudonyms, where it has one and the place is not the
            workspace itself. Units are given, and told back, by their own names.
        refresh_seconds: How long after a change of any kind the old plans may still be used.
        tell: Called in the background when there is news.

    Raises:
        WorkspaceError: The place is a folder, but no workspace that can be used.
        ServiceError: The place is an address, but not of HTTP; or the key cannot be read.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        token: str | None = None,
        key_file: str | Path | None = None,
        refresh_seconds: float = 1.0,
        tell: Callable[[News], None] = lambda _: None,
    ) -> None:
        self._source, self._pseudonyms = _source_of(place, token, key_file)
        self._refresh_seconds = refresh_seconds
        self.tell = tell
        self.problem: str | None = None
        self._assignments = _NOTHING
        self._tag: str | None = None
        self._fetched_at: float | None = None
        self._closed = threading.Event()
        self._door = threading.Lock()
        self._process = 0
        self._try_refresh()
        self._keep_refreshing()

    def assign(
        self, experiment: str, unit_id: str, context: Context | None = None
    ) -> Assignment | None:
        """Return one unit's variant, or why it has none; None where no such experiment is started.

        Args:
            experiment: Its key.
            unit_id: The unit.
            context: What is known about the request; None leaves targeting out.

        Raises:
            ValueError: The unit's id holds a lone surrogate, so it has no UTF-8 form.
        """
        found = self.assignments.experiments.get(experiment)
        return None if found is None else self.assign_in(found, unit_id, context)

    def assign_in(
        self, found: Assignable, unit_id: str, context: Context | None = None
    ) -> Assignment:
        """Return one unit's variant in an experiment that was found in :attr:`assignments`.

        Args:
            found: The experiment.
            unit_id: The unit.
            context: As for :meth:`assign`.

        Raises:
            ValueError: As for :meth:`assign`.
        """
        if self._assignments.pseudonyms is None or self._pseudonyms is None:
            return assign(found.plan, unit_id, context)
        given = assign(found.plan, self._pseudonyms.stored(unit_id), context)
        return given._replace(unit_id=unit_id)

    def assign_in_layer(
        self, layer: str, unit_id: str, context: Context | None = None
    ) -> tuple[str, Assignment] | None:
        """Return which of a layer's experiments has the unit's slot, and what it gets there.

        Args:
            layer: Its name.
            unit_id: The unit.
            context: As for :meth:`assign`.

        Returns:
            The experiment's key with its assignment; None when no experiment has the slot.

        Raises:
            ValueError: As for :meth:`assign`.
        """
        now = self.assignments
        for key in now.layers.get(layer, ()):
            given = self.assign_in(now.experiments[key], unit_id, context)
            if given.reason != "layer":
                return key, given
        return None

    @property
    def assignments(self) -> Assignments:
        """All plans that are known now."""
        if self._process != os.getpid():
            self._keep_refreshing()  # a forked child has no thread of its parent's
        return self._assignments

    @property
    def ready(self) -> bool:
        """Whether plans have ever come."""
        return self._fetched_at is not None

    @property
    def age_seconds(self) -> float:
        """How long ago the plans were last known to be the newest; infinite before they came."""
        return float("inf") if self._fetched_at is None else time.monotonic() - self._fetched_at

    def refresh(self) -> None:
        """Fetch the plans now.

        Raises:
            AbplatformError: The place does not answer, or not with plans; the old ones stay.
        """
        document = self._source.fetch(self._tag)
        if document is not None:
            fresh = read_assignments(document.content, origin=self._source.name)
            _check_key(fresh, self._pseudonyms, self._source.name)
            self._assignments = fresh
            self._tag = document.tag
        self._fetched_at = time.monotonic()
        recovered, self.problem = self.problem is not None, None
        if recovered:
            self.tell("fresh")
        if document is not None:
            self.tell("changed")

    def close(self) -> None:
        """Stop fetching; what is known stays."""
        self._closed.set()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _keep_refreshing(self) -> None:
        with self._door:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
        threading.Thread(target=self._follow, name="assignments", daemon=True).start()

    def _follow(self) -> None:
        while not self._closed.wait(self._refresh_seconds):
            try:
                self._try_refresh()
            except Exception:  # noqa: BLE001  # the thread outlives whatever a listener or a file does
                _log.exception("plans could not be fetched; they stay as they are")

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except (AbplatformError, OSError, ValueError) as error:
            before, self.problem = self.problem, str(error)
            if before is None:
                _log.warning("plans stay as they are: %s", error)
                self.tell("stale")


def _source_of(
    place: str | Path, token: str | None, key_file: str | Path | None
) -> tuple[Source, Pseudonyms | None]:
    """Return what reads the document from a place, and what makes pseudonyms."""
    key = None if key_file is None else _key_of(Path(key_file))
    if isinstance(place, str) and "://" in place:
        return ServiceSource(place, token=token), key
    path = Path(place)
    if not path.is_dir():
        return FileSource(path), key
    workspace = open_workspace(path)
    return FolderSource(workspace), pseudonyms_of(workspace)


def _key_of(path: Path) -> Pseudonyms:
    try:
        return Pseudonyms(path.read_bytes().strip())
    except OSError as error:
        raise ServiceError(
            f"the key of the pseudonyms cannot be read: {error.strerror}",
            path=path,
            remedy="give the file that abp.yaml's privacy.pseudonyms.key_file names",
        ) from None


def _check_key(plans: Assignments, key: Pseudonyms | None, origin: str) -> None:
    """Refuse plans for pseudonyms that cannot be made: units would get other variants."""
    if plans.pseudonyms is not None and (key is None or key.fingerprint != plans.pseudonyms):
        raise ServiceError(
            "units are pseudonyms there, "
            + ("and this is another key" if key else "and no key was given"),
            path=origin,
            remedy="give key_file= as abp.yaml names it, or ask the service by Client",
        )
