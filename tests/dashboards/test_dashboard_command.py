"""``abp dashboard``: one clear error, or a page on this machine only."""

import importlib.util
import os
import socket
import sys

import pytest
from click.testing import CliRunner

from abplatform.cli.dashboard import dashboard
from abplatform.errors import NotInstalled, WorkspaceError


@pytest.fixture
def started(monkeypatch):
    """Catch the process that would be started: its command line and environment."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda program, words, env: calls.append((words, env)))
    return calls


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "abp.yaml").touch()
    return tmp_path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_serves_this_machine_only_and_tells_nobody(started, workspace):
    """Streamlit is bound to 127.0.0.1, without error details and usage statistics."""
    port = free_port()
    result = CliRunner().invoke(
        dashboard, ["-w", str(workspace), "--port", str(port), "--no-browser"]
    )
    assert result.exit_code == 0, result.output
    assert f"http://127.0.0.1:{port}" in result.output
    (words, env), *_ = started
    assert env["ABP_WORKSPACE"] == str(workspace)
    assert words[:3] == [sys.executable, "-m", "streamlit"]
    assert set(words) >= {
        "--server.address=127.0.0.1",
        f"--server.port={port}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a display is taken for granted")
@pytest.mark.parametrize(("display", "headless"), [("", "true"), (":0", "false")])
def test_a_browser_opens_only_where_there_is_a_display(
    started, workspace, monkeypatch, display, headless
):
    """Without a display the dashboard starts headless, with one it opens the browser."""
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    CliRunner().invoke(dashboard, ["-w", str(workspace), "--port", str(free_port())])
    assert f"--server.headless={headless}" in started[0][0]


def test_a_taken_port_is_named_with_another_one(started, workspace):
    """A port that another program holds is refused before Streamlit starts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = CliRunner().invoke(dashboard, ["-w", str(workspace), "--port", str(port)])
    assert isinstance(result.exception, WorkspaceError)
    assert f"port {port} on 127.0.0.1 cannot be used" in str(result.exception)
    assert "abp dashboard --port" in str(result.exception)
    assert started == []


def test_without_streamlit_the_extra_is_named(started, workspace, monkeypatch):
    """Where Streamlit is missing, the message says which extra brings it."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "streamlit" else found(name)
    )
    result = CliRunner().invoke(dashboard, ["-w", str(workspace)])
    assert isinstance(result.exception, NotInstalled)
    assert "abplatform[dashboards]" in str(result.exception)
    assert started == []


def test_outside_a_workspace_nothing_starts(started, tmp_path):
    """A folder without abp.yaml is refused."""
    result = CliRunner().invoke(dashboard, ["-w", str(tmp_path)])
    assert isinstance(result.exception, WorkspaceError)
    assert started == []


def test_a_port_must_be_a_port(started, workspace):
    """A number that is no port is a wrong call."""
    result = CliRunner().invoke(dashboard, ["-w", str(workspace), "--port", "70000"])
    assert result.exit_code == 2
