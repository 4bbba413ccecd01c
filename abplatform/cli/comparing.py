"""``abp reward compare``: the reward model against what it must beat, on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.options import json_option, print_json, progress
from abplatform.cli.reward_inputs import images_option, pairs_option

if TYPE_CHECKING:
    from rich.table import Table

    from reward.qualities import Quality
    from reward.rivals import Standing

__all__ = ["compare"]


@click.command()
@pairs_option
@images_option
@click.option(
    "--models",
    default=None,
    metavar="A,B,…",
    help="Which, by name; the first is what the others are held against. By default all that the "
    "pairs allow but the slow hand-picture-read and the reward model's variants.",
)
@click.option(
    "--qualities",
    "qualities_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Scores that need no clicks: a workspace's lineage.jsonl (the inspector's), or Parquet or "
    "CSV with creative_id and columns of numbers. Does the higher one win?",
)
@click.option(
    "--unlabelled",
    "unlabelled_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="More pairs (Parquet), whose labels are not looked at: adds a reward model that also "
    "learns what a first one guesses of them.",
)
@click.option(
    "--judge",
    "judge_name",
    default=None,
    metavar="NAME",
    help="A multimodal model that is asked which of two gets more clicks and learns nothing: a "
    "folder that `save_pretrained` wrote, or a hub id; @<sha256> pins its bytes.",
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
def compare(
    *,
    pairs_file: Path,
    images: Path | None,
    models: str | None,
    qualities_file: Path | None,
    unlabelled_file: Path | None,
    judge_name: str | None,
    folds: int,
    seed: int,
    as_json: bool,
) -> None:
    """Train the reward model and what it must beat on the same pairs, and judge them alike.

    Cross-validated: products that share a picture or a text are held out together, and every model
    predicts every pair once.
    """
    from reward.dataset import read_pairs
    from reward.guesses import check_kinds
    from reward.pictures import pictures_of
    from reward.qualities import judge_qualities, read_qualities

    table = read_pairs(pairs_file)
    found: list[Quality] = []
    if qualities_file is not None:
        found = judge_qualities(table, read_qualities(qualities_file))
    with progress("reading pictures") as advance:
        pictures = pictures_of(table, images, advance=advance)

    from reward.rivals import (
        READ,
        RIVALS,
        Part,
        choose_rivals,
        detected_looks,
        guessed,
        hold_out,
        open_judge,
        repeat_forecast,
    )
    from reward.rivals import compare as run

    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    unknown = sorted(set(names) - set(RIVALS))
    if unknown:
        raise click.UsageError(
            f"no such model: {', '.join(unknown)}; there are {', '.join(RIVALS)}"
        )
    part = Part(table, pictures, images)
    rivals, asked = choose_rivals(part, names), None
    fold = hold_out(table, folds=folds, seed=seed)
    if unlabelled_file is not None:
        more = read_pairs(unlabelled_file)
        check_kinds(table, more, images=pictures is not None)
        rivals["reward-guessed"] = guessed(Part(more, pictures_of(more, images), images))
    judge = None if judge_name is None else open_judge(judge_name)
    # What takes minutes comes after everything that may refuse.
    if READ in rivals:
        with progress("looking for texts and products on pictures") as advance:
            detected_looks(part, advance=advance)
    if judge is not None:
        with progress("asking the judge") as advance:
            rivals["judge"] = repeat_forecast(part, judge.judge(part, advance=advance))
        asked = {"name": judge.name, "sha256": judge.sha256}
    with progress("training") as advance:
        standings = run(part, rivals, fold, advance=advance)
    if as_json:
        models_json = [standing.to_json() for standing in standings]
        qualities = [one.to_json() for one in found]
        print_json({"models": models_json, "judge": asked, "qualities": qualities})
        return
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 120)
    _tell(console.print, standings, found)


def _tell(show: Any, standings: Sequence[Standing], qualities: Sequence[Quality]) -> None:
    first = standings[0].numbers
    ceiling, clear = first["noise_ceiling"], first["noise_ceiling_significant"]
    show(
        f"{first['pairs']:,} pairs, {first['pairs_significant']:,} of them clear; no model can be "
        f"right in more than {ceiling:.1%} of all"
        + (f" and {clear:.1%} of clear ones" if clear is not None else "")
    )
    show(_standings(standings))
    if qualities:
        show(_qualities(qualities))


def _standings(standings: Sequence[Standing]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True)
    headings = ("all", "clear", "between", "first is better by", "p", "turned", "loss", "error")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in standings:
        numbers = one.numbers
        lead = "" if one.gain is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*one.gain)
        table.add_row(
            one.name,
            _number(numbers["accuracy"]),
            _number(numbers["accuracy_significant"]),
            "" if one.clear is None else "{:.3f} to {:.3f}".format(*one.clear),
            lead,
            "" if one.p_value is None else f"{one.p_value:.3f}",
            _number(numbers["accuracy_swapped"]),
            _number(numbers["log_loss_adjusted"]),
            _number(numbers["ece_adjusted"]),
        )
    return table


def _qualities(qualities: Sequence[Quality]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        title="scores that need no clicks: does the higher one win?",
        title_justify="left",
    )
    table.add_column("score", no_wrap=True)
    for heading in ("creatives", "all", "clear", "correlation", "between"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in qualities:
        table.add_row(
            one.name,
            f"{one.creatives:,}",
            _number(one.accuracy),
            _number(one.accuracy_significant),
            "-" if one.correlation is None else f"{one.correlation:+.3f}",
            "" if one.low is None else f"{one.low:+.3f} to {one.high:+.3f}",
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
