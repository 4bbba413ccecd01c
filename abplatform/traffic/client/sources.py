"""Where the document of assignments comes from: a service, a workspace's folder, or a file."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from abplatform.errors import ServiceError
from abplatform.logs.privacy import pseudonyms_of
from abplatform.traffic.assignments import assignments_document, entity_tag
from abplatform.traffic.client.connections import Connections
from abplatform.traffic.config import ConfigReader
from abplatform.workspace import Workspace

__all__ = ["Document", "FileSource", "FolderSource", "ServiceSource", "Source"]

_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class Document:
    """One version of the document.

    Args:
        tag: Names it: another tag, other plans.
        content: JSON.
    """

    tag: str
    content: bytes


class Source(Protocol):
    """Gives the newest document."""

    name: str

    def fetch(self, known: str | None) -> Document | None:
        """Return the newest document, None when it is still the one that is known.

        Args:
            known: The tag of the last one.

        Raises:
            AbplatformError: There is none now.
        """

    def close(self) -> None:
        """Let go of what is kept open."""


class ServiceSource:
    """``GET /v1/assignments`` of a service; what has not changed is not sent again.

    Args:
        url: The service's address.
        token: The bearer token, where the service wants one.
        timeout_seconds: How long one request may take.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_seconds: float = 2.0) -> None:
        self.name = f"{url.rstrip('/')}/v1/assignments"
        self._connections = Connections(url, token=token)
        self._timeout = timeout_seconds

    def fetch(self, known: str | None) -> Document | None:
        """Ask the service.

        Raises:
            ServiceError: It does not answer, or with an error.
        """
        headers = {"If-None-Match": known} if known else {}
        try:
            answer = self._connections.ask(
                "GET", "/v1/assignments", timeout_seconds=self._timeout, headers=headers
            )
        except (OSError, http.client.HTTPException) as error:
            raise ServiceError(
                f"no answer: {str(error) or type(error).__name__}",
                path=self.name,
                remedy="start `abp serve` there, or give its address",
            ) from error
        if answer.status == _NOT_MODIFIED:
            return None
        if answer.status != 200:
            raise ServiceError(
                f"no assignments: {answer.told}",
                path=self.name,
                remedy="check the address and the token",
            )
        return Document(answer.headers.get("etag") or entity_tag(answer.body), answer.body)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._connections.close()


class FolderSource:
    """A workspace on this machine; no service is needed.

    Args:
        workspace: Its experiments and journal are read; its settings are as they were.

    Raises:
        WorkspaceError: Its key for pseudonyms cannot be used.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.name = str(workspace.root)
        self._reader = ConfigReader(workspace)
        self._pseudonyms = pseudonyms_of(workspace)

    def fetch(self, known: str | None) -> Document | None:
        """Read the workspace.

        Raises:
            AbplatformError: The journal or a kept spec is broken.
        """
        key = self._pseudonyms
        named = key.fingerprint if key else None
        content = assignments_document(self._reader.read(), pseudonyms=named)
        tag = entity_tag(content)
        return None if tag == known else Document(tag, content)

    def close(self) -> None:
        """Nothing is kept open."""


class FileSource:
    """A file that holds the document, such as one that a deployment copies to every machine.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def fetch(self, known: str | None) -> Document | None:
        """Read the file.

        Raises:
            ServiceError: It cannot be read.
        """
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise ServiceError(
                f"cannot be read: {error.strerror}",
                path=self._path,
                remedy="give a service's address, a workspace or such a file",
            ) from error
        tag = entity_tag(content)
        return None if tag == known else Document(tag, content)

    def close(self) -> None:
        """Nothing is kept open."""
