"""``abp power, simulate``: what an experiment can find, and how its test does on the own log."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from abplatform.cli.cases import OpenStore, open_store
from abplatform.cli.options import (
    html_option,
    json_option,
    print_json,
    progress,
    workspace_option,
    write_page,
)
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.analysis.planning import PastRun
    from abplatform.domain.experiment import Experiment, Phase
    from abplatform.logs.store.warehouse import Warehouse

__all__ = ["power", "simulate"]

LONGEST_RUN = 366


class Percentage(click.ParamType[float]):
    """A share or lift, written ``3%`` or ``0.03``, within bounds that are not valid themselves."""

    name = "percentage"

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the fraction."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,12})?) ?(%?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no percentage; write it like 3% or 0.03", param, ctx)
        found = float(match[1]) / (100 if match[2] else 1)
        if not self.low < found < self.high:
            bounds = f"above {100 * self.low:g}% and below {100 * self.high:g}%"
            text = f"{value} means {100 * found:g}%, and it has to lie {bounds}"
            self.fail(f"{text}; write 3% or 0.03 for three percent", param, ctx)
        return found


class Amount(click.FloatRange):
    """A number above 0 that is one."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no number to reckon with", param, ctx)
        return found


POSITIVE = Amount()


@click.command()
@click.argument("key")
@click.option(
    "--mde", type=Percentage(0, 10), help="The lift to be found, such as 3%; default the YAML's."
)
@click.option(
    "--days",
    type=click.IntRange(1, LONGEST_RUN),
    help="Days to the last look; default the YAML's max_runtime.",
)
@click.option("--rate", type=Percentage(0, 1), help="The control's rate, in place of the log's.")
@click.option(
    "--units-per-day", type=POSITIVE, help="New units a day, all variants, in place of the log's."
)
@click.option(
    "--per-unit", type=POSITIVE, help="Impressions per unit, in place of the log's; else 1."
)
@click.option(
    "--design-effect",
    type=POSITIVE,
    help="Variance by unit over variance by impression, in place of the log's; else 1.",
)
@html_option("Write one HTML file with a plot.")
@workspace_option
@json_option
def power(
    *,
    key: str,
    mde: float | None,
    days: int | None,
    html_path: Path | None,
    folder: Path | None,
    as_json: bool,
    **stated: float | None,
) -> None:
    """Say how many units and days an experiment needs, plan by plan."""
    from abplatform.analysis.planning import (
        Stated,
        plan_experiment,
        planning_json,
        planning_page,
        print_planning,
    )

    workspace = open_workspace(folder)
    zone = workspace.settings.time_zone
    with open_store(workspace, f"power {key}") as store:
        experiment = _ask(store.find(key), mde=mde, days=days)
        planning = plan_experiment(
            store.warehouse,
            experiment,
            _runs(store),
            run=store.run(key),
            zone=zone,
            stated=Stated(**stated),
            holdout=workspace.settings.holdout,
        )
    if html_path is not None:
        write_page(html_path, planning_page(planning, zone), err=as_json)
    if as_json:
        print_json(planning_json(planning, zone))
    elif html_path is None:
        print_planning(planning, zone)


def _ask(experiment: Experiment, *, mde: float | None, days: int | None) -> Experiment:
    """Return the experiment with the lift and the runtime that are asked about."""
    if mde is not None:
        experiment = replace(experiment, primary=replace(experiment.primary, mde=mde))
    if days is not None:
        longest = timedelta(days=days)
        shortest = min(experiment.analysis.min_runtime, longest)
        analysis = replace(experiment.analysis, min_runtime=shortest, max_runtime=longest)
        experiment = replace(experiment, analysis=analysis)
    return experiment


def _runs(store: OpenStore[Warehouse]) -> dict[str, PastRun]:
    from abplatform.analysis.planning import PastRun
    from abplatform.traffic.registry import Registry
    from abplatform.traffic.registry.remedies import Remedies, replay_remedies

    remedies = replay_remedies(Registry(store.workspace).rows())
    known: dict[str, tuple[Experiment, tuple[Phase, ...]]] = {
        key: (experiment, ()) for key, experiment in store.declared.items()
    }
    known |= {key: (one.experiment, one.phases) for key, one in store.registered.items()}
    return {
        key: PastRun(experiment, phases, remedies.get(key, Remedies()).excluded_sources)
        for key, (experiment, phases) in known.items()
    }


@click.command()
@click.argument("kind", type=click.Choice(["aa", "power"]))
@click.argument("key")
@click.option(
    "--runs", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Repetitions."
)
@click.option(
    "--lift",
    type=Percentage(-1, 1),
    default=None,
    help="The lift that `power` plants; default the YAML's mde, else 5%.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@workspace_option
@json_option
def simulate(
    *,
    kind: Literal["aa", "power"],
    key: str,
    runs: int,
    lift: float | None,
    seed: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Try an experiment's test on the own log: `aa` without a difference, `power` with one.

    Units are assigned anew, run by run, and looked at day by day by the plan of the YAML. Nothing
    of it is kept.
    """
    from abplatform.analysis.rehearsal import print_rehearsal, rehearse

    if lift is not None and (kind == "aa" or lift == 0):
        why = "an A/A run has no lift" if kind == "aa" else "a lift of 0 is what `aa` is for"
        raise click.BadParameter(why, param_hint="--lift")
    workspace = open_workspace(folder)
    with (
        open_store(workspace, f"simulate {kind} {key}") as store,
        progress("assigning units anew") as advance,
    ):
        rehearsal = rehearse(
            store.warehouse,
            store.find(key),
            _runs(store),
            kind=kind,
            count=runs,
            lift=lift,
            seed=seed,
            advance=advance,
        )
    if as_json:
        print_json(rehearsal.to_json())
    else:
        print_rehearsal(rehearsal)
