"""Keys that say what is measured and concluded: events, metrics, analysis, verdict, learning."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from abplatform.domain.experiment import (
    Analysis,
    Breakdown,
    Cuped,
    EventWindows,
    Guardrail,
    Learning,
    PrimaryMetric,
    VerdictRules,
)
from abplatform.domain.metrics import METRICS
from abplatform.domain.verdict_rules import parse_rule
from abplatform.yaml_text.lists import ListOf
from abplatform.yaml_text.quantities import Duration, Number, Share
from abplatform.yaml_text.shapes import Choice, Flag, Parsed, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["ANALYSIS", "BREAKDOWNS", "EVENTS", "LEARNING", "MEASURES", "VERDICT"]

_METRIC = Choice({name: f"{it.numerator} / {it.denominator}" for name, it in METRICS.items()})


def _rule(text: str) -> str:
    return parse_rule(text).text


_RULE = Parsed(
    parse=_rule,
    expects="a rule",
    remedy="write it like `primary.wins and guardrails.hold`",
)

_WINDOW = Duration(maximum=timedelta(days=90))
EVENTS = Table(
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


MEASURES = Table(
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

BREAKDOWNS = ListOf(
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
                    {
                        "bh": "Benjamini-Hochberg",
                        "by": "Benjamini-Yekutieli",
                        "holm": "Holm",
                        "none": "every slice on its own",
                    }
                ),
                "How the p-values of one family are adjusted.",
            ),
            Field("shrink", Flag(), "Whether lifts are also shown shrunk to the overall one."),
        ),
    ),
    max_items=10,
)

_FIELD_NAME = Text(pattern="[A-Za-z_][A-Za-z0-9_]*", expects="the name of an attribute")
_HISTORY = Duration(minimum=timedelta(hours=1), maximum=timedelta(days=90))
_RUNTIME = Duration(minimum=timedelta(hours=1))
ANALYSIS = Table(
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
                    Field("window", _HISTORY, "How far back own logs are read."),
                    Field("numerator", _FIELD_NAME, "The attribute above the line."),
                    Field("denominator", _FIELD_NAME, "The attribute below the line."),
                ),
            ),
            "Pre-period covariates that take noise out of the primary metric: a window of own "
            "logs, or attributes of the first exposure.",
        ),
        Field("min_runtime", _RUNTIME, "No verdict before it."),
        Field("max_runtime", _RUNTIME, "The last look."),
    ),
)

VERDICT = Table(
    make=VerdictRules,
    fields=(
        Field("ship", _RULE, "When the treatment shall be shipped."),
        Field("reject", _RULE, "When it shall be given up."),
        Field("no_difference", _RULE, "When the two shall be called even."),
    ),
)

_PAIRS = Table(
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
        if (_PAIRS.write(learning) if name == "pairs" else value != Learning().retrain)
    }


LEARNING = Table(
    make=Learning,
    build=lambda **values: Learning(**values.pop("pairs", {}), **values),
    split=_split_learning,
    fields=(
        Field("pairs", _PAIRS, "Which preference pairs are made."),
        Field(
            "retrain",
            Choice({"weekly": "with every turn of the loop", "never": "not at all"}),
            "When the reward model learns from it.",
        ),
    ),
)
