"""docs/sources.md and docs/privacy.md say what is so."""

import os
import re
import shlex
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from abplatform.cli.main import abp
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


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Return ``typed(line, folder)`` → what a line of the page does there."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(line, folder=tmp_path):
        monkeypatch.chdir(folder)
        return CliRunner().invoke(abp, shlex.split(line)[1:], catch_exceptions=False)

    return run


def test_forgetting_goes_as_the_page_shows(tmp_path, typed):
    """Typed in order, the page's commands remove a unit of a pulled log and say what it shows."""
    make, forget, expire = blocks("privacy.md", "sh")
    assert typed(make.splitlines()[1]).exit_code == 0
    shop = tmp_path / "shop"
    (pull,) = blocks("sources.md", "sh")
    (shop / "abp.yaml").write_text(
        "sources: [{name: shop, path: 'logs/*.csv', mapping: shop.yaml}]\n"
        "privacy: {retention: 36500d}\n"
    )
    (shop / "logs").mkdir()
    (shop / "shop.yaml").write_text(MAPPING)
    (shop / "logs" / "a.csv").write_text(LOG)
    then = time.time() - 600
    os.utime(shop / "logs" / "a.csv", (then, then))
    assert typed(pull.strip(), shop).exit_code == 0
    first, second = forget.splitlines()
    assert "4 events in 1 segment will go (experiments: lipstick)." in typed(first, shop).stdout
    done = typed(second, shop)
    assert done.exit_code == 0
    said = re.sub(r"\s+", " ", done.stdout)
    for line in blocks("privacy.md", "text")[0].splitlines():
        for part in re.split(r"Searched 9 files below data/: ", line):
            assert part.strip(".") in said, part
    assert "No log is older" in typed(expire.strip(), shop).stdout
