"""What the demo writes before its first week: settings, drawn products and editable YAML."""

from __future__ import annotations

import json
from pathlib import Path

from abplatform.domain.spec import experiment_schema
from abplatform.workspace import SETTINGS_FILE

__all__ = ["CREATIVES", "NEXT_WEEK", "NULL", "SHOP", "WEEKS", "demo_keys", "write_world"]

WEEKS = ("2026-W36", "2026-W37")
"""The simulated weeks."""

NEXT_WEEK = "2026-W38"
"""The week that the demo leaves for its reader to run."""

CREATIVES, SHOP, NULL = "creatives", "badge", "nothing"

_SETTINGS = """\
# The demo's workspace. Everything has a default; see docs/architecture.md.
time_zone: UTC
currency: USD
"""

_CREATIVES = """\
# yaml-language-server: $schema=./experiment.schema.json
# Do people click more when a product stands in a generated scene?
key: {key}
owner: growth
hypothesis: Generated scenes raise CTR over plain studio pictures by at least 3 %.
layer: {{name: feed-creative}}        # experiments of one layer never share a user
unit: user_id                       # randomised by user, analysed by user
variants:
  baseline:
    control: true
    weight: 50
    creatives: {{source: baseline}}
  generated:
    weight: 50
    creatives: {{source: generated, generator: caig, checkpoint: champion, per_product: {n}}}
metrics:
  primary: {{metric: ctr, direction: increase, mde: 3%}}
breakdowns: [{{by: category, level: 1, correction: bh}}]
analysis: {{min_runtime: 3d, max_runtime: 7d}}   # a look a day from the third on
verdict:
  ship: primary.wins and guardrails.hold
  reject: primary.loses
  no_difference: primary.within_mde
learning: {{pairs: {{scope: [product, category], min_p_win: 0.5}}, retrain: weekly}}
"""

_WATCHER = """\
# yaml-language-server: $schema=./experiment.schema.json
# {comment}
key: {key}
owner: {owner}
hypothesis: {hypothesis}
layer: {{name: {layer}}}               # another layer: the same users, drawn independently
unit: user_id
variants:
  {control}: {{control: true, weight: 50}}
  {treatment}: {{weight: 50}}
metrics:
  primary: {{metric: ctr, direction: increase, mde: 5%}}
breakdowns: [{{by: category, level: 1, correction: bh}}]
analysis: {{min_runtime: 3d, max_runtime: 7d}}
learning: {{retrain: never}}
"""


def demo_keys(week: str) -> dict[str, str]:
    """Return the keys of a week's experiments by what they are about."""
    part = week.lower().replace("-", "")
    return {
        CREATIVES: f"generated-scenes-{part}",
        SHOP: f"delivery-badge-{part}",
        NULL: f"nothing-changes-{part}",
    }


def write_world(root: Path, *, products: int, per_product: int, seed: int) -> list[str]:
    """Write the demo's workspace; what is there already stays as it is.

    Args:
        root: The workspace's folder.
        products: How many products are drawn.
        per_product: How many generated creatives each gets a week.
        seed: What the products are drawn from.

    Returns:
        What was written, relative to the folder.
    """
    texts = {SETTINGS_FILE: _SETTINGS}
    texts["experiments/experiment.schema.json"] = json.dumps(experiment_schema(), indent=2) + "\n"
    for week in (*WEEKS, NEXT_WEEK):
        keys = demo_keys(week)
        texts[f"experiments/{keys[CREATIVES]}.yaml"] = _CREATIVES.format(
            key=keys[CREATIVES], n=per_product
        )
        if week != NEXT_WEEK:
            texts |= {
                f"experiments/{keys[name]}.yaml": _watcher(name, keys) for name in (SHOP, NULL)
            }
    written = [name for name, text in texts.items() if _write_new(root / name, text)]
    if not (root / "catalog" / "products.csv").is_file():
        from generators.drawn import draw_catalogue

        draw_catalogue(root / "catalog", products=products, seed=seed)
        written.append("catalog/products.csv")
    return written


def _watcher(name: str, keys: dict[str, str]) -> str:
    if name == SHOP:
        return _WATCHER.format(
            key=keys[SHOP],
            comment="A badge elsewhere on the page. Its log is broken in the first week: see SRM.",
            owner="growth-shop",
            hypothesis="A free-delivery badge on the page raises CTR of the feed.",
            layer="page-badge",
            control="without",
            treatment="with_badge",
        )
    return _WATCHER.format(
        key=keys[NULL],
        comment="Nothing differs between its variants: whatever it finds is luck.",
        owner="growth-platform",
        hypothesis="Nothing changes, so nothing is found.",
        layer="nothing",
        control="a",
        treatment="also_a",
    )


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless it is there, perhaps edited."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True
