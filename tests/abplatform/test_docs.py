"""What the documentation tells people to type."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from abplatform.cli.main import abp

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def typed_lines(page: Path) -> list[str]:
    """Every line of the page's shell blocks, continued lines joined, comments left out."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").strip() for line in lines if line.strip()]


def abp_calls() -> list[tuple[str, str]]:
    return [
        (page.name, line)
        for page in PAGES
        for line in typed_lines(page)
        if line.startswith("abp ") and "[" not in line
    ]


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words that are left."""
    command: click.Command = abp
    context = click.Context(abp)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no verb {words[0]}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize(("page", "line"), abp_calls())
def test_every_documented_call_exists(page, line):
    """Each ``abp`` line in the documentation names a verb and options that exist."""
    words = shlex.split(line.split(" | ")[0].split(" > ")[0], comments=True)[1:]
    command, rest = resolve(words)
    options = {name for param in command.params for name in [*param.opts, *param.secondary_opts]}
    options |= {"-h", "--help", "--version"}
    asked = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert asked <= options


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page exists."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_reference_is_what_help_says():
    """``docs/cli.md`` is exactly what the verbs' own help says; ``make reference`` renews it."""
    # In a process of its own: click remembers help options of commands that tests have called.
    command = [sys.executable, "-m", "abplatform.cli.reference"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text() == made
