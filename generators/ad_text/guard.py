"""What a text may not say: banned phrases, numbers that nobody told, and other products.

Phrases are found by one pass of an automaton (Aho and Corasick, Efficient String Matching, 1975)
over the text in small letters; words of letters with gaps between them count at their borders.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

import ahocorasick

from generators.ad_text.brief import CHINESE, Brief

__all__ = ["CLAIMS", "Guard", "fold"]

CLAIMS: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        *("best", "number one", "no. 1", "#1", "cure", "cures", "heals", "guaranteed", "guarantee"),
        *("miracle", "risk-free", "100%", "clinically proven", "doctor recommended", "free gift"),
        *("cheapest", "lowest price", "world's", "lose weight", "anti-aging", "never fails"),
    ),
    "zh": (
        *("最", "第一", "唯一", "顶级", "极品", "国家级", "世界级", "绝对", "百分百", "根治"),
        *("治愈", "疗效", "保证", "永久", "万能", "特效", "无副作用", "全网最低", "免费送"),
    ),
}
"""Claims that need a proof or are forbidden in advertising, by language."""

_NUMBER: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_BROKEN: Final = "\ufffd"
"""What bytes decode to that are no letter."""
_WORD: Final = re.compile(r"[a-z]{3,}|[\u3400-\u9fff]")
_STOP: Final = frozenset({"the", "and", "for", "with", "have", "our", "this"})


def fold(text: str) -> str:
    """Return a text as phrases are looked for in it: compatible forms, small letters, one line."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Guard:
    """Says what is wrong with a text.

    Args:
        brief: What may be said of the product; None for a free prompt.
        told: A free prompt, whose numbers and words may come back.
        phrases: Phrases that are banned beside the claims of every language.
        max_length: In characters (code points).
    """

    def __init__(
        self,
        brief: Brief | None = None,
        *,
        told: str = "",
        phrases: Iterable[str] = (),
        max_length: int = 50,
    ) -> None:
        self.max_length = max_length
        self._told = brief.told if brief else told
        self._numbers = frozenset(_NUMBER.findall(fold(self._told)))
        product = brief.title if brief else told
        words = frozenset(_WORD.findall(fold(product))) - _STOP
        self._words = words
        self._may_be_chinese = CHINESE.search(self._told) is not None
        self._automaton: Any = ahocorasick.Automaton()
        every = {fold(one) for one in (*CLAIMS["en"], *CLAIMS["zh"], *phrases)}
        for phrase in every - {""}:
            self._automaton.add_word(phrase, phrase)
        self._automaton.make_automaton()

    def banned(self, text: str, *, is_whole: bool = True) -> str | None:
        """Return the first banned phrase in a text, or None.

        Args:
            text: A text, or the beginning of one.
            is_whole: Whether nothing follows; else a word at the end may still grow.
        """
        folded, is_whole = fold(text), is_whole or text[-1:].isspace()
        for end, phrase in self._automaton.iter(folded):
            before = folded[end - len(phrase) : end - len(phrase) + 1] if end >= len(phrase) else ""
            after = folded[end + 1 : end + 2]
            if (
                phrase[0].isascii()
                and phrase[0].isalnum()
                and before.isascii()
                and before.isalnum()
            ):
                continue
            grows = after == "" and not is_whole
            last = phrase[-1]
            if (
                last.isascii()
                and last.isalnum()
                and (grows or (after.isascii() and after.isalnum()))
            ):
                continue
            return str(phrase)
        return None

    def unknown_number(self, text: str, *, is_whole: bool = True) -> str | None:
        """Return a number that nobody told, or None; the last one may still grow."""
        folded, is_whole = fold(text), is_whole or text[-1:].isspace()
        for found in _NUMBER.finditer(folded):
            number = found[0]
            if number in self._numbers:
                continue
            grows = not is_whole and found.end() >= len(folded.rstrip(".,"))
            if not (grows and any(one.startswith(number) for one in self._numbers)):
                return number
        return None

    def may_go_on(self, text: str) -> bool:
        """Tell whether the beginning of a text can still become a good one."""
        return (
            len(text.strip()) <= self.max_length
            and self.banned(text, is_whole=False) is None
            and self.unknown_number(text, is_whole=False) is None
            and not self._changes_language(text)
            # the last letter may still be coming, of at most four bytes
            and _BROKEN not in text.removesuffix(_BROKEN).removesuffix(_BROKEN * 2)
        )

    def faults(self, text: str) -> tuple[str, ...]:
        """Return why a text cannot be used, as stable words; nothing: it can be."""
        found = []
        if not text.strip():
            found.append("empty")
        if len(text) > self.max_length:
            found.append("too_long")
        if any(unicodedata.category(letter) in {"Cc", "Cf", "Cn", "Co", "Cs"} for letter in text):
            found.append("control_characters")
        if _BROKEN in text:
            found.append("garbled")
        if self._changes_language(text):
            found.append("other_language")
        if (phrase := self.banned(text)) is not None:
            found.append(f"banned:{phrase}")
        if (number := self.unknown_number(text)) is not None:
            found.append(f"unknown_number:{number}")
        if self._words and self.on_product(text) == 0:
            found.append("off_product")
        return tuple(found)

    def _changes_language(self, text: str) -> bool:
        """Tell whether a text has Chinese in it, of which nothing was told."""
        return not self._may_be_chinese and CHINESE.search(text) is not None

    def on_product(self, text: str) -> float:
        """Return how many of the product's words a text says, 0 … 1."""
        if not self._words:
            return 1.0
        said = frozenset(_WORD.findall(fold(text)))
        return len(said & self._words) / len(self._words)
