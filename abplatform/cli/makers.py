"""Who writes, draws and screens creatives, by the names that abp.yaml and the command line use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from abplatform import checkpoints
from abplatform.errors import CatalogueError
from abplatform.settings import Generators

if TYPE_CHECKING:
    from generators.generate import Scorer
    from generators.inspector.taste import Taste
    from generators.intake import ReadyProduct
    from generators.propose import PromptModel
    from generators.renderers.placing import Renderer

__all__ = [
    "KIND",
    "TEXT_SCORERS",
    "Makers",
    "TextScorer",
    "find_makers",
    "find_text_scorer",
    "find_writer",
    "load_scorer",
]

KIND = "reward"
"""The kind of checkpoint that screens scenes."""
TEXT_SCORERS = ("own", "headlines", "reward")
"""What ranks texts: likeness and fluency, clicked headlines, or a reward model."""
TextScorer: TypeAlias = "Callable[[ReadyProduct], Callable[[str], float] | None]"
"""Product to what scores its texts; None where it cannot read them."""


@dataclass(frozen=True, slots=True)
class Makers:
    """What takes part in a creative.

    Args:
        renderer: Draws it.
        writer: Writes its scene.
        scorer: Predicts whether it wins; None: nothing is screened.
        checkpoints: ``reward`` to the scorer's sha256.
        least_win: The predicted chance to win from which it is drawn, 0 … 1.
        taste: What people rejected before; None: nothing was learned.
    """

    renderer: Renderer
    writer: PromptModel
    scorer: Scorer | None = None
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    least_win: float = 0.5
    taste: Taste | None = None


def find_makers(settings: Generators, root: Path | None = None) -> Makers:
    """Return what abp.yaml names; nothing is screened.

    Args:
        settings: Its table ``generators``, perhaps changed by the command line.
        root: The workspace's checkpoints; None outside of one.

    Raises:
        CatalogueError: No renderer is called so.
        CheckpointError: A model is missing or refused.
    """
    from generators.renderers.find import find_renderer

    return Makers(
        find_renderer(settings.renderer),
        find_writer(settings.prompt_model),
        least_win=settings.least_win,
        taste=None if root is None else _load_taste(root),
    )


def _load_taste(root: Path) -> Taste | None:
    from generators.inspector.taste import KIND as INSPECTOR
    from generators.inspector.taste import open_taste

    champion = checkpoints.aliases(root).get(INSPECTOR, {}).get(checkpoints.CHAMPION)
    if champion is None:
        return None
    return open_taste(checkpoints.load_checkpoint(root, champion, kind=INSPECTOR))


def find_writer(words: str) -> PromptModel:
    """Return the prompt model that is called so.

    Args:
        words: ``families``: rules by category; ``embedded``, or a folder or hub id of a
            multimodal language model.

    Raises:
        CheckpointError: There is no such model, or its files are refused.
    """
    if words == "families":
        from generators.propose import FamilyScenes

        return FamilyScenes()
    from generators.prompt_model.llava import open_prompt_model

    return open_prompt_model(words)


def find_text_scorer(named: str, scorer: Scorer | None) -> TextScorer | None:
    """Return what ranks texts.

    Args:
        named: One of ``TEXT_SCORERS``.
        scorer: The reward model that screens, if there is one.

    Returns:
        None for ``own``: texts are ranked by what wrote them.

    Raises:
        CheckpointError: The carried encoder is not installed.
        CatalogueError: No reward model is named, or it never learned from texts.
    """
    if named == "own":
        return None
    return _headline_scorer() if named == "headlines" else _reward_scorer(scorer)


def _headline_scorer() -> TextScorer:
    from generators.ad_text.brief import brief_of
    from generators.ad_text.headlines import open_headlines

    headlines = open_headlines()

    def scores(product: ReadyProduct) -> Callable[[str], float] | None:
        if brief_of(product.product).language != "en":
            return None
        return lambda text: float(headlines.score([text])[0])

    return scores


def _reward_scorer(scorer: Scorer | None) -> TextScorer:
    from generators.renderers.baseline import Baseline
    from reward.score import RewardScorer

    if not isinstance(scorer, RewardScorer):
        raise CatalogueError(
            "no reward model is named to rank texts",
            remedy="name one with `--checkpoint`, such as champion, and `--generator caig`",
        )
    if not scorer.reads_texts:
        raise CatalogueError(
            "this reward model never read a text",
            remedy="rank by `--text-scorer headlines`, or train one on pairs with texts",
        )

    def scores(product: ReadyProduct) -> Callable[[str], float]:
        plain = Baseline().render(product, seed=0, size=(scorer.image_size, scorer.image_size))
        return lambda text: scorer.score_text(text, product.product, plain.pixels)

    return scores


def load_scorer(named: str, root: Path | None) -> tuple[Scorer, Mapping[str, str]]:
    """Load the reward model that screens.

    Args:
        named: A folder, ``champion`` or another alias, or a checkpoint's sha256 or its beginning.
        root: The workspace's checkpoints; None outside of one.

    Returns:
        The model, and its role to its sha256.

    Raises:
        CheckpointError: There is none, or it is damaged.
        CatalogueError: It is no folder, and there is no workspace.
    """
    from reward.score import RewardScorer

    if Path(named).is_dir():
        version = checkpoints.read_folder(Path(named), kind=KIND)
    elif root is None:
        raise CatalogueError(
            f"there is no reward model {named!r} outside of a workspace",
            remedy="name the folder that `abp reward train --out` wrote",
        )
    else:
        version = checkpoints.load_checkpoint(root, named, kind=KIND)
    return RewardScorer.of(version), {KIND: version.sha256}
