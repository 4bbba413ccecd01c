"""The weekly retraining: train on the weeks before W, judge on W, promote or say why not.

Nothing is done twice: a challenger is found again by the hash of what it was trained on, and a
week's decision by the hash of everything it rests on. A process that is killed anywhere is simply
started again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform import checkpoints
from abplatform.checkpoints import Checkpoint
from abplatform.durable import replace_durably
from abplatform.errors import TrainingError
from reward.baselines import colour_histogram, fit_logistic, predict_logistic, scene_features
from reward.dataset import PairTable, join_tables, read_pairs, table_from_frame
from reward.evaluate import Evaluation, evaluate
from reward.gates import Gate, Gates, pass_gates
from reward.pictures import pictures_of
from reward.score import KIND, RewardScorer, save_model
from reward.train import TrainingConfig, train

__all__ = [
    "Judgement",
    "RetrainResult",
    "Source",
    "judge",
    "read_decisions",
    "retrain",
    "shuffle_labels",
    "train_challenger",
]

_RECIPE = "reward/1"
"""Part of a training's name: change it when the same pairs should give another model."""

Advance = Callable[[int, int], None]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to learn from.

    Args:
        pairs: ISO week to its Parquet file.
        images: Folder of ``<sha256>.<extension>``; None to learn from texts.
        scenes: creative id to its scene description, for the scene baseline.
    """

    pairs: Mapping[str, Path]
    images: Path | None
    scenes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a challenger may become the champion.

    Args:
        promote: Whether every gate let it through.
        reasons: Why not, or what it showed.
        metrics: JSON data: challenger, champion, twin, baselines and gates.
    """

    promote: bool
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """What `abp retrain --json` prints.

    Args:
        week: The judged week.
        promoted: Whether the challenger became the champion.
        reasons: Why, or why not.
        metrics: As in a judgement; empty if there was nothing to judge on.
        checkpoint_sha256: The challenger.
        unchanged: Whether the same inputs were decided before, so that nothing was done.
    """

    week: str
    promoted: bool
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]
    checkpoint_sha256: str
    unchanged: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "reasons": list(self.reasons)}


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
    weeks = _training_weeks(source, week)
    table = _read(source, weeks)
    key = _training_key(table, source, config)
    for known in checkpoints.list_checkpoints(root, kind=KIND):
        if known.metadata.get("training_key") == key:
            return known
    pictures = pictures_of(table, source.images, size=config.image_size)
    resume = root / f".training-{key[:16]}"
    trained = train(table, pictures, config, resume=resume, advance=advance)
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
    learned, held = _read(source, weeks), read_pairs(source.pairs[week])
    fresh = _without_seen(held, learned)
    if not len(fresh):
        reason = "leakage: the challenger was trained on every pair of this week"
        return Judgement(promote=False, reasons=(reason,), metrics={})
    learned_pictures = pictures_of(learned, source.images, size=config.image_size)
    bench = _Bench(fresh, pictures_of(fresh, source.images, size=config.image_size))
    ours = bench.judge(RewardScorer.of(challenger))
    theirs = bench.judge(RewardScorer.of(champion)) if champion else None
    twin = train(
        shuffle_labels(learned, seed=config.seed), learned_pictures, config, advance=advance
    )
    shuffled = bench.judge(RewardScorer(twin.model))
    passed = pass_gates(gates, fresh, ours, theirs, twin=shuffled, faults=faults)
    metrics = {
        "week": week,
        "trained_on": weeks,
        "seen_pairs_left_out": len(held) - len(fresh),
        "challenger": ours.numbers,
        "champion": theirs.numbers if theirs else None,
        "shuffled": shuffled.numbers,
        "baselines": bench.baselines(learned, learned_pictures, source.scenes),
        "gates": [gate.to_json() for gate in passed],
    }
    return Judgement(all(gate.passed for gate in passed), _reasons(passed), metrics)


def retrain(
    source: Source,
    *,
    root: Path,
    week: str,
    at: datetime,
    config: TrainingConfig,
    gates: Gates = Gates(),  # noqa: B008  # frozen
    faults: Sequence[str] = (),
    advance: Advance | None = None,
) -> RetrainResult:
    """Train a challenger, judge it on ``week``, and promote it or say why not.

    Called again with the same inputs it does nothing, also when a person has promoted or rolled
    back since.

    Args:
        source: What there is to learn from.
        root: The checkpoint store.
        week: The held-out ISO week.
        at: Now.
        config: How to train.
        gates: The bars.
        faults: What is wrong with the experiments of that week, such as an SRM alarm.
        advance: Told how many epochs are done of how many.

    Raises:
        TrainingError: There are no pairs, or they cannot be used; the champion stays.
    """
    key = _decision_key(source, week, config, [repr(gates), *sorted(faults)])
    path = root / "retrains" / f"{week}.json"
    before = json.loads(path.read_bytes()) if path.exists() else {}
    if before.get("key") == key:
        result = RetrainResult(
            **{**before["result"], "reasons": tuple(before["result"]["reasons"])}
        )
        if not before["applied"]:
            _apply(root, path, key, result, at)
        return replace(result, unchanged=True)
    challenger = train_challenger(
        source, root=root, week=week, config=config, at=at, advance=advance
    )
    judgement = judge(
        source,
        challenger,
        _champion(root),
        week=week,
        config=config,
        gates=gates,
        faults=faults,
        advance=advance,
    )
    result = RetrainResult(
        week, judgement.promote, judgement.reasons, judgement.metrics, challenger.sha256
    )
    _apply(root, path, key, result, at)
    return result


