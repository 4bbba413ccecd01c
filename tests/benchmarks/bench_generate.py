"""Creatives a second from a product's cut-out to master, lineage and inspection on the disk.

Run it as ``python tests/benchmarks/bench_generate.py [--products N] [--per-product N]``. The
floor is drawing alone; the peer is one process that does everything.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from ratio_table import Row, print_ratios

from generators.drawn import draw_catalogue
from generators.generate import generate_creatives
from generators.intake import read_products
from generators.propose import FamilyScenes
from generators.renderers.studio import Studio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=12)
    parser.add_argument("--per-product", type=int, default=4)
    asked = parser.parse_args()
    count = asked.products * asked.per_product
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ready = read_products(draw_catalogue(root / "catalog", products=asked.products)).ready
        generate_creatives(ready[:1], generator="caig", seed=9, root=root / "warm")
        rows = [Row("drawing alone", draw_only(ready, asked.per_product))]
        for processes in (1, 2):
            began = time.perf_counter()
            run = generate_creatives(
                ready,
                generator="caig",
                per_product=asked.per_product,
                seed=1,
                root=root / str(processes),
                processes=processes,
            )
            taken = (time.perf_counter() - began) / count
            note = f"{1 / taken:.2f} creatives/s, {len(run.refused)} of {count} slots empty"
            rows.append(Row(f"{processes} process{'es' * (processes > 1)}", 1000 * taken, note))
        print_ratios(
            f"{count} creatives at 512 px, end to end",
            rows,
            floor="drawing alone",
            peer="1 process",
            unit="ms",
        )


def draw_only(ready, per_product: int) -> float:
    """Return milliseconds a picture, without inspection, hashing and files."""
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    for product in ready:
        for seed, scene in enumerate(FamilyScenes().propose(product, per_product, rng)):
            Studio().render(product, scene, seed=seed)
    return 1000 * (time.perf_counter() - began) / (len(ready) * per_product)


if __name__ == "__main__":
    main()
