"""Training a challenger on past weeks and judging it on a week that it has not seen.

A challenger is found again by the hash of what it was trained on, so nothing is trained twice.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform import checkpoints
from abplatform.checkpoints import Checkpoint
from abplatform.errors import TrainingError
from reward.attribution import Explained, explain
from reward.baselines import colour_histogram, fit_logistic, predict_logistic, scene_features
from reward.dataset import PairTable, read_pairs, table_from_frame
from reward.evaluate import Evaluation, evaluate
from reward.gates import Gate, Gates, pass_gates
from reward.recipe import choose_workers
from reward.score import KIND, RewardScorer, save_model
from reward.source import Source, drop_seen, read_weeks, training_weeks, week_pictures
from reward.train import TrainingConfig, train

__all__ = [
    "RECIPE",
    "Judgement",
    "judge",
    "shuffle_labels",
    "train_challenger",
]

RECIPE = "reward/2"
"""Part of a training's name: change it when the same pairs should give another model."""

_EXPLAINED = 4

Advance = Callable[[int, int], None]
Pixels = NDArray[np.uint8]

_COUNTS = ("impressions_chosen", "clicks_chosen", "impressions_rejected", "clicks_rejected")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a challenger may become the champion.

    Args:
        promote: Whether every gate let it through.
        reasons: Why not, or what it showed.
        metrics: JSON data: challenger, champion, twin, baselines and gates.
        explained: Pairs of the week with what moved the challenger.
    """

    promote: bool
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]
    explained: tuple[Explained, ...] = ()


def train_challenger(
    source: Source,
    *,
    root: Path,
    week: str,
    config: TrainingConfig,
    at: datetime,
    advance: Advance | None = None,
) -> Checkpoint:
    """Train on all weeks before ``week`` (with none, on that week) and keep the checkpoint.

    The same pairs and configuration give the same checkpoint; it is not trained again.

    Args:
        source: What there is to learn from.
        root: The checkpoint store.
        week: ISO week that a judgement needs untouched.
        config: How to train.
        at: Now.
        advance: Told how many epochs are done of how many.

    Raises:
        TrainingError: There are no pairs, or they cannot be used.
    """
    weeks = training_weeks(source, week)
    table = read_weeks(source, weeks)
    key = _training_key(table, source, config)
    for known in checkpoints.list_checkpoints(root, kind=KIND):
        if known.metadata.get("training_key") == key:
            return known
    pictures = week_pictures(source, table, size=config.image_size)
    resume = root / f".training-{key[:16]}"
    workers = choose_workers(table, config)
    trained = train(
        table,
        pictures,
        config,
        resume=resume,
        advance=advance,
        workers=workers,
        curves=root / "curves" / key[:12],
    )
    metadata = {
        "training_key": key,
        "weeks": weeks,
        "experiments": sorted(set(table.frame["experiment"])),
        "pairs_sha256": table.fingerprint,
    }
    with tempfile.TemporaryDirectory() as draft:
        saved = save_model(Path(draft), trained, metadata=metadata, created_at=at)
        return checkpoints.save_checkpoint(
            root, Path(draft), kind=KIND, metadata=saved.metadata, created_at=at
        )


def judge(
    source: Source,
    challenger: Checkpoint,
    champion: Checkpoint | None,
    *,
    week: str,
    config: TrainingConfig,
    gates: Gates = Gates(),  # noqa: B008  # frozen
    faults: Sequence[str] = (),
    alarms: Sequence[str] = (),
    advance: Advance | None = None,
) -> Judgement:
    """Hold a challenger against the champion on a week that it has not seen.

    Args:
        source: What it learned from, and the week's pairs.
        challenger: A checkpoint from :func:`train_challenger`.
        champion: The model in use, if any.
        week: The held-out week.
        config: How the challenger was trained; its twin with shuffled labels is trained likewise.
        gates: The bars.
        faults: What is wrong with the experiments of that week, such as an SRM alarm.
        alarms: Where the champion was right less often than it promised.
        advance: Told how many epochs of the twin are done of how many.

    Raises:
        TrainingError: The week has no usable pairs.
    """
    weeks = list(challenger.metadata.get("weeks", []))
    if not weeks or max(weeks) >= week:
        return Judgement(promote=False, reasons=("no newer held-out week",), metrics={})
    if champion is not None and champion.sha256 == challenger.sha256:
        reason = "the champion was trained on these very pairs; nothing is new"
        return Judgement(promote=False, reasons=(reason,), metrics={})
    if week not in source.pairs:
        raise TrainingError(
            f"there are no pairs of {week}", remedy=f"write them with `abp weekly {week}`"
        )
    learned, held = read_weeks(source, weeks), read_pairs(source.pairs[week])
    fresh = drop_seen(held, learned)
    if not len(fresh):
        reason = "leakage: the challenger was trained on every pair of this week"
        return Judgement(promote=False, reasons=(reason,), metrics={})
    learned_pictures = week_pictures(source, learned, size=config.image_size)
    bench = _Bench(source, fresh)
    ours = bench.judge(RewardScorer.of(challenger))
    theirs = bench.judge(RewardScorer.of(champion)) if champion else None
    nonsense = shuffle_labels(learned, seed=config.seed)
    twin = train(nonsense, learned_pictures, replace(config, members=1), advance=advance)
    shuffled = bench.judge(RewardScorer(twin.model))
    passed = pass_gates(gates, fresh, ours, theirs, twin=shuffled, faults=faults, alarms=alarms)
    metrics = {
        "week": week,
        "trained_on": weeks,
        "seen_pairs_left_out": len(held) - len(fresh),
        "challenger": ours.numbers,
        "champion": theirs.numbers if theirs else None,
        "shuffled": shuffled.numbers,
        "baselines": bench.baselines(learned, learned_pictures),
        "gates": [gate.to_json() for gate in passed],
    }
    scorer = RewardScorer.of(challenger)
    explained = explain(scorer, fresh, bench.pictures(scorer.image_size), count=_EXPLAINED)
    promote = all(gate.passed for gate in passed)
    return Judgement(promote, _reasons(passed), metrics, tuple(explained))


def shuffle_labels(table: PairTable, *, seed: int) -> PairTable:
    """Return the pairs with labels that say nothing: one of every two of like weight is turned.

    Turning exactly half, evenly over the weights, leaves nothing of the true taste even in a small
    table, where coin flips would leave some by chance. Clicks are dropped, as they tell it too.
    """
    draw = np.random.default_rng(seed)
    order = np.argsort(table.weight, kind="stable")
    turned = np.zeros(len(table), dtype=np.bool_)
    for at in range(0, len(order) - 1, 2):
        turned[order[at + draw.integers(2)]] = True
    p_win = np.where(turned, 1 - table.p_win, table.p_win)
    nothing = [pl.lit(0, pl.Int64).alias(name) for name in _COUNTS]
    return table_from_frame(table.frame.with_columns(pl.Series("p_win", p_win), *nothing))


class _Bench:
    """The held-out week, on which everyone is judged alike, each on pictures of its own size."""

    def __init__(self, source: Source, table: PairTable) -> None:
        self.source = source
        self.table = table

    def pictures(self, size: int) -> Pixels | None:
        """Return the week's pictures, M x size x size x 3; None without any."""
        return week_pictures(self.source, self.table, size=size)

    def judge(self, scorer: RewardScorer) -> Evaluation:
        pictures = self.pictures(scorer.image_size) if scorer.reads_images else None
        said = scorer.forecast(self.table, pictures)
        return evaluate(self.table, said.there, said.back, click_rates=said.click_rates)

    def baselines(self, learned: PairTable, pictures: Pixels | None) -> dict[str, Any]:
        """Return accuracy and log-loss of what a reward model must beat."""
        scenes = self.source.scenes
        found = {"chance": {"accuracy": 0.5, "log_loss": float(np.log(2))}}
        own = None if pictures is None else self.pictures(pictures.shape[1])
        if pictures is not None and own is not None:
            theirs, ours = colour_histogram(pictures), colour_histogram(own)
            found["colour_histogram"] = self._logistic(learned, theirs, ours)
        if scenes:
            known = sorted({f"{k}={v}" for scene in scenes.values() for k, v in scene.items()})
            theirs, ours = (
                scene_features([item.creative for item in table.items], scenes, known)
                for table in (learned, self.table)
            )
            found["scene_parameters"] = self._logistic(learned, theirs, ours)
        return found

    def _logistic(self, learned: PairTable, theirs: Any, ours: Any) -> dict[str, Any]:
        predicted = predict_logistic(fit_logistic(theirs, learned), ours, self.table)
        numbers = evaluate(self.table, predicted, predicted).numbers
        return {name: numbers[name] for name in ("accuracy", "accuracy_significant", "log_loss")}


def _reasons(gates: Sequence[Gate]) -> tuple[str, ...]:
    failed = [gate for gate in gates if not gate.passed]
    return tuple(gate.detail for gate in failed or gates)


def _training_key(table: PairTable, source: Source, config: TrainingConfig) -> str:
    facts = [RECIPE, table.fingerprint, source.images is not None, repr(config)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
