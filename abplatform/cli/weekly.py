"""``abp weekly``: one turn of the loop, from creatives to the champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.cli.policy_snapshots import renew_snapshot
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.cli.marketplace import Faults
    from abplatform.loop.hands import Hands
    from abplatform.loop.steps import Finished
    from abplatform.loop.turn import Turn
    from abplatform.loop.weeks import IsoWeek

__all__ = ["MARKET_IMPRESSIONS", "describe", "make_hands", "simulated_clock", "weekly"]

MARKET_IMPRESSIONS = 600_000
"""How many impressions a simulated week has, on average."""


@click.command()
@click.argument("week", required=False)
@click.option("--due", is_flag=True, help="Run every week whose turn can go on now, oldest first.")
@workspace_option
@click.option(
    "--traffic",
    type=click.Choice(["simulated", "landed"]),
    default="landed",
    show_default=True,
    help="Where impressions and clicks come from.",
)
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True)
@click.option(
    "--impressions",
    type=click.IntRange(min=100),
    default=MARKET_IMPRESSIONS,
    show_default=True,
    help="How many a simulated week has, on average.",
)
@json_option
def weekly(
    week: str | None,
    folder: Path | None,
    *,
    due: bool,
    traffic: Literal["simulated", "landed"],
    seed: int,
    impressions: int,
    as_json: bool,
) -> None:
    """Run one turn of the weekly loop for WEEK, such as 2026-W48, or what is left of it.

    With --due instead of WEEK: every turn that can go on now. Finished steps are not done again.
    With landed traffic the turn stops before the verdict while the week is not final; the same
    command goes on from there.
    """
    from abplatform.loop.due import find_due, find_waiting
    from abplatform.loop.weeks import parse_week

    if (week is None) != due:
        raise click.UsageError("name a WEEK, or write --due")
    if due and traffic == "simulated":
        raise click.UsageError("--due runs on what has landed; simulate a WEEK by its name")
    workspace = open_workspace(folder)
    weeks = [parse_week(week)] if week else find_due(workspace)
    turns = []
    for one in weeks:
        if traffic == "simulated":
            workspace = replace(workspace, clock=simulated_clock(workspace, one))
        turns.append(
            _run(
                workspace,
                one,
                seed=seed,
                impressions=impressions if traffic == "simulated" else None,
                as_json=as_json,
            )
        )
    if as_json:
        told = [turn.to_json() for turn in turns]
        print_json(told if due else told[0])
    elif not weeks:
        click.echo("no week is due")
        for waiting in find_waiting(workspace):
            click.echo(f"  {waiting.week} goes on {waiting.until:%Y-%m-%d %H:%M %Z}")


def _run(
    workspace: Workspace,
    week: IsoWeek,
    *,
    seed: int,
    impressions: int | None,
    as_json: bool,
) -> Turn:
    """Run one week's turn and tell it as it goes, unless it will be told as JSON."""
    from abplatform.loop.turn import run_week

    hands = make_hands(workspace, seed=seed, impressions=impressions)

    def watch(step: str, finished: Finished | None) -> None:
        if finished is not None and not as_json:
            state = "done before" if finished.resumed else f"{finished.seconds:6.1f} s"
            text = describe(step, finished.result)
            click.echo(f"  {step:<9} {state:>11}  {text}")

    if not as_json:
        traffic = "landed" if impressions is None else "simulated"
        click.echo(f"{week} in {workspace.root}, {traffic} traffic")
    with progress(f"week {week}") as advance:
        turn = run_week(workspace, week, hands, advance=advance, watch=watch)
    renew_snapshot(workspace, score=True)
    if turn.waiting and not as_json:
        click.echo(
            f"\n{week} becomes final on {turn.final_at:%Y-%m-%d %H:%M %Z}; no verdict before "
            f"that. Then go on with: abp weekly {week}"
        )
    return turn


