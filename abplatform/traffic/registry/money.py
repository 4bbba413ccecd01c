"""What money is worth in an experiment: the rates of abp.yaml at its start, kept in the journal.

They stay when abp.yaml changes, so that no rate of exchange moves a lift. What abp.yaml names only
later is added as it is then; so are all rates of an experiment that needs no start, at the first
ingest that meets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from abplatform.domain.experiment import State
from abplatform.errors import RegistryError
from abplatform.logs.facts import Rates
from abplatform.traffic.journal import Journal, JournalRow
from abplatform.traffic.registry.replay import RegisteredExperiment
from abplatform.workspace import SETTINGS_FILE, Workspace

__all__ = ["fix_rates", "rates_facts", "replay_rates"]

_FIX = "rates"
_MONEY = "money"
"""In the detail of a ``start`` and of a ``rates`` row."""


def rates_facts(rates: Rates) -> dict[str, Any]:
    """Return rates as the JSON data that the journal keeps."""
    return {"currency": rates.currency, "worth": dict(rates.worth)}


def replay_rates(rows: Iterable[JournalRow]) -> dict[str, Rates]:
    """Return what money is worth by experiment, as far as the rows fix it."""
    return {
        row.experiment: Rates(row.detail[_MONEY]["currency"], row.detail[_MONEY]["worth"])
        for row in rows
        if row.experiment is not None and _MONEY in row.detail
    }


def fix_rates(
    workspace: Workspace, known: Mapping[str, RegisteredExperiment], *, who: str
) -> list[str]:
    """Keep rates that are not fixed yet of experiments that have begun and are not decided.

    Args:
        workspace: Whose abp.yaml and journal.
        known: Its experiments by key.
        who: Who runs the job that needs them.

    Returns:
        The experiments for which something was written.

    Raises:
        RegistryError: abp.yaml changed its currency, and nobody knows what that is worth in one
            of an experiment that runs.
    """
    now = Rates.of(workspace.settings.currency, workspace.settings.rates)
    open_ones = {key: one.rates for key, one in known.items() if _needs_rates(one)}
    if all(_completed(key, rates, now, workspace) == rates for key, rates in open_ones.items()):
        return []
    written = []
    moment = workspace.clock()
    journal = Journal(workspace.journal)
    with journal.pen() as pen:
        fixed = replay_rates(pen.rows)
        for key in open_ones:
            rates = _completed(key, fixed.get(key), now, workspace)
            if rates != fixed.get(key):
                detail = {_MONEY: rates_facts(rates)}
                pen.append(
                    _FIX, at=moment, written_at=moment, who=who, experiment=key, detail=detail
                )
                written.append(key)
    return written


def _needs_rates(one: RegisteredExperiment) -> bool:
    began = bool(one.phases) or one.experiment.assignment == "external"
    return began and one.state in {State.RUNNING, State.PAUSED}


def _completed(key: str, fixed: Rates | None, now: Rates, workspace: Workspace) -> Rates:
    if fixed is None:
        return now
    rates = fixed.completed(now)
    if now.currency in rates.worth:
        return rates
    raise RegistryError(
        f"{key} counts money in {fixed.currency} since its start, and nothing says what one "
        f"{now.currency} is worth in it",
        path=workspace.root / SETTINGS_FILE,
        remedy=f"add {fixed.currency} to rates, or set currency: {fixed.currency} until it ends",
    )
