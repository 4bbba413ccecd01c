"""How experiments look in tables and in JSON."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform.domain.assignment import BUCKETS
from abplatform.domain.experiment import State
from abplatform.errors import SpecError
from abplatform.traffic.registry import Edit, RegisteredExperiment
from abplatform.workspace import Workspace

__all__ = [
    "declared_rows",
    "local_time",
    "print_status",
    "print_table",
    "source_rows",
    "status_row",
    "tell_detail",
]

PIPE_WIDTH = 200


def status_row(
    found: RegisteredExperiment, edit: Edit | SpecError | None, root: Path
) -> dict[str, Any]:
    """Return one experiment as ``abp status --json`` prints it.

    Args:
        found: The experiment.
        edit: How its YAML was edited since the start, or what is wrong with it now.
        root: The workspace's folder, which paths are told from.
    """
    experiment = found.experiment
    return {
        "experiment": found.key,
        "state": found.state.value,
        "assignment": experiment.assignment,
        "owner": experiment.owner,
        "layer": experiment.own_layer.name,
        "layer_share": experiment.own_layer.share,
        "slots": [[s.low, s.high] for s in found.phases[-1].slots] if found.phases else None,
        "traffic": found.traffic if found.phases else None,
        "phase": found.phases[-1].number if found.phases else None,
        "variants": experiment.weights,
        "control": experiment.control.name,
        "started_at": _iso(found.started_at),
        "ended_at": _iso(found.ended_at),
        "verdict": found.verdict,
        "resolved": dict(found.resolved),
        "spec": str(found.path.relative_to(root)) if found.path else None,
        "spec_sha256": found.spec_sha256 or None,
        "edited": _edit_row(edit, root),
    }


def declared_rows(workspace: Workspace, known: Container[str]) -> dict[str, dict[str, Any]]:
    """Return the experiments that no YAML describes but logs declare, by key, as rows.

    Args:
        workspace: Where the logs landed.
        known: The keys that YAML describes.
    """
    from abplatform.logs.load.declared import kept_experiments

    return {
        key: status_row(
            RegisteredExperiment(one, State.RUNNING, None, None, (), spec_sha256=""),
            None,
            workspace.root,
        )
        for key, one in kept_experiments(workspace).items()
        if key not in known
    }


def source_rows(workspace: Workspace) -> list[dict[str, Any]]:
    """Return abp.yaml's sources as ``abp status --json`` prints them."""
    if not workspace.settings.sources:
        return []
    from abplatform.logs.sources import silent_sources
    from abplatform.logs.sources.pulls import History, read_histories

    histories, silent = read_histories(workspace), silent_sources(workspace)
    rows = []
    for source in workspace.settings.sources:
        history = histories.get(source.name, History())
        glance = history.glances[-1] if history.glances else None
        rows.append(
            {
                "source": source.name,
                "pulled_at": _iso(glance.at if glance else None),
                "arrived_at": _iso(history.arrivals[-1] if history.arrivals else None),
                "error": glance.error if glance else None,
                "silent": silent.get(source.name),
            }
        )
    return rows


def _edit_row(edit: Edit | SpecError | None, root: Path) -> dict[str, Any] | None:
    """Tell what of the YAML is not in force; None where all of it is."""
    if edit is None or (isinstance(edit, Edit) and not edit.unapplied):
        return None
    path = Path(edit.path or "")
    row: dict[str, Any] = {"path": str(path), "line": edit.line}
    if path.is_relative_to(root):
        row["path"] = str(path.relative_to(root))
    if isinstance(edit, SpecError):
        return {**row, "differences": [f"it cannot be used any more: {edit.message}"]}
    return {**row, "differences": [f"{it.told} ({_NEEDS[it.kind]})" for it in edit.unapplied]}


_NEEDS = {"phase": "waits for `abp apply`", "forbidden": "not while it runs"}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def local_time(moment: datetime, workspace: Workspace) -> str:
    """Write a moment by the workspace's own clock, to the minute."""
    return f"{moment.astimezone(workspace.settings.time_zone):%Y-%m-%d %H:%M}"


def tell_detail(detail: Mapping[str, Any]) -> str:
    """Tell the facts of a journal row in one line."""
    parts = [
        f"{name}: {value[:12] if name.endswith('sha256') else value}"
        for name, value in detail.items()
        if isinstance(value, str)
    ]
    parts += detail.get("differences", ())
    phase = detail.get("phase")
    if phase:
        low, high = phase["exposure"]
        parts.append(f"phase {phase['number']} at {100 * (high - low) / BUCKETS:.3g} % traffic")
    if "plan" in detail:
        parts.append(f"{detail['plan']['kind']} plan, looks: {detail['plan']['looks']}")
    if "treatments" in detail:
        parts.append(f"look {detail['look']}")
        parts += [_tell_look(name, found["row"]) for name, found in detail["treatments"].items()]
    return "; ".join(parts)


def _tell_look(treatment: str, row: Mapping[str, Any]) -> str:
    if row["skipped"]:
        return f"{treatment}: {row['skipped']}"
    needed = "nothing decides yet" if row["boundary"] is None else f"{row['boundary']:.2f} decides"
    outcome = ", crossed" if row["crossed"] else ", the last look" if row["last"] else ""
    return f"{treatment}: z {row['z']:.2f}, {needed}{outcome}"


def print_status(workspace: Workspace, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print experiments as a table, one a line."""
    print_table(
        ("experiment", "state", "traffic", "layer", "variants", "started", "ended", "note"),
        (_status_cells(workspace, row) for row in rows),
    )


def _status_cells(workspace: Workspace, row: Mapping[str, Any]) -> tuple[str, ...]:
    since, until = (
        local_time(datetime.fromisoformat(row[name]), workspace) if row[name] else ""
        for name in ("started_at", "ended_at")
    )
    external = row["assignment"] == "external"
    notes = [row["verdict"], "edited" if row["edited"] else None]
    if not row["spec_sha256"]:
        notes.append("declared by its log")
    elif not (row["spec"] or row["edited"]):
        notes.append("its YAML is gone")
    return (
        row["experiment"],
        row["state"],
        "" if row["traffic"] is None else f"{100 * row['traffic']:.3g} %",
        "external" if external else f"{row['layer']} {100 * row['layer_share']:.3g} %",
        " ".join(f"{name} {weight:g}" for name, weight in row["variants"].items()),
        since,
        until,
        ", ".join(note for note in notes if note),
    )


def print_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print cells under heads, folded to the terminal's width; a pipe gets whole lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)
