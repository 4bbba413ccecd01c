"""All that a decision needs, as one object that never changes; a new one replaces it.

It is built from what people wrote and decided (YAML files, journal, lineage, snapshots) and never
from the warehouse. Whoever serves holds one reference to the newest, so that no answer mixes two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from abplatform.creatives import CATALOGUE_FILE, LINEAGE_FILE
from abplatform.domain.assignment import AssignmentPlan
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment, State, Variant
from abplatform.logs.privacy import pseudonyms_of
from abplatform.traffic.approval import (
    EVERYWHERE,
    Clause,
    Clauses,
    clauses_of,
    group_reviews,
    split_clauses,
)
from abplatform.traffic.journal import JournalRow
from abplatform.traffic.lineup import Stock, birth_week
from abplatform.traffic.policies import Policy
from abplatform.traffic.policies.snapshots import CURRENT_FILE
from abplatform.traffic.reading import (
    Gallery,
    Kept,
    Knowledge,
    read_gallery,
    read_knowledge,
    read_shop,
)
from abplatform.traffic.registry import RegisteredExperiment, Registry, Review, plan_of
from abplatform.traffic.registry.replay import replay, replay_halted, replay_reviews
from abplatform.traffic.registry.withdrawals import replay_withdrawn
from abplatform.workspace import Workspace

__all__ = ["EMPTY", "Config", "ConfigReader", "ServedExperiment", "build_config"]


@dataclass(frozen=True, slots=True)
class ServedExperiment:
    """One started experiment.

    Args:
        plan: Who gets which variant.
        control: The control's name.
        spec_sha256: Of the YAML in force.
        stocks: Variant to product to its creatives; a product that is missing has none of its own.
        excluded: Creatives that it may not show, to the reason.
        policies: Variant to how it chooses among them.
        floors: Variant to the share that is drawn uniformly, 0 … 1.
        clauses: Creatives that it may show at some places or for some time, to what was said.
    """

    plan: AssignmentPlan
    control: str
    spec_sha256: str
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)
    clauses: Mapping[str, Clauses] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides, at one moment.

    Args:
        version: The beginning of the sha256 of what it was built from.
        experiments: Key to experiment; those that were started and are not over.
        layers: Layer to its experiments in order of start.
        baselines: Product to its original baselines, which everybody outside experiments sees.
        excluded: Creatives that nobody may see, to the reason: ``rejected``, ``withdrawn``.
        creatives: Creative to how it was made.
        categories: Product to the path of its category.
        products: Category path to the products in it and below it.
        scores: Creative to the reward model's score.
        halted: Whether a person has switched all experiments off.
        problems: What is wrong with files that were left out.
        clauses: Creatives that may be seen at some places or for some time, to what was said.
    """

    version: str
    experiments: Mapping[str, ServedExperiment] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baselines: Stock = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    creatives: Mapping[str, Lineage] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    halted: bool = False
    problems: tuple[str, ...] = ()
    clauses: Mapping[str, Clauses] = field(default_factory=dict)

    def showing(self, creative_ids: Collection[str]) -> tuple[str, ...]:
        """Return the experiments in which somebody may see one of these creatives."""
        asked = frozenset(creative_ids) - self.excluded.keys()
        baselines = {p for p, names in self.baselines.items() if not asked.isdisjoint(names)}
        return tuple(
            key for key, one in self.experiments.items() if _may_show(one, asked, baselines)
        )


EMPTY = Config("empty")
"""Knows nothing: every decision is a fallback and holds."""


def build_config(workspace: Workspace) -> Config:
    """Read everything that decides; see :meth:`ConfigReader.read`."""
    return ConfigReader(workspace).read()


