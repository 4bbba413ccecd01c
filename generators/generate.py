"""Catalogue → creatives with lineage; the same call twice draws nothing twice."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Protocol, Self, TypeAlias

import numpy as np

from abplatform.creatives import (
    NOTHING_WITHDRAWN,
    Withdrawn,
    append_lineage,
    perceptual_hash,
    read_lineage,
    save_master,
)
from abplatform.domain.catalog import Lineage, Product
from generators.arrays import Pixels
from generators.inspector import Inspection, inspect
from generators.intake import ReadyProduct
from generators.propose import propose_scenes
from generators.renderers.baseline import Baseline
from generators.renderers.placing import Rendered, Renderer
from generators.renderers.studio import Studio
from generators.scene import Scene

__all__ = ["CreativeRefused", "Generation", "Generator", "Scorer", "generate_creatives"]

Generator: TypeAlias = Literal["baseline", "caig"]

ATTEMPTS = 3
"""How often a slot whose picture the inspector refuses is drawn anew."""
WITHDRAWN = "withdrawn"
"""Why a slot stays empty whose pictures people withdrew."""
PREVIEW = (160, 160)
ROWS_TOGETHER = 16
"""Lineage rows that are written at once."""
WORTH_A_POOL = 12
"""Pictures from which a second process pays for its start."""


class Scorer(Protocol):
    """What can say how promising a picture is; a reward model happens to fit."""

    def score(self, pixels: Pixels, product: Product) -> float:
        """Return a number that is higher for a more promising picture.

        Args:
            pixels: uint8, height x width x 3, of any size.
            product: What the picture advertises.
        """


@dataclass(frozen=True, slots=True)
class CreativeRefused:
    """A slot that stayed empty, and why.

    Args:
        product_id: The product.
        slot: Which of its creatives, from 0.
        reasons: The inspector's words for the last attempt, or ``withdrawn``.
        scores: The inspector's scores for the last attempt.
    """

    product_id: str
    slot: int
    reasons: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Generation:
    """What a run brought.

    Args:
        lineages: One for each creative of this run, drawn now or before, in order of product.
        refused: Slots for which the inspector let nothing through.
        drawn: How many pictures were drawn now.
        reused: How many were there already.
    """

    lineages: tuple[Lineage, ...]
    refused: tuple[CreativeRefused, ...]
    drawn: int = 0
    reused: int = 0


@dataclass(frozen=True, slots=True)
class _Slot:
    product: ReadyProduct
    number: int
    generator: Generator
    week: str | None
    seeds: tuple[int, ...]
    scenes: tuple[Scene | None, ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Withdrawn = NOTHING_WITHDRAWN

    def refuses(self, scene: Scene | None) -> bool:
        """Whether what it would draw is withdrawn before it is drawn."""
        words = {} if scene is None else scene.to_words()
        return self.withdrawn.refuses_drawing(
            self.product.product.product_id, words, self.checkpoints.values()
        )


def generate_creatives(
    ready: Sequence[ReadyProduct],
    *,
    generator: Generator,
    per_product: int = 1,
    week: str | None = None,
    seed: int,
    root: Path,
    scorer: Scorer | None = None,
    checkpoints: Mapping[str, str] | None = None,
    withdrawn: Withdrawn = NOTHING_WITHDRAWN,
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
        scorer: Screens proposed scenes by small previews.
        checkpoints: Role to sha256 of the models that take part, such as the scorer's.
        withdrawn: What must not be drawn again, nor anything that looks like it.
        processes: How many processes draw; a pool is started only when it pays.
        advance: Told how many slots are done, and of how many.

    Returns:
        The creatives in order of product and slot, whoever drew them and when.
    """
    count = 1 if generator == "baseline" else per_product
    models = dict(checkpoints or {}) if generator == "caig" else {}
    slots = [
        _Slot(
            product,
            number,
            generator,
            week,
            _seeds(product, number, generator, week, seed),
            checkpoints=models,
            withdrawn=withdrawn,
        )
        for product in ready
        for number in range(count)
    ]
    every = read_lineage(root).values()
    known = {_key(lineage): lineage for lineage in every if not withdrawn.refuses(lineage)}
    found: dict[int, Lineage | CreativeRefused] = {}
    for index, slot in enumerate(slots):
        before = _drawn_before(slot, known)
        if before is not None:
            found[index] = before
    reused = len(found)
    missing = [index for index in range(len(slots)) if index not in found]
    tasks = _plan([slots[index] for index in missing], found.values(), scorer)
    if advance is not None:
        advance(reused, len(slots))
    results = _draw_all(tasks, len(missing), root, processes)
    with _Ledger(root) as ledger:
        for index, result in zip(missing, results, strict=True):
            found[index] = result
            ledger.note(result)
            if advance is not None:
                advance(len(found), len(slots))
    ordered = [found[index] for index in range(len(slots))]
    lineages = {row.creative_id: row for row in ordered if isinstance(row, Lineage)}
    return Generation(
        tuple(lineages.values()),
        tuple(row for row in ordered if isinstance(row, CreativeRefused)),
        drawn=sum(isinstance(found[index], Lineage) for index in missing),
        reused=reused,
    )


