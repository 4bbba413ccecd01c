"""docs/your-logs.md says what is so."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abplatform.domain.events import REASONS, decode_event
from abplatform.logs.landing import MappingText
from abplatform.logs.mapping import parse_mapping
from abplatform.logs.mapping.spec import _KEYS

PAGE = (Path(__file__).parents[3] / "docs" / "your-logs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)


def blocks(kind):
    return [text for found, text in BLOCKS if found == kind]


@pytest.mark.slow
def test_the_five_commands_do_what_the_page_shows(tmp_path):
    """Typed in order, with the page's own log and mapping, they give the page's receipt."""
    (tmp_path / "own.csv").write_text(blocks("csv")[0])
    (tmp_path / "mapping.yaml").write_text(blocks("yaml")[0])
    folder, said = tmp_path, ""
    for command in blocks("sh")[0].splitlines():
        typed, _, target = command.partition(" > ")
        words = shlex.split(typed)
        if words[0] == "cd":
            folder /= words[1]
            continue
        words[0] = str(Path(sys.executable).with_name(words[0]))
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout
        if target:
            (folder / target).write_text(said)
    shown = next(text for text in blocks("text") if text.startswith("source"))
    assert [" ".join(line.split()) for line in said.splitlines()][:5] == [
        " ".join(line.split()) for line in shown.splitlines()
    ]
    assert "event: impression" in (folder / "draft.yaml").read_text()


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_mapping_on_the_page_is_valid(block):
    """Each YAML block is a mapping file that is accepted as it stands."""
    mapping = parse_mapping(MappingText(block.encode()), path=Path("docs/your-logs.md"))
    assert f"event: {mapping.event}" in block


def test_every_event_on_the_page_is_valid():
    """Each wire event decodes to exactly what it says."""
    for line in blocks("json")[0].splitlines():
        assert decode_event(line.encode()).event_id == json.loads(line)["event_id"]


def test_every_mapping_key_is_explained():
    """The table of keys names exactly those that exist, and reasons on the page exist."""
    table = PAGE.split("| key | says |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(_KEYS)
    named = re.findall(r"`(unknown_\w+|naive_\w+|conflicting_\w+)`", PAGE)
    assert set(named) <= set(REASONS)