def simulated_clock(workspace: Workspace, week: IsoWeek) -> Any:
    """Return a clock that stands an hour after the week's last row has become final."""
    from abplatform.loop.turn import experiments_of_week
    from abplatform.loop.weeks import final_at

    registered = experiments_of_week(workspace, week).values()
    zone = workspace.settings.time_zone
    moment = final_at(week, (one.experiment for one in registered), zone) + timedelta(hours=1)

    def clock() -> datetime:
        return moment

    return clock


def make_hands(
    workspace: Workspace,
    *,
    seed: int,
    impressions: int | None,
    faults: Faults | None = None,
    epochs: int | None = None,
    processes: int = 2,
) -> Hands:
    """Join generators, market and reward into the hands of a turn.

    Args:
        workspace: Whose catalogue is drawn.
        seed: Every random choice comes from it.
        impressions: How many a simulated week has; None for landed traffic.
        faults: What is planted into a simulated week.
        epochs: Passes of the reward model's training at most; None for its own default.
        processes: How many processes draw.
    """
    from abplatform.cli.drawing import DrawCreatives
    from abplatform.cli.learning import Learn
    from abplatform.cli.marketplace import Faults, SimulateTraffic
    from abplatform.creatives import CATALOGUE_FILE
    from abplatform.loop.hands import Hands
    from generators.intake import Intake, read_products

    intake = Intake((), ())
    # A team whose creatives are drawn elsewhere keeps no catalogue here.
    if impressions is not None or (workspace.catalog / CATALOGUE_FILE).is_file():
        intake = read_products(workspace.catalog)
    refused = [{"product_id": r.product_id, "reasons": [str(r)]} for r in intake.refused]
    draw = DrawCreatives(intake.ready, refused, seed, processes)
    learn = Learn(seed, epochs)
    inputs = {"generate": draw.inputs, "retrain": learn.inputs}
    serve = None
    if impressions is not None:
        products = [ready.product for ready in intake.ready]
        serve = SimulateTraffic(products, seed, impressions, faults or Faults())
        inputs["serve"] = serve.inputs
    return Hands(generate=draw, serve=serve, retrain=learn.retrain, gate=learn.gate, inputs=inputs)


def describe(step: str, result: Mapping[str, Any]) -> str:
    """Say in a few words what a step gave."""
    sentence = _SENTENCES.get(step)
    return sentence(result) if sentence else ""


def _generated(result: Mapping[str, Any]) -> str:
    shown = [result["default"], *(v for e in result["creatives"].values() for v in e.values())]
    names = {name for listing in shown for ids in listing.values() for name in ids}
    return f"{len(names):,} creatives, {len(result['refused'])} refused"


def _served(result: Mapping[str, Any]) -> str:
    if result["traffic"] == "landed":
        return "what has landed"
    return f"{result['impressions']:,} impressions, {result['clicks']:,} clicks"


def _ingested(result: Mapping[str, Any]) -> str:
    counts = " + ".join(
        f"{result[name]:,} {name}"
        for name in ("accepted", "quarantined", "duplicate", "superseded", "forgotten")
        if result[name] or name in {"accepted", "quarantined", "duplicate"}
    )
    return f"{result['received']:,} received = {counts}"


def _analysed(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {row['status']}" for key, row in result["scorecards"].items())


def _decided(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {row['verdict']}" for key, row in result["verdicts"].items())


def _promoted(result: Mapping[str, Any]) -> str:
    champion = result["champion"]
    if result["promoted"]:
        return f"champion is now {champion[:12]}"
    return f"champion stays {champion[:12]}" if champion else "no champion yet"


_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "generate": _generated,
    "register": lambda result: ". ".join(
        [", ".join(result["running"]), *result.get("unapplied", ())]
    ),
    "serve": _served,
    "ingest": _ingested,
    "analyse": _analysed,
    "decide": _decided,
    "pairs": lambda result: f"{result['pairs']:,} preference pairs",
    "retrain": lambda result: (
        result["checkpoint_sha256"][:12] if result["checkpoint_sha256"] else "nothing to train on"
    ),
    "gate": lambda result: "; ".join(result["reasons"]),
    "promote": _promoted,
    "publish": lambda result: f"tables v{result['version']}",
}
