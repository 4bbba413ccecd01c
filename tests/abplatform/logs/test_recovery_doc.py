"""The page about recovery does what it says."""

import re
from pathlib import Path

from abplatform.cli.doctor import doctor
from abplatform.logs.landing import sealed_segments
from abplatform.workspace import open_workspace

PAGE = Path(__file__).parents[3] / "docs" / "recovery.md"


def test_the_example_appends_and_seals(tmp_path, monkeypatch):
    """The program on the page runs as it stands, and its lines are sealed at its end."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102 -- our own page
    (segment,) = sealed_segments(open_workspace(tmp_path))
    assert segment.source == "shop"
    assert len(segment.path.read_bytes().splitlines()) == 2


def test_every_check_is_on_the_page():
    """Each word that doctor may print stands in the page's table, and no other."""
    folder = Path(doctor.callback.__code__.co_filename).parents[1]
    sources = [*(folder / "logs" / "checkup").glob("*.py"), folder / "cli" / "doctor.py"]
    text = "\n".join(source.read_text() for source in sources)
    words = re.findall(r'\b(?:ok|warn|fail|Finding)\(\s*"(\w+)"', text)
    cells = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(words)
