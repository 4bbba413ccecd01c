"""The one table of experiment YAML's keys, shared by reader, writer and JSON Schema."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from abplatform.domain.catalog import Category
from abplatform.domain.experiment import (
    Analysis,
    Breakdown,
    CreativeChoice,
    Cuped,
    EventWindows,
    Experiment,
    Guardrail,
    Layer,
    Learning,
    Policy,
    PrimaryMetric,
    RampStep,
    Variant,
    VerdictRules,
)
from abplatform.domain.metrics import METRICS
from abplatform.domain.verdict_rules import parse_rule
from abplatform.errors import SpecError
from abplatform.yaml_text.shapes import (
    Choice,
    Duration,
    Flag,
    Number,
    Parsed,
    Share,
    Text,
)
from abplatform.yaml_text.tables import Field, ListOf, MapOf, Table

__all__ = ["EXPERIMENT", "METRICS_TABLE", "PAIRS", "VARIANT"]

_WORD = Text(
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
_COUNTRY = Text(
    pattern="[A-Z]{2}",
    expects="an ISO 3166 country code",
    remedy="write two capital letters like CN",
    max_length=2,
)
_METRIC = Choice({name: f"{it.numerator} / {it.denominator}" for name, it in METRICS.items()})


def _category(path: str) -> str:
    try:
        return Category(path).path
    except ValueError as error:
        raise SpecError(str(error), code="bad_value", remedy="write it like beauty/lip") from None


def _rule(text: str) -> str:
    return parse_rule(text).text


_RULE = Parsed(
    parse=_rule,
    expects="a rule",
    remedy="write it like `primary.wins and guardrails.hold`",
)

_LAYER = Table(
    make=Layer,
    fields=(
        Field("name", _WORD, "Experiments of one layer never share a unit.", required=True),
        Field("share", Share(open_minimum=True), "How much of the layer this experiment takes."),
    ),
)

_POLICY_LATER = "only uniform choice is built"
_POLICY = Table(
    make=Policy,
    build=lambda **values: values,  # what a variant says overrides what the experiment says
    fields=(
        Field(
            "choose",
            Choice(
                {"uniform": "every eligible creative is equally likely"},
                later=dict.fromkeys(("thompson", "contextual", "recommender"), _POLICY_LATER),
            ),
            "How a variant chooses among its creatives.",
        ),
        Field("floor", Share(), "The least share of traffic that is drawn uniformly."),
        Field("frequency_cap", Text(), "How often one unit sees a creative.", later=_POLICY_LATER),
        Field("hours", Text(), "When creatives are shown.", later=_POLICY_LATER),
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

VARIANT = Table(
    make=Variant,
    build=lambda **values: values,  # the name is the key above; weights may be shared out
    fields=(
        Field("control", Flag(), "Whether the others are compared with it; exactly one is."),
        Field("weight", Number(0, 100), "Percent of units; all weights sum to 100."),
        Field("creatives", _CREATIVES, "Which creatives it shows."),
        Field("policy", _POLICY, "What it does unlike the experiment's policy."),
    ),
)

_TARGETING = Table(
    make=dict,
    fields=(
        Field(
            "category",
            ListOf(Parsed(parse=_category, expects="a category"), min_items=1, unique=True),
            "Categories that take part, with all below them.",
        ),
        Field("country", ListOf(_COUNTRY, min_items=1, unique=True), "Countries that take part."),
        *(
            Field(name, Text(), "A condition.", later="target by category or country")
            for name in ("channel", "placement", "segment")
        ),
    ),
)

_RAMP = ListOf(
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

_WINDOW = Duration(maximum=timedelta(days=90))
_EVENTS = Table(
    make=EventWindows,
    fields=(
        Field("attribution_window", _WINDOW, "From impression to click."),
        Field("conversion_window", _WINDOW, "From click, or first exposure, to conversion."),
        Field("refund_window", _WINDOW, "From conversion to refund."),
        Field("late_data", _WINDOW, "How late an event may arrive before its row is final."),
        Field(
            "bots",
            Choice({"exclude": "flagged units are left out", "include": "they stay in"}),
            "Whether flagged units stay in the scorecard.",
        ),
    ),
)


def _primary(**values: Any) -> PrimaryMetric:
    return PrimaryMetric(**{"direction": METRICS[values["metric"]].direction, **values})


def _split_primary(primary: PrimaryMetric) -> dict[str, Any]:
    values: dict[str, Any] = {"metric": primary.metric}
    if primary.direction != METRICS[primary.metric].direction:
        values["direction"] = primary.direction
    if primary.mde is not None:
        values["mde"] = primary.mde
    return values


METRICS_TABLE = Table(
    make=dict,
    fields=(
        Field(
            "primary",
            Table(
                make=PrimaryMetric,
                build=_primary,
                split=_split_primary,
                shorthand="metric",
                fields=(
                    Field("metric", _METRIC, "The metric that decides.", required=True),
                    Field(
                        "direction",
                        Choice({"increase": "more is better", "decrease": "less is better"}),
                        "What is better; the metric's own sense unless said otherwise.",
                    ),
                    Field(
                        "mde",
                        Share(maximum=10, open_minimum=True),
                        "The smallest relative lift worth having.",
                    ),
                ),
            ),
            "The metric that decides, such as `primary: ctr`.",
            required=True,
        ),
        Field(
            "guardrails",
            ListOf(
                Table(
                    make=Guardrail,
                    fields=(
                        Field("metric", _METRIC, "What must not get worse.", required=True),
                        Field(
                            "non_inferiority_margin",
                            Share(open_minimum=True),
                            "The largest relative loss that is tolerated.",
                        ),
                        Field(
                            "min",
                            Share(minimum=-1e9, maximum=1e9),
                            "The least absolute rate of the treatment.",
                        ),
                    ),
                ),
                max_items=20,
            ),
            "Metrics that must not get worse.",
        ),
    ),
)

_CORRECTION_LATER = "only Benjamini-Hochberg is built"
_BREAKDOWNS = ListOf(
    Table(
        make=Breakdown,
        fields=(
            Field(
                "by",
                Choice(
                    {
                        "category": "the product's category",
                        "segment": "the unit's segment",
                        "channel": "where the creative was shown",
                        "country": "the unit's country",
                        "bots": "flagged units against all others",
                    }
                ),
                "The dimension.",
                required=True,
            ),
            Field("level", Number(1, 10, whole=True), "Depth of the category path; 1 is the top."),
            Field(
                "correction",
                Choice(
                    {"bh": "Benjamini-Hochberg", "none": "every slice on its own"},
                    later=dict.fromkeys(("by", "holm"), _CORRECTION_LATER),
                ),
                "How the p-values of one family are adjusted.",
            ),
            Field("shrink", Flag(), "Whether lifts are also shown shrunk to the overall one."),
        ),
    ),
    max_items=10,
)

_FIELD_NAME = Text(pattern="[A-Za-z_][A-Za-z0-9_]*", expects="the name of an attribute")
_RUNTIME = Duration(minimum=timedelta(hours=1))
_ANALYSIS = Table(
    make=Analysis,
    fields=(
        Field(
            "test",
            Choice(
                {
                    "sequential": "safe to look at every day",
                    "anytime": "safe to look at any moment",
                    "fixed": "one look at the end",
                }
            ),
            "How the primary metric is tested.",
        ),
        Field(
            "alpha",
            Share(maximum=0.5, open_minimum=True),
            "Two-sided error rate of the primary metric.",
        ),
        Field(
            "cuped",
            Table(
                make=Cuped,
                fields=(
                    Field("window", _WINDOW, "How far back own logs are read."),
                    Field("numerator", _FIELD_NAME, "The attribute above the line."),
                    Field("denominator", _FIELD_NAME, "The attribute below the line."),
                ),
            ),
            "Pre-period covariates.",
            later="lifts are not adjusted",
        ),
        Field("min_runtime", _RUNTIME, "No verdict before it."),
        Field("max_runtime", _RUNTIME, "The last look."),
    ),
)

_VERDICT = Table(
    make=VerdictRules,
    fields=(
        Field("ship", _RULE, "When the treatment shall be shipped."),
        Field("reject", _RULE, "When it shall be given up."),
        Field("no_difference", _RULE, "When the two shall be called even."),
    ),
)

PAIRS = Table(
    make=Learning,
    build=lambda **values: values,
    fields=(
        Field(
            "scope",
            ListOf(
                Choice({"product": "of one product", "category": "of one category"}),
                min_items=1,
                unique=True,
            ),
            "Which creatives may be compared with each other.",
        ),
        Field("min_p_win", Share(minimum=0.5), "Pairs that are less certain are left out."),
    ),
)


def _split_learning(learning: Learning) -> dict[str, Any]:
    values: dict[str, Any] = {"pairs": learning, "retrain": learning.retrain}
    return {
        name: value
        for name, value in values.items()
        if (PAIRS.write(learning) if name == "pairs" else value != Learning().retrain)
    }


_LEARNING = Table(
    make=Learning,
    build=lambda **values: Learning(**values.pop("pairs", {}), **values),
    split=_split_learning,
    fields=(
        Field("pairs", PAIRS, "Which preference pairs are made."),
        Field(
            "retrain",
            Choice({"weekly": "with every turn of the loop", "never": "not at all"}),
            "When the reward model learns from it.",
        ),
    ),
)

EXPERIMENT = Table(
    make=Experiment,
    build=lambda **values: values,
    fields=(
        Field("key", _WORD, "The experiment's name, unique in the workspace.", required=True),
        Field("owner", Text(), "The team that answers for it."),
        Field("hypothesis", Text(max_length=2000), "One sentence that can turn out false."),
        Field("layer", _LAYER, "Where it runs; a private layer unless said otherwise."),
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
        Field("targeting", _TARGETING, "Who takes part; everyone unless said otherwise."),
        Field("policy", _POLICY, "How every variant chooses among its creatives."),
        Field(
            "approval",
            Choice({"rules": "the inspector's rules", "human": "a person"}),
            "Who lets creatives into traffic.",
        ),
        Field(
            "variants",
            MapOf(_NAME, VARIANT, min_items=2, max_items=50),
            "What is compared: at least two variants, exactly one with `control: true`.",
            required=True,
        ),
        Field("ramp", _RAMP, "Steps of traffic; the last one stays."),
        Field("events", _EVENTS, "Until when events count."),
        Field("metrics", METRICS_TABLE, "What is measured.", required=True),
        Field("breakdowns", _BREAKDOWNS, "Cuts of the scorecard, one lift per slice."),
        Field("analysis", _ANALYSIS, "How the primary metric is tested."),
        Field("verdict", _VERDICT, "When to ship, reject or call it even."),
        Field("learning", _LEARNING, "What the experiment teaches once it has ended."),
    ),
)
"""The whole file; reading gives the keys' values, the reader makes an Experiment of them."""
