"""The command line's reference page, made from the verbs' own help texts.

``python -m abplatform.cli.reference > docs/cli.md`` writes it; a test holds the page current.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from abplatform.cli.main import abp

__all__ = ["reference_page"]

WIDTH = 100


def reference_page() -> str:
    """Return the Markdown page that shows every verb's ``--help``."""
    sections = [
        f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
        for path, command, context in _commands("abp", abp, None)
    ]
    head = "# Command line\n\nMade from `--help` by `make reference`; every verb and its options.\n"
    return "\n".join([head, *sections])


def _commands(
    path: str, command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Walk the tree of verbs, each with the context that its help needs."""
    name = path.rsplit(" ", maxsplit=1)[-1]
    names = command.context_settings.get("help_option_names")
    context = click.Context(
        command, parent=parent, info_name=name, terminal_width=WIDTH, help_option_names=names
    )
    context.max_content_width = WIDTH
    yield path, command, context
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            child = command.get_command(context, verb)
            if child is not None:
                yield from _commands(f"{path} {verb}", child, context)


if __name__ == "__main__":
    click.echo(reference_page(), nl=False)
