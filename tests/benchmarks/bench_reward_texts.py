"""Which of two real headlines did people click more? Reward models and what they must beat.

Run it as ``python tests/benchmarks/bench_reward_texts.py PAIRS [--models NAME ...]``; PAIRS is what
``abp pairs --from-aggregates`` wrote. Cross-validated over connected components, so that no product
and no text is on both sides: every model predicts every pair once. Intervals draw whole components.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reward.baselines import fit_logistic, predict_logistic
from reward.dataset import PairTable, deal_folds, read_pairs
from reward.evaluate import SIGNIFICANT, evaluate, hits
from reward.losses import Loss
from reward.recipe import choose_config, choose_workers
from reward.score import RewardScorer
from reward.sentences import MINILM, SentenceEncoder, open_pretrained_text, piece_ids
from reward.train import train

Floats = NDArray[np.float64]

BLOCK = 4
LENGTH = 10.0
RIDGE = 300.0
RESAMPLES = 2000
MARKS = "?!.,:'\""
LITTLE_WORDS = "this these you your i he she we they what why how who here watch just never"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    asked = parser.parse_args()
    table = read_pairs(asked.pairs)
    folds = deal_folds(table, count=5, seed=0)
    first: Floats | None = None
    shown = Table("model", "all pairs", "clear pairs", "between", "against the first", "error", "s")
    for name in asked.models:
        begun = time.perf_counter()
        predicted = np.empty(len(table))
        for fold in range(5):
            learned, held = table.keep(folds != fold), table.keep(folds == fold)
            predicted[folds == fold] = MODELS[name](learned, held)
            click.echo(f"{name}: fold {fold + 1} of 5, {time.perf_counter() - begun:.0f} s")
        first = predicted if first is None else first
        seconds = (time.perf_counter() - begun) / 5
        shown.add_row(name, *describe(table, predicted, first), f"{seconds:.0f}")
    ceiling = np.maximum(table.p_win, 1 - table.p_win)
    clear = ceiling >= SIGNIFICANT
    click.echo(
        f"{len(table):,} pairs, {int(clear.sum()):,} clear; noise ceiling {ceiling.mean():.3f}, "
        f"of clear pairs {ceiling[clear].mean():.3f}; error is that of calibration "
        "against winners that may be wrong; s is for learning and predicting one fold"
    )
    Console(width=110).print(shown)


def longer(_learned: PairTable, held: PairTable) -> Floats:
    """The longer text wins."""
    length = np.array([len(item.text) for item in held.items])
    return 0.5 + 0.25 * np.sign(length[held.chosen] - length[held.rejected])


def hand(learned: PairTable, held: PairTable) -> Floats:
    """Length, punctuation and little words under a logistic regression."""
    seen, new = hand_features(learned), hand_features(held)
    centre, scale = seen.mean(0), seen.std(0) + 1e-9
    beta = fit_logistic((seen - centre) / scale, learned)
    return predict_logistic(beta, (new - centre) / scale, held)


def hand_features(table: PairTable) -> Floats:
    rows = []
    for item in table.items:
        words = re.findall(r"[\w']+", item.text.lower())
        letters = sum(map(len, words)) / max(1, len(words))
        little = [float(word in words) for word in LITTLE_WORDS.split()]
        marks = [float(item.text.count(mark)) for mark in MARKS]
        rows.append([len(item.text), len(words), letters, *marks, *little])
    return np.array(rows)


def frozen(learned: PairTable, held: PairTable) -> Floats:
    """What the encoder's fourth block says, untouched, under a logistic regression."""
    beta = fit_logistic(sentences(learned), learned, ridge=RIDGE)
    return predict_logistic(beta, sentences(held), held)


def sentences(table: PairTable) -> Floats:
    found = open_pretrained_text(MINILM, layers=BLOCK)
    encoder = SentenceEncoder(found.config)
    encoder.transformer.load_state_dict(found.weights)
    encoder.train(mode=False)
    texts = [item.text for item in table.items]
    ids = piece_ids(texts, found.tokenizer, found.config, longest=64)
    with torch.no_grad():
        mean = torch.cat([encoder(part)[0].sum(1) for part in torch.split(ids, 512)])
    return LENGTH * torch.nn.functional.normalize(mean, dim=1).double().numpy()


def trained(encoder: str, loss: Loss = "preference") -> Callable[[PairTable, PairTable], Floats]:
    """A reward model as `abp reward train --text-encoder --loss` makes it."""

    def predict(learned: PairTable, held: PairTable) -> Floats:
        config = choose_config(learned, images=False, text_encoder=encoder, loss=loss)
        made = train(learned, None, config, workers=choose_workers(learned, config))
        return RewardScorer(made.model).predict(held, None)

    return predict


def describe(table: PairTable, predicted: Floats, first: Floats) -> list[str]:
    """Accuracy of all and of clear pairs, its interval, what is gained, and calibration."""
    numbers = evaluate(table, predicted, predicted).numbers
    clear = np.maximum(table.p_win, 1 - table.p_win) >= SIGNIFICANT
    _, number = np.unique(table.component[clear], return_inverse=True)
    hit = hits(predicted, table.p_win)[clear]
    gain = hit - hits(first, table.p_win)[clear]
    draw = np.random.default_rng(0).integers(0, number.max() + 1, (RESAMPLES, number.max() + 1))
    pairs = np.bincount(number)[draw].sum(1)
    sides = []
    for values in (hit, gain):
        sums = np.bincount(number, weights=values)[draw].sum(1)
        sides.append(np.quantile(sums / pairs, [0.025, 0.975]))
    (low, high), (less, more) = sides
    return [
        f"{numbers['accuracy']:.3f}",
        f"{numbers['accuracy_significant']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{gain.mean():+.3f} ({less:+.3f} to {more:+.3f})",
        f"{numbers['ece_adjusted']:.3f}",
    ]


MODELS = {
    "frozen": frozen,
    "fine-tuned": trained(MINILM),
    "marginal": trained(MINILM, "marginal"),
    "difference": trained(MINILM, "difference"),
    "words": trained("words"),
    "hand": hand,
    "longer": longer,
}

if __name__ == "__main__":
    main()