class _Ledger:
    """Appends lineage a few rows at a time; what is drawn when a run breaks off is kept too."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rows: list[Lineage] = []

    def __enter__(self) -> Self:
        return self

    def note(self, result: Lineage | CreativeRefused) -> None:
        """Remember a creative; write when enough have come together."""
        if isinstance(result, Lineage):
            self._rows.append(result)
        if len(self._rows) >= ROWS_TOGETHER:
            self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    def _write(self) -> None:
        if self._rows:
            append_lineage(self._root, self._rows)
            self._rows = []


def _seeds(
    product: ReadyProduct, number: int, generator: Generator, week: str | None, seed: int
) -> tuple[int, ...]:
    """One seed for each attempt of a slot; 53 bits, so that JSON readers keep them exact."""
    return tuple(
        int.from_bytes(
            blake2b(
                "\x1f".join(
                    (
                        str(seed),
                        generator,
                        week or "",
                        product.product.product_id,
                        str(number),
                        str(attempt),
                    )
                ).encode(),
                digest_size=8,
            ).digest()
        )
        >> 11
        for attempt in range(ATTEMPTS)
    )


def _key(lineage: Lineage) -> tuple[object, ...]:
    return (
        lineage.product_id,
        lineage.image_sha256,
        lineage.renderer,
        lineage.seed,
        tuple(sorted(lineage.checkpoints.items())),
    )


def _drawn_before(slot: _Slot, known: Mapping[tuple[object, ...], Lineage]) -> Lineage | None:
    renderer = Baseline.name if slot.generator == "baseline" else Studio.name
    for seed in slot.seeds:
        key = (
            slot.product.product.product_id,
            slot.product.image_sha256,
            renderer,
            seed,
            tuple(sorted(slot.checkpoints.items())),
        )
        if key in known:
            return known[key]
    return None


def _plan(
    slots: Iterable[_Slot], there: Iterable[Lineage | CreativeRefused], scorer: Scorer | None
) -> Iterator[_Slot]:
    """Choose the scenes of every slot; a product's pictures do not repeat each other."""
    taken: dict[str, list[Scene]] = {}
    for row in there:
        if isinstance(row, Lineage) and row.scene:
            taken.setdefault(row.product_id, []).append(Scene(**row.scene))
    for slot in slots:
        if slot.generator == "baseline":
            yield slot
            continue
        seed, product = slot.seeds[0], slot.product
        mine = taken.setdefault(product.product.product_id, [])
        judge = None if scorer is None else _preview_judge(product, seed, scorer)
        scenes = propose_scenes(
            product,
            len(slot.seeds),
            np.random.default_rng(seed),
            judge,
            taken=mine,
            refused=slot.refuses,
        )
        mine += scenes[:1]
        yield replace(slot, scenes=tuple(scenes))


def _preview_judge(product: ReadyProduct, seed: int, scorer: Scorer) -> Callable[[Scene], float]:
    def judge(scene: Scene) -> float:
        preview = Studio().render(product, scene, seed=seed, size=PREVIEW)
        return scorer.score(preview.pixels, product.product)

    return judge


def _draw_all(
    tasks: Iterable[_Slot], count: int, root: Path, processes: int
) -> Iterator[Lineage | CreativeRefused]:
    if processes <= 1 or count < WORTH_A_POOL:
        for task in tasks:
            yield _draw(task, root)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_leave_with_parent) as pool:
        yield from pool.map(_draw, tasks, [root] * count, chunksize=4)


def _leave_with_parent() -> None:
    """End this worker with its parent: where that is killed, workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _draw(slot: _Slot, root: Path) -> Lineage | CreativeRefused:
    reasons: tuple[str, ...] = (WITHDRAWN,)
    scores: Mapping[str, float] = {}
    for attempt, scene in enumerate(_scenes(slot)):
        seed = slot.seeds[attempt]
        renderer: Renderer = Baseline() if scene is None else Studio()
        rendered = renderer.render(slot.product, scene, seed=seed)
        inspection = inspect(rendered, slot.product)
        look = perceptual_hash(rendered.pixels)
        if slot.withdrawn.refuses_look(slot.product.product.product_id, look):
            reasons, scores = (WITHDRAWN,), inspection.scores
            continue
        # a baseline is kept with its faults noted: without it there is nothing to compare with
        if inspection.usable or scene is None:
            keys = save_master(root, rendered.pixels, rendered.cutout)
            row = _lineage(slot, attempt, keys, rendered, inspection)
            return replace(row, perceptual_hash=look)
        reasons, scores = inspection.reasons, inspection.scores
    return CreativeRefused(slot.product.product.product_id, slot.number, reasons, scores)


def _scenes(slot: _Slot) -> tuple[Scene | None, ...]:
    """What may be drawn, one attempt after the other: one without a scene is a baseline."""
    if slot.generator != "baseline":
        return slot.scenes
    return () if slot.refuses(None) else (None,) * len(slot.seeds)


def _lineage(
    slot: _Slot,
    attempt: int,
    keys: tuple[str, str],
    rendered: Rendered,
    inspection: Inspection,
) -> Lineage:
    scene = slot.scenes[attempt] if slot.scenes else None
    return Lineage(
        creative_id=keys[0],
        product_id=slot.product.product.product_id,
        source="baseline" if scene is None else "generated",
        image_sha256=slot.product.image_sha256,
        cutout_sha256=keys[1],
        placement=rendered.placement,
        scene={} if scene is None else scene.to_words(),
        prompt="" if scene is None else scene.to_text(),
        seed=slot.seeds[attempt],
        renderer=Baseline.name if scene is None else Studio.name,
        checkpoints=dict(slot.checkpoints),
        inspector=inspection.to_json(),
        week=slot.week,
    )
