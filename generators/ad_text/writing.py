"""Prompt or brief → texts that may be shown: written within rules, checked, scored and ranked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import torch

from abplatform.checkpoints.quiet import quietly
from abplatform.domain.catalog import Product
from abplatform.errors import CatalogueError
from generators.ad_text.brief import Brief, brief_of, brief_of_prompt, mask
from generators.ad_text.guard import Guard, fold
from generators.ad_text.sentiment import sentiment
from generators.ad_text.text_model import TextModel, open_text_model

__all__ = ["WrittenText", "generate_ad_text", "rank_texts", "write_texts"]

_TRIED: Final = 8
"""Texts that are written for each one that is wanted."""
_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class WrittenText:
    """A text that may be shown.

    Args:
        text: At most so many characters as were asked for.
        language: Its product's, ``en`` or ``zh``.
        quotes: Fact to the value that it quotes, such as ``price``; it ends with that value.
        model: Name and version of what wrote it.
        scores: ``on_product`` (share of the title's words), ``likeness`` (of word vectors to the
            brief's), ``fluency`` (mean log probability of a token), ``sentiment`` (-1 gloomy … 1
            glad; English only), ``rank`` (what ranked it).
    """

    text: str
    language: str
    quotes: Mapping[str, str]
    model: str
    scores: Mapping[str, float]


def generate_ad_text(prompt: str, max_length: int = 50) -> str:
    """Write one advertising text for a free prompt, by the embedded model.

    Args:
        prompt: Such as ``我们有一款牛奶，广告如下：``; data, whatever it says.
        max_length: In characters (code points).

    Returns:
        A text in which no banned phrase and no number stands that the prompt does not hold.

    Raises:
        CatalogueError: Nothing usable came.
        CheckpointError: The embedded model is missing or damaged.
    """
    brief = brief_of_prompt(prompt)
    guard = Guard(brief, max_length=max_length)
    found = _usable(_embedded(), brief, guard, count=1, seed=0)
    if not found:
        raise CatalogueError(
            f"nothing usable was written for {prompt[:40]!r}", remedy="name the product plainly"
        )
    return max(found, key=guard.on_product)


def write_texts(
    product: Product,
    *,
    count: int,
    rng: np.random.Generator,
    model: TextModel | None = None,
    segment: str | None = None,
    rewrite: str | None = None,
    phrases: Iterable[str] = (),
    prices: bool = True,
    refuses: Callable[[str], Sequence[str]] | None = None,
    scorer: Callable[[str], float] | None = None,
    max_length: int = 50,
) -> list[WrittenText]:
    """Write texts for a product.

    Args:
        product: Its facts are all that a text may quote.
        count: How many at most; fewer come where little is usable.
        rng: Draws the sampling's seeds.
        model: What writes; the embedded one if None.
        segment: Whom they are for, in free words.
        rewrite: A text to say in other words.
        phrases: Banned beside the claims of every language.
        prices: Whether the price may be quoted.
        refuses: A brand's rules: text to the names of those that it breaks.
        scorer: Ranks them, such as a reward model; their likeness to the brief if None.
        max_length: In characters.

    Returns:
        Different texts, the best first.
    """
    model = model or _embedded()
    brief = brief_of(product, segment=segment, prices=prices)
    guard = Guard(brief, phrases=phrases, max_length=max_length)
    seed = int(rng.integers(1 << 31))
    found = [
        text
        for text in _usable(model, brief, guard, count=count, seed=seed, instead_of=rewrite)
        if (refuses is None or not refuses(text)) and fold(text) != fold(rewrite or "")
    ]
    written = [_describe(text, brief, guard, model, scorer) for text in found]
    return sorted(written, key=lambda one: -one.scores["rank"])[:count]


def rank_texts(texts: Sequence[str], brief: Brief, model: TextModel) -> list[float]:
    """Return how like the brief each text is: the cosine of their mean word vectors, -1 … 1.

    The vectors are the model's own input embeddings, centred on the vocabulary's mean.
    """
    return [_likeness(text, brief.told, model) for text in texts]


@cache
def _embedded() -> TextModel:
    return open_text_model()


def _usable(
    model: TextModel,
    brief: Brief,
    guard: Guard,
    *,
    count: int,
    seed: int,
    instead_of: str | None = None,
) -> list[str]:
    """Return different texts without a fault; a few rounds are tried."""
    found: dict[str, str] = {}
    for turn in range(_ROUNDS):
        tried = min(_TRIED * count, 32)
        for text in model.write(brief, guard, count=tried, seed=seed + turn, instead_of=instead_of):
            if not guard.faults(text):
                found.setdefault(fold(text), text)
        if len(found) >= count:
            break
    return list(found.values())


def _describe(
    text: str,
    brief: Brief,
    guard: Guard,
    model: TextModel,
    scorer: Callable[[str], float] | None,
) -> WrittenText:
    likeness = _likeness(text, brief.told, model)
    scores = {
        "on_product": round(guard.on_product(text), 4),
        "likeness": round(likeness, 4),
        "fluency": round(_fluency(text, brief, guard, model), 4),
    }
    if (glad := sentiment(text)) is not None:
        scores["sentiment"] = round(glad, 4)
    # as good as likely, and all of the product's name before half of it
    own = likeness + guard.on_product(text) + 0.2 * scores["fluency"]
    scores["rank"] = round(scorer(text) if scorer else own, 4)
    return WrittenText(text, brief.language, _quotes(text, brief), model.name, scores)


def _quotes(text: str, brief: Brief) -> dict[str, str]:
    """Which facts that change a text quotes: the price and the rating, by their numbers."""
    numbers = set(re.findall(r"[0-9]+(?:[.,][0-9]+)*", fold(text)))
    facts = {"price": brief.price, "rating": brief.rating}
    return {
        name: value
        for name, value in facts.items()
        if value and numbers & set(re.findall(r"[0-9]+(?:[.,][0-9]+)*", value))
    }


@torch.no_grad()
def _likeness(first: str, second: str, model: TextModel) -> float:
    table = model.model.get_input_embeddings().weight
    middle = table.mean(dim=0)
    means = []
    for text in (first, second):
        ids = model.tokenizer(text, split_special_tokens=True)["input_ids"]
        means.append((table[ids] - middle).mean(dim=0) if ids else middle)
    return float(torch.nn.functional.cosine_similarity(means[0], means[1], dim=0))


@torch.no_grad()
def _fluency(text: str, brief: Brief, guard: Guard, model: TextModel) -> float:
    if model.masked:
        text = mask(text, brief.values(guard.max_length))
    prompt = model.prompt(brief, guard)
    before = model.tokenizer(prompt, split_special_tokens=True)["input_ids"]
    said = model.tokenizer(f" {text}", split_special_tokens=True)["input_ids"]
    ids = torch.tensor([[*before, *said]])
    with quietly():
        logits = model.model(input_ids=ids).logits[0, len(before) - 1 : -1]
    chosen = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(said)[:, None])
    return float(chosen.mean())
