"""The exceptions that abplatform raises on purpose.

Every one of them is a sentence a person can act on: what is wrong, where, and what to do next.

    AbplatformError
    ├── SpecError            a YAML file cannot be understood or breaks a rule
    ├── WorkspaceError       the folder is no workspace, or abp.yaml is wrong
    │   └── WorkspaceLocked  another job holds the workspace
    ├── RegistryError        a change of an experiment's state is refused
    ├── IngestError          a log file cannot be read at all
    │   └── MappingError     a mapping file does not fit the log
    ├── StoreError           the warehouse or the published tables cannot be used
    │   ├── DiskFull         too little space is left to take anything in
    │   └── WarehouseDamaged  the warehouse's file is damaged; the next job makes it anew
    ├── AnalysisError        there is nothing that could be analysed
    ├── CatalogueError       products, pictures or creatives cannot be used
    ├── CheckpointError      a model version is corrupt, foreign or unknown
    ├── TrainingError        pairs, images or tables cannot train or test a model
    ├── ServiceError         the decision service does not answer, or not as it should
    │   └── DeliveryError    events were not acknowledged and must come again
    └── NotInstalled         an optional package is missing

A number that cannot be computed is not an exception: it is null with its reason.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "AbplatformError",
    "AnalysisError",
    "CatalogueError",
    "CheckpointError",
    "DeliveryError",
    "DiskFull",
    "IngestError",
    "MappingError",
    "NotInstalled",
    "RegistryError",
    "ServiceError",
    "SpecError",
    "StoreError",
    "TrainingError",
    "WarehouseDamaged",
    "WorkspaceError",
    "WorkspaceLocked",
]


class AbplatformError(Exception):
    """The root of everything that abplatform raises on purpose.

    Args:
        message: What is wrong, as one sentence without a full stop.
        path: The file at fault.
        line: Its line, counted from 1.
        column: Its column, counted from 1.
        remedy: What to do next, as one sentence without a full stop.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.column = column
        self.remedy = remedy

    @property
    def place(self) -> str:
        """``file:line:column`` as far as it is known, else an empty string."""
        parts = (self.path, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)

    def __str__(self) -> str:
        """Return ``place: message. Remedy.``."""
        place = f"{self.place}: " if self.place else ""
        remedy = f" {self.remedy[0].upper()}{self.remedy[1:]}." if self.remedy else ""
        return f"{place}{self.message}.{remedy}"


class SpecError(AbplatformError):
    """A YAML file cannot be understood or breaks a rule.

    Args:
        message: As for every error.
        path: As for every error.
        line: As for every error.
        column: As for every error.
        remedy: As for every error.
        code: The rule that is broken, as a stable word such as ``unknown_key``.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        remedy: str | None = None,
        code: str = "invalid",
    ) -> None:
        super().__init__(message, path=path, line=line, column=column, remedy=remedy)
        self.code = code


class WorkspaceError(AbplatformError):
    """The folder is no workspace, or abp.yaml is wrong."""


class WorkspaceLocked(WorkspaceError):
    """Another job holds the workspace."""


class RegistryError(AbplatformError):
    """A change of an experiment's state is refused."""


class IngestError(AbplatformError):
    """A log file cannot be read at all."""


class MappingError(IngestError):
    """A mapping file does not fit the log."""


class StoreError(AbplatformError):
    """The warehouse or the published tables cannot be used."""


class DiskFull(StoreError):
    """Too little space is left on the disk; what was not acknowledged must come again."""


class WarehouseDamaged(StoreError):
    """The warehouse's file is damaged: it is moved aside and made anew by the next job."""


class AnalysisError(AbplatformError):
    """There is nothing that could be analysed."""


class CatalogueError(AbplatformError):
    """Products, pictures or creatives cannot be used."""


class CheckpointError(AbplatformError):
    """A model version is corrupt, foreign or unknown."""


class TrainingError(AbplatformError):
    """Pairs, images or tables cannot train or test a model."""


class ServiceError(AbplatformError):
    """The decision service does not answer, or not as it should."""


class DeliveryError(ServiceError):
    """Events were not acknowledged: what was not must come again, and then counts once.

    Args:
        message: As for every error.
        acknowledged: How many of the events, counted from the first, need not come again.
        remedy: As for every error.
    """

    def __init__(self, message: str, *, acknowledged: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.acknowledged = acknowledged


class NotInstalled(AbplatformError):
    """An optional package is missing.

    Args:
        package: The import that failed.
        extra: The extra of abplatform that carries it.
    """

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"{package} is not installed",
            remedy=f"install it with `pip install 'abplatform[{extra}]'`",
        )
