"""The service's client: asks for decisions and reports events, and never breaks a page.

A decision that the service cannot give in time is the caller's own default, marked ``fallback``.
Events are the other way round: they are sent again until they are acknowledged, and an error says
when they were not.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from abplatform.traffic.client.answers import Decision, Delivery, ShownCreative
from abplatform.traffic.client.connections import Connections
from abplatform.traffic.client.reporting import report
from abplatform.traffic.decisions import Request

__all__ = ["Client"]

_log = logging.getLogger("abplatform.client")

_FAILURES_TO_REST: Final = 3
"""After so many failures in a row the service is left alone for a while."""

_WARNED_SECONDS: Final = 10.0
"""A warning is not repeated sooner."""

_ANSWERS = msgspec.json.Decoder(list[Decision])
_ANSWER = msgspec.json.Decoder(Decision)


class Client:
    """Asks one service; threads may share it.

    Args:
        url: The service's address.
        token: The bearer token, where the service wants one.
        timeout_seconds: How long a decision may take; then it is the caller's default.
        patience_seconds: How long a report is repeated before it is an error.
        rest_seconds: How long a service that failed three times in a row is left alone: until then
            every decision is the default at once, and the page does not wait.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_seconds: float = 0.25,
        patience_seconds: float = 10.0,
        rest_seconds: float = 1.0,
    ) -> None:
        self._connections = Connections(url, token=token)
        self._timeout = timeout_seconds
        self._patience = patience_seconds
        self._rest = rest_seconds
        self._failures = 0
        self._resting_until = 0.0
        self._warned_at = float("-inf")

    def decide(self, request: Request, *, default: ShownCreative | None = None) -> Decision:
        """Ask what to show; the answer comes in time, whatever happens to the service.

        Args:
            request: Who asks, about what.
            default: What is shown when the service does not answer; without it the place is held.
        """
        try:
            return _ANSWER.decode(self._ask("/v1/decide", msgspec.json.encode(request)))
        except _FAILURES as error:
            return _own(default, self._problem(error))

    def decide_batch(
        self, requests: Sequence[Request], *, default: ShownCreative | None = None
    ) -> list[Decision]:
        """Ask for several at once; all are answered from one config, or none is.

        Args:
            requests: At most as many as the service takes in one batch.
            default: As for :meth:`decide`, for each of them.

        Returns:
            The decisions in the requests' order.
        """
        if not requests:
            return []
        try:
            answers = _ANSWERS.decode(
                self._ask("/v1/decide/batch", msgspec.json.encode(list(requests)))
            )
            if len(answers) == len(requests):
                return answers
            problem = f"the service answered {len(answers)} of {len(requests)} requests"
        except _FAILURES as error:
            problem = self._problem(error)
        return [_own(default, problem) for _ in requests]

    def report(self, events: Iterable[Mapping[str, Any]]) -> Delivery:
        """Report events and return once they are on the service's disk.

        An event counts once however often it comes, so a report that failed may be repeated.

        Args:
            events: Events of schema 1, as ``abp ingest`` takes them.

        Raises:
            DeliveryError: Some are not acknowledged; it says how many are.
        """
        return report(self._connections, events, patience_seconds=self._patience)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, path: str, body: bytes) -> bytes:
        """Return the answer to a decision, or raise one of _FAILURES."""
        if time.monotonic() < self._resting_until:
            message = "the service failed just now and is left alone for a moment"
            raise _NoDecision(message)
        try:
            answer = self._connections.ask("POST", path, timeout_seconds=self._timeout, body=body)
        except (OSError, http.client.HTTPException):
            self._count_failure()
            raise
        if answer.status >= 500:
            self._count_failure()
        else:
            self._failures = 0
        if answer.status != 200:
            raise _NoDecision(answer.told)
        return answer.body

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_TO_REST:
            self._resting_until = time.monotonic() + self._rest

    def _problem(self, error: Exception) -> str:
        problem = str(error) or type(error).__name__
        if time.monotonic() - self._warned_at > _WARNED_SECONDS:
            self._warned_at = time.monotonic()
            _log.warning("decisions are the caller's default: %s", problem)
        return problem


class _NoDecision(Exception):
    """The service answered, but with no decision."""


_FAILURES: Final = (
    OSError,
    http.client.HTTPException,
    msgspec.MsgspecError,
    ValueError,  # an id without a UTF-8 form
    TypeError,  # an attribute that JSON has no word for
    _NoDecision,
)


def _own(default: ShownCreative | None, problem: str) -> Decision:
    return Decision(
        action="show" if default else "hold", reason="fallback", creative=default, problem=problem
    )
