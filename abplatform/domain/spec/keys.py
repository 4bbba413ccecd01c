"""The one table of experiment YAML's keys, shared by reader, writer and JSON Schema."""

from __future__ import annotations

from abplatform.domain.experiment import (
    Experiment,
)
from abplatform.domain.spec.allocation import FORCED, LAYER, RAMP, VARIANTS, WORD
from abplatform.domain.spec.approval import APPROVAL
from abplatform.domain.spec.measurement import (
    ANALYSIS,
    BREAKDOWNS,
    EVENTS,
    LEARNING,
    MEASURES,
    VERDICT,
)
from abplatform.domain.spec.policy import POLICY
from abplatform.domain.spec.targeting import TARGETING
from abplatform.yaml_text.shapes import Choice, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["EXPERIMENT"]

EXPERIMENT = Table(
    make=Experiment,
    build=lambda **values: values,
    fields=(
        Field("key", WORD, "The experiment's name, unique in the workspace.", required=True),
        Field("owner", Text(), "The team that answers for it."),
        Field("hypothesis", Text(max_length=2000), "One sentence that can turn out false."),
        Field("layer", LAYER, "Where it runs; a private layer unless said otherwise."),
        Field(
            "unit",
            Choice(
                {
                    "user_id": "a person",
                    "request_id": "a page view",
                    "product_id": "a product",
                }
            ),
            "What is randomised and analysed.",
        ),
        Field(
            "assignment",
            Choice({"platform": "by salted hash", "external": "the log says who saw what"}),
            "Who decides which unit gets which variant.",
        ),
        Field("targeting", TARGETING, "Who takes part; everyone unless said otherwise."),
        Field("policy", POLICY, "How every variant chooses among its creatives."),
        Field("approval", APPROVAL, "Who lets creatives into traffic: rules, or a person."),
        Field(
            "variants",
            VARIANTS,
            "What is compared: at least two variants, exactly one with `control: true`.",
            required=True,
        ),
        Field(
            "forced",
            FORCED,
            "Variant to units that always get it, for looking at it; they are not compared.",
        ),
        Field("ramp", RAMP, "Steps of traffic; the last one stays."),
        Field("events", EVENTS, "Until when events count."),
        Field("metrics", MEASURES, "What is measured.", required=True),
        Field("breakdowns", BREAKDOWNS, "Cuts of the scorecard, one lift per slice."),
        Field("analysis", ANALYSIS, "How the primary metric is tested."),
        Field("verdict", VERDICT, "When to ship, reject or call it even."),
        Field("learning", LEARNING, "What the experiment teaches once it has ended."),
    ),
)
"""The whole file; reading gives the keys' values, the reader makes an Experiment of them."""
