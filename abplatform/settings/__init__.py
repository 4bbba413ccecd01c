"""abp.yaml: what a team sets for its workspace, and every mistake in it with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from abplatform.errors import SpecError
from abplatform.settings.calendar import CALENDAR, CalendarStretch
from abplatform.settings.channels import CHANNELS, DEFAULT_CHANNELS, Channel
from abplatform.settings.generators import GENERATORS, Generators
from abplatform.settings.privacy import PRIVACY, Privacy
from abplatform.settings.service import SERVICE, TOKENS, Service
from abplatform.settings.sources import SOURCES, Source
from abplatform.settings.zones import TIME_ZONE
from abplatform.yaml_text import read
from abplatform.yaml_text.lists import MapOf
from abplatform.yaml_text.quantities import Number, Share
from abplatform.yaml_text.shapes import Schema, Text
from abplatform.yaml_text.tables import Field, Table, in_one

__all__ = [
    "CalendarStretch",
    "Channel",
    "Generators",
    "Privacy",
    "Service",
    "Settings",
    "Source",
    "check_settings",
    "read_settings",
    "settings_schema",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """What abp.yaml says; every field has a default.

    Args:
        time_zone: Where a workspace day begins and ends.
        currency: ISO 4217 code in which money is reported.
        rates: Currency to its worth in ``currency``.
        holdout: Share of units kept on original baselines for good, 0 … 1.
        calendar: Days that are unlike others, in order of time.
        sources: Logs that are pulled.
        privacy: How units are protected.
        min_free: Share of the disk that stays free: below it nothing more is taken in, 0 … 0.9.
        memory_mib: What the warehouse may hold in memory; beyond it, it works from the disk.
        tokens: Who may call the service, to ``sha256:<hex>`` or ``env:NAME``; none: this machine.
        service: How the service answers.
        generators: What draws where nobody says otherwise.
        channels: Where creatives are shown, by name; what is named adds to the built-in ones.
    """

    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "USD"
    rates: Mapping[str, float] = field(default_factory=dict)
    holdout: float = 0.0
    calendar: tuple[CalendarStretch, ...] = ()
    sources: tuple[Source, ...] = ()
    privacy: Privacy = field(default_factory=Privacy)
    min_free: float = 0.1
    memory_mib: float = 1024
    tokens: Mapping[str, str] = field(default_factory=dict)
    service: Service = field(default_factory=Service)
    generators: Generators = field(default_factory=Generators)
    channels: Mapping[str, Channel] = field(default_factory=lambda: DEFAULT_CHANNELS)


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


def read_settings(path: Path) -> Settings:
    """Read an abp.yaml.

    Raises:
        SpecError: It is wrong; says where, and how many mistakes more there are.
    """
    problems = check_settings(path)
    if problems:
        raise in_one(problems)
    root = read(path)
    if root.value is None:
        return Settings()
    return cast("Settings", _SETTINGS.read(root, problems, name=""))


def settings_schema() -> Schema:
    """Return the JSON Schema of abp.yaml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "abp.yaml",
        **_SETTINGS.schema(),
    }


_CURRENCY = Text(
    pattern="[A-Z]{3}", expects="an ISO 4217 code", remedy="write it like USD, EUR or CNY"
)


def _settings(**values: Any) -> Settings:
    return Settings(**{**values, "calendar": tuple(sorted(set(values.get("calendar", ()))))})


_SETTINGS = Table(
    make=Settings,
    build=_settings,
    fields=(
        Field(
            "time_zone",
            TIME_ZONE,
            "Where a day begins and ends.",
        ),
        Field("currency", _CURRENCY, "The currency in which money is reported."),
        Field(
            "rates",
            MapOf(_CURRENCY, Number(0, 1e9, open_minimum=True)),
            "What one unit of another currency is worth in `currency`.",
        ),
        Field("holdout", Share(maximum=0.5), "Share of units kept on original baselines for good."),
        Field("sources", SOURCES, "Logs that `abp ingest --due` pulls."),
        Field("privacy", PRIVACY, "Pseudonyms, and how long logs are kept."),
        Field(
            "min_free",
            Share(maximum=0.9),
            "Share of the disk that stays free; below it nothing more is taken in.",
        ),
        Field(
            "memory_mib",
            Number(128, 1e6),
            "MiB that the warehouse may hold in memory; beyond it, it works from the disk.",
        ),
        Field("roles", Text(), "Who may do what.", later="everyone may do everything"),
        Field("budgets", Text(), "How much may be spent.", later="nothing is capped"),
        Field("notify", Text(), "Who hears of what.", later="nobody is told"),
        Field("calendar", CALENDAR, "Days that are unlike others."),
        Field(
            "tokens",
            TOKENS,
            "Who may call the service: a name to sha256:<hex> of its token, or to env:NAME.",
        ),
        Field("service", SERVICE, "How the decision service answers."),
        Field("generators", GENERATORS, "What draws creatives."),
        Field("channels", CHANNELS, "Where creatives are shown: sizes, bytes and words."),
    ),
)
