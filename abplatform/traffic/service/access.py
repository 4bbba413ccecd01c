"""Who may call, and how often."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from abplatform.errors import WorkspaceError

__all__ = ["LOCAL", "Access", "Rate"]

LOCAL: Final = "local"
"""The caller's name where the workspace asks for no token."""


@dataclass(frozen=True, slots=True)
class Access:
    """The callers that are known.

    Args:
        digests: Caller's name to the sha256 of its token; empty: everybody on this machine.
    """

    digests: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, tokens: Mapping[str, str]) -> Access:
        """Return what ``tokens`` in abp.yaml says.

        Args:
            tokens: Name to ``sha256:<hex>`` or ``env:NAME``.

        Raises:
            WorkspaceError: An environment variable is not set.
        """
        return cls({name: _digest(name, said) for name, said in tokens.items()})

    def caller(self, authorization: bytes | None) -> str | None:
        """Return who calls; None for somebody unknown.

        Every digest is compared, so that the time it takes tells nothing.

        Args:
            authorization: The header ``Authorization`` as it came, or None.
        """
        if not self.digests:
            return LOCAL
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        digest = hashlib.sha256(token.strip()).digest()
        found = None
        for name, known in self.digests.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found


class Rate:
    """A bucket of tokens for every caller: so many calls in a second, and as many at once.

    Args:
        seconds: Tells passing time; only differences count.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str, calls: int, per_second: float) -> float:
        """Take calls out of a caller's bucket.

        One delivery may be larger than the bucket: it passes when the bucket is full, and what
        it took too much has to flow back first.

        Args:
            caller: Who calls.
            calls: How many at once.
            per_second: What flows back.

        Returns:
            0 if they may pass, else the seconds until they may; then nothing is taken.
        """
        now = self._seconds()
        left, then = self._left.get(caller, (per_second, now))
        left = min(per_second, left + (now - then) * per_second)
        missing = min(calls, per_second) - left
        if missing > 0:
            self._left[caller] = (left, now)
            return missing / per_second
        self._left[caller] = (left - calls, now)
        return 0.0


def _digest(name: str, said: str) -> bytes:
    kind, _, value = said.partition(":")
    if kind == "sha256":
        return bytes.fromhex(value)
    token = os.environ.get(value, "")
    if not token:
        raise WorkspaceError(
            f"the token of {name!r} is not set: the environment has no {value}",
            remedy=f"set {value}, or write the token's sha256 into abp.yaml",
        )
    return hashlib.sha256(token.encode()).digest()
