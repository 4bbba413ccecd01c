"""``abp serve``: the decision and event service over HTTP."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from abplatform.cli.options import workspace_option
from abplatform.errors import NotInstalled
from abplatform.workspace import open_workspace

__all__ = ["serve"]

_NEEDED = ("uvicorn", "uvloop", "httptools", "prometheus_client")


@click.command("serve")
@workspace_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port; 0 takes any that is free and says which.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address; others than this machine's own need `tokens` in abp.yaml.",
)
def serve(folder: Path | None, port: int, host: str) -> None:
    """Answer POST /v1/decide and take events, until SIGTERM or Ctrl+C.

    YAML edits, pauses, reviews and withdrawals take effect by themselves. The API is described at
    /docs and /openapi.json.
    """
    workspace = open_workspace(folder)
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise NotInstalled(package, extra="service")
    from abplatform.traffic.service.serving import bind
    from abplatform.traffic.service.serving import serve as serve_until_told

    taken = bind(workspace, host, port)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Serving {workspace.root.resolve()}: http://{shown}:{taken.getsockname()[1]}")
    sys.stdout.flush()
    serve_until_told(workspace, taken)
