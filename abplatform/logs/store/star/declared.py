"""The star for BI tools: every exported table, column, type, unit, meaning and join, said once.

``docs/tables.md`` is made from it, and what ``abp export tables`` writes has exactly these columns.
Keys are the words that people use (an experiment's key, a category's path, a day); there are no
surrogate numbers, so a key means the same in every export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

__all__ = ["ALL", "STAR", "Column", "Table"]

ALL: Final = "all"
"""Stands in a key where nothing is cut: a key without a value joins with nothing."""

_TYPES: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an exported table.

    Args:
        name: Its name; the same name means the same in every table.
        type: ``text``, ``integer``, ``number`` (double), ``boolean``, ``date`` or ``time`` (UTC).
        meaning: What it holds, and when it is null.
        unit: What a number counts; empty for what is no number.
        joins: The dimension's table that has this column as its key, or an empty string.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    joins: str = ""

    @property
    def dtype(self) -> pl.DataType:
        """The type in Parquet."""
        return _TYPES[self.type]


@dataclass(frozen=True, slots=True)
class Table:
    """An exported table.

    Args:
        name: Its name and its file's.
        kind: A dimension says what something is, a fact what was counted.
        grain: What one row is.
        key: The columns that tell rows apart; none of them is null.
        columns: In their order.
    """

    name: str
    kind: Literal["dimension", "fact"]
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pl.Schema:
        """Column names and types."""
        return pl.Schema({column.name: column.dtype for column in self.columns})


_EXPERIMENT: Final = Column("experiment", "text", "The experiment's key.", joins="experiments")
_VARIANT: Final = Column("variant", "text", "The variant, one of its experiment.", joins="variants")
_DAY: Final = Column("day", "date", "The day in the workspace's time zone.", joins="days")
_PATH: Final = Column("category", "text", "The category's path, `beauty/lip`.", joins="categories")
_PRODUCT: Final = Column("product_id", "text", "The product.", joins="products")
_SOURCE: Final = Column("source", "text", "Where the log comes from.", joins="sources")


def _counts(unit: str, **meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, "integer", meaning, unit) for name, meaning in meanings.items())


def _numbers(unit: str, **meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, "number", meaning, unit) for name, meaning in meanings.items())


def _texts(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, "text", meaning) for name, meaning in meanings.items())


def _times(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, "time", meaning) for name, meaning in meanings.items())


_TRAFFIC: Final = _counts(
    "impressions",
    impressions="Shown creatives that count in the scorecard.",
    clicks="Impressions that were clicked within the attribution window.",
) + _counts("conversions", conversions="Purchases, bookings, leads; refunds are none.")

_DIMENSIONS: Final = (
    Table(
        "experiments",
        "dimension",
        "experiment",
        ("experiment",),
        (
            Column("experiment", "text", "The key in its YAML."),
            *_texts(
                owner="Who answers for it.",
                hypothesis="What is expected, in the team's words.",
                state="`draft`, `running`, `paused` or `stopped`.",
            ),
            *_times(
                started_at="When it began; null for a draft or a log assigned elsewhere.",
                ended_at="When it was stopped; null while it goes on.",
            ),
            *_texts(
                layer="The layer that it shares traffic in; null if assigned elsewhere.",
                unit="What is randomised: `user_id`, `request_id` or `product_id`.",
                assignment="`platform`, or `external` if units were assigned elsewhere.",
                primary_metric="The metric that decides.",
                primary_direction="`increase` or `decrease`.",
                control="The variant that the others are compared with.",
                spec_sha256="The YAML's bytes at the start; null where there is none.",
                verdict="`ship`, `reject`, `no_difference`, `continue` or `invalid`; null if none.",
            ),
        ),
    ),
    Table(
        "variants",
        "dimension",
        "variant of an experiment",
        ("experiment", "variant"),
        (
            _EXPERIMENT,
            Column("variant", "text", "The variant's name."),
            *_counts("", position="Its place in the YAML, from 1."),
            Column("is_control", "boolean", "Whether the others are compared with it."),
        ),
    ),
    Table(
        "categories",
        "dimension",
        "category that occurs in a fact",
        ("category",),
        (
            Column("category", "text", "The path, such as `beauty/lip`."),
            *_texts(
                name="Its last part, `lip`.",
                parent="The path above it; null at the top.",
                top="Its first part, `beauty`.",
            ),
            *_counts("levels", depth="How many parts the path has."),
        ),
    ),
    Table(
        "products",
        "dimension",
        "product that occurs in a fact",
        ("product_id",),
        (
            Column("product_id", "text", "The product's id in the catalogue or the log."),
            Column("title", "text", "Its title; null where no catalogue has it."),
            _PATH,
        ),
    ),
    Table(
        "creatives",
        "dimension",
        "creative that was shown",
        ("creative_id",),
        (
            Column("creative_id", "text", "Sha256 of the master, or the log's own id."),
            Column("product_id", "text", "Its product; null if shown for several.", "", "products"),
            *_texts(
                source_kind="`baseline` or `generated`; null where nobody says.",
                review="What a person decided about it; null if nobody did.",
                picture="The master's path within the workspace; null without one.",
                lineage="JSON: how it was made; null where that is not known.",
            ),
        ),
    ),
    Table(
        "days",
        "dimension",
        "day from the first to the last that occurs in a fact",
        ("day",),
        (
            Column("day", "date", "The day in the workspace's time zone."),
            *_texts(
                week="ISO week, `2026-W48`.",
                month="`2026-11`.",
                weekday="`Monday` to `Sunday`.",
            ),
            *_counts("", weekday_number="1 for Monday to 7 for Sunday.", year="The year."),
            Column("is_weekend", "boolean", "Saturday or Sunday."),
        ),
    ),
    Table(
        "sources",
        "dimension",
        "source of logs",
        ("source",),
        (
            Column("source", "text", "Its name."),
            *_times(watermark="Up to when it has been read; null before that."),
            *_counts("segments", segments="Files and sealed stretches loaded from it."),
        ),
    ),
    Table(
        "models",
        "dimension",
        "version of a model",
        ("model",),
        (
            Column("model", "text", "Sha256 of its content."),
            *_texts(
                kind="`reward` or `generator`.",
                aliases="What points to it now, such as `champion`; one a line.",
            ),
            *_times(created_at="When it was made."),
            *_texts(
                week="The ISO week whose pairs it learned from; null if none.",
                decision="Whether the gates let it pass; null if it met none.",
                reasons="Why; one a line.",
                metrics="JSON: what its evaluation found.",
            ),
        ),
    ),
)

_LIFTS: Final = Table(
    "lifts",
    "fact",
    "comparison of a treatment with the control in one metric and slice",
    ("experiment", "metric", "breakdown", "level", "treatment"),
    (
        _EXPERIMENT,
        *_texts(
            metric="`ctr`, `cvr`, `rpm` …",
            breakdown=f"What is cut: `category`, `segment` …; `{ALL}` for everything together.",
            level=f"The slice: a category's path, a segment …; `{ALL}` for everything together.",
        ),
        Column("category", "text", "`level` of a cut by category, else null.", "", "categories"),
        Column("control", "text", "The control's name.", "", "variants"),
        Column("treatment", "text", "The variant compared with it.", "", "variants"),
        *_counts(
            "units",
            units_control="Units of the control in the slice.",
            units_treatment="Units of the treatment in the slice.",
        ),
        *_counts(
            "the metric's",
            n_control="Denominator of the control.",
            n_treatment="Denominator of the treatment.",
            k_control="Numerator of the control.",
            k_treatment="Numerator of the treatment.",
        ),
        *_numbers(
            "the metric's",
            rate_control="Rate of the control, k / n; for rpm times 1,000.",
            rate_treatment="Rate of the treatment.",
            absolute_lift="Difference of the rates.",
            se_absolute="Its standard error, by unit.",
        ),
        *_numbers(
            "share",
            relative_lift="Difference as a share of the control's rate; 0.03 is 3 %.",
            ci_low="Lower end of its 95 % interval at one look.",
            ci_high="Upper end.",
        ),
        *_numbers(
            "",
            p_value="Two-sided, by unit, at one look.",
            log10_p="Its logarithm; exact also where p underflows.",
            p_adjusted="Corrected for the family of categories, at the decision look.",
        ),
        *_numbers(
            "share",
            sequential_low="Lower end of the repeated interval.",
            sequential_high="Upper end.",
        ),
        *_numbers("", sequential_p="P-value that allows for the looks taken."),
        *_counts("", look="Number of the look, from 1."),
        *_numbers(
            "",
            information_fraction="Share of the planned information that is in.",
            boundary="Bound of |z| at this look.",
            alpha_spent="Error probability spent so far.",
        ),
        *_times(decided_at="When the plan decided; null while it has not."),
        *_numbers(
            "share",
            anytime_low="Lower end of the confidence sequence.",
            anytime_high="Upper end.",
        ),
        *_numbers(
            "",
            anytime_p="P-value that is valid whenever one looks.",
            e_value="Evidence against no difference.",
        ),
        *_numbers(
            "share",
            shrunken_lift="The lift pulled towards the overall one, as far as luck explains it.",
            shrunken_low="Lower end of its 95 % interval.",
            shrunken_high="Upper end.",
        ),
        *_numbers(
            "",
            p_better="Posterior probability that the treatment is better.",
            design_effect="Variance by unit over variance of independent impressions.",
        ),
        *_numbers(
            "share",
            low_shown="Lower end of the interval that pages show: that of the plan.",
            high_shown="Upper end.",
        ),
        *_numbers("", p_shown="The p-value that pages show: that of the plan."),
        Column("significant", "boolean", "Whether the YAML's test rejects."),
        Column("undetermined", "text", "Why a number cannot be computed; null if it can."),
    ),
)

_FACTS: Final = (
    _LIFTS,
    Table(
        "scorecards",
        "fact",
        "experiment that has been analysed, as of its last analysis",
        ("experiment",),
        (
            _EXPERIMENT,
            *_times(as_of="Up to when events count."),
            *_texts(
                data_version="What was loaded.",
                status="`final`, or `provisional` while late events may still come.",
            ),
            *_counts("units", units="Distinct units that count."),
            *_texts(
                verdict="`ship`, `reject`, `no_difference`, `continue` or `invalid`.",
                sentence="The verdict in a sentence.",
                reasons="Its reasons; one a line.",
                srm_verdict="Sample ratio: `ok`, `alarm` or `unavailable`.",
            ),
            *_numbers("", srm_p_value="Sample ratio: p-value; null where no weights apply."),
            Column("warnings", "text", "`code: sentence`; one a line."),
        ),
    ),
    Table(
        "looks",
        "fact",
        "look at a treatment that was taken",
        ("experiment", "treatment", "look"),
        (
            _EXPERIMENT,
            Column("treatment", "text", "The variant looked at.", "", "variants"),
            *_counts("", look="Number of the look, from 1."),
            _DAY,
            *_numbers(
                "",
                information_fraction="Share of the planned information that was in.",
                z="The test statistic.",
                boundary="Bound of |z|; null while it is infinite.",
                alpha_spent="Error probability spent up to then.",
            ),
            *_numbers(
                "share",
                relative_lift="The lift of the primary metric.",
                sequential_low="Lower end of the repeated interval.",
                sequential_high="Upper end.",
                anytime_low="Lower end of the confidence sequence.",
                anytime_high="Upper end.",
            ),
            *_numbers("", sequential_p="P-value that allows for the looks."),
            Column("crossed", "boolean", "Whether the plan decided here."),
            Column("last", "boolean", "Whether it was the last look planned."),
            Column("undetermined", "text", "Why there is no number; null if there is."),
        ),
    ),
    Table(
        "daily",
        "fact",
        "variant and day, all categories together",
        ("experiment", "variant", "day"),
        (
            _EXPERIMENT,
            _VARIANT,
            _DAY,
            *_counts("units", units="Distinct units of the day; null for reports without units."),
            *_TRAFFIC,
        ),
    ),
    Table(
        "daily_categories",
        "fact",
        "variant, day and category",
        ("experiment", "variant", "day", "category"),
        (
            _EXPERIMENT,
            _VARIANT,
            _DAY,
            _PATH,
            *_counts("units", units="Distinct units of day and category; they don't add up."),
            *_TRAFFIC,
        ),
    ),
    Table(
        "creative_totals",
        "fact",
        "creative shown for a product by a variant",
        ("experiment", "variant", "product_id", "creative_id"),
        (
            _EXPERIMENT,
            _VARIANT,
            _PRODUCT,
            Column("creative_id", "text", "The creative.", "", "creatives"),
            _PATH,
            *_TRAFFIC[:2],
            *_counts("units", units="Distinct units that saw it."),
            *_numbers(
                "share",
                ctr="Clicks over impressions.",
                ctr_low="Lower end of its 95 % interval, by unit; null with few clicks.",
                ctr_high="Upper end.",
            ),
            *_numbers("", predicted="The reward model's score before it ran; null if none."),
        ),
    ),
    Table(
        "pairs",
        "fact",
        "two creatives of one product compared",
        ("pair_id",),
        (
            Column("pair_id", "text", "The pair's id."),
            _EXPERIMENT,
            Column("week", "text", "ISO week of the pair."),
            _PRODUCT,
            _PATH,
            Column("chosen_creative", "text", "The one with the higher rate.", "", "creatives"),
            Column("rejected_creative", "text", "The other one.", "", "creatives"),
            *_numbers(
                "",
                p_win="Posterior probability that the chosen one's rate is the higher.",
                weight="What the pair weighs in training.",
            ),
            *_counts(
                "impressions",
                impressions_chosen="Of the chosen one.",
                clicks_chosen="Clicked impressions of the chosen one.",
                impressions_rejected="Of the rejected one.",
                clicks_rejected="Clicked impressions of the rejected one.",
            ),
            Column("warning", "text", "What to know before trusting it; null if nothing."),
        ),
    ),
    Table(
        "health",
        "fact",
        "source; received = accepted + quarantined + duplicate + superseded + forgotten",
        ("source",),
        (
            _SOURCE,
            *_counts(
                "events",
                received="All deliveries.",
                accepted="In the store.",
                quarantined="Refused, each with one reason.",
                duplicate="Delivered before.",
                superseded="Replaced by a later report.",
                forgotten="Erased on request.",
            ),
        ),
    ),
    Table(
        "rejects",
        "fact",
        "source and reason for quarantine",
        ("source", "reason"),
        (
            _SOURCE,
            Column("reason", "text", "A stable word."),
            *_counts("events", events="Events refused for it."),
        ),
    ),
    Table(
        "audit",
        "fact",
        "decision of a person or of the loop, as the journal has it",
        ("sequence",),
        (
            *_counts("", sequence="Its number in the journal."),
            *_times(at="When it took effect."),
            *_texts(who="Who decided.", action="`start`, `ramp`, `stop`, `look` …"),
            Column("experiment", "text", "Its subject; null for others.", "", "experiments"),
            Column("detail", "text", "JSON: what belongs to it."),
        ),
    ),
)

STAR: Final[dict[str, Table]] = {table.name: table for table in (*_DIMENSIONS, *_FACTS)}
"""Every exported table by its name, dimensions first."""
