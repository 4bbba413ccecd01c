"""Snapshots for policies, renewed after logs have come in: where store and policies meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from abplatform.errors import AbplatformError, CatalogueError, NotInstalled

if TYPE_CHECKING:
    from abplatform.traffic.policies.learning import Counted
    from abplatform.traffic.policies.snapshots import Snapshot
    from abplatform.workspace import Workspace

__all__ = ["renew_snapshot"]

KIND = "reward"


def renew_snapshot(workspace: Workspace, *, score: bool = False) -> str | None:
    """Put what is known now in force, if a running experiment's policy rests on it.

    What goes wrong is told and stops nothing: policies go on with what they knew.

    Args:
        workspace: Whose running experiments.
        score: Whether the champion shall score creatives also where no policy asks for scores, so
            that every decision can tell them.

    Returns:
        The sha256 of the snapshot in force; None where nobody needs one, or none can be made.
    """
    from abplatform.domain.experiment import LEARNING_POLICIES, State
    from abplatform.traffic.registry import Registry

    try:
        known = Registry(workspace).usable()[0]
        served = {
            key: {variant.policy.choose for variant in one.experiment.variants}
            for key, one in known.items()
            if one.state in {State.RUNNING, State.PAUSED} and one.phases
        }
        asked = frozenset().union(*served.values())
        judged = served and score and _champion(workspace) is not None
        if not asked & LEARNING_POLICIES and not judged:
            return None
        return _renew(workspace, sorted(served), score=score or "reward" in asked)
    except AbplatformError as error:
        click.echo(f"error: policies learn nothing new: {error}", err=True)
        return None


def _renew(workspace: Workspace, experiments: list[str], *, score: bool) -> str:
    from abplatform.cli.cases import open_store
    from abplatform.logs.store.answering import data_version
    from abplatform.traffic.policies.learning import learn
    from abplatform.traffic.policies.snapshots import EMPTY_SNAPSHOT, keep_snapshot, read_current

    try:
        before = read_current(workspace.snapshots)
    except AbplatformError:  # a new one takes its place
        before = None
    former = before[1] if before else EMPTY_SNAPSHOT
    with open_store(workspace, "policies: snapshot") as store:
        frame = store.warehouse.query(
            "policies/counts",
            experiments=experiments,
            excluded=_excluded(workspace, experiments),
        )
        version = data_version(store.warehouse)
    checkpoint, rewards = former.checkpoint, former.rewards
    if score:
        checkpoint, rewards = _rewards(workspace, former)
    snapshot = learn(
        [_counted(row) for row in frame.iter_rows(named=True)],
        checkpoint=checkpoint,
        rewards=rewards,
    )
    at = workspace.clock()
    return keep_snapshot(workspace.snapshots, snapshot, data_version=version, at=at)


def _excluded(workspace: Workspace, experiments: list[str]) -> list[str]:
    """Return each experiment with each source that a person excluded from it."""
    from abplatform.traffic.registry import Registry

    registry = Registry(workspace)
    pairs = [
        f"{key} {source}"
        for key in experiments
        for source in registry.remedies(key).excluded_sources
    ]
    return pairs or [""]  # a list without an entry has no type


def _counted(row: Mapping[str, object]) -> Counted:
    from abplatform.traffic.policies.contextual import CONTEXT_DIMENSIONS
    from abplatform.traffic.policies.learning import Counted

    context = tuple(None if (it := row[name]) is None else str(it) for name in CONTEXT_DIMENSIONS)
    category = row["category"]
    return Counted(
        creative_id=str(row["creative_id"]),
        category=None if category is None else str(category),
        context=context,
        n=int(str(row["n"])),
        k=int(str(row["k"])),
    )


def _rewards(workspace: Workspace, former: Snapshot) -> tuple[str | None, dict[str, float]]:
    """Score every creative that the champion has not scored yet; without a champion, none."""
    from abplatform import checkpoints
    from abplatform.creatives import read_catalogue, read_lineage, read_master

    champion = _champion(workspace)
    if champion is None:
        return None, {}
    scored = dict(former.rewards) if former.checkpoint == champion else {}
    products = {one.product_id: one for one in read_catalogue(workspace.catalog).products}
    fresh = {
        name: products[made.product_id]
        for name, made in read_lineage(workspace.creatives).items()
        if name not in scored and made.product_id in products
    }
    if not fresh:
        return champion, scored
    try:
        from reward.score import RewardScorer
    except ImportError:
        raise NotInstalled("torch", extra="models") from None
    found = checkpoints.load_checkpoint(workspace.checkpoints, champion, kind=KIND)
    scorer = RewardScorer.of(found)
    for name, product in fresh.items():
        try:
            pixels = read_master(workspace.creatives, name)
        except CatalogueError as error:  # `abp doctor` tells of all; one lost picture stops nothing
            click.echo(f"warning not_scored: {error}", err=True)
            continue
        scored[name] = scorer.score(pixels, product)
    return champion, scored


def _champion(workspace: Workspace) -> str | None:
    from abplatform import checkpoints

    return checkpoints.aliases(workspace.checkpoints).get(KIND, {}).get(checkpoints.CHAMPION)
