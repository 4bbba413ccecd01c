"""Begin an experiment again: the same plan under a new key, and so with a fresh salt."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from abplatform.domain.experiment import Experiment, State
from abplatform.domain.spec import parse_experiment, write_experiment
from abplatform.durable import replace_durably
from abplatform.errors import RegistryError, SpecError
from abplatform.traffic.registry.files import kept_spec, read_spec_files
from abplatform.traffic.registry.register import refuse_external
from abplatform.traffic.registry.registry import Registry
from abplatform.traffic.registry.remedies import link_successor, replay_remedies

__all__ = ["next_key", "restart", "successor_text"]

_RUN = re.compile(r"(?P<stem>.+)-r(?P<run>\d+)")
_KEY_LINE = re.compile(r"^key[ \t]*:[^\n]*$", re.MULTILINE)
_LONGEST = 100


def restart(registry: Registry, key: str, *, at: datetime, who: str, why: str) -> Path:
    """Stop an experiment and write its successor's YAML beside it; the journal links the two.

    The variants' salt is made of the key, so every unit is dealt anew. The successor is a draft:
    a person starts it once the fault is mended. Doing it again, also after a crash, ends in the
    same successor.

    Args:
        registry: Of the workspace.
        key: The experiment.
        at: From when on it is stopped.
        who: Who decides.
        why: The reason, for the journal.

    Returns:
        The successor's YAML file.

    Raises:
        RegistryError: It never started, or its units are assigned elsewhere.
    """
    found = registry.find(key)
    refuse_external(found.experiment)
    if found.state is State.DRAFT:
        raise RegistryError(
            f"{key} is a draft; there is nothing to begin again",
            path=found.path,
            remedy=f"start it with `abp start {key}`",
        )
    folder = found.path.parent if found.path else registry.workspace.experiments
    linked = found.remedies.successor
    if linked is None:
        text = kept_spec(registry.workspace, found.spec_sha256).text
        linked = _write_successor(registry, found.experiment, text, folder)
    if found.state in {State.RUNNING, State.PAUSED}:
        registry.stop(key, at=at, who=who, reason=f"begun again as {linked}: {why}")
    now = registry.workspace.clock()
    linked = link_successor(registry.journal, key, linked, at=now, who=who, why=why)
    files, _ = read_spec_files(registry.workspace.experiments)
    return files[linked].path if linked in files else folder / f"{linked}.yaml"


def next_key(key: str, taken: Collection[str] = ()) -> str:
    """Return the key of the next run: ``lamps`` → ``lamps-r2`` → ``lamps-r3``.

    Args:
        key: Of the experiment that begins again.
        taken: Keys that others have.
    """
    again = _RUN.fullmatch(key)
    stem, run = (again["stem"], int(again["run"])) if again else (key, 1)
    while True:
        run += 1
        ending = f"-r{run}"
        candidate = stem[: _LONGEST - len(ending)] + ending
        if candidate not in taken:
            return candidate


def successor_text(experiment: Experiment, text: str, key: str) -> str:
    """Return an experiment's YAML under another key; comments and order stay.

    Args:
        experiment: What the text says.
        text: Its YAML.
        key: The successor's.
    """
    wanted = replace(experiment, key=key)
    note = f"# Begins {experiment.key} again with a fresh salt: see `abp history {key}`.\n"
    edited = note + _KEY_LINE.sub(f"key: {key}", text, count=1)
    try:
        if parse_experiment(edited, path=Path(f"{key}.yaml")) == wanted:
            return edited
    except SpecError:
        pass  # the key does not stand on a line of its own: what the text says is written anew
    return note + write_experiment(wanted)


def _write_successor(registry: Registry, experiment: Experiment, text: str, folder: Path) -> str:
    """Write the file under the next free key; one that a crash left behind is taken up again."""
    files, _ = read_spec_files(registry.workspace.experiments)
    pasts = replay_remedies(registry.rows())
    owners = {key: past.predecessor for key, past in pasts.items() if past.predecessor}
    taken = {key for key, owner in owners.items() if owner != experiment.key}
    while True:
        key = next_key(experiment.key, taken)
        content = successor_text(experiment, text, key).encode()
        path = folder / f"{key}.yaml"
        known = files.get(key)
        if known is not None and known.content == content:
            return key
        started = any(row.experiment == key for row in registry.rows())
        if known is None and not path.exists() and not started:
            replace_durably(path, content)
            return key
        taken.add(key)
