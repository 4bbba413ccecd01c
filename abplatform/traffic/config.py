"""All that a decision needs, as one object that never changes; a new one replaces it.

It is built from what people wrote and decided (YAML files, journal, lineage, snapshots) and never
from the warehouse. Whoever serves holds one reference to the newest, so that no answer mixes two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from abplatform.creatives import read_catalogue, read_lineage
from abplatform.domain.assignment import AssignmentPlan
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment, State, Variant
from abplatform.errors import AbplatformError
from abplatform.traffic.lineup import Lineup, admission, baseline_lineups, birth_week, lineups
from abplatform.traffic.policies import Policy, Uniform
from abplatform.traffic.registry import RegisteredExperiment, Registry, Review, plan_of
from abplatform.workspace import Workspace

__all__ = ["EMPTY", "Config", "ServedExperiment", "build_config"]


@dataclass(frozen=True, slots=True)
class ServedExperiment:
    """One started experiment.

    Args:
        plan: Who gets which variant.
        control: The control's name.
        spec_sha256: Of the YAML in force.
        lineups: Variant to product to its creatives; a product that is missing has none of its own.
        policies: Variant to how it chooses among them.
        floors: Variant to the share that is drawn uniformly, 0 … 1.
    """

    plan: AssignmentPlan
    control: str
    spec_sha256: str
    lineups: Mapping[str, Mapping[str, Lineup]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides, at one moment.

    Args:
        version: The beginning of the sha256 of what it was built from.
        experiments: Key to experiment; those that were started and are not over.
        layers: Layer to its experiments in order of start.
        baselines: Product to its original baselines, which everybody outside experiments sees.
        creatives: Creative to how it was made.
        categories: Product to the path of its category.
        products: Category path to the products in it and below it.
        scores: Creative to the reward model's score.
        halted: Whether a person has switched all experiments off.
        problems: What is wrong with files that were left out.
    """

    version: str
    experiments: Mapping[str, ServedExperiment] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baselines: Mapping[str, Lineup] = field(default_factory=dict)
    creatives: Mapping[str, Lineage] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    halted: bool = False
    problems: tuple[str, ...] = ()


EMPTY = Config("empty")
"""Knows nothing: every decision is a fallback and holds."""


def build_config(workspace: Workspace) -> Config:
    """Read everything that decides.

    A YAML file that cannot be used is left out and named in ``problems``: what was started runs on
    as it was started.

    Raises:
        RegistryError: The journal or a kept spec is broken.
        CatalogueError: The lineage cannot be read.
    """
    registry = Registry(workspace)
    known, problems = registry.usable()
    started = {key: one for key, one in known.items() if one.state in {State.RUNNING, State.PAUSED}}
    started = {key: one for key, one in started.items() if one.phases}
    lineage = read_lineage(workspace.creatives)
    reviews = registry.reviews()
    categories, wrong = _categories(workspace)
    return Config(
        version=_version(workspace, known, registry, lineage, categories),
        experiments={
            key: _serve(workspace, one, reviews, tuple(lineage.values()))
            for key, one in started.items()
        },
        layers=_layers(one.experiment for one in started.values()),
        baselines=baseline_lineups(lineage.values(), admission(reviews, "rules")),
        creatives=lineage,
        categories=categories,
        products=_below(categories),
        halted=registry.halted(),
        problems=tuple(map(str, [*problems, *wrong])),
    )


def _serve(
    workspace: Workspace,
    registered: RegisteredExperiment,
    reviews: Mapping[str, Review],
    creatives: Sequence[Lineage],
) -> ServedExperiment:
    experiment = registered.experiment
    admit = admission(reviews, experiment.approval)
    began = registered.started_at or registered.phases[0].starts_at
    week = birth_week(began, workspace.settings.time_zone)
    shown = {
        variant.name: lineups(
            creatives,
            variant.creatives,
            admit,
            week=week,
            checkpoint=_screened_by(registered, variant),
        )
        for variant in experiment.variants
        if variant.creatives is not None
    }
    return ServedExperiment(
        plan=plan_of(registered, workspace.clock(), workspace.settings.holdout),
        control=experiment.control.name,
        spec_sha256=registered.spec_sha256,
        lineups=shown,
        policies={variant.name: Uniform() for variant in experiment.variants},
        floors={variant.name: variant.policy.floor for variant in experiment.variants},
    )


def _screened_by(registered: RegisteredExperiment, variant: Variant) -> str | None:
    """The sha256 of the model that screened a variant's creatives, None where none did."""
    named = variant.creatives.checkpoint if variant.creatives else None
    return registered.checkpoint("reward", named) if named else None


def _layers(experiments: Iterable[Experiment]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in experiments:
        name = one.own_layer.name
        found[name] = (*found.get(name, ()), one.key)
    return found


def _categories(workspace: Workspace) -> tuple[dict[str, str], list[AbplatformError]]:
    """Product to category; a workspace without a catalogue knows none."""
    if not workspace.catalog.exists():
        return {}, []
    try:
        catalogue = read_catalogue(workspace.catalog)
    except AbplatformError as error:
        return {}, [error]
    return {one.product_id: one.category.path for one in catalogue.products}, []


def _below(categories: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for product_id, path in categories.items():
        names = path.split("/")
        for depth in range(1, len(names) + 1):
            found.setdefault("/".join(names[:depth]), []).append(product_id)
    return {path: tuple(products) for path, products in found.items()}


def _version(
    workspace: Workspace,
    known: Mapping[str, RegisteredExperiment],
    registry: Registry,
    lineage: Mapping[str, Lineage],
    categories: Mapping[str, str],
) -> str:
    rows = registry.rows()
    inputs = {
        "journal": rows[-1].sha256 if rows else None,
        "specs": {key: one.spec_sha256 for key, one in known.items()},
        "creatives": list(lineage),
        "categories": dict(categories),
        "holdout": workspace.settings.holdout,
    }
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()[:12]
