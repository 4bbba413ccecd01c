"""Keys that say who sees what: layer, variants, policy, targeting, ramp."""

from __future__ import annotations

from typing import Any

from abplatform.domain.experiment import (
    CreativeChoice,
    Layer,
    RampStep,
    Variant,
)
from abplatform.domain.spec.policy import POLICY
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.quantities import Duration, Number, Share
from abplatform.yaml_text.shapes import Choice, Flag, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["FORCED", "LAYER", "RAMP", "VARIANTS", "WORD"]

WORD = Text(
    pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    expects="a name of letters, digits, dots, hyphens and underscores",
    remedy='write it like beauty-generated-2026w48, a number in quotes: "2026"',
    max_length=100,
)
_NAME = Text(
    pattern=r"[^\s/\\][^\t\n\r/\\]*",
    expects="a name on one line without slashes",
    remedy='write it like generated, a number in quotes: "1"',
    max_length=100,
)
LAYER = Table(
    make=Layer,
    fields=(
        Field("name", WORD, "Experiments of one layer never share a unit.", required=True),
        Field("share", Share(open_minimum=True), "How much of the layer this experiment takes."),
    ),
)


def _creatives(**values: Any) -> CreativeChoice:
    generator = "caig" if values["source"] == "generated" else None
    return CreativeChoice(**{"generator": generator, **values})


_CREATIVES = Table(
    make=CreativeChoice,
    build=_creatives,
    fields=(
        Field(
            "source",
            Choice({"baseline": "plain studio pictures", "generated": "drawn by a generator"}),
            "Where the variant's creatives come from.",
            required=True,
        ),
        Field(
            "generator",
            Choice({"caig": "click-driven ad image generation"}),
            "What draws them; `caig` unless said otherwise.",
        ),
        Field(
            "checkpoint",
            Text(
                pattern="(champion|challenger|previous|[0-9a-f]{64})",
                expects="champion, challenger, previous or a sha256",
                remedy="write champion, or the 64 hex digits of a checkpoint",
            ),
            "The model version; an alias is resolved when the experiment starts.",
        ),
        Field("per_product", Number(1, 100, whole=True), "How many creatives a product gets."),
        Field(
            "follow",
            Choice({"champion": "a promotion opens a new phase"}),
            "Whether a later promotion opens a new phase.",
            later="the checkpoint stays as resolved at start",
        ),
    ),
)

_VARIANT = Table(
    make=Variant,
    build=lambda **values: values,  # the name is the key above; weights may be shared out
    fields=(
        Field("control", Flag(), "Whether the others are compared with it; exactly one is."),
        Field("weight", Number(0, 100), "Percent of units; all weights sum to 100."),
        Field("creatives", _CREATIVES, "Which creatives it shows."),
        Field("policy", POLICY, "What it does unlike the experiment's policy."),
    ),
)

_UNIT = Text(pattern=r"[^\n\r]+", expects="a unit's id", max_length=1024)
FORCED = MapOf(_NAME, ListOf(_UNIT, min_items=1, unique=True))

RAMP = ListOf(
    Table(
        make=RampStep,
        fields=(
            Field(
                "traffic",
                Share(open_minimum=True),
                "Share of the experiment's units that are exposed.",
                required=True,
            ),
            Field("hold", Duration(), "How long the step lasts at least."),
            Field(
                "gate",
                ListOf(
                    Choice({"srm": "the split is as planned", "guardrails": "none is harmed"}),
                    unique=True,
                ),
                "What must be in order before the next step.",
            ),
        ),
    ),
    min_items=1,
    max_items=20,
)


VARIANTS = MapOf(_NAME, _VARIANT, min_items=2, max_items=50)
