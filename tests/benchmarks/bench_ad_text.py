"""How many texts of each language model may be used, how like each other they are, and how fast.

Run it as ``python tests/benchmarks/bench_ad_text.py [MODEL ...]``; a model is ``embedded``,
``smollm2``, or a folder or hub id. Products are drawn ones and, where photographs lie beside the
repository, real ones whose names and kinds no model here was trained on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from abplatform.creatives import read_catalogue
from abplatform.domain.catalog import Product
from generators.ad_text.brief import brief_of
from generators.ad_text.guard import Guard
from generators.ad_text.text_model import TextModel, open_text_model
from generators.drawn import draw_catalogue

SALEOR = Path(__file__).parents[3] / "shared/data/products/saleor"
SAMPLES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["embedded"])
    torch.set_num_threads(1)
    shelves = {"drawn": drawn_products(), "real": real_products()}
    columns = ("model", "products", "samples", "usable", "that differ", "title words", "tokens/s")
    table, examples = Table(*columns), []
    for name in parser.parse_args().models:
        begun = time.perf_counter()
        model = open_text_model(name)
        click.echo(f"{name}: loaded in {time.perf_counter() - begun:.1f} s")
        for shelf, products in shelves.items():
            if products:
                row, texts = measure(model, products)
                table.add_row(name, shelf, *row)
                examples += [f"{name}, {shelf}: {text}" for text in texts[::5]]
    Console(width=120).print(table)
    click.echo("\n".join(examples))


def drawn_products() -> tuple[Product, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return read_catalogue(draw_catalogue(Path(folder), products=8, seed=77)).products


def real_products() -> tuple[Product, ...]:
    if not SALEOR.is_dir():
        click.echo(f"no real products at {SALEOR}: they are left out")
        return ()
    return read_catalogue(SALEOR).products[::4]


def measure(model: TextModel, products: tuple[Product, ...]) -> tuple[tuple[str, ...], list[str]]:
    usable, shares, faults, tokens = [], [], Counter(), 0
    begun = time.perf_counter()
    for number, product in enumerate(products):
        brief = brief_of(product)
        guard = Guard(brief)
        for text in model.write(brief.prompt(), guard, count=SAMPLES, seed=number):
            tokens += len(model.tokenizer(text)["input_ids"])
            found = guard.faults(text)
            faults.update(fault.partition(":")[0] for fault in found)
            if not found:
                usable.append(text)
                shares.append(guard.on_product(text))
    taken = time.perf_counter() - begun
    asked = SAMPLES * len(products)
    click.echo(f"refused for {dict(faults)}")
    row = (
        str(asked),
        f"{len(usable) / asked:.0%}",
        f"{len(set(usable)) / max(1, len(usable)):.0%}",
        f"{np.mean(shares):.2f}" if shares else "",
        f"{tokens / taken:.0f}",
    )
    return row, usable


if __name__ == "__main__":
    main()
