"""What every route of one service shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from abplatform.logs.privacy import Pseudonyms
from abplatform.traffic.service.access import Rate
from abplatform.traffic.service.calls import Call, Refused
from abplatform.traffic.service.metrics import Metrics
from abplatform.traffic.service.recorder import Recorder
from abplatform.traffic.service.replays import ClicksTaken
from abplatform.traffic.service.tokens import Signer
from abplatform.traffic.service.watching import InForce, Watcher
from abplatform.workspace import Workspace

__all__ = ["Parts"]

_FROM_A_PAGE: Final = b"origin"


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's inside.

    Args:
        workspace: What is served.
        watcher: Holds what decides.
        recorder: Takes what is decided and reported.
        signer: Signs URLs.
        rate: Limits callers.
        clicks: Knows replays.
        metrics: Counts.
        pseudonyms: Makes stored ids of units' ids; None where they are stored as they come.
    """

    workspace: Workspace
    watcher: Watcher
    recorder: Recorder
    signer: Signer
    rate: Rate
    clicks: ClicksTaken
    metrics: Metrics
    pseudonyms: Pseudonyms | None = None

    def admit(self, call: Call, now: InForce) -> str:
        """Return who calls.

        Where no token is asked for, pages of a browser on this machine are kept out: they say
        where they come from.

        Raises:
            Refused: It is nobody we know.
        """
        caller = now.access.caller(call.headers.get(b"authorization"))
        if caller is None:
            raise Refused(
                401, "unknown_token", "send `Authorization: Bearer TOKEN` with a token of abp.yaml"
            )
        if not now.access.digests and _FROM_A_PAGE in call.headers:
            raise Refused(403, "from_a_page", "a web page may not call a service without tokens")
        return caller

    def limit(self, caller: str, calls: int, now: InForce) -> None:
        """Take so many calls out of a caller's bucket.

        Raises:
            Refused: There are not so many left; says when there will be.
        """
        seconds = self.rate.wait(caller, calls, now.service.rate)
        if seconds:
            self.metrics.event("refused", calls)
            raise Refused(
                429,
                "too_many",
                f"more than {now.service.rate:g} a second; `service.rate` in abp.yaml says so",
                retry_seconds=math.ceil(seconds),
            )
