"""``abp srm``: did units arrive in the planned shares, what broke the split, and what is done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform.cli.cases import open_store
from abplatform.cli.experiment_tables import print_table
from abplatform.cli.options import (
    as_of_option,
    json_option,
    name_person,
    print_json,
    read_moment,
    workspace_option,
)
from abplatform.cli.split_case import (
    Act,
    Decided,
    SplitCase,
    acknowledge,
    begin_again,
    exclude,
    give_up,
)
from abplatform.workspace import open_workspace

if TYPE_CHECKING:
    from abplatform.analysis.diagnosis import Diagnosis, Part, SplitView
    from abplatform.analysis.scorecard import SrmCheck
    from abplatform.analysis.scorecard.split_counts import SplitDay
    from abplatform.traffic.registry.remedies import Remedies

__all__ = ["srm"]


@click.command()
@click.argument("key")
@as_of_option
@click.option("--diagnose", "wants_diagnosis", is_flag=True, help="Name the stage that broke it.")
@click.option(
    "--acknowledge", "acknowledged", is_flag=True, help="Let only later days raise the alarm again."
)
@click.option(
    "--exclude-source", "source", metavar="NAME", default=None, help="Leave out all of its rows."
)
@click.option("--restart", is_flag=True, help="Stop it; write its successor with a fresh salt.")
@click.option("--do-not-use", is_flag=True, help="Stop it; its verdict is invalid for good.")
@click.option("--why", metavar="TEXT", default=None, help="The reason, for the journal.")
@click.option("--by", "who", default=None, help="Who decides; default $USER.")
@workspace_option
@json_option
def srm(
    *,
    key: str,
    as_of_text: str | None,
    wants_diagnosis: bool,
    acknowledged: bool,
    source: str | None,
    restart: bool,
    do_not_use: bool,
    why: str | None,
    who: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Check whether units arrived in the planned shares, and act on it.

    The alarm stands until it is acknowledged. --diagnose ends in one command; the options that
    change something need --why, and doing the same again changes nothing.
    """
    chosen: dict[str, Act | None] = {
        "--acknowledge": acknowledge if acknowledged else None,
        "--exclude-source": exclude(source) if source is not None else None,
        "--restart": begin_again if restart else None,
        "--do-not-use": give_up if do_not_use else None,
    }
    act = _one_of(chosen, why=why, asks=wants_diagnosis or as_of_text is not None)
    workspace = open_workspace(folder)
    with open_store(workspace, f"srm {key}", read_sources=True) as store:
        case = SplitCase.of(store, key)
        done = None
        if act is not None:
            done = act(case, Decided(workspace.clock(), name_person(who), why or ""))
            case = case.again()
        as_of = read_moment(as_of_text, workspace, "--as-of") if as_of_text else None
        view = case.look(as_of)
        diagnosis = case.diagnose(view) if wants_diagnosis else None
    if as_json:
        print_json(_to_json(case, view, done, diagnosis))
    else:
        _print(case, view, done, diagnosis)


def _command(key: str, diagnosis: Diagnosis) -> str | None:
    """Return the one command that a diagnosis ends in."""
    if diagnosis.remedy is None:
        return None
    why = f"sample ratio mismatch, {diagnosis.stage or 'cause unknown'}"
    options = {
        "restart": ["--restart"],
        "exclude_source": ["--exclude-source", diagnosis.source or ""],
        "do_not_use": ["--do-not-use"],
        "acknowledge": ["--acknowledge"],
    }
    return shlex.join(["abp", "srm", key, *options[diagnosis.remedy], "--why", why])


def _to_json(
    case: SplitCase, view: SplitView, done: str | None, diagnosis: Diagnosis | None
) -> dict[str, Any]:
    from abplatform.stats.srm import e_value_of

    remedies = case.remedies
    data: dict[str, Any] = {
        "experiment": case.key,
        **view.check.to_json(),
        "days": [
            {"day": one.day.isoformat(), "units": dict(one.units), "e_value": e_value_of(one.log_e)}
            for one in view.days
        ],
        "excluded_sources": list(remedies.excluded_sources),
        "successor": remedies.successor,
        "predecessor": remedies.predecessor,
        "refused": remedies.refused,
    }
    if done is not None:
        data["done"] = done
    if diagnosis is not None:
        data["diagnosis"] = {**diagnosis.to_json(), "command": _command(case.key, diagnosis)}
    return data


def _print(case: SplitCase, view: SplitView, done: str | None, diagnosis: Diagnosis | None) -> None:
    if done is not None:
        click.echo(done)
    click.echo(f"{case.key}: {view.check.verdict}: {view.check.sentence}")
    for line in _tell(case.remedies, view.check):
        click.echo(f"  {line}")
    if view.days and diagnosis is None and done is None:
        _print_days(view.days)
    if diagnosis is not None:
        if diagnosis.parts:
            _print_parts(diagnosis.parts)
        click.echo(f"\n{diagnosis.stage or 'no stage'}: {diagnosis.sentence}")
        command = _command(case.key, diagnosis)
        if command:
            click.echo(f"\n{command}")


def _tell(remedies: Remedies, check: SrmCheck) -> list[str]:
    told = {
        "fired on": str(check.fired_on) if check.fired_on else None,
        "fired in segment": ", ".join(check.segments) or None,
        "acknowledged at": f"{check.acknowledged_at:%Y-%m-%d %H:%M} UTC"
        if check.acknowledged_at
        else None,
        "without source": ", ".join(remedies.excluded_sources) or None,
        "begun again as": remedies.successor,
        "begins again": remedies.predecessor,
        "not to be used": remedies.refused,
    }
    return [f"{name}: {value}" for name, value in told.items() if value]


def _print_days(days: tuple[SplitDay, ...]) -> None:
    from abplatform.stats.srm import FIRES_AT, e_value_of

    names = list(days[0].units)
    rows = []
    for one in days:
        e_value = e_value_of(one.log_e)
        mark = "alarm" if e_value >= FIRES_AT else ""
        new = [f"{one.units[name]:,}" for name in names]
        rows.append((one.day.isoformat(), *new, f"{e_value:.3g}", mark))
    click.echo("new units by day, and the e-value at its end")
    print_table(("day", *names, "e", ""), rows)


def _print_parts(parts: tuple[Part, ...]) -> None:
    """Print the three worst levels of every cut, and all that carry the imbalance."""
    shown: dict[str, int] = {}
    rows = []
    for part in parts:
        shown[part.cut] = shown.get(part.cut, 0) + 1
        if shown[part.cut] > 3 and not part.carries:
            continue
        seen = " ".join(f"{name} {count:,}" for name, count in part.units.items())
        mark = "carries it" if part.carries else ""
        rows.append((part.cut, part.name, seen, f"{part.p_value:.2g}", mark))
    print_table(("cut", "level", "units", "p", ""), rows)


def _one_of(chosen: Mapping[str, Act | None], *, why: str | None, asks: bool) -> Act | None:
    """Return the one thing to do, or None when something is only asked."""
    named = [name for name, act in chosen.items() if act is not None]
    if len(named) > 1:
        raise click.UsageError(f"one at a time: {' and '.join(named)} were given")
    if named and asks:
        raise click.UsageError(f"{named[0]} acts now; ask with --diagnose or --as-of before it")
    if named and not (why and why.strip()):
        raise click.UsageError(f"{named[0]} goes into the journal; say why with --why TEXT")
    if why is not None and not named:
        raise click.UsageError("--why explains an action; name one, such as --acknowledge")
    return chosen[named[0]] if named else None
