"""The facts of the star: what was counted and decided."""

from __future__ import annotations

from typing import Final

from abplatform.logs.store.star.columns import (
    ALL,
    DAY,
    EXPERIMENT,
    PATH,
    PRODUCT,
    SOURCE,
    VARIANT,
    Column,
    Table,
    counts,
    numbers,
    texts,
    times,
)

__all__ = ["FACTS"]

_TRAFFIC: Final = counts(
    "impressions",
    impressions="Shown creatives that count in the scorecard.",
    clicks="Impressions that were clicked within the attribution window.",
) + counts("conversions", conversions="Purchases, bookings, leads; refunds are none.")

_LIFTS: Final = Table(
    "lifts",
    "fact",
    "comparison of a treatment with the control in one metric and slice",
    ("experiment", "metric", "breakdown", "level", "treatment"),
    (
        EXPERIMENT,
        *texts(
            metric="`ctr`, `cvr`, `rpm` …",
            breakdown=f"What is cut: `category`, `segment` …; `{ALL}` for everything together.",
            level=f"The slice: a category's path, a segment …; `{ALL}` for everything together.",
        ),
        Column("category", "text", "`level` of a cut by category, else null.", "", "categories"),
        Column("control", "text", "The control's name.", "", "variants"),
        Column("treatment", "text", "The variant compared with it.", "", "variants"),
        *counts(
            "units",
            units_control="Units of the control in the slice.",
            units_treatment="Units of the treatment in the slice.",
        ),
        *counts(
            "the metric's",
            n_control="Denominator of the control.",
            n_treatment="Denominator of the treatment.",
            k_control="Numerator of the control.",
            k_treatment="Numerator of the treatment.",
        ),
        *numbers(
            "the metric's",
            rate_control="Rate of the control, k / n; for rpm times 1,000.",
            rate_treatment="Rate of the treatment.",
            absolute_lift="Difference of the rates.",
            se_absolute="Its standard error, by unit.",
        ),
        *numbers(
            "share",
            relative_lift="Difference as a share of the control's rate; 0.03 is 3 %.",
            ci_low="Lower end of its 95 % interval at one look.",
            ci_high="Upper end.",
        ),
        *numbers(
            "",
            p_value="Two-sided, by unit, at one look.",
            log10_p="Its logarithm; exact also where p underflows.",
            p_adjusted="Corrected for the family of categories, at the decision look.",
        ),
        *numbers(
            "share",
            sequential_low="Lower end of the repeated interval.",
            sequential_high="Upper end.",
        ),
        *numbers("", sequential_p="P-value that allows for the looks taken."),
        *counts("", look="Number of the look, from 1."),
        *numbers(
            "",
            information_fraction="Share of the planned information that is in.",
            boundary="Bound of |z| at this look.",
            alpha_spent="Error probability spent so far.",
        ),
        *times(decided_at="When the plan decided; null while it has not."),
        *numbers(
            "share",
            anytime_low="Lower end of the confidence sequence.",
            anytime_high="Upper end.",
        ),
        *numbers(
            "",
            anytime_p="P-value that is valid whenever one looks.",
            e_value="Evidence against no difference.",
        ),
        *numbers(
            "share",
            shrunken_lift="The lift pulled towards the overall one, as far as luck explains it.",
            shrunken_low="Lower end of its 95 % interval.",
            shrunken_high="Upper end.",
        ),
        *numbers(
            "",
            p_better="Posterior probability that the treatment is better.",
            design_effect="Variance by unit over variance of independent impressions.",
        ),
        *numbers(
            "share",
            low_shown="Lower end of the interval that pages show: that of the plan.",
            high_shown="Upper end.",
        ),
        *numbers("", p_shown="The p-value that pages show: that of the plan."),
        Column("significant", "boolean", "Whether the YAML's test rejects."),
        Column("undetermined", "text", "Why a number cannot be computed; null if it can."),
    ),
)

