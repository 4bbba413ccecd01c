"""``abp dashboard``: serve the workspace's published tables as pages, on this machine only."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from pathlib import Path

import click

from abplatform.cli.options import workspace_option
from abplatform.errors import NotInstalled, WorkspaceError
from abplatform.workspace import open_workspace

__all__ = ["dashboard"]

_ADDRESS = "127.0.0.1"


@click.command("dashboard")
@workspace_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8501,
    show_default=True,
    help="The port on 127.0.0.1.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def dashboard(folder: Path | None, port: int, no_browser: bool) -> None:  # noqa: FBT001  # click passes options by keyword
    """Open the dashboard: what runs, scorecards and creatives, as last published."""
    root = open_workspace(folder).root.resolve()
    if importlib.util.find_spec("streamlit") is None:
        raise NotInstalled("streamlit", extra="dashboards")
    _check_port(port)
    click.echo(f"Dashboard of {root}: http://{_ADDRESS}:{port}  (Ctrl+C stops it)")
    sys.stdout.flush()
    command = _command(port, headless=no_browser or not _has_display())
    # Streamlit takes this process over, so that a signal or Ctrl+C ends it and nothing is left.
    os.execve(sys.executable, command, os.environ | {"ABP_WORKSPACE": str(root)})  # noqa: S606  # no shell is wanted


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as error:
            raise WorkspaceError(
                f"port {port} on {_ADDRESS} cannot be used: {error.strerror}",
                remedy=f"choose another one, such as `abp dashboard --port {port % 65535 + 1}`",
            ) from error


def _command(port: int, *, headless: bool) -> list[str]:
    """Return Streamlit's command line; flags win over every configuration file."""
    app = importlib.util.find_spec("dashboards.app")
    if app is None or app.origin is None:
        raise NotInstalled("dashboards", extra="dashboards")
    flags = {
        "server.address": _ADDRESS,
        "server.port": port,
        "server.headless": str(headless).lower(),
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": "true",
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, "-m", "streamlit", "run", app.origin, *words]


def _has_display() -> bool:
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
