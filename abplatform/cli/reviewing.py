"""``abp creatives approve`` and ``reject``: what people say of creative sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from abplatform.cli.options import (
    json_option,
    name_person,
    print_json,
    read_moment,
    workspace_option,
)
from abplatform.cli.withdraw import find_name
from abplatform.errors import RegistryError
from abplatform.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from abplatform.domain.catalog import Lineage
    from abplatform.traffic.registry import Registry, Review

__all__ = ["REASONS", "approve", "reject"]

REASONS = ("off-brand", "product-wrong", "claim", "culture", "legal", "ugly")
"""Why a creative set is rejected; the inspector learns from it, the reward model never does."""

_Command: TypeAlias = Callable[..., None]


def _scope_options(command: _Command) -> _Command:
    """Add who says it, of which creatives, where it holds and what else there is to say."""
    options = (
        click.argument("creative_ids", metavar="CREATIVE...", nargs=-1, required=True),
        click.option("--channel", "channels", multiple=True, help="Only here; may be repeated."),
        click.option("--country", "countries", multiple=True, help="Only here; may be repeated."),
        click.option("--note", default=None, help="What else there is to say."),
        click.option("--by", "who", default=None, help="Who decides; default $USER."),
        workspace_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_scope_options
@click.option("--until", default=None, metavar="TIME", help="From then on it counts as expired.")
def approve(*, until: str | None, folder: Path | None, **said: Any) -> None:
    """Approve creative sets (all sizes and texts of a scene), named by an id or its beginning."""
    workspace = open_workspace(folder)
    moment = None if until is None else read_moment(until, workspace, "--until")
    if moment is not None and moment <= workspace.clock():
        raise click.BadParameter("that moment has passed", param_hint="--until")
    _review(workspace, decision="approved", until=moment, **said)


@click.command()
@_scope_options
@click.option("--reason", required=True, metavar="WORD", help=f"One of {', '.join(REASONS)}.")
def reject(*, reason: str, folder: Path | None, **said: Any) -> None:
    """Reject creative sets, named by an id or its beginning, with a reason."""
    word = "-".join(reason.lower().split())
    if word not in REASONS:
        raise click.BadParameter(
            f"{reason!r} is none of {', '.join(REASONS)}; free words go into --note",
            param_hint="--reason",
        )
    _review(open_workspace(folder), decision="rejected", reason=word, **said)


def _review(
    workspace: Workspace,
    *,
    creative_ids: Sequence[str],
    who: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    from abplatform.creatives import read_lineage
    from abplatform.traffic.registry import Registry, Review

    known = read_lineage(workspace.creatives)
    meant = [find_name(name, list(known), workspace.creatives) for name in creative_ids]
    registry, at, person = Registry(workspace), workspace.clock(), name_person(who)
    reviews = [Review(creative_id=name, at=at, who=person, **said) for name in meant]
    if said["decision"] == "approved":
        _refuse_withdrawn(registry, [known[name] for name in meant])
    for review in reviews:
        registry.record_review(review)
    if as_json:
        print_json([_told(review) for review in reviews])
        return
    where = ", ".join((*said["channels"], *said["countries"]))
    for name in meant:
        click.echo(f"{name[:12]} is {said['decision']}{f' for {where}' if where else ''}")


def _told(review: Review) -> dict[str, Any]:
    return {
        "creative_id": review.creative_id,
        "state": review.decision,
        "reason": review.reason,
        "note": review.note,
        "reviewed_by": review.who,
        "channels": list(review.channels),
        "countries": list(review.countries),
        "valid_until": None if review.until is None else review.until.isoformat(),
    }


def _refuse_withdrawn(registry: Registry, meant: Sequence[Lineage]) -> None:
    """Refuse to approve any of several when one of them is withdrawn."""
    withdrawn = registry.withdrawn()
    refused = [made.creative_id[:12] for made in meant if withdrawn.refuses(made)]
    if refused:
        raise RegistryError(
            f"nothing is approved: {', '.join(refused)} is withdrawn, and that is for good",
            path=registry.workspace.creatives,
            remedy="leave it out, and draw another one with `abp generate`",
        )