class ConfigReader:
    """Reads configs one after the other; what has not changed on the disk is not read again.

    So a pause, a review or a withdrawal costs the journal alone, however many creatives there are.

    Args:
        workspace: Where everything lies.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._gallery = Kept(read_gallery)
        self._catalogue = Kept(read_shop)
        self._knowledge = Kept(read_knowledge)
        self._sound = Knowledge(None)

    def _known(self) -> Knowledge:
        """Return what policies know; a broken snapshot is told of and leaves what they knew."""
        folder = self._workspace.snapshots
        found = self._knowledge.of(folder, folder / CURRENT_FILE)
        if found.problems:
            return replace(self._sound, problems=found.problems)
        self._sound = found
        return found

    def read(self) -> Config:
        """Read everything that decides.

        A YAML file that cannot be used is left out and named in ``problems``: what was started
        runs on as it was started.

        Raises:
            RegistryError: The journal or a kept spec is broken.
            CatalogueError: The lineage cannot be read.
        """
        workspace = self._workspace
        registry = Registry(workspace)
        rows = registry.rows()
        known, problems = registry.usable()
        now = workspace.clock()
        started = {key: one for key, one in known.items() if _is_served(one, now)}
        gallery = self._gallery.of(workspace.creatives, workspace.creatives / LINEAGE_FILE)
        shop = self._catalogue.of(workspace.catalog, workspace.catalog / CATALOGUE_FILE)
        know = self._known()
        reviews = group_reviews(replay_reviews(rows))
        withdrawn = replay_withdrawn(rows).among(gallery.creatives.values())
        gone = dict.fromkeys(withdrawn, "withdrawn")
        nowhere, somewhere = _said(gallery, reviews)
        experiments = {
            key: _serve(workspace, one, gallery, (reviews, gone), know=know)
            for key, one in started.items()
        }
        digests = (gallery.digest, shop.digest, know.current[0] if know.current else None)
        return Config(
            version=_version(experiments, known, rows, *digests),
            experiments=experiments,
            layers=_layers(one.experiment for one in started.values()),
            baselines=gallery.baselines,
            excluded={**nowhere, **gone},
            clauses=somewhere,
            creatives=gallery.creatives,
            categories=shop.categories,
            products=shop.products,
            halted=replay_halted(rows),
            scores=know.current[1].rewards if know.current else {},
            problems=tuple(map(str, [*problems, *shop.problems, *know.problems])),
        )

    def heed(self, config: Config) -> Config:
        """Return a config that cannot be read anew with all that people switched off since.

        A spec that is gone, or a lineage that cannot be read, keeps no withdrawal, rejection,
        pause, stop or halt from being obeyed: these need the journal alone.

        Args:
            config: The last good one.

        Raises:
            RegistryError: The journal is broken.
        """
        rows = Registry(self._workspace).rows()
        withdrawn = replay_withdrawn(rows).among(config.creatives.values())
        nowhere, somewhere = _rejections(replay_reviews(rows))
        gone = {**nowhere, **dict.fromkeys(withdrawn, "withdrawn")}
        running = {key for key, past in replay(rows).items() if past.state is State.RUNNING}
        heeded = replace(
            config,
            excluded={**config.excluded, **gone},
            clauses=_narrow(config.clauses, somewhere),
            halted=config.halted or replay_halted(rows),
            experiments={
                key: _switch_off(
                    replace(one, clauses=_narrow(one.clauses, somewhere)),
                    gone,
                    running=one.plan.running and key in running,
                )
                for key, one in config.experiments.items()
            },
        )
        if heeded == config:
            return config
        seed = f"{config.version} {rows[-1].sha256}"
        return replace(heeded, version=hashlib.sha256(seed.encode()).hexdigest()[:12])


def _said(
    gallery: Gallery, reviews: Mapping[str, Sequence[Review]]
) -> tuple[dict[str, str], dict[str, Clauses]]:
    """What people said of creatives, for everybody outside of experiments."""
    return split_clauses(
        {
            name: clauses_of(gallery.creatives[name], said)
            for name, said in reviews.items()
            if name in gallery.creatives
        }
    )


def _rejections(reviews: Iterable[Review]) -> tuple[dict[str, str], dict[str, Clauses]]:
    """Creatives that are rejected everywhere, and those that are at some places."""
    newest = {review.creative_id: review for review in reviews}
    return split_clauses(
        {
            name: (Clause("rejected", frozenset(review.channels), frozenset(review.countries)),)
            for name, review in newest.items()
            if review.decision == "rejected"
        }
    )


def _narrow(before: Mapping[str, Clauses], newer: Mapping[str, Clauses]) -> dict[str, Clauses]:
    """Put newer words before older ones."""
    return {**before, **{n: (*said, *before.get(n, (EVERYWHERE,))) for n, said in newer.items()}}


def _may_show(served: ServedExperiment, asked: frozenset[str], baselines: Collection[str]) -> bool:
    """Whether a variant has one of the creatives, or falls back on a baseline among them."""
    for variant in served.plan.phase.variants:
        stock = served.stocks.get(variant, {})
        if not asked.isdisjoint(name for names in stock.values() for name in names):
            return True
        if any(product_id not in stock for product_id in baselines):
            return True
    return False


def _switch_off(
    served: ServedExperiment, gone: Mapping[str, str], *, running: bool
) -> ServedExperiment:
    excluded = {**served.excluded, **gone}
    return replace(served, excluded=excluded, plan=replace(served.plan, running=running))


def _is_served(one: RegisteredExperiment, now: datetime) -> bool:
    """Whether it was started and is not over; a stop that is dated ahead has not come yet."""
    if one.ended_at is not None:
        return now < one.ended_at
    return bool(one.phases) and one.state in {State.RUNNING, State.PAUSED}


def _serve(
    workspace: Workspace,
    registered: RegisteredExperiment,
    gallery: Gallery,
    said: tuple[Mapping[str, Sequence[Review]], Mapping[str, str]],
    *,
    know: Knowledge,
) -> ServedExperiment:
    experiment = registered.experiment
    began = registered.started_at or registered.phases[0].starts_at
    week = birth_week(began, workspace.settings.time_zone)
    stocks = {
        variant.name: gallery.stock(variant.creatives, week, _screened_by(registered, variant))
        for variant in experiment.variants
        if variant.creatives is not None
    }
    reviews, withdrawn = said
    mine = {name for stock in stocks.values() for names in stock.values() for name in names}
    nowhere, somewhere = split_clauses(
        {
            name: clauses_of(gallery.creatives[name], reviews.get(name, ()), experiment.approval)
            for name in mine
        }
    )
    plan = plan_of(registered, workspace.clock(), workspace.settings.holdout)
    if plan.forced and (pseudonyms := pseudonyms_of(workspace)):
        forced = {pseudonyms.stored(unit): variant for unit, variant in plan.forced.items()}
        plan = replace(plan, forced=forced)
    return ServedExperiment(
        plan=plan,
        control=experiment.control.name,
        spec_sha256=registered.spec_sha256,
        stocks=stocks,
        excluded={**nowhere, **withdrawn},
        clauses=somewhere,
        policies={
            variant.name: know.policy(variant.policy, gallery) for variant in experiment.variants
        },
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


def _version(
    experiments: Mapping[str, ServedExperiment],
    known: Mapping[str, RegisteredExperiment],
    rows: Sequence[JournalRow],
    *digests: str | None,
) -> str:
    """Name a config by all that decides: also by edits that take effect without a journal row."""
    inputs = {
        "journal": rows[-1].sha256 if rows else None,
        "experiments": {
            key: [repr(known[key].experiment), one.plan.phase.number, one.plan.running]
            for key, one in experiments.items()
        },
        "holdout": {key: one.plan.holdout for key, one in experiments.items()},
        "read": digests,
    }
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()[:12]
