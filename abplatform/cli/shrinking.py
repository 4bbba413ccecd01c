"""``abp reward shrink``: a trained model made smaller and faster, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform import checkpoints
from abplatform.cli.form_experiment import describe_experiment
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.cli.reward_inputs import (
    KIND,
    images_option,
    open_pairs,
    pairs_option,
)
from abplatform.durable import replace_durably
from abplatform.workspace import Workspace, open_workspace, system_clock

if TYPE_CHECKING:
    from rich.table import Table

    from abplatform.checkpoints import Checkpoint
    from reward.forms import Cost
    from reward.gates import Gain

__all__ = ["shrink"]

_MB = 1e6


@click.command()
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder with model.safetensors and manifest.json, as `abp reward train` wrote it.",
)
@pairs_option
@images_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for model.onnx and manifest.json.",
)
@click.option(
    "--prune",
    "share",
    type=click.FloatRange(0, 1, max_open=True),
    default=None,
    metavar="SHARE",
    help="Also take out this share of the inner neurons of the pre-trained encoder of texts, those"
    " that matter least, such as 0.25.",
)
@click.option(
    "--experiment",
    "experiment_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write an experiment here: do creatives that the small form screened get as many clicks?"
    " For a model that sees pictures; both forms go to the workspace's checkpoints.",
)
@workspace_option
@json_option
def shrink(
    *,
    checkpoint: Path,
    pairs_file: Path,
    images: Path | None,
    out: Path,
    share: float | None,
    experiment_file: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Make a reward model smaller and faster: int8, and with --prune fewer neurons.

    Every form is held against the model as it is, on pairs that the model should not have learned
    from. The int8 form works wherever the model does: `abp reward score`, `abp generate` and so on.
    """
    if out.resolve() == checkpoint.resolve():
        raise click.UsageError("--out is the model's own folder; name another one")
    if experiment_file is not None and experiment_file.exists():
        raise click.UsageError(f"{experiment_file} is there already; name a new file")
    workspace = open_workspace(folder) if experiment_file else None
    whole = checkpoints.read_folder(checkpoint, kind=KIND)
    if not _may_take(out, whole):
        raise click.UsageError(f"{out} holds another model; name a new folder")
    table, pictures, scorer = open_pairs(checkpoint, pairs_file, images)
    if experiment_file is not None and not scorer.reads_images:
        raise click.UsageError(
            "this model reads texts alone, so it screens no pictures: there is nothing that an"
            " experiment could compare; leave --experiment out"
        )

    from reward.forms import make_forms, measure_forms
    from reward.score import save_form

    with progress("making forms"):
        made = make_forms(scorer, table, pictures, share=share)
    with progress("scoring") as advance:
        costs = measure_forms(made.forms, table, pictures, advance=advance)
    metadata = {name: told for name, told in whole.metadata.items() if name != "training_key"}
    small = save_form(
        out,
        made.kept,
        made.model,
        metadata={**metadata, "made_from": whole.sha256, "pruned": share},
        created_at=system_clock(),
    )
    facts: dict[str, Any] = {"checkpoint": str(out), "sha256": small.sha256}
    if workspace is not None and experiment_file is not None:
        _keep(workspace, (whole, small))
        text = describe_experiment(whole.sha256, small.sha256, path=experiment_file)
        experiment_file.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(experiment_file, text.encode())
        facts["experiment"] = str(experiment_file)
    if as_json:
        print_json({**facts, "made_from": whole.sha256, "forms": [one.to_json() for one in costs]})
        return
    _print_costs(costs, pairs=len(table))
    click.echo(f"{out}  {small.sha256[:12]}")
    if experiment_file:
        click.echo(f"{experiment_file}: what is left to fill in is said there")


def _may_take(out: Path, whole: Checkpoint) -> bool:
    """Whether a folder holds no model, or an earlier form of this one."""
    if not (out / checkpoints.MANIFEST).exists():
        return not (out / "model.safetensors").exists()
    found = checkpoints.read_folder(out, kind=KIND).metadata
    return bool(found.get("made_from") == whole.sha256)


def _keep(workspace: Workspace, models: Sequence[Checkpoint]) -> None:
    """Put models where an experiment finds them."""
    with workspace.lock("reward shrink"):
        for one in models:
            checkpoints.save_checkpoint(
                workspace.checkpoints,
                one.folder,
                kind=KIND,
                metadata=one.metadata,
                created_at=workspace.clock(),
            )


def _print_costs(costs: Sequence[Cost], *, pairs: int) -> None:
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 120)
    console.print(f"{pairs:,} pairs; differences to the model as it is, with 95 % intervals")
    console.print(_table(costs))


def _table(costs: Sequence[Cost]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("form", no_wrap=True)
    headings = ("clear", "difference", "all", "difference", "same side", "MB", "items/s")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in costs:
        clear = one.accuracy_significant
        table.add_row(
            one.form,
            "-" if clear is None else f"{clear:.3f}",
            _difference(one.change_significant),
            f"{one.accuracy:.3f}",
            _difference(one.change),
            f"{one.agreement:.3f}",
            f"{one.size / _MB:.1f}",
            f"{one.items_per_second:,.0f}",
        )
    return table


def _difference(gain: Gain | None) -> str:
    return "" if gain is None else f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
