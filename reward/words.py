"""Text → numbers without a vocabulary: words and their character trigrams, hashed.

Every word becomes one row of ids: the word itself, then its trigrams (``<te``, ``tea``, ``ea>``);
their embeddings are averaged, so that unseen words borrow from their parts (fastText:
Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"). Hashing is seeded
xxh3, so ids are the same on every machine and in every process.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

__all__ = ["PAD", "category_paths", "describe_product", "taste_ids", "word_ids"]

PAD = 0
_WORD = re.compile(r"\w+|[!?$%€£¥]")
_CATEGORY_LEVELS = 4


def word_ids(texts: Sequence[str], *, words: int, parts: int, buckets: int) -> NDArray[np.int64]:
    """Turn texts into ids.

    Args:
        texts: N texts; an empty one becomes padding only.
        words: Words kept of each text (W), from its beginning.
        parts: Ids kept of each word (G): itself and its first trigrams.
        buckets: Ids run from 1 to ``buckets`` - 1; 0 is padding.

    Returns:
        N x W x G.
    """
    ids = np.full((len(texts), words, parts), PAD, dtype=np.int64)
    seen: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        found = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
        for column, word in enumerate(found[:words]):
            if word not in seen:
                marked = f"<{word}>"
                trigrams = [marked[at : at + 3] for at in range(len(marked) - 2)]
                seen[word] = [_bucket(part, buckets) for part in [word, *trigrams][:parts]]
            ids[row, column, : len(seen[word])] = seen[word]
    return ids


def taste_ids(
    categories: Sequence[str], segments: Sequence[str], *, buckets: int
) -> NDArray[np.int64]:
    """Turn category paths into the ids of each of their levels: ``beauty`` and ``beauty/lip``.

    A new category below a known one thereby borrows what is known of its parent. An audience
    segment has an id of its own beside them.

    Args:
        categories: N paths.
        segments: N names; an empty one stands for everyone.
        buckets: Ids run from 1 to ``buckets`` - 1; 0 is padding.

    Returns:
        N x 5. A product without a category has the id of the empty path.
    """
    ids = np.full((len(categories), _CATEGORY_LEVELS + 1), PAD, dtype=np.int64)
    for row, segment in enumerate(segments):
        if segment:
            ids[row, _CATEGORY_LEVELS] = _bucket(f"segment:{segment}", buckets)
    for row, path in enumerate(categories):
        names = path.split("/")[:_CATEGORY_LEVELS]
        for level in range(len(names)):
            ids[row, level] = _bucket("category:" + "/".join(names[: level + 1]), buckets)
    return ids


def category_paths(categories: Iterable[str]) -> list[str]:
    """Return categories and those above them, sorted: ``beauty/lip`` also names ``beauty``."""
    found = {path for path in categories if path}
    for path in tuple(found):
        while path := path.rpartition("/")[0]:
            found.add(path)
    return sorted(found)


def describe_product(title: str, category: str, attributes: str) -> str:
    """Join what is known of a product into one text; the category comes first.

    Args:
        title: The product's title.
        category: Its path.
        attributes: A JSON object, or an empty string.
    """
    facts = json.loads(attributes) if attributes.strip() else {}
    values = facts.items() if isinstance(facts, dict) else ()
    told = " ".join(f"{name} {value}" for name, value in sorted(values) if value is not None)
    return f"{category.replace('/', ' ')} {title} {told}".strip()


def _bucket(text: str, buckets: int) -> int:
    return 1 + xxhash.xxh3_64_intdigest(text.encode(), seed=0) % (buckets - 1)
