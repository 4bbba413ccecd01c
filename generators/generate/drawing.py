"""Slots → pictures: one after the other, in several processes, or many at once by one model.

What comes of a slot depends on nothing but the slot and its product's slots before it, so the
pictures are the same whichever way they are drawn, and a run that broke off goes on as it began.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeAlias

from abplatform.creatives import perceptual_hash, save_master
from abplatform.domain.catalog import Lineage
from generators.brand import dress
from generators.generate.screening import NOT_PROMISING
from generators.generate.slots import CreativeRefused, Slot
from generators.inspector import Inspection, inspect
from generators.renderers.placing import Order, Rendered
from generators.scene import Scene

__all__ = ["ATTEMPTS", "WITHDRAWN", "Result", "Task", "draw_all", "leave_with_parent"]

ATTEMPTS: Final = 3
"""How often a slot whose picture the inspector refuses is drawn anew."""
WITHDRAWN: Final = "withdrawn"
"""Why a slot stays empty whose pictures people withdrew."""
BRAND_SCENES: Final = "brand:scenes"
"""Why a slot may stay empty for which no scene was found that the brand allows."""
WORTH_A_POOL = 12
"""Pictures from which a second process pays for its start."""

Result: TypeAlias = Lineage | CreativeRefused


@dataclass(frozen=True, slots=True)
class Task:
    """One product's slots that are to be drawn.

    Args:
        slots: In order of their numbers, each with its scenes.
        places: Where each one's result belongs.
        shown: Perceptual hashes of the product's generated creatives that are there already.
    """

    slots: tuple[Slot, ...]
    places: tuple[int, ...]
    shown: tuple[str, ...] = ()

    def tries(self) -> Iterator[_Try]:
        """Return the slots on their way; each sees what those before it brought."""
        looks = set(self.shown)
        for slot, place in zip(self.slots, self.places, strict=True):
            yield _Try(slot, place, looks)


@dataclass(slots=True)
class _Try:
    """A slot on its way through its attempts; ``shown`` is what its product's slots share."""

    slot: Slot
    place: int
    shown: set[str]
    attempt: int = 0
    reasons: tuple[str, ...] = (WITHDRAWN,)
    scores: Mapping[str, float] = field(default_factory=dict)
    result: Result | None = None

    @property
    def order(self) -> Order | None:
        """What to draw next; None when nothing is left to try."""
        scenes = _scenes(self.slot)
        if self.result is not None or self.attempt >= len(scenes):
            return None
        seed = self.slot.seeds[self.attempt]
        return Order(self.slot.product, scenes[self.attempt], seed)

    def take(self, rendered: Rendered, root: Path) -> None:
        """Keep a picture, or remember why not."""
        slot, scene = self.slot, _scenes(self.slot)[self.attempt]
        if scene is None:
            inspection = inspect(rendered, slot.product)
        else:
            found = inspect(rendered, slot.product, shown=self.shown, taste=slot.taste)
            dressed = dress(rendered, slot.kit)
            rendered, inspection = dressed.rendered, _with_rules(found, dressed.broken)
        look = perceptual_hash(rendered.pixels)
        # a baseline is kept with its faults noted: without it there is nothing to compare with
        if slot.withdrawn.refuses_look(slot.product_id, look):
            self.reasons, self.scores = (WITHDRAWN,), inspection.scores
        elif inspection.usable or scene is None:
            keys = save_master(root, rendered.pixels, rendered.cutout)
            row = _lineage(slot, self.attempt, keys, rendered, inspection)
            self.result = replace(row, perceptual_hash=look)
            self.shown.add(look)
        else:
            self.reasons, self.scores = inspection.reasons, inspection.scores
        self.attempt += 1

    def end(self) -> Result:
        """Return what came of it."""
        reasons = (NOT_PROMISING,) if self.slot.unpromising else self.reasons
        if not self.attempt and self.slot.kit.restricts_scenes:
            reasons = (*reasons, BRAND_SCENES)
        return self.result or self.slot.refuse(reasons, self.scores)


