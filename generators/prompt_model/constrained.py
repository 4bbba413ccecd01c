"""Answers that always read back as a scene: decoding along the vocabulary's grammar.

The text form of a scene is a chain of parts, each one of a few phrases. That is a small automaton
over characters; at every step only those tokens are allowed whose characters stay on its paths.
It works with any tokenizer, because it looks at what a token writes, not at how words are split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from generators.scene import phrase

__all__ = ["NextTokens", "SceneGrammar", "SceneOnly", "Vocabulary", "token_texts"]

Vocabulary = Mapping[str, Sequence[str]]
"""Part of a scene to the words it may have, in the order of the text form."""

State = tuple[int, str]
"""Which part is being written, and what of its phrase stands there already."""


@dataclass(frozen=True, slots=True)
class SceneGrammar:
    """The automaton of scenes in text form.

    Args:
        phrases: For each part, its possible phrases with what separates them from the next part.
    """

    phrases: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> SceneGrammar:
        """Build it from words; the first part may follow a space."""
        last = len(vocabulary) - 1
        return cls(
            tuple(
                frozenset(
                    (" " if number == 0 else "")
                    + phrase(part, word)
                    + (", " if number < last else "")
                    for word in words
                )
                for number, (part, words) in enumerate(vocabulary.items())
            )
        )

    @property
    def end(self) -> State:
        """The state in which a whole scene has been written."""
        return (len(self.phrases), "")

    @property
    def longest(self) -> int:
        """Characters of the longest scene; no answer has more tokens."""
        return sum(max(map(len, phrases)) for phrases in self.phrases)

    def letters(self, state: State) -> set[str]:
        """Return the characters that may come next."""
        number, written = state
        if number == len(self.phrases):
            return set()
        ongoing = (one for one in self.phrases[number] if one.startswith(written))
        return {one[len(written)] for one in ongoing}

    def advance(self, state: State, text: str) -> State | None:
        """Return where some characters lead, or None where they leave the grammar."""
        number, written = state
        for character in text:
            if number == len(self.phrases):
                return None
            written += character
            if written in self.phrases[number]:
                number, written = number + 1, ""
            elif not any(one.startswith(written) for one in self.phrases[number]):
                return None
        return (number, written)


def token_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return what every token writes in the middle of a text; special tokens write nothing.

    Tokens that hold only a part of a character write U+FFFD, which no scene contains.
    """
    anchor = tokenizer("x", add_special_tokens=False).input_ids
    before = str(tokenizer.decode(anchor))
    special = set(tokenizer.all_special_ids)
    pairs = [[*anchor, token] for token in range(len(tokenizer))]
    whole = tokenizer.batch_decode(pairs, clean_up_tokenization_spaces=False)
    return [
        "" if token in special or not str(text).startswith(before) else str(text)[len(before) :]
        for token, text in enumerate(whole)
    ]


@dataclass(slots=True)
class NextTokens:
    """Which tokens may come next at every place of the grammar; looked up once for each place.

    Args:
        grammar: What may be written.
        texts: What every token writes.
        ends: Tokens that end an answer.
    """

    grammar: SceneGrammar
    texts: Sequence[str]
    ends: tuple[int, ...]
    _begins: dict[str, list[int]] = field(init=False)
    _known: dict[State, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the tokens by their first character, so that few are looked at in each place."""
        begins: dict[str, list[int]] = {}
        for token, text in enumerate(self.texts):
            if text:
                begins.setdefault(text[0], []).append(token)
        self._begins = begins

    def after(self, state: State) -> list[int]:
        """Return the tokens that may come next; after a whole scene only the end."""
        if state == self.grammar.end:
            return list(self.ends)
        if state not in self._known:
            self._known[state] = sorted(
                token
                for letter in self.grammar.letters(state)
                for token in self._begins.get(letter, ())
                if self.grammar.advance(state, self.texts[token]) is not None
            )
        return self._known[state]


@dataclass(slots=True)
class SceneOnly(LogitsProcessor):
    """Allows only what continues a scene; after it, only the end.

    Args:
        following: What may come next.
        asked: Tokens of the question, which stand before the answer.
    """

    following: NextTokens
    asked: int
    _states: dict[tuple[int, ...], State] = field(default_factory=dict)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (N x V) with everything else at minus infinity."""
        kept = torch.full_like(scores, float("-inf"))
        for row, ids in enumerate(input_ids[:, self.asked :].tolist()):
            allowed = self.following.after(self._state(tuple(ids)))
            kept[row, allowed] = scores[row, allowed]
        return kept

    def _state(self, said: tuple[int, ...]) -> State:
        """Where an answer has led; each step looks at one token only."""
        if not said:
            return (0, "")
        if said[-1] in self.following.ends:
            return self.following.grammar.end
        if said not in self._states:
            before = self._state(said[:-1])
            state = self.following.grammar.advance(before, self.following.texts[said[-1]])
            self._states[said] = self.following.grammar.end if state is None else state
        return self._states[said]
