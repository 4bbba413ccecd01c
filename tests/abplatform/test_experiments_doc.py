"""docs/experiments.md says what is so."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abplatform.domain.metrics import METRICS
from abplatform.domain.spec import check_experiment
from abplatform.yaml_text import parse, plain

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/experiments.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
FILLED = {
    "key": "key: filled\n",
    "variants": "variants: {a: {control: true}, b: {}}\n",
    "metrics": "metrics: {primary: ctr}\n",
}


@pytest.mark.parametrize("block", [text for kind, text in BLOCKS if kind == "yaml"])
def test_every_yaml_block_is_valid(block):
    """Each block validates, completed by the required keys where it shows only a part."""
    shown = plain(parse(block, path=Path("docs/experiments.md")))
    missing = "".join(line for key, line in FILLED.items() if key not in shown)
    assert check_experiment(missing + block, path=Path("block.yaml")).errors == ()


def test_every_command_works(tmp_path):
    """The commands run in the order of the page, each in the folder to which the last cd led."""
    folder = tmp_path
    commands = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] == "cd":
            folder /= words[1]
            continue
        words[0] = str(Path(sys.executable).with_name(words[0]))
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_metric_is_explained():
    """The table of metrics names exactly those that exist."""
    table = PAGE.split("| metric | is |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(METRICS)


def test_every_code_is_explained():
    """The table of codes names every code that the sources can give, warnings included."""
    sources = [
        *(REPOSITORY / "abplatform/yaml_text").glob("*.py"),
        *(REPOSITORY / "abplatform/domain/spec").glob("*.py"),
        REPOSITORY / "abplatform/domain/verdict_rules.py",
        REPOSITORY / "abplatform/cli/project.py",
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r'code(?:: str)?="(\w+)"', text))
    codes |= set(re.findall(r'self\._(?:refuse|raise)\(\s*(?:event, )?"(\w+)"', text))
    explained = set(re.findall(r"`(\w+)`", PAGE.split("| code | meaning |")[1]))
    assert codes - explained == set()
    assert {"unknown_key", "anchor", "weights_sum", "tab"} <= codes