def _with_rules(inspection: Inspection, broken: tuple[str, ...]) -> Inspection:
    """Add the brand's rules that a picture could not hold to what the inspector found."""
    if not broken:
        return inspection
    return replace(inspection, usable=False, reasons=(*inspection.reasons, *broken))


def draw_all(
    tasks: Iterable[Task], count: int, root: Path, *, processes: int, batch: int
) -> Iterator[tuple[int, Result]]:
    """Draw what is asked for; masters are on the disk before their result comes.

    Args:
        tasks: One for each product.
        count: How many slots there are in all.
        root: The folder of creatives.
        processes: How many processes draw where the renderer draws one by one.
        batch: How many pictures the renderer draws together.

    Yields:
        The place of a slot and what came of it.
    """
    if batch > 1:
        yield from _draw_together(list(tasks), root, batch)
    elif processes <= 1 or count < WORTH_A_POOL:
        for task in tasks:
            yield from _draw_task(task, root)
    else:
        yield from _draw_in_processes(tasks, root, processes)


def _draw_task(task: Task, root: Path) -> Iterator[tuple[int, Result]]:
    for one in task.tries():
        while (order := one.order) is not None:
            renderer = one.slot.renderer
            one.take(renderer.render(order.product, order.scene, seed=order.seed), root)
        yield one.place, one.end()


def _draw_whole_task(task: Task, root: Path) -> list[tuple[int, Result]]:
    return list(_draw_task(task, root))


def _draw_in_processes(
    tasks: Iterable[Task], root: Path, processes: int
) -> Iterator[tuple[int, Result]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=leave_with_parent) as pool:
        for future in [pool.submit(_draw_whole_task, task, root) for task in tasks]:
            yield from future.result()


def leave_with_parent() -> None:
    """End this worker with its parent: where that is killed, workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _draw_together(tasks: Sequence[Task], root: Path, batch: int) -> Iterator[tuple[int, Result]]:
    """Draw every product's first slot, then every product's second one, and so on."""
    for wave in zip_longest(*(task.tries() for task in tasks)):
        tries = list(filter(None, wave))
        while tries:
            asked = [(one, order) for one in tries if (order := one.order) is not None]
            for start in range(0, len(asked), batch):
                part = asked[start : start + batch]
                renderer = part[0][0].slot.renderer
                pictures = renderer.render_many([order for _, order in part])
                for (one, _), rendered in zip(part, pictures, strict=True):
                    one.take(rendered, root)
            yield from ((one.place, one.end()) for one in tries if one.order is None)
            tries = [one for one in tries if one.order is not None]


def _scenes(slot: Slot) -> tuple[Scene | None, ...]:
    """What may be drawn, one attempt after the other: one without a scene is a baseline."""
    if slot.generator != "baseline":
        return slot.scenes
    return () if slot.refuses(None) else (None,) * len(slot.seeds)


def _lineage(
    slot: Slot,
    attempt: int,
    keys: tuple[str, str],
    rendered: Rendered,
    inspection: Inspection,
) -> Lineage:
    scene = slot.scenes[attempt] if slot.scenes else None
    return Lineage(
        creative_id=keys[0],
        product_id=slot.product_id,
        source="baseline" if scene is None else "generated",
        image_sha256=slot.product.image_sha256,
        cutout_sha256=keys[1],
        placement=rendered.placement,
        scene={} if scene is None else scene.to_words(),
        prompt="" if scene is None else scene.to_text(),
        seed=slot.seeds[attempt],
        renderer=slot.renderer.name,
        checkpoints=dict(slot.checkpoints),
        inspector=_inspected(slot, inspection),
        week=slot.week,
        prompt_model=slot.writer,
        screening=_screening(slot, attempt),
        brand={} if scene is None else slot.kit.facts,
    )


def _inspected(slot: Slot, inspection: Inspection) -> dict[str, object]:
    told = inspection.to_json()
    return told if slot.taste is None else {**told, "taste": slot.taste.sha256}


def _screening(slot: Slot, attempt: int) -> dict[str, object]:
    if not slot.wins:
        return {}
    return {"screened": slot.screened, "predicted_win": round(slot.wins[attempt], 4)}
