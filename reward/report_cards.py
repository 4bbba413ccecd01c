"""The week's report cards: models that were frozen before a week, graded on its pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from abplatform.checkpoints import Checkpoint
from abplatform.checkpoints.report_cards import ReportCard, keep_card
from reward.dataset import read_pairs
from reward.grading import grade
from reward.score import RewardScorer
from reward.source import Source, drop_seen, read_weeks, week_pictures

__all__ = ["grade_week"]


def grade_week(
    source: Source, models: Sequence[Checkpoint], *, root: Path, week: str
) -> list[ReportCard]:
    """Grade every model that has not seen ``week``, and keep the cards.

    The same week and model give the same card, so a repeated call changes nothing.

    Args:
        source: The pairs of all weeks.
        models: Such as the champion and its challenger; those that learned from the week or from a
            later one are left out, and so are those that don't tell what they learned from.
        root: The checkpoint store.
        week: The ISO week of the pairs.

    Raises:
        TrainingError: The pairs cannot be read.
    """
    if week not in source.pairs:
        return []
    cards = {}
    for model in models:
        weeks = list(model.metadata.get("weeks", ()))
        if not weeks or max(weeks) >= week or model.sha256 in cards:
            continue
        known = [one for one in weeks if one in source.pairs]
        table = read_pairs(source.pairs[week])
        if known:
            table = drop_seen(table, read_weeks(source, known))
        if not len(table):
            continue
        scorer = RewardScorer.of(model)
        wanted = source if scorer.reads_images else replace(source, images=None)
        pictures = week_pictures(wanted, table, size=scorer.image_size)
        score = scorer.score_items(table.items, pictures)
        cards[model.sha256] = ReportCard(week, model.sha256, grade(table, score))
    for card in cards.values():
        keep_card(root, card)
    return list(cards.values())
