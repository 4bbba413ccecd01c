"""Hand-made exposures for the analysis: frames that take the place of the store's view."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.scorecard import Run
from abplatform.domain.experiment import Analysis, Experiment, PrimaryMetric, Variant
from abplatform.logs.store.warehouse import Warehouse

START = datetime(2026, 9, 1, tzinfo=UTC)
FINAL = START + timedelta(days=60)
BEFORE = START.replace(tzinfo=None)
"""When units were flagged that do not say so; the view holds UTC without a zone."""
WEEK = timedelta(days=7)

COUNTS = {
    "impressions": 1,
    "clicked": 0,
    "conversions": 0,
    "net_value_micros": 0,
    "cost_micros": 0,
    "shown": 1,
    "decisions": 1,
    "score_micros": 0,
    "feedbacks": 0,
}
FLAGS = {
    "explored": False,
    "bot": False,
    "outside_phase": False,
    "mixed": False,
    "reason": "assigned",
}
NAMES = {
    "experiment": "e",
    "ts": START + timedelta(hours=1),
    "creative_id": None,
    "product_id": "p1",
    "category": "beauty/lip",
    "source": "app",
    "channel": "feed",
    "country": "CN",
    "segment": None,
    "stratum": None,
}
DEFAULTS = {**NAMES, **FLAGS, **COUNTS}


def exposures(rows, *, watermark=FINAL):
    """Return a frame with the columns of the view ``exposures`` from rows that name a few."""
    known = pl.DataFrame(rows, infer_schema_length=None)
    known = known.with_columns(
        pl.lit(value).alias(name) for name, value in DEFAULTS.items() if name not in known.columns
    )
    known = known.with_columns(
        pl.when(pl.col(flag)).then(pl.lit(BEFORE)).alias(f"{flag}_at")
        for flag in ("bot", "mixed")
        if f"{flag}_at" not in known.columns
    )
    texts = {name: pl.String for name, value in DEFAULTS.items() if value is None}
    counts = dict.fromkeys(COUNTS, pl.Int64)
    return (
        known.cast({**texts, **counts})
        .with_columns(
            pl.col(name).fill_null(value)
            for name, value in DEFAULTS.items()
            if value is not None and name != "category"
        )
        .with_row_index("place")
        .with_columns(
            pl.col("ts").dt.convert_time_zone("UTC").dt.replace_time_zone(None),
            event_id=pl.format("e{}", "place"),
            unit_slice=(pl.col("unit_id").rank("dense") * 37 % 4096).cast(pl.Int64),
            creative_id=pl.coalesce("creative_id", pl.format("{}-1", "variant")),
            source_watermark=pl.lit(watermark.replace(tzinfo=None)),
        )
        .with_columns(final_at=pl.col("ts") + timedelta(hours=96), day=pl.col("ts").dt.date())
    )


def draw_rows(seed=1, *, users=800, lift=0.4, rate=0.05, products=6, weights=(0.5, 0.5)):
    """Draw clustered users of two variants over three categories and a week."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        treated = rng.random() > weights[0]
        taste = rng.lognormal(-0.1, 0.5)
        for _ in range(rng.poisson(4) + 1):
            place = int(rng.integers(products))
            chance = rate * taste * (1 + lift if treated else 1)
            clicked = int(rng.random() < chance)
            rows.append(
                {
                    "variant": "generated" if treated else "baseline",
                    "unit_id": f"u{user}",
                    "ts": START + timedelta(seconds=int(rng.integers(7 * 86400))),
                    "creative_id": f"{'g' if treated else 'b'}{place}-{rng.integers(2)}",
                    "product_id": f"p{place}",
                    "category": ("beauty/lip", "home/lamp", "food/tea")[place % 3],
                    "clicked": clicked,
                    "conversions": int(clicked and rng.random() < 0.3),
                }
            )
    return rows


def make_experiment(**changes):
    facts = {
        "key": "e",
        "variants": (
            Variant("baseline", 50, control=True),
            Variant("generated", 50),
        ),
        "primary": PrimaryMetric("ctr", mde=0.03),
        "guardrails": (),
        "analysis": Analysis(test="fixed", min_runtime=WEEK, max_runtime=WEEK),
    }
    return Experiment(**{**facts, **changes})


@pytest.fixture
def make():
    """Make an experiment with a fixed test of one week, changed as asked."""
    return make_experiment


@pytest.fixture
def draw():
    """Draw rows of clustered users."""
    return draw_rows


@pytest.fixture
def frame_of():
    """Turn rows into a frame with the columns of ``exposures``."""
    return exposures


@pytest.fixture
def start():
    """When the experiment began."""
    return START


@pytest.fixture
def run():
    """A run that began at START and whose rows have long been final."""
    return Run(now=FINAL, started_at=START)


@pytest.fixture
def show():
    """Open a store in which the given rows are the exposures."""

    @contextmanager
    def opened(rows, **options):
        frame = rows if isinstance(rows, pl.DataFrame) else exposures(rows, **options)
        with Warehouse.in_memory() as warehouse, warehouse.instead_of("exposures", frame):
            yield warehouse

    return opened
