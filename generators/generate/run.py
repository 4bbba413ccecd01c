"""One run: which slots there are, what fills them already, and what has to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abplatform.creatives import NOTHING_WITHDRAWN, Withdrawn, read_lineage
from abplatform.domain.catalog import Lineage
from generators.brand import NO_BRAND, NO_BRANDS, Brands
from generators.generate.drawing import ATTEMPTS, WITHDRAWN, Result, Task, draw_all
from generators.generate.ledger import Ledger, read_refused
from generators.generate.screening import LEAST_WIN, Scorer, Screen, is_screened
from generators.generate.slots import (
    CreativeRefused,
    Generator,
    Key,
    Slot,
    key_of,
    slot_seeds,
)
from generators.inspector import NEAR_DUPLICATE, inspector_name
from generators.inspector.taste import Taste
from generators.intake import ReadyProduct
from generators.propose import FamilyScenes, PromptModel, propose_scenes
from generators.renderers.baseline import Baseline
from generators.renderers.placing import Renderer
from generators.renderers.studio import Studio
from generators.scene import Scene

__all__ = ["Generation", "generate_creatives"]


@dataclass(frozen=True, slots=True)
class Generation:
    """What a run brought.

    Args:
        lineages: One for each creative of this run, drawn now or before, in order of product.
        refused: Slots that stayed empty; their products' baselines stand in.
        drawn: How many pictures were drawn now.
        reused: How many slots needed nothing: filled, or known to stay empty.
    """

    lineages: tuple[Lineage, ...]
    refused: tuple[CreativeRefused, ...]
    drawn: int = 0
    reused: int = 0


def generate_creatives(
    ready: Sequence[ReadyProduct],
    *,
    generator: Generator,
    per_product: int = 1,
    week: str | None = None,
    seed: int,
    root: Path,
    renderer: Renderer | None = None,
    writer: PromptModel | None = None,
    scorer: Scorer | None = None,
    least_win: float = LEAST_WIN,
    checkpoints: Mapping[str, str] | None = None,
    withdrawn: Withdrawn = NOTHING_WITHDRAWN,
    brands: Brands = NO_BRANDS,
    country: str | None = None,
    taste: Taste | None = None,
    processes: int = 1,
    advance: Callable[[int, int], None] | None = None,
) -> Generation:
    """Draw creatives for products and keep masters, cut-outs and lineage.

    Args:
        ready: Products with their cut-outs.
        generator: ``baseline`` (one plain studio picture a product) or ``caig``.
        per_product: How many creatives each product gets; a baseline is always one.
        week: ISO week, kept in the lineage and part of the randomness.
        seed: Every random choice comes from it.
        root: The folder of creatives.
        renderer: Draws the scenes; the studio if None. Baselines are always the plain studio's.
        writer: Writes the scenes; rules by category if None.
        scorer: Predicts by small previews which scenes win over the product's baseline; only
            those that do are drawn, but for a tenth of the slots.
        least_win: The predicted chance to win from which a scene is drawn, 0 … 1.
        checkpoints: Role to sha256 of further models that take part, such as the scorer's.
        withdrawn: What must not be drawn again, nor anything that looks like it.
        brands: What brands ask of their products' generated creatives.
        country: Where they will be shown, so that the brand's kit for it holds.
        taste: What people rejected before: what looks like it is drawn anew.
        processes: How many processes draw; a pool is started only when it pays.
        advance: Told how many slots are done, and of how many.

    Returns:
        The creatives in order of product and slot, whoever drew them and when.
    """
    if generator == "baseline":
        maker = _Maker(generator, Baseline(), None, {})
    else:
        drawing, writing = renderer or Studio(), writer or FamilyScenes()
        models = {**(checkpoints or {}), **drawing.checkpoints, **writing.checkpoints}
        maker = _Maker(generator, drawing, writing, models)
    count = 1 if generator == "baseline" else per_product
    slots = [
        replace(
            maker.slot(product, number, week=week, seed=seed, withdrawn=withdrawn),
            kit=brands.kit(product.product, country) if generator == "caig" else NO_BRAND,
            taste=taste,
        )
        for product in ready
        for number in range(count)
    ]
    screen = None if scorer is None else Screen(scorer, least=least_win)
    rules = (
        inspector_name(),
        None if screen is None else screen.least,
        *(() if taste is None else (taste.sha256,)),
    )
    found = _find(slots, root, withdrawn, rules)
    reused = len(found)
    tasks = _plan(slots, found, maker.writer, screen, _looks(root, withdrawn))
    if advance is not None:
        advance(reused, len(slots))
    drawn = 0
    with Ledger(root) as ledger:
        for place, result in draw_all(
            tasks,
            len(slots) - reused,
            root,
            processes=processes,
            batch=maker.renderer.batch,
        ):
            found[place] = result
            drawn += isinstance(result, Lineage)
            ledger.note(slots[place], result, _memory(slots[place], result, rules))
            if advance is not None:
                advance(len(found), len(slots))
    ordered = [found[place] for place in range(len(slots))]
    lineages = {row.creative_id: row for row in ordered if isinstance(row, Lineage)}
    return Generation(
        tuple(lineages.values()),
        tuple(row for row in ordered if isinstance(row, CreativeRefused)),
        drawn=drawn,
        reused=reused,
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    """What makes the creatives of a run."""

    generator: Generator
    renderer: Renderer
    writer: PromptModel | None
    checkpoints: Mapping[str, str]

    def slot(
        self,
        product: ReadyProduct,
        number: int,
        *,
        week: str | None,
        seed: int,
        withdrawn: Withdrawn,
    ) -> Slot:
        return Slot(
            product,
            number,
            self.generator,
            week,
            self.renderer,
            None if self.writer is None else self.writer.name,
            slot_seeds(
                product.product.product_id,
                number,
                self.generator,
                week,
                seed=seed,
                count=ATTEMPTS,
            ),
            self.checkpoints,
            withdrawn,
        )


def _memory(slot: Slot, result: Result, rules: tuple[object, ...]) -> str | None:
    """Under which key an empty slot is remembered; None: what emptied it may change."""
    if isinstance(result, CreativeRefused) and not {WITHDRAWN, NEAR_DUPLICATE} & set(
        result.reasons
    ):
        return slot.digest(*rules)
    return None


def _find(
    slots: Sequence[Slot], root: Path, withdrawn: Withdrawn, rules: tuple[object, ...]
) -> dict[int, Result]:
    """What earlier runs left, by the slot's place."""
    known: dict[Key, Lineage] = {
        key_of(row): row for row in read_lineage(root).values() if not withdrawn.refuses(row)
    }
    refused = read_refused(root)
    found: dict[int, Result] = {}
    for place, slot in enumerate(slots):
        drawn = next((known[k] for k in map(slot.key, slot.seeds) if k in known), None)
        before = drawn or refused.get(slot.digest(*rules))
        if before is not None:
            found[place] = before
    return found


