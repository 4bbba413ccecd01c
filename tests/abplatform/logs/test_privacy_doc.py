"""docs/sources.md and docs/privacy.md say what is so."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abplatform.workspace import check_settings

DOCS = Path(__file__).parents[3] / "docs"
LOG = """\
when,user,test,group,banner,shelf,clicked
2026-11-02T12:00:00Z,unit-1,lipstick,plain,b1,beauty/lip,0
2026-11-02T12:00:05Z,unit-2,lipstick,sunset,b2,beauty/lip,1
2026-11-02T12:00:07Z,unit-3,lipstick,plain,b1,beauty/lip,1
2026-11-02T12:00:09,unit-2,lipstick,sunset,b2,beauty/lip,1
2026-11-02T12:00:11Z,unit-2,lipstick
"""
MAPPING = """\
event: impression
fields: {unit_id: user, experiment: test, variant: group, creative_id: banner, product_id: banner, category: shelf}
row_number: {event_id: row}
time: {field: when}
clicked: clicked
experiment: {assignment: external, control: first}
"""  # noqa: E501 -- one line of YAML


def blocks(page, kind):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", ["sources.md", "privacy.md"])
def test_the_settings_on_the_page_are_valid(page, tmp_path):
    """The page's abp.yaml is accepted as it stands."""
    (block,) = blocks(page, "yaml")
    (tmp_path / "abp.yaml").write_text(block)
    assert check_settings(tmp_path / "abp.yaml") == []


def abp(folder, line):
    words = shlex.split(line)[1:]
    program = str(Path(sys.executable).with_name("abp"))
    return subprocess.run(
        [program, *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_forgetting_goes_as_the_page_shows(tmp_path):
    """Typed in order, the page's commands remove a unit of a pulled log and say what it shows."""
    make, forget, expire = blocks("privacy.md", "sh")
    assert abp(tmp_path, make.splitlines()[1]).returncode == 0
    shop = tmp_path / "shop"
    (pull,) = blocks("sources.md", "sh")
    (shop / "abp.yaml").write_text(
        "sources: [{name: shop, path: 'logs/*.csv', mapping: shop.yaml}]\n"
        "privacy: {retention: 36500d}\n"
    )
    (shop / "logs").mkdir()
    (shop / "shop.yaml").write_text(MAPPING)
    (shop / "logs" / "a.csv").write_text(LOG)
    subprocess.run(["touch", "-d", "10 minutes ago", shop / "logs" / "a.csv"], check=True)
    pulled = abp(shop, pull.strip())
    assert pulled.returncode == 0, pulled.stderr
    first, second = forget.splitlines()
    assert "4 events in 1 segment, of lipstick" in abp(shop, first).stdout
    done = abp(shop, second)
    assert done.returncode == 0, done.stderr
    said = re.sub(r"\s+", " ", done.stdout)
    for line in blocks("privacy.md", "text")[0].splitlines():
        for part in re.split(r"Searched 9 files below data/: ", line):
            assert part.strip(".") in said, part
    assert "No log is older" in abp(shop, expire.strip()).stdout
