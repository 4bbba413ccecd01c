"""The weekly retraining: train on the weeks before W, judge on W, promote or say why not.

The champion and its challenger get their report cards for W at the same time, and
``<root>/retrains/<week>.html`` tells it all.

Nothing is done twice: a week's decision is found again by the hash of everything it rests on. A
process that is killed anywhere is simply started again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform import checkpoints
from abplatform.checkpoints import Checkpoint
from abplatform.checkpoints.report_cards import ReportCard, find_alarms, read_cards
from abplatform.durable import replace_durably
from reward.gates import Gates
from reward.judge import RECIPE, Judgement, judge, train_challenger
from reward.report_cards import grade_week
from reward.report_page import retrain_page
from reward.score import KIND
from reward.source import Source
from reward.train import TrainingConfig

__all__ = [
    "JudgedWeek",
    "RetrainResult",
    "judge_week",
    "read_decisions",
    "retrain",
    "train_challenger",
]

Advance = Callable[[int, int], None]


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
    champion = _champion(root)
    challenger = train_challenger(
        source, root=root, week=week, config=config, at=at, advance=advance
    )
    judged = judge_week(
        source,
        challenger,
        champion,
        root=root,
        week=week,
        config=config,
        gates=gates,
        faults=faults,
        advance=advance,
    )
    found = judged.judgement
    result = RetrainResult(week, found.promote, found.reasons, found.metrics, challenger.sha256)
    replace_durably(path.with_suffix(".html"), judged.page.encode())
    _apply(root, path, key, result, at)
    return result


@dataclass(frozen=True, slots=True)
class JudgedWeek:
    """A challenger after its week.

    Args:
        judgement: Whether it may become the champion.
        cards: Report cards of champion and challenger for the week.
        page: All of it as HTML in one file.
    """

    judgement: Judgement
    cards: tuple[ReportCard, ...]
    page: str


def judge_week(
    source: Source,
    challenger: Checkpoint,
    champion: Checkpoint | None,
    *,
    root: Path,
    week: str,
    config: TrainingConfig,
    gates: Gates = Gates(),  # noqa: B008  # frozen
    faults: Sequence[str] = (),
    advance: Advance | None = None,
) -> JudgedWeek:
    """Grade champion and challenger on a week, judge the challenger, and tell it.

    Args:
        source: What it learned from, and the week's pairs.
        challenger: A checkpoint from :func:`train_challenger`.
        champion: The model in use, if any; what its report cards say counts.
        root: The checkpoint store, where report cards are kept.
        week: The held-out week.
        config: How the challenger was trained.
        gates: The bars.
        faults: What is wrong with the experiments of that week, such as an SRM alarm.
        advance: Told how far long work has come.

    Raises:
        TrainingError: The week has no usable pairs.
    """
    models = [model for model in (champion, challenger) if model]
    cards = tuple(grade_week(source, models, root=root, week=week))
    judgement = judge(
        source,
        challenger,
        champion,
        week=week,
        config=config,
        gates=gates,
        faults=faults,
        alarms=find_alarms(read_cards(root, champion.sha256)) if champion else (),
        advance=advance,
    )
    page = retrain_page(
        week=week,
        promoted=judgement.promote,
        reasons=judgement.reasons,
        metrics=judgement.metrics,
        training=challenger.metadata["train"],
        cards=cards,
        explained=judgement.explained,
    )
    return JudgedWeek(judgement, cards, page)


def read_decisions(root: Path) -> list[dict[str, Any]]:
    """Return every week's result of :func:`retrain` as plain data, oldest week first."""
    found = sorted((root / "retrains").glob("*.json"))
    return [json.loads(path.read_bytes())["result"] for path in found]


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


def _decision_key(source: Source, week: str, config: TrainingConfig, bars: list[str]) -> str:
    files = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(source.pairs.items())
        if name <= week
    }
    facts = [RECIPE, files, repr(config), bars]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
