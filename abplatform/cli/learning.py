"""The turn's retrain and gate steps: a challenger from earlier weeks, judged on this one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from abplatform import checkpoints
from abplatform.cli.reward import read_source
from abplatform.durable import replace_durably
from abplatform.loop.hands import Brief
from abplatform.loop.measure import scorecard_path
from abplatform.loop.steps import Json

if TYPE_CHECKING:
    from reward.source import Source
    from reward.train import TrainingConfig

__all__ = ["Learn"]

KIND = "reward"


@dataclass(frozen=True, slots=True)
class Learn:
    """Trains and judges reward models.

    Args:
        seed: Of the training.
        epochs: Passes over the pairs at most; None for the model's own default.
        shape: Overrides of the model's shape, such as ``width``.
    """

    seed: int
    epochs: int | None = None
    shape: tuple[tuple[str, int | float], ...] = ()

    @property
    def inputs(self) -> Json:
        """What the steps depend on besides the pairs."""
        return asdict(self)

    def retrain(self, brief: Brief) -> Json:
        """Train on the weeks before this one, or on this one when it is the first."""
        source = self._source(brief)
        if not source.pairs:
            return {"checkpoint_sha256": None, "trained_on": []}
        from reward.retrain import train_challenger

        challenger = train_challenger(
            source,
            root=brief.workspace.checkpoints,
            week=str(brief.week),
            config=self._config(source, str(brief.week)),
            at=brief.workspace.clock(),
            advance=brief.advance,
        )
        return {
            "checkpoint_sha256": challenger.sha256,
            "trained_on": challenger.metadata["weeks"],
            "training": challenger.metadata["train"],
        }

    def gate(self, brief: Brief) -> Json:
        """Hold the challenger on this week's pairs against the champion as the turn began."""
        sha256 = brief.results["retrain"]["checkpoint_sha256"]
        if sha256 is None:
            return _refusal("there are no preference pairs to learn from yet")
        source = self._source(brief)
        if str(brief.week) not in source.pairs:
            return _refusal(f"there are no preference pairs of {brief.week} to judge on")
        from reward.retrain import judge_week

        root = brief.workspace.checkpoints
        challenger = checkpoints.load_checkpoint(root, str(sha256), kind=KIND)
        named = brief.champions.get(KIND)
        champion = checkpoints.load_checkpoint(root, named, kind=KIND) if named else None
        judged = judge_week(
            source,
            challenger,
            champion,
            root=root,
            week=str(brief.week),
            config=self._config(source, str(brief.week)),
            faults=_faults(brief, source),
            advance=brief.advance,
        )
        fresh = str(brief.week) not in challenger.metadata["weeks"]
        path = brief.workspace.runs / str(brief.week) / "gate" / "report.html"
        replace_durably(path, judged.page.encode())
        return {
            "promote": judged.judgement.promote,
            "reasons": list(judged.judgement.reasons),
            "metrics": judged.judgement.metrics,
            "predicted": _predict(brief, challenger) if fresh else {},
            "report_cards": [card.to_json() for card in judged.cards],
        }

    def _config(self, source: Source, week: str) -> TrainingConfig:
        from reward.recipe import choose_config_for

        config = choose_config_for(source, week, seed=self.seed, epochs=self.epochs)
        return replace(config, shape=self.shape)

    def _source(self, brief: Brief) -> Source:
        """Pairs up to this week."""
        found = read_source(brief.workspace)
        pairs = {week: path for week, path in found.pairs.items() if week <= str(brief.week)}
        return replace(found, pairs=pairs)


def _refusal(reason: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"metrics": {}, "predicted": {}, "report_cards": []}
    return {"promote": False, "reasons": [reason], **nothing}


def _faults(brief: Brief, source: Source) -> list[str]:
    """Which of the experiments that this week's pairs come from had an SRM alarm."""
    import polars as pl

    keys = pl.read_parquet(source.pairs[str(brief.week)], columns=["experiment"])["experiment"]
    faults = []
    for key in sorted(set(keys) & set(brief.experiments)):
        path = scorecard_path(brief.workspace, str(brief.week), key)
        if json.loads(path.read_bytes())["srm"]["verdict"] == "alarm":
            faults.append(f"sample ratio mismatch in {key}")
    return faults


def _predict(brief: Brief, challenger: checkpoints.Checkpoint) -> dict[str, float]:
    """Score the week's creatives with a model that has not seen the week."""
    from abplatform.creatives import read_catalogue, read_lineage, read_master
    from reward.score import RewardScorer

    products = {p.product_id: p for p in read_catalogue(brief.workspace.catalog).products}
    lineage = read_lineage(brief.workspace.creatives)
    drawn: Any = brief.results["generate"]
    shown = [drawn["default"], *(v for e in drawn["creatives"].values() for v in e.values())]
    names = sorted({name for listing in shown for ids in listing.values() for name in ids})
    masters = [read_master(brief.workspace.creatives, name) for name in names]
    about = [products[lineage[name].product_id] for name in names]
    scores = RewardScorer.of(challenger).score_many(masters, about)
    return {name: round(float(score), 6) for name, score in zip(names, scores, strict=True)}
