"""``abp ope``: what would another policy have earned, by the log of the one that ran?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.cases import open_store
from abplatform.cli.experiment_tables import print_table
from abplatform.cli.known_policies import KnownPolicies
from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.analysis.off_policy import Evaluation, Target
    from abplatform.domain.experiment import Experiment

__all__ = ["ope"]


@click.command()
@click.argument("key")
@click.option("--policy", "asked", required=True, metavar="NAME|FILE", help="What is asked about.")
@click.option("--variant", default=None, help="Whose log is read; default the control's.")
@click.option("--category", default=None, help="Only of this category and those below it.")
@click.option(
    "--compare", default=None, metavar="VARIANT", help="One that ran the policy: the truth beside."
)
@click.option(
    "--draws",
    type=click.IntRange(min=1000),
    default=None,
    help="Draw probabilities, not integrate.",
)
@click.option("--seed", type=int, default=12345, show_default=True, help="Of everything drawn.")
@workspace_option
@json_option
def ope(
    *,
    key: str,
    asked: str,
    variant: str | None,
    category: str | None,
    compare: str | None,
    draws: int | None,
    seed: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Say what another policy would have earned, by the log of the one that ran.

    NAME is uniform, thompson, contextual or reward, by the snapshot in force; FILE holds a policy
    as in an experiment's YAML, or beliefs about click rates. Gates come first: where the log cannot
    answer, the number that says so is printed and nothing else, and the command exits 1.
    """
    import numpy as np

    from abplatform.analysis.off_policy import evaluate, read_choices, read_rate
    from abplatform.analysis.scorecard import Question, scope_of
    from abplatform.logs.decided import read_decided

    workspace = open_workspace(folder)
    policies = KnownPolicies.of(workspace)
    target = policies.target(asked, draws, seed)
    category = category or getattr(target, "category", None)
    with open_store(workspace, f"ope {key}") as store:
        experiment = store.find(key)
        run = store.run(key)
        scope = scope_of(experiment, Question(), {}, excluded_sources=run.excluded_sources)
        name = _variant(experiment, variant, "--variant") or experiment.control.name
        other = _variant(experiment, compare, "--compare")
        choices = read_choices(store.warehouse, scope, name, category=category)
        decided = read_decided(workspace, store.warehouse, experiment=key, variant=name)
        truth = read_rate(store.warehouse, scope, other, category=category) if other else None
    if decided.situations:
        choices = replace(choices, decided=decided)
    (policy,) = [one.policy for one in experiment.variants if one.name == name]
    found = evaluate(
        choices,
        target,
        rng=np.random.default_rng([seed, 1]),
        as_it_was=lambda situation: policies.as_it_was(situation, policy),
    )
    told_beside = _learned_from_it(target)
    if as_json:
        told = {"experiment": key, "variant": name, "category": category, "warnings": told_beside}
        print_json(told | found.to_json() | _truth_to_json(found, other, truth))
    else:
        _print(found, key=key, variant=name)
        if other and truth is not None:
            _print_truth(found, other, truth)
        for warning in told_beside:
            click.echo(f"\n{warning['message']}")
    if found.refused:
        raise click.exceptions.Exit(1)


def _learned_from_it(target: Target) -> list[dict[str, str]]:
    """Return the warning that a snapshot has learned from the log that it is judged by."""
    from abplatform.analysis.off_policy import PolicyTarget

    if not isinstance(target, PolicyTarget) or target.policy.snapshot is None:
        return []
    message = (
        f"the snapshot behind {target.name} has learned from this log, which flatters it: "
        "believe the number of an experiment"
    )
    return [{"code": "learned_from_it", "message": message}]


def _variant(experiment: Experiment, named: str | None, option: str) -> str | None:
    names = [one.name for one in experiment.variants]
    if named is not None and named not in names:
        raise click.BadParameter(
            f"{experiment.key!r} has no variant {named!r}, only {', '.join(names)}",
            param_hint=option,
        )
    return named


def _print(found: Evaluation, *, key: str, variant: str) -> None:
    from abplatform.stats.off_policy import ESTIMATORS
    from abplatform.stats.undetermined import Undetermined

    of = "impressions" if found.units is None else f"impressions of {found.units:,} units"
    click.echo(f"{key}, variant {variant}: {found.rows:,} {of}, CTR {found.logged_rate:.6f}")
    marks = {True: "ok", False: "REFUSES", None: "unknown"}
    print_table(
        ("gate", "", "what the log says"),
        [(gate.name, marks[gate.passed], gate.sentence) for gate in found.gates],
    )
    if found.refused:
        click.echo(f"\nno estimate for {found.policy}: the log cannot answer")
        return
    click.echo(f"\nCTR under {found.policy}")
    rows = []
    for name, one in zip(ESTIMATORS, found.values, strict=False):
        if isinstance(one, Undetermined):
            rows.append((name, one.reason, "", ""))
            continue
        rows.append(
            (
                one.estimator,
                f"{one.value:.6f}",
                f"{one.interval.low:.4f} … {one.interval.high:.4f}",
                f"{one.gain.low:+.4f} … {one.gain.high:+.4f}",
            )
        )
    print_table(("estimator", "CTR", "95 % interval", "less the log's own CTR"), rows)


def _print_truth(found: Evaluation, other: str, truth: float) -> None:
    errors = _errors(found, truth)
    click.echo(f"\n{other} ran it: CTR {truth:.6f}")
    if not errors:
        return
    print_table(
        ("estimator", "relative estimation error"),
        [(name, f"{error:.4f}") for name, error, _ in errors],
    )
    small = [name for name, error, half in errors if error < half / 4]
    if small:
        click.echo(
            f"an error this small is luck: the intervals of {', '.join(small)} reach more than "
            "four times as far"
        )


def _errors(found: Evaluation, truth: float) -> list[tuple[str, float, float]]:
    """Return estimator, |value / truth - 1|, and half of the interval over the truth."""
    from abplatform.stats.undetermined import Undetermined

    return [
        (
            one.estimator,
            abs(one.value / truth - 1),
            (one.interval.high - one.interval.low) / 2 / truth,
        )
        for one in found.values
        if not isinstance(one, Undetermined) and truth > 0
    ]


def _truth_to_json(found: Evaluation, other: str | None, truth: float | None) -> dict[str, Any]:
    if other is None or truth is None:
        return {}
    errors = {name: error for name, error, _ in _errors(found, truth)}
    return {"compared": {"variant": other, "rate": truth, "relative_error": errors}}
