"""The server's life: bind, serve, drain."""

from __future__ import annotations

import gc
import ipaddress
import logging
import signal
import socket
from typing import Final

import uvicorn

from abplatform.errors import WorkspaceError
from abplatform.traffic.service.app import make_app
from abplatform.traffic.service.protocol import BoundedProtocol
from abplatform.workspace import Workspace

__all__ = ["bind", "serve"]

_DRAIN_SECONDS: Final = 10
_BACKLOG: Final = 2048


def bind(workspace: Workspace, host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        workspace: What will be served.
        host: The address; others than this machine's own need ``tokens`` in abp.yaml.
        port: 0 for any that is free.

    Raises:
        WorkspaceError: The port cannot be used, or everybody could write.
    """
    if not workspace.settings.tokens and not _is_loopback(host):
        raise WorkspaceError(
            f"without `tokens` in abp.yaml everybody who reaches {host} could write",
            path=workspace.root / "abp.yaml",
            remedy="add `tokens: {ads: env:ADS_TOKEN}`, or serve on 127.0.0.1",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        raise WorkspaceError(
            f"port {port} on {host} cannot be used: {error.strerror or error}",
            remedy=f"choose another one, such as `abp serve --port {port % 65535 + 1}`",
        ) from error
    return taken


def serve(workspace: Workspace, taken: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl+C; calls that have begun are finished, the landing is sealed.

    Args:
        workspace: What is served.
        taken: The port.

    Raises:
        WorkspaceError: A token's environment variable is not set, or the key cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = make_app(workspace)
    # What was built at the start lives on: the garbage collector need not walk over it.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=75,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn drains, then sends itself the signal again; being told to stop is no failure.
        signal.signal(number, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=[taken])
    finally:
        app.close()  # also when Ctrl+C is pressed twice, which skips the lifespan's end


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
