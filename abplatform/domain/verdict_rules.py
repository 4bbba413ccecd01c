"""The verdict grammar: ``and or not ( )`` over five facts, parsed by hand, never evaluated.

rule    = term { "or" term }
term    = factor { "and" factor }
factor  = "not" factor | "(" rule ")" | fact
fact    = "primary.wins" | "primary.loses" | "primary.within_mde"
        | "guardrails.hold" | "guardrails.harmed"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from abplatform.errors import SpecError
from abplatform.yaml_text import nearest

__all__ = ["FACTS", "Rule", "parse_rule"]

FACTS: Mapping[str, str] = {
    "primary.wins": "the test of the primary metric rejects in its direction",
    "primary.loses": "the test of the primary metric rejects against its direction",
    "primary.within_mde": "the primary metric's interval lies within ± mde",
    "guardrails.hold": "every guardrail is shown to hold",
    "guardrails.harmed": "at least one guardrail is shown to be harmed",
}
"""What a rule may ask for."""

MAX_LENGTH = 500
MAX_DEPTH = 32

Facts = Mapping[str, bool]

_TOKEN = re.compile(r"\s*([()]|[A-Za-z_][A-Za-z0-9_.]*|\S)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A parsed rule.

    Args:
        text: As it was written.
        facts: The facts it asks for.
        holds: Tells whether it holds, given every one of those facts; KeyError if one is missing.
    """

    text: str
    facts: frozenset[str]
    holds: Callable[[Facts], bool] = field(compare=False, repr=False)


def parse_rule(text: str) -> Rule:
    """Parse a rule such as ``primary.wins and guardrails.hold``.

    Raises:
        SpecError: It breaks the grammar; the message says at which character.
    """
    if len(text) > MAX_LENGTH:
        raise SpecError(
            f"a rule of {len(text)} characters is longer than {MAX_LENGTH}",
            code="bad_rule",
            remedy="shorten it",
        )
    parser = _Parser(text)
    holds = parser.rule(depth=0)
    parser.expect_end()
    return Rule(text, frozenset(parser.facts), holds)


class _Parser:
    """Recursive descent over the tokens of one rule."""

    def __init__(self, text: str) -> None:
        self._tokens = [(match[1], match.start(1) + 1) for match in _TOKEN.finditer(text)]
        self._end = len(text) + 1
        self._next = 0
        self.facts: set[str] = set()

    def rule(self, *, depth: int) -> Callable[[Facts], bool]:
        terms = [self._term(depth=depth)]
        while self._take("or"):
            terms.append(self._term(depth=depth))
        return terms[0] if len(terms) == 1 else lambda facts: any(term(facts) for term in terms)

    def expect_end(self) -> None:
        word, _ = self._peek()
        if word == ")":
            raise self._refuse("this ) closes nothing", "delete it")
        if word:
            raise self._refuse(f"'and' or 'or' is missing before '{word}'", "join the two")

    def _term(self, *, depth: int) -> Callable[[Facts], bool]:
        factors = [self._factor(depth=depth)]
        while self._take("and"):
            factors.append(self._factor(depth=depth))
        if len(factors) == 1:
            return factors[0]
        return lambda facts: all(factor(facts) for factor in factors)

    def _factor(self, *, depth: int) -> Callable[[Facts], bool]:
        if depth > MAX_DEPTH:
            raise self._refuse(f"nested deeper than {MAX_DEPTH}", "simplify the rule")
        if self._take("not"):
            inner = self._factor(depth=depth + 1)
            return lambda facts: not inner(facts)
        if self._take("("):
            inner = self.rule(depth=depth + 1)
            if not self._take(")"):
                raise self._refuse("a ) is missing", "close the bracket")
            return inner
        return self._fact()

    def _fact(self) -> Callable[[Facts], bool]:
        word, _ = self._peek()
        if word not in FACTS:
            meant = nearest(word, FACTS)
            found = f"'{word}' is no fact" if word else "the rule ends too early"
            known = f"the facts are: {', '.join(FACTS)}"
            raise self._refuse(found, f"perhaps you meant '{meant}'; {known}" if meant else known)
        self._next += 1
        self.facts.add(word)
        return lambda facts: facts[word]

    def _peek(self) -> tuple[str, int]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("", self._end)

    def _take(self, word: str) -> bool:
        taken = self._peek()[0] == word
        self._next += taken
        return taken

    def _refuse(self, problem: str, remedy: str) -> SpecError:
        return SpecError(
            f"{problem} (at character {self._peek()[1]} of the rule)",
            code="bad_rule",
            remedy=remedy,
        )
