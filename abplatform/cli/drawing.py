"""The turn's generate step: creatives for every experiment of the week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abplatform import checkpoints
from abplatform.cli.makers import KIND, find_makers, load_scorer
from abplatform.domain.experiment import Experiment, Variant
from abplatform.domain.targeting import targets
from abplatform.errors import CatalogueError
from abplatform.loop.hands import Brief
from abplatform.loop.steps import Json, digest
from abplatform.traffic.lineup import birth_week
from abplatform.traffic.registry import Registry

if TYPE_CHECKING:
    from generators.generate import Generation, Scorer
    from generators.intake import ReadyProduct

__all__ = ["KIND", "DrawCreatives", "varies"]


@dataclass(frozen=True, slots=True)
class DrawCreatives:
    """Draws baselines for all products and what the experiments' variants ask for.

    Args:
        ready: The products that can be drawn.
        refused: Those that cannot, as plain data.
        seed: Every random choice comes from it.
        processes: How many processes draw.
    """

    ready: Sequence[ReadyProduct]
    refused: Sequence[Json]
    seed: int
    processes: int = 1

    @property
    def inputs(self) -> Json:
        """What the step's result depends on."""
        products = {product.product.product_id: product.image_sha256 for product in self.ready}
        return {"products": digest(products), "seed": self.seed}

    def __call__(self, brief: Brief) -> Json:
        """Draw what is missing and say which creatives each variant has for each product."""
        wanted = [
            (key, variant, registered.experiment, _week_of_birth(brief, key))
            for key, registered in brief.experiments.items()
            for variant in registered.experiment.variants
            if variant.creatives is not None and varies(registered.experiment)
        ]
        if not self.ready:
            if not wanted:
                return {"creatives": {}, "default": {}, "refused": list(self.refused)}
            raise CatalogueError(
                f"{wanted[0][0]} needs creatives and no product can be drawn",
                path=brief.workspace.catalog,
                remedy="put products.csv there; `abp generate` says what is wrong with it",
            )
        total = len(self.ready) * (1 + sum(_per_product(variant) for _, variant, _, _ in wanted))
        base = self._generate(brief, self.ready, None, (0, total))
        done = len(self.ready)
        creatives: dict[str, dict[str, Any]] = {}
        refused: list[dict[str, Any]] = list(map(dict, self.refused))
        for key, variant, experiment, week in wanted:
            products = [p for p in self.ready if _is_targeted(experiment, p)]
            run = base
            if _per_product(variant):
                run = self._generate(brief, products, (key, variant, week), (done, total))
                done += len(self.ready) * _per_product(variant)
                refused += [
                    {"experiment": key, "product_id": r.product_id, "reasons": list(r.reasons)}
                    for r in run.refused
                ]
            shown = _by_product(run, {p.product.product_id for p in products})
            creatives.setdefault(key, {})[variant.name] = shown
        return {
            "creatives": creatives,
            "default": _by_product(base, None),
            "refused": refused,
        }

    def _generate(
        self,
        brief: Brief,
        products: Sequence[ReadyProduct],
        wanted: tuple[str, Variant, str] | None,
        span: tuple[int, int],
    ) -> Generation:
        from abplatform.cli.inspecting import reinspect
        from generators.brand import read_brands
        from generators.generate import generate_creatives

        before, total = span
        root = brief.workspace.creatives
        withdrawn = Registry(brief.workspace).withdrawn()
        if wanted is None:
            return generate_creatives(
                products,
                generator="baseline",
                seed=self.seed,
                root=root,
                withdrawn=withdrawn,
                advance=lambda done, _: brief.advance(before + done, total),
            )
        key, variant, week = wanted
        scorer, models = _scorer(brief, key, variant)
        makers = find_makers(
            brief.workspace.settings.generators.within(brief.workspace.root),
            brief.workspace.checkpoints,
        )
        reinspect(brief.workspace)
        return generate_creatives(
            products,
            generator="caig",
            per_product=_per_product(variant),
            week=week,
            seed=self.seed,
            root=root,
            renderer=makers.renderer,
            writer=makers.writer,
            scorer=scorer,
            least_win=makers.least_win,
            checkpoints=models,
            withdrawn=withdrawn,
            brands=read_brands(brief.workspace.catalog),
            taste=makers.taste,
            processes=self.processes,
            advance=lambda done, _: brief.advance(before + done, total),
        )


def varies(experiment: Experiment) -> bool:
    """Whether the variants differ in the creatives they show."""
    return len({variant.creatives for variant in experiment.variants}) > 1


def _per_product(variant: Variant) -> int:
    """How many creatives it needs beside the baselines."""
    choice = variant.creatives
    return choice.per_product if choice and choice.source == "generated" else 0


def _week_of_birth(brief: Brief, key: str) -> str:
    """The week whose creatives an experiment shows: the one in which it started."""
    since = brief.experiments[key].started_at
    if since is None:
        return str(brief.week)
    return birth_week(since, brief.workspace.settings.time_zone)


def _is_targeted(experiment: Experiment, product: ReadyProduct) -> bool:
    allowed = {name: v for name, v in experiment.targeting.items() if name == "category"}
    return targets(allowed, {"category": product.product.category.path})


def _by_product(run: Generation, wanted: set[str] | None) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for lineage in run.lineages:
        if wanted is None or lineage.product_id in wanted:
            shown.setdefault(lineage.product_id, []).append(lineage.creative_id)
    return shown


def _scorer(brief: Brief, key: str, variant: Variant) -> tuple[Scorer | None, Mapping[str, str]]:
    """The model that screens a variant's scenes: the one its YAML names, at the start's time."""
    registered = brief.experiments[key]
    named = variant.creatives.checkpoint if variant.creatives else None
    if named is not None and registered.started_at is not None:
        named = registered.checkpoint(KIND, named)
    elif named == checkpoints.CHAMPION:
        named = brief.champions.get(KIND)
    if named is None:
        return None, {}
    return load_scorer(named, brief.workspace.checkpoints)
