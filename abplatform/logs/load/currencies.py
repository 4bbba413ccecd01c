"""Currencies whose money is let in: what was let in once is let in again when a store is rebuilt.

A rate may go from abp.yaml. Events that were accepted while it stood there stay accepted, so the
currencies that ever had a rate are kept in the landing, beside the segments. Money that no rate
converts any more is told of as left over (``unpriced``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from abplatform.durable import replace_durably
from abplatform.logs.facts import ExperimentFacts
from abplatform.workspace import Workspace

__all__ = ["keep_currencies", "known_currencies"]

_FILE = "currencies.json"


def known_currencies(
    workspace: Workspace, experiments: Iterable[ExperimentFacts]
) -> frozenset[str]:
    """Return the currencies that have a rate, or had one when something was loaded.

    Args:
        workspace: Its abp.yaml has the rates of today.
        experiments: Some have rates that were fixed at their start.
    """
    settings = workspace.settings
    fixed = (one.rates.worth for one in experiments if one.rates is not None)
    return _kept(workspace).union({settings.currency, *settings.rates}, *fixed)


def keep_currencies(workspace: Workspace, currencies: frozenset[str]) -> None:
    """Remember currencies, before anything in them is loaded; writes only what is new."""
    if currencies <= _kept(workspace):
        return
    told = json.dumps(sorted(currencies | _kept(workspace)))
    replace_durably(workspace.landing / _FILE, f"{told}\n".encode())


def _kept(workspace: Workspace) -> frozenset[str]:
    path = workspace.landing / _FILE
    return frozenset(json.loads(path.read_bytes())) if path.is_file() else frozenset()
