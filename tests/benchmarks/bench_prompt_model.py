"""What the embedded prompt model has learned, and how many scenes it writes a second.

Run it as ``python tests/benchmarks/bench_prompt_model.py [--model FOLDER] [--twin FOLDER]``. Real
photographs are read from the folder next to the repository where the tests find them.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from generators.intake import read_products
from generators.prompt_model.embedding import HELD_OUT, LEARNED, read_drawn
from generators.prompt_model.evaluate import (
    LabelledPhotograph,
    TaskScore,
    evaluate_photographs,
    evaluate_products,
    evaluate_scenes,
)
from generators.prompt_model.llava import LlavaPromptModel, open_prompt_model
from generators.prompt_model.pictures import draw_scenes
from generators.propose import FamilyScenes

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
SEED = 4242


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--photographs", type=int, default=60, help="of each catalogue, at most")
    parser.add_argument("--twin", help="folder of the same model, trained on blank pictures")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = open_prompt_model(asked.model)
    rows = [*unseen_scenes(model), *real_photographs(model, asked.photographs)]
    twin = None if asked.twin is None else open_prompt_model(asked.twin)
    twins = (
        [None] * len(rows)
        if twin is None
        else [*unseen_scenes(twin), *real_photographs(twin, asked.photographs)]
    )
    table = Table("group", "task", "data", "measure", "n", "model", "blind", "twin", "chance")
    for row, other in zip(rows, twins, strict=True):
        numbers = (row.accuracy, row.blind, None if other is None else blank(other), row.chance)
        table.add_row(
            row.group,
            row.task,
            row.data,
            row.measure,
            str(row.rows),
            *("" if number is None else f"{number:.3f}" for number in numbers),
        )
    Console(width=170).print(table)
    print_speed(model)


def blank(row: TaskScore) -> float:
    """What the twin, which knows blank pictures only, gets right on one."""
    return row.accuracy if row.blind is None else row.blind


def unseen_scenes(model: LlavaPromptModel) -> list[TaskScore]:
    """Families that were held out, and known ones, with products of another catalogue."""
    products = read_drawn(29, seed=SEED)
    held = draw_scenes(products, 120, families=HELD_OUT, seed=SEED + 1)
    known = learned = draw_scenes(products, 115, families=LEARNED, seed=SEED + 2)
    seen = evaluate_scenes(model, known, learned)
    return [
        TaskScore(seen.task, "known families, new pictures", *(getattr(seen, f) for f in FIGURES)),
        evaluate_scenes(model, held, learned),
        *photographs(model, learned),
    ]


FIGURES = ("measure", "rows", "accuracy", "blind", "chance")


def photographs(model: LlavaPromptModel, learned: object) -> list[TaskScore]:
    folder = SHARED / "backgrounds"
    if not folder.is_dir():
        click.echo(f"no photographs of places at {folder}: that row is left out")
        return []
    words: dict[str, dict[str, frozenset[str]]] = {}
    with (HERE / "photograph_labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            words.setdefault(row["image"], {})[row["part"]] = frozenset(row["words"].split("|"))
    labelled = [LabelledPhotograph(_square(folder / name), parts) for name, parts in words.items()]
    return [evaluate_photographs(model, labelled, learned)]


def _square(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        part = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(part.resize((128, 128), Image.Resampling.LANCZOS))


def real_photographs(model: LlavaPromptModel, most: int) -> list[TaskScore]:
    rows = []
    for name in ("saleor", "grocery", "tuxpaint_cutouts"):
        folder = SHARED / "products" / name
        if not folder.is_dir():
            click.echo(f"no photographs of products at {folder}: these rows are left out")
            continue
        products = read_products(folder).ready[:most]
        rows += evaluate_products(model, products, data=f"photographs: {name}", seed=SEED)
    return rows


def print_speed(model: LlavaPromptModel) -> None:
    product = read_drawn(1, seed=SEED)[0]
    for name, writer in (("model", model), ("rules", FamilyScenes())):
        writer.propose(product, 8, np.random.default_rng(0))
        for count in (1, 8, 32):
            begun = time.perf_counter()
            writer.propose(product, count, np.random.default_rng(1))
            taken = time.perf_counter() - begun
            click.echo(f"{name}: {count} proposals together: {count / taken:,.1f} a second")


if __name__ == "__main__":
    main()
