"""A dry run: what a file would bring, without landing or storing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from abplatform.logs.ad_ids import bind_ads
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import MappingText, Segment, file_sha256, form_of
from abplatform.logs.load.admission import door_of
from abplatform.logs.load.ingest import DEFAULT_SOURCE
from abplatform.logs.load.loader import Loader, Store
from abplatform.logs.load.receipt import Receipt, write_receipt
from abplatform.logs.mapping import check_columns, parse_mapping
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["SHOWN_EVENTS", "Trial", "try_file"]

SHOWN_EVENTS = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a file would bring into an empty store.

    Args:
        file: The file.
        events: Its first events, as wire objects.
        receipt: The counts, reasons and examples; duplicates within the file are counted, those of
            earlier deliveries are not looked for.
    """

    file: Path
    events: tuple[Mapping[str, Any], ...]
    receipt: Receipt

    def to_json(self) -> dict[str, Any]:
        """Return what ``abp ingest --dry-run --json`` prints for one file."""
        told = self.receipt.to_json()
        names = ("received", "accepted", "quarantined", "duplicate", "superseded", "forgotten")
        kept = {name: told[name] for name in (*names, "reasons", "examples")}
        return {"file": str(self.file), "events": list(self.events), **kept}


def try_file(
    workspace: Workspace,
    experiments: Mapping[str, ExperimentFacts],
    file: Path,
    *,
    mapping: MappingText | None = None,
) -> Trial:
    """Read a file as an ingest would, and store nothing.

    Args:
        workspace: Whose settings and clock count.
        experiments: What the registry knows, by key.
        file: The file.
        mapping: What reads it; None for wire events.

    Raises:
        IngestError: The file cannot be read at all.
    """
    form_of(file)
    mapping = bind_ads(workspace, mapping)
    check_columns(file, parse_mapping(mapping, path=mapping.path) if mapping else None)
    segment = Segment(
        number=1,
        path=file,
        source=DEFAULT_SOURCE,
        sha256=file_sha256(file),
        landed_at=workspace.clock(),
        origin=file.name,
        mapping=mapping,
    )
    zone = workspace.settings.time_zone
    with Warehouse.in_memory(memory_mib=workspace.settings.memory_mib) as warehouse:
        before = warehouse.query("load/ledger")
        door = door_of(workspace, experiments, segment)
        store = Store(warehouse, {1: segment}, zone)
        for _ in Loader(store, lambda _: door).load([segment]):
            pass
        receipt = write_receipt(warehouse, new={1: segment}, repeated=(), before=before)
        shown = store.reader(segment).first_events(door, SHOWN_EVENTS)
    return Trial(file, tuple(msgspec.to_builtins(event) for event in shown), receipt)
