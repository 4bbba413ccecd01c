"""The warehouse's and the published tables' checks, and the disk's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from abplatform.durable import free_bytes, size_text
from abplatform.errors import StoreError, WarehouseDamaged
from abplatform.logs.checkup.finding import Finding, fail, ok, warn
from abplatform.logs.landing import sealed_segments
from abplatform.logs.load import check_identities
from abplatform.logs.store.opening import files_aside, log_files
from abplatform.logs.store.published import current_version, read_published
from abplatform.logs.store.tables import TABLES
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = ["check_published", "check_space", "check_warehouse"]

_REBUILD = "run `abp ingest`: it is moved aside and made anew from the landing"
_LARGE_LOG_BYTES = 64 << 20


def check_warehouse(
    workspace: Workspace, advance: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Read every block of the warehouse, and compare it with the landing; changes nothing.

    Args:
        workspace: Whose warehouse. The caller holds its lock.
        advance: Called with tables done and tables in all.
    """
    path = workspace.warehouse
    yield from _files_beside(workspace)
    if not path.exists():
        has_logs = any(workspace.landing.glob("sealed/*/*/*"))
        told = "there is none yet"
        yield warn("warehouse", told, "run `abp ingest`") if has_logs else ok("warehouse", told)
        return
    try:
        with Warehouse.look(workspace) as warehouse:
            yield _read_all(warehouse, advance)
            yield _identities(warehouse)
            yield from _ledger(workspace, warehouse)
    except WarehouseDamaged as error:
        yield fail("warehouse", error.message, _REBUILD)
    except StoreError as error:
        yield fail("warehouse", error)


def check_published(workspace: Workspace) -> Finding:
    """Compare every published file with its hash in CURRENT.json."""
    root = workspace.published
    if not root.exists():
        return ok("published", "nothing is published yet")
    try:
        current_version(root)
        version = read_published(root).version
    except StoreError as error:
        return fail("published", error)
    return ok("published", f"version {version} is whole")


def check_space(workspace: Workspace) -> Finding:
    """Say how much of the disk is free."""
    free, total = free_bytes(workspace.data)
    told = f"{size_text(free)} free, {free / max(total, 1):.0%} of the disk"
    least = workspace.settings.min_free
    remedy = f"make room: below {least:.0%} nothing more is taken in (`min_free` in abp.yaml)"
    if free < least * total:
        return fail("space", told, remedy)
    if free < 2 * least * total:
        return warn("space", told, remedy)
    return ok("space", told)


def _read_all(warehouse: Warehouse, advance: Callable[[int, int], None] | None) -> Finding:
    """Touch every value, so that every block's checksum is compared."""
    names = [name for name in warehouse.query("checkup/tables")["name"] if name in TABLES]
    rows = 0
    for done, name in enumerate(names, start=1):
        rows += int(warehouse.query("checkup/read_table", table=name)["rows"].item())
        if advance is not None:
            advance(done, len(names))
    return ok("warehouse", f"{len(names)} tables, {rows:,} rows: every block can be read")


def _identities(warehouse: Warehouse) -> Finding:
    broken = check_identities(warehouse)
    if broken:
        return fail("identities", f"the counts do not add up: {broken[0]}", _REBUILD)
    return ok(
        "identities", "received = accepted + quarantined + duplicate + superseded + forgotten"
    )


def _ledger(workspace: Workspace, warehouse: Warehouse) -> Iterator[Finding]:
    """Compare what is loaded with what stands in the landing."""
    sealed = {one.number: one for one in sealed_segments(workspace)}
    loaded = warehouse.query("load/segments").select("segment_number", "identity", "path")
    lost = []
    for number, identity, name in loaded.iter_rows():
        if number not in sealed:
            lost.append(name)
        elif sealed[number].identity != identity:
            yield fail("ledger", f"{name} is not what was loaded", _REBUILD)
    if lost:
        told = f"{len(lost)} that are loaded are missing in the landing: {', '.join(lost[:10])}"
        yield fail("ledger", told, "bring them back from a backup before the next ingest")
    waiting = sealed.keys() - set(loaded["segment_number"].to_list())
    if waiting:
        yield warn("ledger", f"sealed, but not loaded: {len(waiting)}", "run `abp ingest`")
    if not lost and not waiting:
        yield ok("ledger", f"each of {len(sealed)} sealed segments is loaded, and none is missing")


def _files_beside(workspace: Workspace) -> Iterator[Finding]:
    path = workspace.warehouse
    logs = sum(one.stat().st_size for one in log_files(path))
    if logs > _LARGE_LOG_BYTES:
        yield warn("wal", f"its log holds {size_text(logs)}", "run `abp ingest`: it writes it in")
    elif logs:
        yield warn("wal", "a job was killed and left its log", "nothing; the next job takes it in")
    aside = files_aside(path)
    if aside:
        size = sum(one.stat().st_size for one in aside)
        more = " …" if len(aside) > 1 else ""
        told = f"moved aside, {size_text(size)} in all: {aside[0].name}{more}"
        yield warn("aside", told, "delete them once nobody wants to look into them")
