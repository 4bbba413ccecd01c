"""The dimensions of the star: what things are."""

from __future__ import annotations

from typing import Final

from abplatform.logs.store.star.columns import (
    EXPERIMENT,
    PATH,
    Column,
    Table,
    counts,
    texts,
    times,
)

__all__ = ["DIMENSIONS"]

DIMENSIONS: Final = (
    Table(
        "experiments",
        "dimension",
        "experiment",
        ("experiment",),
        (
            Column("experiment", "text", "The key in its YAML."),
            *texts(
                owner="Who answers for it.",
                hypothesis="What is expected, in the team's words.",
                state="`draft`, `running`, `paused` or `stopped`.",
            ),
            *times(
                started_at="When it began; null for a draft or a log assigned elsewhere.",
                ended_at="When it was stopped; null while it goes on.",
            ),
            *texts(
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
            EXPERIMENT,
            Column("variant", "text", "The variant's name."),
            *counts("", position="Its place in the YAML, from 1."),
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
            *texts(
                name="Its last part, `lip`.",
                parent="The path above it; null at the top.",
                top="Its first part, `beauty`.",
            ),
            *counts("levels", depth="How many parts the path has."),
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
            PATH,
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
            *texts(
                source_kind="`baseline` or `generated`; null where nobody says.",
                review="What people decided: `approved`, `rejected`, `withdrawn`; else null.",
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
            *texts(
                week="ISO week, `2026-W48`.",
                month="`2026-11`.",
                weekday="`Monday` to `Sunday`.",
            ),
            *counts("", weekday_number="1 for Monday to 7 for Sunday.", year="The year."),
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
            *times(watermark="Up to when it has been read; null before that."),
            *counts("segments", segments="Files and sealed stretches loaded from it."),
            Column("silent", "text", "Since when it should have come; null while it is on time."),
        ),
    ),
    Table(
        "models",
        "dimension",
        "version of a model",
        ("model",),
        (
            Column("model", "text", "Sha256 of its content."),
            *texts(
                kind="`reward` or `generator`.",
                aliases="What points to it now, such as `champion`; one a line.",
            ),
            *times(created_at="When it was made."),
            *texts(
                week="The ISO week whose pairs it learned from; null if none.",
                decision="Whether the gates let it pass; null if it met none.",
                reasons="Why; one a line.",
                metrics="JSON: what its evaluation found.",
            ),
        ),
    ),
)
