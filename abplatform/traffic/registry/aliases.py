"""What an experiment's model aliases stand for at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping

from abplatform.domain.experiment import Experiment

__all__ = ["resolve_aliases"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def resolve_aliases(
    experiment: Experiment, aliases: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return the versions that the experiment's aliases stand for now.

    Args:
        experiment: Its variants name checkpoints by alias or by sha256.
        aliases: Kind of model to alias to sha256, as :func:`abplatform.checkpoints.aliases` says.

    Returns:
        ``<kind>/<alias>`` to sha256, for every kind that knows the alias. An alias that nothing
        stands behind yet is left out: before the first training there is no champion.
    """
    names = {
        variant.creatives.checkpoint
        for variant in experiment.variants
        if variant.creatives and variant.creatives.checkpoint
    }
    return {
        f"{kind}/{name}": known[name]
        for kind, known in sorted(aliases.items())
        for name in sorted(names)
        if name in known and not _SHA256.fullmatch(name)
    }
