"""Ordered rules that people wrote: in this context, creatives of such scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import PolicyRule
from abplatform.domain.targeting import Context, targets

__all__ = ["Rules"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The first rule that holds and finds a creative decides; otherwise all are equally likely.

    A rule holds where the request's context is as its ``when`` says. It finds the eligible
    creatives whose scene has, for every name in ``prefer``, one of the words.

    Args:
        rules: In their order.
        creatives: Creative to how it was made.
        name: Of the policy.
        snapshot: None: it rests on nothing that changes.
    """

    rules: Sequence[PolicyRule]
    creatives: Mapping[str, Lineage]
    name: str = "rules"
    snapshot: str | None = None

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return 1/M for each of the M creatives that are preferred, 0 for the others."""
        for rule in self.rules:
            if not targets(rule.when, context):
                continue
            fits = [self._fits(rule, name) for name in eligible]
            if any(fits):
                return tuple(1 / sum(fits) if fit else 0.0 for fit in fits)
        return (1 / len(eligible),) * len(eligible)

    def _fits(self, rule: PolicyRule, creative_id: str) -> bool:
        made = self.creatives.get(creative_id)
        if made is None:
            return False
        return all(made.scene.get(name) in words for name, words in rule.prefer.items())
