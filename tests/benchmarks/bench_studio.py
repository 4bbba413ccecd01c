"""Pictures a second by the studio on one core: over all families of scenes, by size, and inspected.

Run it as ``python tests/benchmarks/bench_studio.py [--rounds N]``. The floor lays a cut-out over
plain grey; the peer is the plain studio of baselines.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from ratio_table import Row, print_ratios

from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.inspector import inspect
from generators.intake import ReadyProduct, read_products
from generators.renderers.baseline import Baseline
from generators.renderers.placing import compose, fit
from generators.renderers.studio import Studio

SQUARE, LARGE, TALL = (512, 512), (1024, 1024), (1080, 1920)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        ready = read_products(draw_catalogue(Path(folder), products=len(FAMILIES))).ready
    rng = np.random.default_rng(1)
    scenes = [draw_scene(family, rng) for family in FAMILIES.values()]
    shown = [Studio().render(p, s, seed=1) for p, s in zip(ready, scenes, strict=True)]

    def studio(size: tuple[int, int]) -> Callable[[int], object]:
        return lambda n: Studio().render(ready[n], scenes[n], seed=n, size=size)

    works: dict[str, tuple[Callable[[int], object], int]] = {
        "cut-out on grey": (lambda n: lay_on_grey(ready[n]), len(ready)),
        "baseline, 512 px": (lambda n: Baseline().render(ready[n], seed=n), len(ready)),
        "studio, 512 px": (studio(SQUARE), len(ready)),
        "studio, 1024 px": (studio(LARGE), 8),
        "studio, 1080 x 1920": (studio(TALL), 4),
        "inspector, 512 px": (lambda n: inspect(shown[n], ready[n]), len(ready)),
    }
    rows = []
    for name, (work, count) in works.items():
        taken = cpu_milliseconds(work, count, rounds)
        rows.append(Row(name, taken, f"{1000 / taken:.1f} a second"))
    print_ratios(
        f"One picture, one core, mean of {len(FAMILIES)} families",
        rows,
        floor="cut-out on grey",
        peer="baseline, 512 px",
        unit="ms of CPU",
    )
    slowest = sorted(
        (cpu_milliseconds(lambda _, n=n: works["studio, 512 px"][0](n), 1, rounds), name)
        for n, name in enumerate(FAMILIES)
    )
    click.echo("\nslowest families: " + ", ".join(f"{n} {t:.0f} ms" for t, n in slowest[:-6:-1]))


def lay_on_grey(product: ReadyProduct) -> object:
    cutout, place = fit(product.cutout, box=(0.62, 0.62), centre=0.5, base=0.83, size=SQUARE[0])
    return compose(np.full((*SQUARE, 3), 0.8, np.float32), cutout, place)


def cpu_milliseconds(work: Callable[[int], object], count: int, rounds: int) -> float:
    """Return the least mean over rounds, in CPU time of this process: cores may be busy."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for number in range(count):
            work(number)
        best = min(best, (time.process_time() - begun) / count)
    return 1000 * best


if __name__ == "__main__":
    main()