FACTS: Final = (
    _LIFTS,
    Table(
        "scorecards",
        "fact",
        "experiment that has been analysed, as of its last analysis",
        ("experiment",),
        (
            EXPERIMENT,
            *times(as_of="Up to when events count."),
            *texts(
                data_version="What was loaded.",
                status="`final`, or `provisional` while late events may still come.",
            ),
            *counts("units", units="Distinct units that count."),
            *texts(
                verdict="`ship`, `reject`, `no_difference`, `continue` or `invalid`.",
                sentence="The verdict in a sentence.",
                reasons="Its reasons; one a line.",
                srm_verdict="Sample ratio: `ok`, `alarm` or `unavailable`.",
            ),
            *numbers("", srm_p_value="Sample ratio: p-value; null where no weights apply."),
            Column("warnings", "text", "`code: sentence`; one a line."),
        ),
    ),
    Table(
        "looks",
        "fact",
        "look at a treatment that was taken",
        ("experiment", "treatment", "look"),
        (
            EXPERIMENT,
            Column("treatment", "text", "The variant looked at.", "", "variants"),
            *counts("", look="Number of the look, from 1."),
            DAY,
            *numbers(
                "",
                information_fraction="Share of the planned information that was in.",
                z="The test statistic.",
                boundary="Bound of |z|; null while it is infinite.",
                alpha_spent="Error probability spent up to then.",
            ),
            *numbers(
                "share",
                relative_lift="The lift of the primary metric.",
                sequential_low="Lower end of the repeated interval.",
                sequential_high="Upper end.",
                anytime_low="Lower end of the confidence sequence.",
                anytime_high="Upper end.",
            ),
            *numbers("", sequential_p="P-value that allows for the looks."),
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
            EXPERIMENT,
            VARIANT,
            DAY,
            *counts("units", units="Distinct units of the day; null for reports without units."),
            *_TRAFFIC,
        ),
    ),
    Table(
        "daily_categories",
        "fact",
        "variant, day and category",
        ("experiment", "variant", "day", "category"),
        (
            EXPERIMENT,
            VARIANT,
            DAY,
            PATH,
            *counts("units", units="Distinct units of day and category; they don't add up."),
            *_TRAFFIC,
        ),
    ),
    Table(
        "creative_totals",
        "fact",
        "creative shown for a product by a variant",
        ("experiment", "variant", "product_id", "creative_id"),
        (
            EXPERIMENT,
            VARIANT,
            PRODUCT,
            Column("creative_id", "text", "The creative.", "", "creatives"),
            PATH,
            *_TRAFFIC[:2],
            *counts("units", units="Distinct units that saw it."),
            *numbers(
                "share",
                ctr="Clicks over impressions.",
                ctr_low="Lower end of its 95 % interval, by unit; null with few clicks.",
                ctr_high="Upper end.",
            ),
            *numbers("", predicted="The reward model's score before it ran; null if none."),
        ),
    ),
    Table(
        "pairs",
        "fact",
        "two creatives of one product compared",
        ("pair_id",),
        (
            Column("pair_id", "text", "The pair's id."),
            EXPERIMENT,
            Column("week", "text", "ISO week of the pair."),
            PRODUCT,
            PATH,
            Column("chosen_creative", "text", "The one with the higher rate.", "", "creatives"),
            Column("rejected_creative", "text", "The other one.", "", "creatives"),
            *numbers(
                "",
                p_win="Posterior probability that the chosen one's rate is the higher.",
                weight="What the pair weighs in training.",
            ),
            *counts(
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
            SOURCE,
            *counts(
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
            SOURCE,
            Column("reason", "text", "A stable word."),
            *counts("events", events="Events refused for it."),
        ),
    ),
    Table(
        "unknown_categories",
        "fact",
        "source and category that nobody knows",
        ("source", "raw_category"),
        (
            SOURCE,
            Column("raw_category", "text", "As the log names it; it counts under `unknown/…`."),
            *counts("events", events="Impressions, decisions and rows of reports of it."),
        ),
    ),
    Table(
        "audit",
        "fact",
        "decision of a person or of the loop, as the journal has it",
        ("sequence",),
        (
            *counts("", sequence="Its number in the journal."),
            *times(at="When it took effect."),
            *texts(who="Who decided.", action="`start`, `ramp`, `stop`, `look` …"),
            Column("experiment", "text", "Its subject; null for others.", "", "experiments"),
            Column("detail", "text", "JSON: what belongs to it."),
        ),
    ),
)
