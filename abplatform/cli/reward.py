"""``abp reward`` and ``abp retrain``: train, test, use and choose reward models."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform import checkpoints
from abplatform.cli.comparing import compare
from abplatform.cli.effects import effects
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.cli.report_card import card
from abplatform.cli.reward_inputs import (
    checkpoint_option,
    images_option,
    open_pairs,
    pairs_option,
)
from abplatform.cli.shrinking import shrink
from abplatform.errors import StoreError, TrainingError
from abplatform.workspace import Workspace, open_workspace, system_clock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reward.dataset import PairTable
    from reward.fit import TrainingConfig
    from reward.losses import Loss
    from reward.source import Source

__all__ = ["find_faults", "read_source", "retrain", "reward"]

KIND = "reward"

epochs_option = click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=None,
    help="Passes over the pairs at most; default as the model was tuned.",
)
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


@click.group()
def reward() -> None:
    """Train, evaluate, score, promote and roll back reward models."""


reward.add_command(card)
reward.add_command(compare)
reward.add_command(effects)
reward.add_command(shrink)


@reward.command()
@pairs_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for model.safetensors and manifest.json.",
)
@images_option
@click.option(
    "--text-encoder",
    default=None,
    metavar="NAME",
    help="What reads ad texts: `words` (hashed), `all-minilm-l6-v2`, or another BERT-class encoder"
    " by folder or hub id. By default MiniLM where it is installed and there are only texts, in"
    " Latin letters; else `words`.",
)
@click.option(
    "--picture-encoder",
    default="patches",
    show_default=True,
    metavar="NAME",
    help="What looks at pictures: `patches` (a small ViT learned from the pairs alone),"
    " `efficientnet-lite0`, or a CLIP, SigLIP, ViT or DINOv2 encoder by folder or hub id.",
)
@click.option(
    "--loss",
    type=click.Choice(["preference", "marginal", "difference"]),
    default="preference",
    show_default=True,
    help="What pairs teach: which side is better (p_win), the same with the better side unknown, or"
    " by how much (clicks in impressions).",
)
@click.option(
    "--augment",
    is_flag=True,
    help="Vary light, tint and distance of pictures while they teach.",
)
@click.option(
    "--unlabelled",
    "unlabelled_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="More pairs (Parquet), whose labels are not looked at: a first model guesses them, and the"
    " one that is kept learns from both. With `--loss preference`.",
)
@click.option(
    "--curves",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the course of the training: tensorboard --logdir FOLDER.",
)
@seed_option
@epochs_option
@json_option
def train(
    *,
    pairs_file: Path,
    out: Path,
    images: Path | None,
    text_encoder: str | None,
    picture_encoder: str,
    loss: Loss,
    augment: bool,
    unlabelled_file: Path | None,
    curves: Path | None,
    seed: int,
    epochs: int | None,
    as_json: bool,
) -> None:
    """Train a reward model on preference pairs.

    Texts, pictures or both are read, whichever the pairs have. A training that was stopped goes on
    where it was. Started by torchrun, several processes train together.
    """
    from reward import ranks
    from reward.dataset import read_pairs
    from reward.pictures import pictures_of
    from reward.recipe import choose_config, choose_workers
    from reward.score import save_model
    from reward.train import train as train_model

    if unlabelled_file is not None and loss != "preference":
        raise click.UsageError(
            f"guesses are no clicks, which `--loss {loss}` learns from; leave --unlabelled out, or"
            " take `--loss preference`"
        )
    table = read_pairs(pairs_file)
    choose = partial(
        choose_config,
        images=images is not None and table.has_images,
        seed=seed,
        epochs=epochs,
        text_encoder=text_encoder,
        picture_encoder=picture_encoder,
        loss=loss,
        augment=augment,
    )
    config = choose(table)
    with progress("reading pictures") as advance:
        pictures = pictures_of(table, images, size=config.image_size, advance=advance)
    out.mkdir(parents=True, exist_ok=True)
    if unlabelled_file is not None:
        table, pictures = _guess(
            table, pictures, unlabelled_file, images=images, config=config, out=out
        )
        config = choose(table)
    with ranks.join_ranks(), progress("training") as advance:
        resume = out / ".training"
        trained = train_model(
            table,
            pictures,
            config,
            resume=resume,
            advance=advance,
            workers=choose_workers(table, config),
            curves=curves if ranks.rank() == 0 else None,
        )
        if ranks.rank() > 0:
            return
    metadata = {"pairs_sha256": table.fingerprint}
    checkpoint = save_model(out, trained, metadata=metadata, created_at=system_clock())
    facts = {"checkpoint": str(out), "sha256": checkpoint.sha256, **trained.facts}
    if as_json:
        print_json(facts)
        return
    guessed = f", {facts['guessed']:,} of them guessed" if facts["guessed"] else ""
    click.echo(f"{facts['pairs']:,} pairs of {facts['items']:,} creatives{guessed}")
    if facts["contradictions"]:
        click.echo(f"{facts['contradictions']:,} pairs are preferred both ways round")
    best = ", ".join(map(str, facts["best_epochs"]))
    click.echo(f"{len(facts['epochs'])} nets, best after {best} epochs")
    if table.has_texts:
        click.echo(f"texts are read by {facts['text_encoder'].get('name', 'hashed words')}")
    if pictures is not None:
        click.echo(f"pictures are seen by {facts['picture_encoder'].get('name', 'patches')}")
    click.echo(f"{out}  {checkpoint.sha256[:12]}")


def _guess(
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    unlabelled_file: Path,
    *,
    images: Path | None,
    config: TrainingConfig,
    out: Path,
) -> tuple[PairTable, NDArray[np.uint8] | None]:
    """Return pairs and pictures with those beside them whose labels a first model has guessed."""
    from reward import ranks
    from reward.dataset import read_pairs
    from reward.guesses import add_guesses, check_kinds, join_pictures
    from reward.pictures import pictures_of
    from reward.recipe import choose_workers
    from reward.score import RewardScorer
    from reward.train import train as train_model

    more = read_pairs(unlabelled_file)
    check_kinds(table, more, images=pictures is not None)
    more_pictures = pictures_of(more, images, size=config.image_size)
    with ranks.join_ranks(), progress("training the model that guesses") as advance:
        guessing = train_model(
            table,
            pictures,
            config,
            resume=out / ".guessing",
            advance=advance,
            workers=choose_workers(table, config),
        )
    said = RewardScorer(guessing.model).predict(more, more_pictures)
    joined = add_guesses(table, more, said)
    return joined, join_pictures(joined, [(table, pictures), (more, more_pictures)])


@reward.command()
@checkpoint_option
@pairs_option
@images_option
@json_option
def evaluate(*, checkpoint: Path, pairs_file: Path, images: Path | None, as_json: bool) -> None:
    """Test a reward model on pairs it has not seen."""
    from reward.evaluate import evaluate as judge

    table, pictures, scorer = open_pairs(checkpoint, pairs_file, images)
    said = scorer.forecast(table, pictures)
    found = judge(table, said.there, said.back, click_rates=said.click_rates)
    numbers = {"checkpoint": scorer.sha256, **found.numbers}
    rows = numbers["by_category"]
    for name, evidence in zip(rows, scorer.knows(list(rows)).tolist(), strict=True):
        rows[name]["evidence"] = evidence
    if as_json:
        print_json(numbers)
    else:
        _print_numbers(numbers)


@reward.command()
@checkpoint_option
@pairs_option
@images_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Parquet file for pair_id, p_chosen, logit_sd and evidence.",
)
@json_option
def score(
    *, checkpoint: Path, pairs_file: Path, images: Path | None, out: Path, as_json: bool
) -> None:
    """Write the probability that each pair's chosen creative wins.

    Beside it: how far the model's nets differ (logit_sd), and whether it has learned from the
    pair's category at all (evidence).
    """
    import io

    import polars as pl

    from abplatform.durable import replace_durably

    table, pictures, scorer = open_pairs(checkpoint, pairs_file, images)
    said = scorer.forecast(table, pictures)
    columns = {"pair_id": table.pair_ids, "p_chosen": said.there, "logit_sd": said.logit_sd}
    columns["evidence"] = scorer.knows(table.categories)
    buffer = io.BytesIO()
    pl.DataFrame(columns, schema_overrides={"logit_sd": pl.Float64}).write_parquet(buffer)
    replace_durably(out, buffer.getvalue())
    if as_json:
        print_json({"checkpoint": scorer.sha256, "pairs": len(table), "out": str(out)})
    else:
        click.echo(f"{len(table):,} pairs scored: {out}")


@reward.command()
@click.argument("checkpoint")
@workspace_option
@json_option
def promote(checkpoint: str, folder: Path | None, *, as_json: bool) -> None:
    """Make CHECKPOINT the champion.

    CHECKPOINT is a sha256, its first six or more digits, or an alias such as challenger.
    """
    workspace = open_workspace(folder)
    with workspace.lock("reward promote"):
        wanted = checkpoints.load_checkpoint(workspace.checkpoints, checkpoint, kind=KIND)
        at = workspace.clock()
        checkpoints.promote(workspace.checkpoints, KIND, wanted.sha256, at=at)
        _note(workspace, "promote", wanted.sha256)
    _print_aliases(workspace, as_json=as_json)


@reward.command()
@workspace_option
@json_option
def rollback(folder: Path | None, *, as_json: bool) -> None:
    """Make the previous champion the champion again."""
    workspace = open_workspace(folder)
    with workspace.lock("reward rollback"):
        now = checkpoints.rollback(workspace.checkpoints, KIND, at=workspace.clock())
        _note(workspace, "rollback", now.sha256)
    _print_aliases(workspace, as_json=as_json)


@reward.command("list")
@workspace_option
@json_option
def list_models(folder: Path | None, *, as_json: bool) -> None:
    """Show every reward model, oldest first."""
    workspace = open_workspace(folder)
    named = checkpoints.aliases(workspace.checkpoints).get(KIND, {})
    rows = [
        {
            "sha256": one.sha256,
            "aliases": sorted(alias for alias, sha256 in named.items() if sha256 == one.sha256),
            "created_at": one.created_at,
            "weeks": one.metadata.get("weeks", []),
            "pairs": one.metadata["train"]["pairs"],
        }
        for one in checkpoints.list_checkpoints(workspace.checkpoints, kind=KIND)
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        told = ", ".join(row["aliases"]) or "-"
        weeks = " … ".join(dict.fromkeys([*row["weeks"][:1], *row["weeks"][-1:]])) or "own pairs"
        click.echo(f"{row['sha256'][:12]}  {told:<22} {row['pairs']:>7,} pairs  {weeks}")
    if not rows:
        click.echo("There is no reward model yet; train one with `abp retrain`.")


@click.command()
@click.option("--week", default=None, help="The held-out week, 2026-W48; default the newest.")
@click.option("--due", is_flag=True, help="The newest week, unless it is decided already.")
@workspace_option
@seed_option
@epochs_option
@json_option
def retrain(
    week: str | None,
    folder: Path | None,
    *,
    due: bool,
    seed: int,
    epochs: int | None,
    as_json: bool,
) -> None:
    """Train on the weeks before WEEK, judge on WEEK, promote the new model or say why not."""
    from reward.recipe import choose_config_for
    from reward.retrain import retrain as run

    if week and due:
        raise click.UsageError("name a --week, or write --due")
    workspace = open_workspace(folder)
    with workspace.lock("retrain"), progress("training") as advance:
        source = read_source(workspace)
        if due and (not source.pairs or _is_decided(workspace, max(source.pairs))):
            _tell_nothing_due(source, as_json=as_json)
            return
        if not source.pairs:
            raise TrainingError(
                "there are no preference pairs yet",
                path=workspace.pairs,
                remedy="run a week with `abp weekly`, or write pairs with `abp pairs`",
            )
        result = run(
            source,
            root=workspace.checkpoints,
            week=week or max(source.pairs),
            at=workspace.clock(),
            config=choose_config_for(source, week or max(source.pairs), seed=seed, epochs=epochs),
            faults=find_faults(workspace, source, week or max(source.pairs)),
            advance=advance,
        )
    if as_json:
        print_json(result.to_json())
        return
    what = "promoted" if result.promoted else "not promoted"
    again = " (decided before, nothing done)" if result.unchanged else ""
    click.echo(f"{result.week}: {result.checkpoint_sha256[:12]} {what}{again}")
    for reason in result.reasons:
        click.echo(f"  - {reason}")


def _is_decided(workspace: Workspace, week: str) -> bool:
    """Whether a week was judged, by `abp retrain` or in a weekly turn."""
    from abplatform.loop.steps import is_finished

    kept = workspace.checkpoints / "retrains" / f"{week}.json"
    return kept.is_file() or is_finished(workspace.runs / week, "promote")


def _tell_nothing_due(source: Source, *, as_json: bool) -> None:
    newest = max(source.pairs, default=None)
    if as_json:
        print_json({"due": False, "newest_week": newest})
    else:
        click.echo(
            f"nothing is due: {newest} is decided" if newest else "nothing is due: no pairs yet"
        )


def read_source(workspace: Workspace) -> Source:
    """Find a workspace's pairs by week, its pictures and the scenes they were drawn from.

    Weeks without any pair are left out: their experiments had nothing to teach.

    Raises:
        TrainingError: A week's file cannot be read.
    """
    from abplatform.analysis.pairs import drop_withdrawn
    from abplatform.creatives import read_lineage
    from abplatform.traffic.registry import Registry
    from reward.source import Source

    lineage = read_lineage(workspace.creatives)
    paths = [path for path in sorted(workspace.pairs.glob("*.parquet")) if _holds_rows(path)]
    # Pairs that were kept before a withdrawal would teach what it forbids.
    drop_withdrawn(paths, Registry(workspace).withdrawn().among(lineage.values()))
    found = {path.stem: path for path in paths if _holds_rows(path)}
    return Source(
        pairs=found,
        images=workspace.creatives if workspace.creatives.is_dir() else None,
        thumbnails=workspace.data / "cache" / "thumbnails",
        scenes={name: row.scene for name, row in lineage.items()},
        week_shares=_week_shares(workspace, list(found)),
    )


def _week_shares(workspace: Workspace, weeks: Sequence[str]) -> dict[str, float]:
    """Return how much pairs count of weeks that the calendar says to learn less from."""
    from abplatform.loop.weeks import parse_week

    shares: dict[str, float] = {}
    for week in weeks:
        monday = parse_week(week).monday
        days = [monday + timedelta(days=day) for day in range(7)]
        met = [
            stretch.learn
            for stretch in workspace.settings.calendar
            if any(day in stretch for day in days)
        ]
        if met and min(met) < 1:
            shares[week] = min(met)
    return shares


def _holds_rows(path: Path) -> bool:
    import polars as pl

    try:
        return bool(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TrainingError(
            f"the pairs cannot be read: {error}",
            path=path,
            remedy="remove the file, and write the week's pairs again with `abp pairs`",
        ) from None


def find_faults(workspace: Workspace, source: Source, week: str) -> tuple[str, ...]:
    """Say which experiments behind a week's pairs have an SRM alarm, as published."""
    import polars as pl

    from abplatform.logs.store.published import read_published
    from reward.dataset import read_pairs

    if week not in source.pairs:
        return ()
    keys = read_pairs(source.pairs[week]).frame["experiment"].unique()
    try:
        scorecards = read_published(workspace.published).table("scorecards")
    except StoreError:
        return ()
    bad = scorecards.filter(
        pl.col("experiment").is_in(keys.to_list()), pl.col("srm_verdict") == "alarm"
    )
    names = sorted(set(bad["experiment"].to_list()))
    return tuple(f"sample ratio mismatch in {name}" for name in names)


