"""``abp creatives learn``: what people rejected teaches the inspector."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abplatform import checkpoints
from abplatform.cli.inspecting import RULES
from abplatform.cli.options import json_option, print_json, progress, workspace_option
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abplatform.domain.catalog import Lineage
    from generators.inspector.taste import Picture

__all__ = ["learn", "learn_from_reviews"]

MOST_KEPT = 600
"""The newest kept pictures that are looked at; more would teach little and take minutes."""


def learn_from_reviews(
    workspace: Workspace, *, advance: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Learn what people reject by its look, and let the inspector use it from now on.

    Only what a person said of a creative everywhere counts: what a rule refused says nothing of
    taste, and what one country does not want may be shown in another. Learning again from the
    same reviews gives the same checkpoint.

    Args:
        workspace: Whose reviews and masters.
        advance: Told how many pictures are looked at, and of how many.

    Returns:
        ``checkpoint`` (null where nothing was ever learned) and
        ``reasons``: for each, what was learned or why nothing was.
    """
    from generators.inspector.taste import KIND, LOOKS, Dislike, learn_dislike, write_taste

    rejected, kept = _sort_out(workspace)
    glances = _look(workspace, [*(made for made, _ in rejected), *kept], advance)
    found = {
        reason: learn_dislike(
            reason,
            [glances[made.creative_id] for made, why in rejected if why == reason],
            [glances[made.creative_id] for made in kept],
        )
        for reason in LOOKS
    }
    learned = [one for one in found.values() if isinstance(one, Dislike)]
    sha256 = None
    # nothing to dislike any more is learned as well: else the champion would go on refusing
    if learned or KIND in checkpoints.aliases(workspace.checkpoints):
        with tempfile.TemporaryDirectory() as draft:
            metadata = write_taste(Path(draft), learned)
            saved = checkpoints.save_checkpoint(
                workspace.checkpoints,
                Path(draft),
                kind=KIND,
                metadata=metadata,
                created_at=workspace.clock(),
            )
        checkpoints.promote(workspace.checkpoints, KIND, saved.sha256, at=workspace.clock())
        sha256 = saved.sha256
    return {"checkpoint": sha256, "reasons": {name: _tell(one) for name, one in found.items()}}


def _sort_out(workspace: Workspace) -> tuple[list[tuple[Lineage, str]], list[Lineage]]:
    """Return generated creatives that people rejected, with the reason, and those nobody did."""
    from abplatform.creatives import read_lineage
    from abplatform.traffic.registry import Registry

    registry = Registry(workspace)
    said = {
        review.creative_id: review
        for review in registry.every_review()
        if review.who != RULES and not review.channels and not review.countries
    }
    withdrawn = registry.withdrawn()
    rejected, kept = [], []
    for made in read_lineage(workspace.creatives).values():
        review = said.get(made.creative_id)
        if made.source != "generated":
            continue
        if review is not None and review.decision == "rejected":
            rejected.append((made, review.reason or ""))
        elif not withdrawn.refuses(made):
            kept.append(made)
    return rejected, kept[-MOST_KEPT:]


def _look(
    workspace: Workspace, mades: list[Lineage], advance: Callable[[int, int], None] | None
) -> dict[str, Picture]:
    from abplatform.creatives import read_master
    from generators.inspector.taste import Picture, glance

    glances = {}
    for number, made in enumerate(mades):
        pixels = read_master(workspace.creatives, made.creative_id)
        glances[made.creative_id] = Picture(glance(pixels), made.product_id)
        if advance is not None:
            advance(number + 1, len(mades))
    return glances


def _tell(found: Any) -> dict[str, Any]:
    if isinstance(found, str):
        return {"learned": False, "why_not": found}
    names = ("rejected", "kept", "auc", "caught", "threshold")
    return {"learned": True, **{name: getattr(found, name) for name in names}}


@click.command()
@workspace_option
@json_option
def learn(*, folder: Path | None, as_json: bool) -> None:
    """Teach the inspector what people rejected; what looks like it is drawn anew from now on."""
    workspace = open_workspace(folder)
    with workspace.lock("creatives learn"), progress("Looking at creatives") as advance:
        answer = learn_from_reviews(workspace, advance=advance)
    if as_json:
        print_json(answer)
        return
    for line in _lines(answer):
        click.echo(line)


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    for reason, found in answer["reasons"].items():
        if found["learned"]:
            yield (
                f"{reason}: learned from {found['rejected']} rejected and {found['kept']} kept; "
                f"tells them apart with AUC {found['auc']:.2f}, refuses {found['caught']:.0%}"
            )
        else:
            yield f"{reason}: nothing learned, {found['why_not']}"
    if answer["checkpoint"] is None:
        yield "The inspector stays as it was."
    else:
        yield f"The inspector uses {answer['checkpoint'][:12]} from now on."
