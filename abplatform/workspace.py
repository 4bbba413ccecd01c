"""A workspace: its folders, its settings, its clock and its one lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from abplatform.errors import SpecError, WorkspaceError, WorkspaceLocked
from abplatform.yaml_text import nearest, read
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.nodes import Node
from abplatform.yaml_text.quantities import Number, Share
from abplatform.yaml_text.shapes import INVALID, Parsed, Text
from abplatform.yaml_text.tables import Field, Table, in_one

__all__ = [
    "SETTINGS_FILE",
    "CalendarStretch",
    "Clock",
    "Settings",
    "Workspace",
    "check_settings",
    "find_workspace",
    "open_workspace",
    "system_clock",
]

SETTINGS_FILE = "abp.yaml"

Clock = Callable[[], datetime]
"""Returns the present moment with a time zone; tests and simulations hand in their own."""


def system_clock() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, order=True)
class CalendarStretch:
    """Workspace days that are unlike others, such as a sale.

    Args:
        first: The first such day.
        last: The last such day; the first one where there is one only.
        name: What the days are called.
    """

    first: date
    last: date
    name: str

    def __contains__(self, day: date) -> bool:
        """Whether the workspace day is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Settings:
    """What abp.yaml says; every field has a default.

    Args:
        time_zone: Where a workspace day begins and ends.
        currency: ISO 4217 code in which money is reported.
        rates: Currency to its worth in ``currency``.
        holdout: Share of units kept on original baselines for good, 0 … 1.
        calendar: Days that are unlike others, in order of time.
    """

    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "USD"
    rates: Mapping[str, float] = field(default_factory=dict)
    holdout: float = 0.0
    calendar: tuple[CalendarStretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder in which one team's experiments live.

    Args:
        root: The folder that holds abp.yaml.
        settings: What abp.yaml says.
        clock: Tells the present moment.
    """

    root: Path
    settings: Settings = field(default_factory=Settings)
    clock: Clock = system_clock

    @property
    def experiments(self) -> Path:
        """Folder of the team's YAML files."""
        return self.root / "experiments"

    @property
    def catalog(self) -> Path:
        """Folder of the team's products."""
        return self.root / "catalog"

    @property
    def data(self) -> Path:
        """Folder of everything that the platform writes."""
        return self.root / "data"

    @property
    def journal(self) -> Path:
        """Folder of what people decided."""
        return self.data / "journal"

    @property
    def specs(self) -> Path:
        """Folder of spec bytes by their sha256."""
        return self.data / "specs"

    @property
    def landing(self) -> Path:
        """Folder of what happened: open and sealed segments."""
        return self.data / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file; a cache."""
        return self.data / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Folder of the tables that dashboards read."""
        return self.data / "published"

    @property
    def creatives(self) -> Path:
        """Folder of lossless masters and their lineage."""
        return self.data / "creatives"

    @property
    def pairs(self) -> Path:
        """Folder of training data."""
        return self.data / "pairs"

    @property
    def checkpoints(self) -> Path:
        """Folder of model versions and their aliases."""
        return self.data / "checkpoints"

    @property
    def runs(self) -> Path:
        """Folder of the weekly turns' finished steps."""
        return self.data / "runs"

    @contextmanager
    def lock(self, job: str, *, wait_seconds: float = 30.0) -> Iterator[None]:
        """Hold the workspace while a job writes; one job at a time.

        Args:
            job: What is being done, shown to whoever waits.
            wait_seconds: How long to wait for another job.

        Raises:
            WorkspaceLocked: Another job did not finish in time; the message names it.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        path = self.data / ".lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor, path, wait_seconds)
            holder = {"job": job, "pid": os.getpid(), "since": self.clock().isoformat()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace")
            raise WorkspaceLocked(
                f"another job holds the workspace: {holder or 'unknown'}",
                path=path,
                remedy="wait until it ends, or stop that process",
            ) from None
        return


def find_workspace(explicit: Path | str | None = None) -> Path:
    """Find the workspace's folder.

    Args:
        explicit: The folder a person named; else ``$ABP_WORKSPACE``; else the nearest folder
            from here upwards that holds an abp.yaml.

    Raises:
        WorkspaceError: There is none.
    """
    named = explicit or os.environ.get("ABP_WORKSPACE")
    here = Path(named) if named else Path.cwd()
    candidates = [here] if named else [here, *here.resolve().parents]
    for folder in candidates:
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise WorkspaceError(
        f"no {SETTINGS_FILE} in {here}" if named else f"no {SETTINGS_FILE} here or above",
        path=here,
        remedy="make a workspace with `abp init DIR`, or name one with `-w DIR`",
    )


def open_workspace(folder: Path | str | None = None, *, clock: Clock = system_clock) -> Workspace:
    """Open the workspace in a folder, or the nearest one.

    Raises:
        WorkspaceError: There is none.
        SpecError: abp.yaml is wrong.
    """
    root = find_workspace(folder)
    return Workspace(root=root, settings=_read_settings(root / SETTINGS_FILE), clock=clock)


def check_settings(path: Path) -> list[SpecError]:
    """Return every mistake in an abp.yaml."""
    try:
        root = read(path)
    except SpecError as problem:
        return [problem]
    problems: list[SpecError] = []
    if root.value is not None:
        _SETTINGS.read(root, problems, name="")
    return problems


def _read_settings(path: Path) -> Settings:
    problems = check_settings(path)
    if problems:
        raise in_one(problems)
    root = read(path)
    if root.value is None:
        return Settings()
    return cast("Settings", _SETTINGS.read(root, problems, name=""))


def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        meant = nearest(name, available_timezones())
        raise SpecError(
            f"unknown time zone {name[:60]!r}",
            code="unknown_value",
            remedy=f"perhaps you meant '{meant}'" if meant else "write it like Asia/Shanghai",
        ) from None


_CURRENCY = Text(
    pattern="[A-Z]{3}", expects="an ISO 4217 code", remedy="write it like USD, EUR or CNY"
)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-11") else _no_day(text)
    except ValueError:
        return _no_day(text)


def _no_day(text: str) -> date:
    raise SpecError(f"{text[:60]!r} is no day", code="bad_value", remedy=_DAY_REMEDY)


@dataclass(frozen=True, slots=True)
class _StretchTable(Table):
    """One entry of the calendar: ``day``, or ``from`` and ``to``."""

    def read(self, node: Node, problems: list[SpecError], *, name: str) -> Any:
        """Read one entry; its two ways to name days exclude each other."""
        before = len(problems)
        values = self.read_values(node, problems, name=name)
        if len(problems) > before:
            return INVALID
        single = "day" in values
        first = values.get("day" if single else "from")
        last = values.get("day" if single else "to")
        if first is None or last is None or (single and len(values) > len(("day", "name"))):
            problems.append(
                node.error(
                    f"an entry of {name} has either a day, or from and to",
                    code="missing_key",
                    remedy="write {day: 2026-11-11, name: …} or "
                    "{from: 2026-11-27, to: 2026-11-30, name: …}",
                )
            )
            return INVALID
        if last < first:
            problems.append(
                node.child("to").error(
                    f"{name}: {last} lies before {first}",
                    code="wrong_order",
                    remedy="exchange from and to",
                )
            )
            return INVALID
        return CalendarStretch(first, last, values["name"])


_DAY_REMEDY = "write it like 2026-11-11"
_DAY = Parsed(parse=_day, format=date.isoformat, expects="a day", remedy=_DAY_REMEDY)

_CALENDAR = ListOf(
    _StretchTable(
        make=CalendarStretch,
        fields=(
            Field("day", _DAY, "One day that is unlike others."),
            Field("from", _DAY, "The first of several days."),
            Field("to", _DAY, "The last of several days."),
            Field("name", Text(max_length=80), "What the day is called.", required=True),
        ),
    ),
)


def _settings(**values: Any) -> Settings:
    return Settings(**{**values, "calendar": tuple(sorted(set(values.get("calendar", ()))))})


_SETTINGS = Table(
    make=Settings,
    build=_settings,
    fields=(
        Field(
            "time_zone",
            Parsed(
                parse=_time_zone,
                format=lambda zone: zone.key,
                expects="a time zone",
                remedy="write it like Asia/Shanghai",
            ),
            "Where a day begins and ends.",
        ),
        Field("currency", _CURRENCY, "The currency in which money is reported."),
        Field(
            "rates",
            MapOf(_CURRENCY, Number(0, 1e9, open_minimum=True)),
            "What one unit of another currency is worth in `currency`.",
        ),
        Field("holdout", Share(maximum=0.5), "Share of units kept on original baselines for good."),
        Field("sources", Text(), "Logs that are pulled.", later="name files on `abp ingest`"),
        Field("roles", Text(), "Who may do what.", later="everyone may do everything"),
        Field("budgets", Text(), "How much may be spent.", later="nothing is capped"),
        Field("notify", Text(), "Who hears of what.", later="nobody is told"),
        Field("calendar", _CALENDAR, "Days that are unlike others."),
        Field("tokens", Text(), "Who may call the service.", later="there is no service"),
    ),
)
