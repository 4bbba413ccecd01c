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

from generators.scene import VOCABULARY, phrase

__all__ = ["SceneGrammar", "SceneOnly", "Vocabulary", "full_vocabulary", "token_texts"]

Vocabulary = Mapping[str, Sequence[str]]
"""Part of a scene to the words it may have, in the order of the text form."""

State = tuple[int, str]
"""Which part is being written, and what of its phrase stands there already."""


def full_vocabulary() -> Vocabulary:
    """Return every word of every part."""
    return VOCABULARY


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
class SceneOnly(LogitsProcessor):
    """Allows only what continues a scene; after it, only the end.

    Args:
        grammar: What may be written.
        texts: What every token writes.
        ends: Tokens that end an answer.
        asked: Tokens of the question, which stand before the answer.
    """

    grammar: SceneGrammar
    texts: Sequence[str]
    ends: tuple[int, ...]
    asked: int
    _allowed: dict[State, list[int]] = field(default_factory=dict)
    _states: dict[tuple[int, ...], State] = field(default_factory=dict)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (N x V) with everything else at minus infinity."""
        kept = torch.full_like(scores, float("-inf"))
        for row, ids in enumerate(input_ids[:, self.asked :].tolist()):
            allowed = self.allowed(self._state(tuple(ids)))
            kept[row, allowed] = scores[row, allowed]
        return kept

    def allowed(self, state: State) -> list[int]:
        """Return the tokens that may come next."""
        if state == self.grammar.end:
            return list(self.ends)
        if state not in self._allowed:
            self._allowed[state] = [
                token
                for token, text in enumerate(self.texts)
                if text and self.grammar.advance(state, text) is not None
            ]
        return self._allowed[state]

    def _state(self, said: tuple[int, ...]) -> State:
        """Where an answer has led; each step looks at one token only."""
        if not said or said[-1] in self.ends:
            return self._states.get(said[:-1], (0, "")) if said else (0, "")
        if said not in self._states:
            state = self.grammar.advance(self._state(said[:-1]), self.texts[said[-1]])
            self._states[said] = self.grammar.end if state is None else state
        return self._states[said]