def read_decisions(root: Path) -> list[dict[str, Any]]:
    """Return every week's result of :func:`retrain` as plain data, oldest week first."""
    found = sorted((root / "retrains").glob("*.json"))
    return [json.loads(path.read_bytes())["result"] for path in found]


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


_COUNTS = ("impressions_chosen", "clicks_chosen", "impressions_rejected", "clicks_rejected")


class _Bench:
    """The held-out week, on which everyone is judged alike."""

    def __init__(self, table: PairTable, pictures: Pixels | None) -> None:
        self.table = table
        self.pictures = pictures

    def judge(self, scorer: RewardScorer) -> Evaluation:
        there = scorer.predict(self.table, self.pictures)
        back = scorer.predict(self.table, self.pictures, swapped=True)
        return evaluate(self.table, there, back)

    def baselines(
        self,
        learned: PairTable,
        pictures: Pixels | None,
        scenes: Mapping[str, Mapping[str, str]],
    ) -> dict[str, Any]:
        """Return accuracy and log-loss of what a reward model must beat."""
        found = {"chance": {"accuracy": 0.5, "log_loss": float(np.log(2))}}
        if pictures is not None and self.pictures is not None:
            theirs, ours = colour_histogram(pictures), colour_histogram(self.pictures)
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


def _apply(root: Path, path: Path, key: str, result: RetrainResult, at: datetime) -> None:
    """Keep the decision, then carry it out, then note that it is carried out."""
    record = {"key": key, "applied": False, "result": result.to_json()}
    replace_durably(path, json.dumps(record, indent=2).encode())
    if result.promoted:
        checkpoints.promote(root, KIND, result.checkpoint_sha256, at=at)
    elif checkpoints.aliases(root).get(KIND, {}).get(checkpoints.CHAMPION) != (
        result.checkpoint_sha256
    ):
        checkpoints.nominate(root, KIND, result.checkpoint_sha256)
    replace_durably(path, json.dumps({**record, "applied": True}, indent=2).encode())


def _champion(root: Path) -> Checkpoint | None:
    """Return the model in use; a champion that cannot be loaded stops the retraining."""
    if checkpoints.CHAMPION not in checkpoints.aliases(root).get(KIND, {}):
        return None
    return checkpoints.load_checkpoint(root, checkpoints.CHAMPION, kind=KIND)


def _training_weeks(source: Source, week: str) -> list[str]:
    earlier = sorted(one for one in source.pairs if one < week)
    if not earlier and week not in source.pairs:
        raise TrainingError(
            f"there are no pairs up to {week}", remedy=f"run `abp weekly {week}` first"
        )
    return earlier or [week]


def _read(source: Source, weeks: Sequence[str]) -> PairTable:
    missing = [week for week in weeks if week not in source.pairs]
    if missing:
        raise TrainingError(
            f"the pairs of {', '.join(missing)} are gone", remedy="write them with `abp pairs`"
        )
    return join_tables([read_pairs(source.pairs[week]) for week in weeks])


def _without_seen(held: PairTable, learned: PairTable) -> PairTable:
    """Leave out pairs whose two creatives were compared in the training weeks already."""

    def contents(table: PairTable) -> list[frozenset[tuple[str, str]]]:
        names = [(item.image or item.creative, item.text) for item in table.items]
        both = zip(table.chosen, table.rejected, strict=True)
        return [frozenset((names[first], names[second])) for first, second in both]

    seen = set(contents(learned))
    return held.keep(np.array([pair not in seen for pair in contents(held)], dtype=np.bool_))


def _reasons(gates: Sequence[Gate]) -> tuple[str, ...]:
    failed = [gate for gate in gates if not gate.passed]
    return tuple(gate.detail for gate in failed or gates)


def _training_key(table: PairTable, source: Source, config: TrainingConfig) -> str:
    facts = [_RECIPE, table.fingerprint, source.images is not None, repr(config)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _decision_key(source: Source, week: str, config: TrainingConfig, bars: list[str]) -> str:
    files = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(source.pairs.items())
        if name <= week
    }
    facts = [_RECIPE, files, repr(config), bars]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