def _note(workspace: Workspace, action: str, sha256: str) -> None:
    """Write into the journal what a person decided about the champion."""
    from abplatform.traffic.journal import Journal

    now = workspace.clock()
    with Journal(workspace.journal).pen() as pen:
        pen.append(
            action,
            at=now,
            written_at=now,
            who=getpass.getuser(),
            experiment=None,
            detail={"kind": KIND, "checkpoint": sha256},
        )


def _print_aliases(workspace: Workspace, *, as_json: bool) -> None:
    named = checkpoints.aliases(workspace.checkpoints).get(KIND, {})
    if as_json:
        print_json(named)
        return
    for alias in (checkpoints.CHAMPION, checkpoints.PREVIOUS, checkpoints.CHALLENGER):
        if alias in named:
            click.echo(f"{alias:<10} {named[alias][:12]}")


def _print_numbers(numbers: Mapping[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("category", no_wrap=True)
    for heading in ("pairs", "accuracy", "ceiling", "clear", "loss", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    rows = {"all": numbers, **numbers["by_category"]}
    names = (
        "accuracy",
        "noise_ceiling",
        "accuracy_significant",
        "log_loss_adjusted",
        "ece_adjusted",
    )
    for name, row in rows.items():
        cells = ("-" if row[key] is None else f"{row[key]:.3f}" for key in names)
        known = "" if row.get("evidence", True) else "no evidence"
        table.add_row(name, f"{row['pairs']:,}", *cells, known)
    Console().print(table)
