"""``abp``: the command line's entry; every verb is imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys

import click

from abplatform import __version__
from abplatform.errors import AbplatformError

__all__ = ["main"]

VERBS: dict[str, tuple[str, str]] = {
    "init": ("project", "Make a workspace with one commented example."),
    "validate": ("project", "Check experiment YAML files."),
    "schema": ("project", "Print the JSON Schema of experiment YAML."),
    "power": ("planning", "Say how many units and days an experiment needs."),
    "simulate": ("planning", "Try an experiment's test on the own log."),
    "start": ("experiments", "Start an experiment."),
    "diff": ("changes", "Show what an edited YAML needs to take effect."),
    "apply": ("changes", "Let an edited YAML take effect in a new phase."),
    "pause": ("experiments", "Pause a running experiment."),
    "ramp": ("experiments", "Move a running experiment to its next ramp step."),
    "stop": ("experiments", "Stop an experiment for good."),
    "halt": ("halt", "Switch all experiments off at once."),
    "status": ("experiments", "Show every experiment's state."),
    "history": (
        "experiments",
        "Show the journal of an experiment, or what all have taught.",
    ),
    "assign": ("assigning", "Show which variant units get."),
    "ingest": ("logs", "Take in impression and click logs."),
    "backfill": ("backfill", "Let late events in."),
    "analyze": ("analysis", "Compute an experiment's scorecard."),
    "srm": ("srm", "Check an experiment for sample ratio mismatch."),
    "report": ("analysis", "Write an experiment's report."),
    "pairs": ("analysis", "Write preference pairs from an experiment."),
    "ope": ("ope", "Say what another policy would have earned."),
    "generate": ("generate", "Draw creatives for products."),
    "creatives": ("creatives", "List and review creatives."),
    "reward": ("reward", "Train, evaluate, score, promote and roll back reward models."),
    "retrain": ("reward", "Retrain the reward model on the pairs at hand."),
    "weekly": ("weekly", "Run one turn of the weekly loop."),
    "schedule": ("schedule", "Run what is due, again and again."),
    "serve": ("serve", "Answer decisions and take events over HTTP."),
    "doctor": ("doctor", "Check hashes, counts, journal, tables and disk."),
    "dashboard": ("dashboard", "Open the dashboard."),
    "export": ("export", "Write ads, tables for BI tools, or the events for Spark."),
    "forget": ("forget", "Forget units, or logs older than they are kept."),
    "demo": ("demo", "Run two simulated weeks in ./demo."),
    "example": ("example", "Run a real data set through the platform."),
}
"""Verb to the module under ``abplatform.cli`` that defines it and its line in ``abp --help``."""


_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}
"""What keeps model libraries from talking between our own lines; whoever sets these is heard."""


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports a verb's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"abplatform.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="abp")
def abp() -> None:
    """Experiments with ad creatives: generate, assign, measure, decide, learn."""


def main() -> None:
    """Run ``abp``; exit 0 when all is well, 1 when it failed, 2 when the call was wrong."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        abp.main(standalone_mode=True)
    except AbplatformError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a folder that cannot be written, a full disk
        told = AbplatformError(
            error.strerror or str(error),
            path=error.filename,
            remedy="check the path, who may write there, and the space that is left",
        )
        click.echo(f"error: {told}", err=True)
        sys.exit(1)
