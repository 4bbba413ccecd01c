"""The ASGI application: routes, and an answer to everything that can go wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from abplatform.logs.privacy import pseudonyms_of
from abplatform.traffic.service.access import Rate
from abplatform.traffic.service.calls import Call, Receive, Refused, Reply, Scope, Send
from abplatform.traffic.service.deciding import assignments, decide_many, decide_one
from abplatform.traffic.service.health import alive, description, docs, metrics, ready, show_gauges
from abplatform.traffic.service.metrics import Metrics
from abplatform.traffic.service.parts import Parts
from abplatform.traffic.service.pictures import picture
from abplatform.traffic.service.recorder import CLICKS, Recorder
from abplatform.traffic.service.replays import ClicksTaken
from abplatform.traffic.service.reporting import click, events, impression
from abplatform.traffic.service.tokens import Signer, read_key
from abplatform.traffic.service.watching import Watcher
from abplatform.workspace import Workspace

__all__ = ["ROUTES", "App", "Route", "make_app"]

Handler = Callable[[Parts, Call], Awaitable[Reply]]
_LOG: Final = logging.getLogger("abplatform.service")


@dataclass(frozen=True, slots=True)
class Route:
    """One address.

    Args:
        method: Of HTTP.
        path: Whole; or up to the last slash, and what follows is the handler's.
        handle: Answers it.
    """

    method: str
    path: str
    handle: Handler


ROUTES: Final = (
    Route("POST", "/v1/decide", decide_one),
    Route("POST", "/v1/decide/batch", decide_many),
    Route("GET", "/v1/assignments", assignments),
    Route("POST", "/v1/events", events),
    Route("GET", "/v1/impressions/", impression),
    Route("GET", "/v1/clicks/", click),
    Route("GET", "/v1/creatives/", picture),
    Route("GET", "/healthz", alive),
    Route("GET", "/readyz", ready),
    Route("GET", "/metrics", metrics),
    Route("GET", "/openapi.json", description),
    Route("GET", "/docs", docs),
)

_BY_PATH: Final = {route.path: route for route in ROUTES}


class App:
    """An ASGI application over one workspace.

    Args:
        parts: The service's inside.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        show_gauges(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        route, rest = _find(scope["path"])
        reply = await self._answer(scope, receive, route, rest)
        await reply.send(send, with_body=scope["method"] != "HEAD")
        name = route.path if route else "unknown"
        self.parts.metrics.answered(name, reply.status, time.perf_counter() - began)

    def close(self) -> None:
        """Look at files no more, bring out what waits, seal."""
        self.parts.watcher.close()
        self.parts.recorder.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(
        self, scope: Scope, receive: Receive, route: Route | None, rest: str
    ) -> Reply:
        if route is None:
            return Refused(404, "unknown_path", "see /openapi.json for what there is").reply()
        method = "GET" if scope["method"] == "HEAD" and not rest else scope["method"]
        if method != route.method:
            told = Refused(405, "wrong_method", f"call it by {route.method}").reply()
            told.headers.append((b"allow", route.method.encode()))
            return told
        try:
            return await route.handle(self.parts, Call(scope, receive, rest))
        except Refused as refused:
            return refused.reply()
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets an answer
            _LOG.exception("%s failed", route.path)
            return Refused(500, "failed", "the service's log says why").reply()


def make_app(workspace: Workspace) -> App:
    """Return a running service over a workspace; :meth:`App.close` ends it.

    Args:
        workspace: What is served.

    Raises:
        WorkspaceError: A token's environment variable is not set, or a key cannot be used.
    """
    pseudonyms = pseudonyms_of(workspace)
    watcher = Watcher(workspace, pseudonyms=pseudonyms.fingerprint if pseudonyms else None)
    window = workspace.settings.service.click_window
    return App(
        Parts(
            workspace=workspace,
            watcher=watcher,
            recorder=Recorder(workspace),
            signer=Signer(read_key(workspace.data), workspace.clock),
            rate=Rate(),
            clicks=ClicksTaken(workspace, CLICKS, window),
            metrics=Metrics(),
            pseudonyms=pseudonyms,
        )
    )


def _find(path: str) -> tuple[Route | None, str]:
    route = _BY_PATH.get(path)
    if route is not None:
        return route, ""
    head, slash, rest = path.rpartition("/")
    return _BY_PATH.get(head + slash), rest
