"""Every plan in force as one JSON document, from which a client assigns units by itself.

It holds all that :func:`~abplatform.domain.assignment.assign` needs and nothing of creatives. An
entry has the shape of the cases in ``tests/abplatform/vectors/assignment.json``, so that a client
in another language is tested with those and fed with this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from abplatform.domain.assignment import AssignmentPlan
from abplatform.domain.experiment import BucketRange, Phase
from abplatform.domain.targeting import Condition
from abplatform.errors import ServiceError
from abplatform.traffic.config import Config, ServedExperiment

__all__ = [
    "Assignable",
    "Assignments",
    "assignments_document",
    "entity_tag",
    "read_assignments",
]

_Bounds = tuple[int, int]


class _Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A phase as JSON; ranges are ``[low, high]``, the high end excluded."""

    number: int
    starts_at: datetime
    ends_at: datetime | None = None
    slots: tuple[_Bounds, ...]
    exposure: _Bounds
    variants: dict[str, tuple[_Bounds, ...]]
    weights: dict[str, float] = {}


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment as JSON."""

    experiment: str
    layer: str
    control: str
    spec_sha256: str
    running: bool = True
    holdout: float = 0.0
    targeting: dict[str, Condition] = {}
    forced: dict[str, str] = {}
    phase: _Phase


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """All of them; keys that a later version adds are passed over."""

    version: str
    halted: bool = False
    pseudonyms: str | None = None
    layers: dict[str, tuple[str, ...]] = {}
    experiments: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class Assignable:
    """One experiment to assign units of.

    Args:
        plan: Who gets which variant.
        control: The control's name.
        spec_sha256: Of the YAML in force.
    """

    plan: AssignmentPlan
    control: str
    spec_sha256: str


@dataclass(frozen=True, slots=True)
class Assignments:
    """What was in force when the document was made.

    Args:
        version: The config that it was made of.
        experiments: Key to experiment; those that were started and are not over.
        layers: Layer to its experiments in order of start.
        halted: Whether a person has switched all experiments off; then no plan is running.
        pseudonyms: The fingerprint of the key whose pseudonyms stand for units, None where units
            are what they are called.
    """

    version: str
    experiments: Mapping[str, Assignable] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    halted: bool = False
    pseudonyms: str | None = None


def assignments_document(config: Config, *, pseudonyms: str | None = None) -> bytes:
    """Return the document: canonical JSON, so that equal plans are equal bytes.

    Args:
        config: All that decides; creatives, policies and scores are left out. The document names
            the units that are forced.
        pseudonyms: The fingerprint of the workspace's key, where it has one; what is assigned
            then, and forced, are pseudonyms.
    """
    document = _Document(
        version=config.version,
        halted=config.halted,
        pseudonyms=pseudonyms,
        layers=dict(config.layers),
        experiments=tuple(_written(one) for one in config.experiments.values()),
    )
    return msgspec.json.encode(document)


def entity_tag(document: bytes) -> str:
    """Return what HTTP calls the document's ETag: quoted, the same for the same bytes."""
    return f'"{hashlib.sha256(document).hexdigest()[:32]}"'


def read_assignments(document: bytes, *, origin: str = "the document") -> Assignments:
    """Return the plans of a document.

    Args:
        document: What :func:`assignments_document` made, or a later version of it.
        origin: Where it comes from, for the error.

    Raises:
        ServiceError: It is no such document; what is wrong is said with its place in the JSON.
    """
    try:
        read = msgspec.json.decode(document, type=_Document)
        known = {
            entry.experiment: _assignable(entry, halted=read.halted) for entry in read.experiments
        }
        _check_layers(read.layers, known)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ServiceError(
            f"assignments cannot be read: {error}",
            path=origin,
            remedy="give the address of `abp serve`, or a file with what GET /v1/assignments says",
        ) from None
    return Assignments(
        version=read.version,
        experiments=known,
        layers=read.layers,
        halted=read.halted,
        pseudonyms=read.pseudonyms,
    )


def _check_layers(layers: Mapping[str, tuple[str, ...]], known: Mapping[str, Assignable]) -> None:
    for layer, keys in layers.items():
        if missing := [key for key in keys if key not in known]:
            message = f"layer {layer!r} names {missing[0]!r}, which is no experiment there"
            raise ValueError(message)


def _written(served: ServedExperiment) -> _Entry:
    plan, phase = served.plan, served.plan.phase
    return _Entry(
        experiment=plan.experiment_key,
        layer=plan.layer_name,
        control=served.control,
        spec_sha256=served.spec_sha256,
        running=plan.running,
        holdout=plan.holdout,
        targeting=dict(plan.targeting),
        forced=dict(plan.forced),
        phase=_Phase(
            number=phase.number,
            starts_at=phase.starts_at,
            ends_at=phase.ends_at,
            slots=_bounds(phase.slots),
            exposure=(phase.exposure.low, phase.exposure.high),
            variants={name: _bounds(owned) for name, owned in phase.variants.items()},
            weights=dict(phase.weights),
        ),
    )


def _bounds(ranges: Iterable[BucketRange]) -> tuple[_Bounds, ...]:
    return tuple((owned.low, owned.high) for owned in ranges)


def _assignable(entry: _Entry, *, halted: bool) -> Assignable:
    plan = AssignmentPlan(
        experiment_key=entry.experiment,
        layer_name=entry.layer,
        phase=_phase(entry.phase),
        running=entry.running and not halted,
        holdout=entry.holdout,
        targeting=entry.targeting,
        forced=entry.forced,
    )
    return Assignable(plan, entry.control, entry.spec_sha256)


def _phase(phase: _Phase) -> Phase:
    return Phase(
        number=phase.number,
        starts_at=phase.starts_at,
        ends_at=phase.ends_at,
        slots=_ranges(phase.slots),
        exposure=BucketRange(*phase.exposure),
        variants={name: _ranges(owned) for name, owned in phase.variants.items()},
        weights=phase.weights,
    )


def _ranges(bounds: Iterable[_Bounds]) -> tuple[BucketRange, ...]:
    return tuple(BucketRange(low, high) for low, high in bounds)
