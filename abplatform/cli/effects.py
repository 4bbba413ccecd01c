"""``abp reward effects``: what context says about clicks, by several models side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from abplatform.cli.effect_tables import print_comparison
from abplatform.cli.options import json_option, print_json, progress
from abplatform.workspace import system_clock
from reward.effects import NETS, REGRESSIONS

if TYPE_CHECKING:
    from reward.effects.encoding import Encoding, Kind
    from reward.effects.splits import Parts
    from reward.effects.tables import EffectTable

__all__ = ["effects"]

Command = TypeVar("Command", bound=Callable[..., Any])

_FEW_CLICKS = 50

MODELS = (*NETS, *REGRESSIONS)


def _names(_ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Read names with commas between them, each once."""
    if value is None:
        return ()
    named = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    unknown = [name for name in named if param.name == "models" and name not in MODELS]
    if unknown or "" in named:
        wrong = unknown[0] if unknown else ""
        told = f"; models are {', '.join(MODELS)}" if param.name == "models" else ""
        raise click.BadParameter(f"{wrong!r} is no name that could stand here{told}")
    return named


def _names_option(name: str, told: str, default: str | None = None) -> Callable[[Command], Command]:
    return click.option(
        name,
        metavar="A,B,...",
        callback=_names,
        default=default,
        show_default=default is not None,
        help=told,
    )


@click.command()
@click.argument("table_file", metavar="TABLE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--target",
    required=True,
    metavar="COLUMN",
    help="0 and 1 of each impression; with --impressions, each row's clicks.",
)
@click.option("--impressions", metavar="COLUMN", default=None, help="Each row's impressions.")
@_names_option("--features", "Columns of context; default all that can be.")
@_names_option("--categorical", "Features whose numbers are names.")
@_names_option("--numeric", "Features whose integers are amounts.")
@click.option("--time", metavar="COLUMN", default=None, help="Earlier rows teach, later ones test.")
@click.option(
    "--group",
    metavar="COLUMN",
    default=None,
    help="Rows with the same value, such as a user's, all teach or all test.",
)
@_names_option("--models", "What to compare.", ",".join(MODELS))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for one click model: model.safetensors, levels.json and manifest.json.",
)
@click.option(
    "--keep",
    type=click.Choice(NETS),
    default=None,
    help="Which one; default the best on the rows that say when to stop.",
)
@json_option
def effects(
    *,
    table_file: Path,
    target: str,
    impressions: str | None,
    features: tuple[str, ...],
    categorical: tuple[str, ...],
    numeric: tuple[str, ...],
    time: str | None,
    group: str | None,
    models: tuple[str, ...],
    seed: int,
    out: Path | None,
    keep: str | None,
    as_json: bool,
) -> None:
    """Compare models of what context says about clicks.

    TABLE is a Parquet or CSV file with a row for each impression, or for each count of them.
    Without --time and --group, rows are split by a hash of their number.
    """
    _check_call(models, out=out, keep=keep, time=time, group=group)

    from reward.effects.compare import compare_models
    from reward.effects.encoding import learn_encoding
    from reward.effects.fitting import NetConfig
    from reward.effects.scorer import save_effect
    from reward.effects.splits import split_rows
    from reward.effects.tables import read_table

    table = read_table(table_file, target=target, impressions=impressions)
    parts = split_rows(table, time=time, group=group)
    kinds: dict[str, Kind] = {
        **dict.fromkeys(categorical, "categorical"),
        **dict.fromkeys(numeric, "numeric"),
    }
    encoding = learn_encoding(table, parts, features=features, kinds=kinds)
    with progress("training") as advance:
        config = NetConfig(seed=seed)
        found = compare_models(table, parts, encoding, models, config=config, advance=advance)
    asked = {"target": target, "impressions": impressions, "seed": seed}
    facts = {**asked, **_facts(table, parts, encoding)}
    results = {
        name: {**asdict(one.ranking), **asdict(one.quality), "clipped": one.clipped}
        for name, one in found.results.items()
    }
    kept = keep or found.best_net
    if out is not None and kept is not None:
        saved = save_effect(
            out,
            found.nets[kept].net,
            encoding,
            metadata={**facts, "quality": results[kept]},
            created_at=system_clock(),
        )
        facts["kept"] = {"model": kept, "checkpoint": str(out), "sha256": saved.sha256}
    if as_json:
        print_json({**facts, "models": results})
    else:
        print_comparison(facts, results)


def _check_call(
    models: tuple[str, ...],
    *,
    out: Path | None,
    keep: str | None,
    time: str | None,
    group: str | None,
) -> None:
    if time is not None and group is not None:
        raise click.UsageError("rows are split by --time or by --group, not by both")
    if keep is not None and out is None:
        raise click.UsageError("--keep needs a folder: --out DIR")
    if keep is not None and keep not in models:
        raise click.UsageError(f"--keep {keep} needs {keep} among --models")
    if out is not None and not set(models) & set(NETS):
        raise click.UsageError(f"--out keeps one of {', '.join(NETS)}; name it among --models")


def _facts(table: EffectTable, parts: Parts, encoding: Encoding) -> dict[str, Any]:
    """Return what was learned from and tested on, as JSON data."""
    masks = {"fitted": parts.fitted, "stopping": parts.stopping, "tested": parts.tested}
    return {
        "table_sha256": table.sha256,
        "split": {"by": parts.by, "column": parts.column},
        **{
            part: {
                "rows": int(rows.sum()),
                "impressions": int(table.impressions[rows].sum()),
                "clicks": int(table.clicks[rows].sum()),
            }
            for part, rows in masks.items()
        },
        "categorical": [one.name for one in encoding.features if one.edges is None],
        "numeric": [one.name for one in encoding.features if one.edges is not None],
        "left_out": dict(encoding.left_out),
        "warnings": _warnings(int(table.clicks[parts.tested].sum())),
    }


def _warnings(clicks: int) -> list[dict[str, str]]:
    """Say so where the tested rows have too few clicks for intervals to be what they claim."""
    if clicks >= _FEW_CLICKS:
        return []
    told = f"{clicks} clicks are too few to tell models apart; even the intervals are too narrow"
    return [{"code": "few_clicks", "message": told}]
