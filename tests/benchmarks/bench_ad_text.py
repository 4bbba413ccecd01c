"""How many texts of each language model may be used, how like each other they are, and how fast.

Run it as ``python tests/benchmarks/bench_ad_text.py [MODEL ...]``; a model is ``embedded``,
``smollm2``, or a folder or hub id. Products are drawn ones and, where photographs lie beside the
repository, real ones whose names no model here was trained on. Where the Upworthy headlines lie
there as well, it also tells how often each scorer picks the headline that was clicked more, on
tests that share no headline with those that the embedded head learned from.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from statsmodels.stats.proportion import proportion_confint

from abplatform.creatives import read_catalogue
from abplatform.domain.catalog import Product
from generators.ad_text.brief import brief_of
from generators.ad_text.guard import Guard
from generators.ad_text.headlines import Pairs, open_headlines, read_pairs
from generators.ad_text.sentiment import sentiment
from generators.ad_text.text_model import TextModel, open_text_model
from generators.drawn import draw_catalogue

SALEOR = Path(__file__).parents[3] / "shared/data/products/saleor"
UPWORTHY = SALEOR.parents[1] / "upworthy/packages_dev70.parquet"
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
    if UPWORTHY.is_file():
        rank_headlines()
    else:
        click.echo(f"no headlines at {UPWORTHY}: scorers are not compared")


def rank_headlines() -> None:
    pairs = read_pairs(UPWORTHY).split()[1].significant()
    headlines = open_headlines()
    begun = time.perf_counter()
    gap = headlines.score(pairs.first) - headlines.score(pairs.second)
    speed = 2 * len(gap) / (time.perf_counter() - begun)
    gaps = {
        "the longer one": scores_gap(pairs, len),
        "the gladder one (sentiment)": scores_gap(pairs, sentiment),
        "the gloomier one": -scores_gap(pairs, sentiment),
        "clicked headlines (MiniLM and a linear head)": gap,
    }
    table = Table("picks", "right, ties count half", "interval by Wilson")
    for name, ahead in gaps.items():
        right = float(np.sum(ahead * pairs.z > 0) + 0.5 * np.sum(ahead == 0))
        low, high = proportion_confint(right, len(ahead), method="wilson")
        table.add_row(name, f"{right / len(ahead):.1%}", f"{low:.1%} to {high:.1%}")
    Console(width=120).print(table)
    click.echo(f"{len(gap)} significant pairs; {speed:.0f} texts a second")


def scores_gap(pairs: Pairs, score: Callable[[str], float | None]) -> np.ndarray:
    first, second = ([score(text) or 0.0 for text in side] for side in (pairs.first, pairs.second))
    return np.subtract(first, second)


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
        for text in model.write(brief, guard, count=SAMPLES, seed=number):
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
