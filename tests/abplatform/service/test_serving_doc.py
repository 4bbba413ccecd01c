"""The page about serving is one session that runs as it stands."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from generators.drawn import draw_catalogue

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page calls curl")
def test_the_session_on_the_page_runs(tmp_path):
    """From an empty folder to a scorecard, a kill under load that loses nothing, a withdrawal."""
    draw_catalogue(tmp_path / "products", products=6)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    marked = "".join(f"printf '\\n== {number}\\n'\n{block}" for number, block in enumerate(blocks))
    script = "set -euo pipefail\nset -m\n" + marked.replace("8080", port)
    found = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{found}{os.pathsep}{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = re.split(r"^== \d\n", done.stdout, flags=re.MULTILINE)[1:]
    assert '"status":"ready"' in parts[0]
    assert parts[1].strip().endswith("409")
    assert re.search(r"^service +2 +2 +0 ", parts[2], re.MULTILINE)
    assert "backgrounds" in parts[2]
    acknowledged, lost = map(int, parts[3].split()[-2:])
    assert acknowledged >= 10
    assert lost == 0
    codes = re.findall(r"^\d{3}$", parts[4], re.MULTILINE)
    assert codes == ["200", "410"]
