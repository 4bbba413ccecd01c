"""What is loaded before anybody asked for it."""

import json
import subprocess
import sys

import pytest

from abplatform.cli.main import main

HEAVY = ["torch", "transformers", "diffusers", "pandas", "statsmodels", "streamlit"]
HEAVY += ["uvicorn", "uvloop", "prometheus_client"]
ABP = "import sys; sys.argv = ['abp', *{words}]; from abplatform.cli.main import main; main()"


@pytest.mark.parametrize(
    "program",
    [
        "import abplatform",
        ABP.format(words=["--help"]),
        ABP.format(words=["--version"]),
        ABP.format(words=["assign", "--help"]),
        ABP.format(words=["status", "--help"]),
        ABP.format(words=["serve", "--help"]),
    ],
    ids=["import", "help", "version", "assign", "status", "serve"],
)
def test_starting_loads_nothing_heavy(program):
    """Importing abplatform, ``abp --help`` and the traffic verbs load no heavy package."""
    code = (
        "import atexit, json, sys\n"
        f"heavy = {HEAVY!r}\n"
        "told = lambda: sys.stderr.write(json.dumps([m for m in heavy if m in sys.modules]))\n"
        "atexit.register(told)\n" + program
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []


def test_a_place_that_cannot_be_written_is_one_line(monkeypatch, capsys, tmp_path):
    """What the operating system refuses is said with its path, exit code 1 and no traceback."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(sys, "argv", ["abp", "init", str(tmp_path / "file" / "shop")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/file/shop")
    assert said.count("\n") == 1
    assert "Check the path" in said
