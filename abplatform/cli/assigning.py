"""``abp assign``: which variant units get, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from abplatform.cli.experiment_tables import print_table
from abplatform.cli.options import json_option, print_json, read_moment, workspace_option
from abplatform.domain.assignment import Assignment, AssignmentPlan, Step, explain
from abplatform.domain.assignment import assign as assign_unit
from abplatform.domain.experiment import State
from abplatform.domain.targeting import DIMENSIONS, Context
from abplatform.logs.privacy import pseudonyms_of
from abplatform.traffic.registry import Registry
from abplatform.workspace import Workspace, open_workspace

__all__ = ["assign"]

_WOULD = {"passes": "would pass", "excludes": "would exclude", "decides": "would decide"}


@click.command()
@click.argument("key")
@click.argument("units", metavar="UNIT...", nargs=-1, required=True)
@click.option(
    "--context",
    "context_pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="What is known about the request, such as country=CN, age=30 or premium=true; an "
    "attribute that is a text of digits is written tier='\"1\"'. Without any, targeting is left "
    "out.",
)
@click.option("--at", "at_text", metavar="TIME", default=None, help="The moment; default now.")
@click.option(
    "--stored", is_flag=True, help="UNITs are pseudonyms already, as logs and tables hold them."
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Walk through every step, with salts, buckets and bounds.",
)
@workspace_option
@json_option
def assign(
    *,
    key: str,
    units: tuple[str, ...],
    context_pairs: tuple[str, ...],
    at_text: str | None,
    stored: bool,
    explained: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Show which variant units get, or why they get none; a draft previews its first phase.

    Where units are stored as pseudonyms, assignment goes by those; UNITs are the raw ids.
    """
    context = _context(context_pairs)
    registry = Registry(open_workspace(folder))
    workspace = registry.workspace
    moment = workspace.clock() if at_text is None else read_moment(at_text, workspace, "--at")
    plan, names = _by_stored_ids(workspace, registry.plan(key, moment), units, stored=stored)
    try:
        assigned = [assign_unit(plan, name, context) for name in names]
    except UnicodeEncodeError as error:
        raise click.UsageError(f"unit {error.object!r} is no valid text") from None
    walks = [explain(plan, name, context) for name in names] if explained else []
    if as_json:
        rows = [_row(one, unit) for unit, one in zip(units, assigned, strict=True)]
        for row, walk in zip(rows, walks, strict=False):
            row["steps"] = [_step_row(step) for step in walk]
        print_json(rows)
        return
    if registry.find(key).state is State.DRAFT:
        click.echo(f"{key} is a draft; this previews its first phase")
    if not explained:
        _show(units, assigned)
    for unit, one, walk in zip(units, assigned, walks, strict=False):
        _show_walk(unit, one, walk)


def _by_stored_ids(
    workspace: Workspace, plan: AssignmentPlan, units: Sequence[str], *, stored: bool
) -> tuple[AssignmentPlan, Sequence[str]]:
    """Return plan and units by the ids that are hashed: pseudonyms where the workspace has a key.

    The YAML forces raw ids.
    """
    if stored and not plan.forced:
        return plan, units
    pseudonyms = pseudonyms_of(workspace)
    if pseudonyms is None:
        return plan, units
    forced = {pseudonyms.stored(unit): variant for unit, variant in plan.forced.items()}
    names = units if stored else [pseudonyms.stored(unit) for unit in units]
    return replace(plan, forced=forced), names


def _context(pairs: Iterable[str]) -> Context | None:
    split = [pair.partition("=") for pair in pairs]
    for name, sign, _ in split:
        if not (name and sign):
            raise click.BadParameter(f"{name!r} is not NAME=VALUE", param_hint="--context")
    return {name: _value(name, text) for name, _, text in split} or None


def _value(name: str, text: str) -> str | float | bool | None:
    """Read an attribute as JSON would, so that targeting finds its type; all else is text."""
    if name in DIMENSIONS:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool | None) else text


def _show(units: Iterable[str], assigned: Iterable[Assignment]) -> None:
    print_table(
        ("unit", "variant", "reason", "bucket", "layer bucket", "phase"),
        (
            (
                unit,
                one.variant or "-",
                one.reason,
                str(one.bucket),
                str(one.layer_bucket),
                str(one.phase),
            )
            for unit, one in zip(units, assigned, strict=True)
        ),
    )


def _show_walk(unit: str, one: Assignment, walk: Iterable[Step]) -> None:
    stored = f" (hashed as {one.unit_id})" if one.unit_id != unit else ""
    click.echo(f"{unit}{stored}: {one.variant or 'no variant'}, {one.reason}")
    print_table(
        ("step", "outcome", "why"),
        (
            (step.name, step.outcome if step.asked else _WOULD[step.outcome], step.why)
            for step in walk
        ),
    )


def _row(one: Assignment, unit: str) -> dict[str, Any]:
    return {
        "unit_id": unit,
        **({"stored_id": one.unit_id} if one.unit_id != unit else {}),
        "variant": one.variant,
        "reason": one.reason,
        "bucket": one.bucket,
        "layer_bucket": one.layer_bucket,
        "phase": one.phase,
    }


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "step": step.name,
        "outcome": step.outcome,
        "asked": step.asked,
        "salt": step.salt,
        "bucket": step.bucket,
        "ranges": [[held.low, held.high] for held in step.ranges],
        "variant": step.variant,
        "why": step.why,
    }