def _looks(root: Path, withdrawn: Withdrawn) -> dict[str, tuple[str, ...]]:
    """Product id to how its generated creatives look, those of earlier weeks too."""
    looks: dict[str, tuple[str, ...]] = {}
    for row in read_lineage(root).values():
        if row.source == "generated" and row.perceptual_hash and not withdrawn.refuses(row):
            looks[row.product_id] = (*looks.get(row.product_id, ()), row.perceptual_hash)
    return looks


def _plan(
    slots: Sequence[Slot],
    found: Mapping[int, Result],
    writer: PromptModel | None,
    screen: Screen | None,
    looks: Mapping[str, tuple[str, ...]],
) -> Iterator[Task]:
    """Choose the scenes of every slot; a product's pictures do not repeat each other.

    The first scene of a slot counts as taken whether its picture is there, was refused or is to
    come, so that a run that broke off plans the rest as it would have done.
    """
    of_product: dict[str, list[int]] = {}
    for place, slot in enumerate(slots):
        of_product.setdefault(slot.product_id, []).append(place)
    there = frozenset(found)
    for product_id, places in of_product.items():
        missing = [place for place in places if place not in there]
        if not missing:
            continue
        if writer is None:
            yield Task(tuple(slots[place] for place in missing), tuple(missing))  # baselines
            continue
        taken: list[Scene] = []
        planned = []
        for place in places[: places.index(missing[-1]) + 1]:
            first = _first_scene(slots[place], found.get(place)) if place in there else None
            if first is None:
                slot = _write_scenes(slots[place], writer, screen, taken)
                first = slot.scenes[0] if slot.scenes else None
                if place not in there:
                    planned.append(slot)
            if first is not None:
                taken.append(first)
        yield Task(tuple(planned), tuple(missing), looks.get(product_id, ()))


def _first_scene(slot: Slot, result: Result | None) -> Scene | None:
    """The scene that was tried first, where the result tells it."""
    if isinstance(result, Lineage) and result.seed == slot.seeds[0]:
        return Scene(**result.scene)
    return None


def _write_scenes(
    slot: Slot, writer: PromptModel, screen: Screen | None, taken: Sequence[Scene]
) -> Slot:
    screened = screen is not None and is_screened(slot)
    judge = None if screen is None else screen.judge(slot)
    scenes = propose_scenes(
        slot.product,
        len(slot.seeds),
        np.random.default_rng(slot.seeds[0]),
        judge if screened else None,
        writer=writer,
        taken=taken,
        refused=slot.refuses,
    )
    if screen is None or judge is None:
        return replace(slot, scenes=tuple(scenes))
    promising = [scene for scene in scenes if not screened or judge(scene) >= screen.least]
    return replace(
        slot,
        scenes=tuple(promising),
        wins=tuple(map(judge, promising)),
        screened=screened,
        unpromising=bool(scenes) and not promising,
    )
