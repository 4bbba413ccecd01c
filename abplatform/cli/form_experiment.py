"""The experiment that asks whether a model's small form is good enough, as YAML to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from abplatform.domain.spec import parse_experiment

__all__ = ["describe_experiment"]

_TEMPLATE: Final = """\
# yaml-language-server: $schema=./experiment.schema.json
#
# Do creatives that a reward model's small form screened get as many clicks as those that the model
# itself screened? Both models lie in this workspace's checkpoints. Plan it with
#
#   abp power {key} --rate 2% --units-per-day 600000
#
# (or without the two options, from the workspace's own log), fill in what is marked, then
# `abp validate` and `abp start {key}`. A margin of 1 % needs about 330,000 clicks in all: where
# there are fewer, widen both the margin and the mde before the start, never after it.
# Once it has shipped, `abp reward promote {short}` makes the small form the champion.

key: {key}
owner: growth                          # fill in: who answers for it
hypothesis: Creatives that the small form screened get at most 1 % fewer clicks.

# targeting: {{country: [SG]}}           # fill in, or leave out to admit everyone

# Variants differ in nothing but the model that screens. Each draws pictures of its own, as a
# product's pictures do not repeat each other.
variants:
  full:
    control: true
    weight: 50
    creatives:
      source: generated
      generator: caig
      checkpoint: {full}
      per_product: 4                   # fill in: as many as you show otherwise
  small:
    weight: 50
    creatives:
      source: generated
      generator: caig
      checkpoint: {small}
      per_product: 4                   # the same number

metrics:
  primary: {{metric: ctr, mde: 1%}}      # for planning: who can find 1 % can prove the margin, too
  guardrails:
    - {{metric: ctr, non_inferiority_margin: 1%}}   # what decides: 1 % fewer clicks at most

analysis:
  test: fixed                          # one look, so that the margin is asked about once
  max_runtime: 28d                     # fill in: as long as `abp power` says

verdict:
  ship: guardrails.hold and not primary.loses
  reject: primary.loses or guardrails.harmed
  no_difference: primary.within_mde
"""


def describe_experiment(full: str, small: str, *, path: Path) -> str:
    """Return the experiment's YAML, which `abp validate` finds in order.

    Args:
        full: The sha256 of the model as it is, which screens the control's creatives.
        small: That of the small form.
        path: Where it will be written, for messages.
    """
    key = f"small-reward-{small[:8]}"
    text = _TEMPLATE.format(key=key, full=full, small=small, short=small[:12])
    parse_experiment(text, path=path)
    return text
